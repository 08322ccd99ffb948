// The commands and their arguments.

import { createRequire } from 'node:module'
import type { KeyState, RedisNode, Store } from '@dspinlock/core'
import { Command, Option } from 'commander'
import { type ConnectionOptions, withRedis } from './connection.js'
import { type Check, countUnserved, examine } from './doctor.js'
import { exitCodes, failures, show, wrongArguments } from './messages.js'
import { drawChecks, drawKey, drawKeys, sortKeys } from './tables.js'
import { watch } from './watch.js'

export interface Surroundings {
  /** Resolves once it has left this process. */
  readonly write: (text: string) => Promise<void>
  readonly isTerminal: boolean
  /**
   * The signal for a command that goes on until the user stops it. A command that does not ask for it is ended by SIGINT and SIGTERM
   * themselves, whatever it is waiting for.
   */
  readonly untilStopped: () => AbortSignal
  readonly exit: (code: number) => void
}

interface CommonOptions extends ConnectionOptions {
  readonly json?: boolean
}

interface ListOptions extends CommonOptions {
  readonly state?: KeyState['state']
  readonly match?: string
}

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

const afterHelp = `
REDIS_URL names the server if no option does. The login comes from REDIS_USERNAME and REDIS_PASSWORD, because everybody
on this machine can read the arguments of a command.

Exit codes: 0 done · 1 no such key, not forgotten, or doctor found something that does not work · 2 wrong arguments ·
3 Redis cannot be reached, or refuses`

export function makeProgram({ write, isTerminal, untilStopped, exit }: Surroundings): Command {
  const program = new Command('dspinlock')
    .description(
      'Shows which keys are held on a Redis that dspinlock uses, for how long, how many other processes wait, and whether that Redis can do what is needed',
    )
    .version(version)
    .addHelpText('after', afterHelp)
  const writeJson = (value: unknown): Promise<void> => write(`${JSON.stringify(value, undefined, 2)}\n`)

  common(program.command('ls'))
    .description('list live keys: holds, waiters, records and pass marks')
    .addOption(stateOption())
    .option('--match <text>', 'only keys that contain this')
    .action(options =>
      withRedis(options, async connection => {
        const states = sortKeys(await list(connection.store, options))
        if (options.json) await writeJson(states)
        else await write(`${drawKeys(states, isSelection(options))}\n`)
        const unserved = await countUnserved(connection)
        if (unserved > 0) throw failures.partial(unserved)
      }),
    )

  common(program.command('inspect'))
    .description('show one key')
    .argument('<key>')
    .action((key: string, options: CommonOptions) =>
      withRedis(options, async ({ store }) => {
        const state = await store.inspect(key)
        if (state === undefined) throw failures.noKey(key)
        if (options.json) await writeJson(state)
        else await write(`${drawKey(state)}\n`)
      }),
    )

  common(program.command('forget'))
    .description('drop the record or pass mark of a key; with --force, its hold')
    .argument('<key>')
    .option('--force', 'even if the key is held: the next one runs beside its holder')
    .action((key: string, options: CommonOptions & { force?: boolean }) =>
      withRedis(options, async ({ store }) => {
        const state = await store.inspect(key)
        if (state === undefined || state.state === 'free') throw failures.noKey(key)
        if (state.state === 'held' && options.force !== true) throw failures.isHeld(key, state.fence)
        if (!(await store.forget(key, state.fence))) throw failures.hasChanged(key)
        if (options.json) await writeJson({ key, forgotten: state.state, fence: state.fence })
        else await write(`forgot ${show(key)}, which was ${state.state}\n`)
      }),
    )

  common(program.command('watch'))
    .description('run ls again and again; with --json, one line each time')
    .addOption(stateOption())
    .option('--match <text>', 'only keys that contain this')
    .addOption(secondsOption('--interval <seconds>', 'how long to wait in between', 1))
    .option('--count <times>', 'stop after this many times', readCount)
    .action((options: ListOptions & { interval: number; count?: number }) =>
      withRedis(options, ({ store }) =>
        watch(store, {
          intervalMs: options.interval,
          count: options.count,
          asJson: options.json === true,
          isSelection: isSelection(options),
          isTerminal,
          signal: untilStopped(),
          list: of => list(of, options),
          write,
        }),
      ),
    )

  common(program.command('doctor'))
    .description('check whether this Redis can do what is needed')
    .action((options: CommonOptions) =>
      withRedis(options, async connection => {
        const checks = await examine(connection)
        const isFit = checks.every(({ status }) => status !== 'fail')
        if (options.json) await writeJson({ ok: isFit, checks } satisfies { ok: boolean; checks: Check[] })
        else await write(`${drawChecks(checks)}\n\n${isFit ? 'this Redis will do' : 'this Redis will not do'}\n`)
        if (!isFit) exit(exitCodes.no)
      }),
    )
  return program
}

function common(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'redis://, rediss:// or unix://').env('REDIS_URL'))
    .option('--cluster <nodes>', 'some nodes of a Redis Cluster, for example redis-1:6379,redis-2:6379', readNodes)
    .option('--sentinels <nodes>', 'some Sentinels, for example redis-1:26379,redis-2:26379', readNodes)
    .option('--sentinel-name <name>', 'the name by which the Sentinels know the master (default: "mymaster")')
    .option('--tls', 'use TLS with --cluster or --sentinels; otherwise write a rediss:// URL')
    .option('--prefix <prefix>', 'as given to redisStore', 'dspinlock')
    .addOption(secondsOption('--timeout <seconds>', 'for connecting, and for each operation', 2))
    .option('--json', 'write JSON, for scripts')
    .hook('preAction', (_, action) => refuseTwoServers(action))
}

/** One would be used and the other not, and `forget` may be for the other. */
function refuseTwoServers(command: Command): void {
  // REDIS_URL may be set for everything on this machine, and gives way.
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === 'cli'
  const servers = ['url', 'cluster', 'sentinels'].filter(isGiven)
  if (servers.length > 1) throw failures.twoServers(servers)
  if (isGiven('sentinelName') && !isGiven('sentinels')) throw failures.noSentinels()
}

function stateOption(): Option {
  return new Option('--state <state>', 'only keys in this state').choices(['held', 'settled', 'pass', 'free'])
}

/** Whether `list` may leave keys out. */
function isSelection({ state, match }: ListOptions): boolean {
  return state !== undefined || match !== undefined
}

async function list(store: Store, { state, match }: ListOptions): Promise<KeyState[]> {
  const states: KeyState[] = []
  for await (const one of store.list()) {
    if (state !== undefined && one.state !== state) continue
    if (match === undefined || one.key.includes(match)) states.push(one)
  }
  return states
}

/** An option in seconds on the command line and in its help, but in milliseconds in the program. */
function secondsOption(flags: string, description: string, fallback: number): Option {
  return new Option(flags, description).argParser(readSeconds).default(fallback * 1_000, String(fallback))
}

function readSeconds(given: string): number {
  const ms = Number(given) * 1_000
  if (given.trim() === '' || !(ms >= 1 && ms <= 3_600_000)) {
    throw wrongArguments.number(given, 'a number of seconds from 0.001 to 3600')
  }
  return Math.round(ms)
}

function readCount(given: string): number {
  const count = Number(given)
  if (!Number.isSafeInteger(count) || count < 1) throw wrongArguments.number(given, 'a whole number from 1')
  return count
}

function readNodes(given: string): RedisNode[] {
  return given.split(',').map(node => {
    const match = /^(?<host>[^\s:,[\]]+|\[[0-9a-fA-F:.]+\])(?::(?<port>\d{1,5}))?$/.exec(node.trim())
    const host = match?.groups?.['host']?.replace(/^\[|\]$/g, '')
    const port = match?.groups?.['port']
    if (host === undefined || Number(port ?? 1) > 65_535) throw wrongArguments.nodes(given)
    return port === undefined ? { host } : { host, port: Number(port) }
  })
}
