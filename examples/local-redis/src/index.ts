// Finds or starts a real Redis or Valkey on this machine, for the tests and the examples.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export interface LocalRedis {
  readonly url: string
  readonly port: number
  /** For people: what it is and where. */
  readonly description: string
  /** Ends the server, if it was started here, and removes its files. */
  stop(): Promise<void>
}

/** A server of our own that can be killed and started again on the same port. */
export interface RedisServer extends LocalRedis {
  /** Between `start` and `kill`. */
  readonly isRunning: boolean
  /** SIGKILL, as in a crash. */
  kill(): Promise<void>
  /** Starts it anew on the same port: empty, unless it was told to persist. `moreArguments`: for this time. */
  start(moreArguments?: readonly string[]): Promise<void>
  /** Removes what a killed server left on disk. */
  wipe(): Promise<void>
}

/**
 * What `REDIS_URL` names, or a server from PATH started for the occasion; undefined if there is neither. Rejects if nothing
 * listens where `REDIS_URL` says.
 */
export async function findLocalRedis(): Promise<LocalRedis | undefined> {
  const url = process.env['REDIS_URL']
  if (url !== undefined && url !== '') {
    const { hostname, port: named } = new URL(url)
    const port = Number(named || 6379)
    if (hostname !== '' && !(await isListening(port, hostname))) {
      throw new Error(
        `REDIS_URL names a Redis at ${hostname}:${port}, but nothing listens there. Start it, or unset REDIS_URL.`,
      )
    }
    return {
      url,
      port,
      description: 'the Redis that REDIS_URL names',
      stop: async () => {},
    }
  }
  return findServerBinary() === undefined ? undefined : startRedisServer()
}

/** As `findLocalRedis`, but installs a server where that can be done without asking, and throws where not. */
export async function requireLocalRedis(): Promise<LocalRedis> {
  const found = await findLocalRedis()
  if (found !== undefined) return found
  installServer()
  return startRedisServer()
}

/** What was started here ends with this process. One listener for all: a cluster is many servers. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts a server on a free loopback port, without persistence. `extraArguments` are added to its command line; `binary`: other
 * than the first on PATH.
 */
export async function startRedisServer(
  extraArguments: readonly string[] = [],
  binary: string | undefined = findServerBinary(),
): Promise<RedisServer> {
  if (binary === undefined) throw new Error(howToInstall())
  const port = await findFreePort()
  const directory = await mkdtemp(join(tmpdir(), 'dspinlock-redis-'))
  let child: ChildProcess | undefined

  const kill = async (): Promise<void> => {
    if (child === undefined) return
    const dying = child
    child = undefined
    running.delete(dying)
    if (dying.exitCode !== null || dying.signalCode !== null) return
    dying.ref()
    dying.kill('SIGKILL')
    await once(dying, 'exit')
  }
  const start = async (moreArguments: readonly string[] = []): Promise<void> => {
    const options = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      directory,
      '--daemonize',
      'no',
    ]
    child = spawn(binary, [...options, ...extraArguments, ...moreArguments], { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    const output = watchOutput(child)
    await Promise.race([output.ready, once(child, 'exit').then(() => Promise.reject(new Error(output.failure())))])
    // From here on, neither the process nor its pipes keep a script alive that forgot to stop the server.
    child.unref()
    output.unref()
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    description: `${binary} on 127.0.0.1:${port}, started for the occasion`,
    get isRunning() {
      return child !== undefined
    },
    kill,
    start,
    wipe: async () => {
      await rm(directory, { recursive: true, force: true })
      await mkdir(directory)
    },
    stop: async () => {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Below the ports that systems give to outgoing connections: one of those could have this one before its server listens. */
const FIRST_PORT = 20_000
const PORTS = 12_000
/** Not given out again: their servers may be about to listen. */
const given = new Set<number>()

/** A port of the loopback interface that nobody listens on now. */
export async function findFreePort(): Promise<number> {
  if (given.size > PORTS / 2) given.clear()
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(
    `no port of 127.0.0.1 from ${FIRST_PORT} to ${FIRST_PORT + PORTS - 1} could be listened on, of 200; end what uses them, or allow listening there`,
  )
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The first of these servers that is on PATH; undefined if there is none. */
export function findServerBinary(...names: readonly string[]): string | undefined {
  const wanted = names.length > 0 ? names : ['redis-server', 'valkey-server']
  return wanted.find(name => spawnSync(name, ['--version']).status === 0)
}

function installServer(): void {
  const isRoot = process.getuid?.() === 0
  if (!isRoot || spawnSync('apt-get', ['--version']).status !== 0) throw new Error(howToInstall())
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const step of [
    ['update', '-qq'],
    ['install', '-y', '-qq', 'redis-server'],
  ]) {
    const { status } = spawnSync('apt-get', step, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    if (status !== 0) throw new Error(`apt-get ${step.join(' ')} ended with exit code ${status}. ${howToInstall()}`)
  }
}

function howToInstall(): string {
  const how = {
    darwin: 'brew install redis',
    linux:
      'sudo apt-get install redis-server (Debian, Ubuntu), sudo dnf install valkey (Fedora), or your package manager',
    win32: 'a Redis in WSL or in a container',
  }[process.platform as 'darwin' | 'linux' | 'win32']
  return `A real Redis is needed: set REDIS_URL, or put redis-server or valkey-server on PATH (${how ?? 'see redis.io'}).`
}

function watchOutput(child: ChildProcess): { ready: Promise<void>; failure: () => string; unref: () => void } {
  let output = ''
  const pipes = [child.stdout, child.stderr].filter(pipe => pipe !== null) as (Readable & { unref(): void })[]
  const ready = new Promise<void>(resolve => {
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4_000)
      if (output.includes('Ready to accept connections')) resolve()
    }
    for (const pipe of pipes) pipe.on('data', read)
  })
  return {
    ready,
    failure: () => `the Redis server ended before it was ready:\n${output}`,
    unref: () => {
      for (const pipe of pipes) pipe.unref()
    },
  }
}

/** True if something accepts connections there within two seconds. */
export async function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(2_000) })
    return true
  } catch {
    return false
  } finally {
    // What else goes wrong with it is nobody's business any more.
    socket.on('error', () => {}).destroy()
  }
}
