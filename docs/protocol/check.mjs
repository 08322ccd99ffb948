// Has Spin check the model of the lock protocol: every sound run is free of errors, and every planted defect is found.
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What each run is about, and the model's switches. `FOREVER`: checked for property 4, under weak fairness, else for assertions. */
const sound = {
  'two callers in each process, turns in a row': 'CALLS=2 LEASE=1',
  'lost messages and replies, callers that give up': 'LOSSY ABORTS LOST_REPLIES=1',
  'fences, a crash, a lost reply': 'FENCES CRASHES=1 LOST_REPLIES=1 MAX_HOLDS=3',
  'fences and a person who forgets the key': 'FENCES FORGETS=1 MAX_HOLDS=3',
  'records, lost messages, callers that give up': 'RECORDS LOSSY ABORTS',
  'records for newcomers, some want turns': 'RECORDS MIXED TTL LEASE=1',
  'a command that comes again or late': 'CALLS=2 COPIES=1 LEASE=1 FENCES MAX_HOLDS=2',
  'a record stored again or late': 'RECORDS COPIES=1 LEASE=1',
  'three processes': 'N=3 GENS=1 LEASE=1 FENCES MAX_HOLDS=2',
  'a cluster, where nobody knows who listens': 'CLUSTER CRASHES=1',
  'who listens to a replica, which is not counted': 'UNCOUNTED=2 CALLS=2 LEASE=1',
  'for ever, no poll, nothing lost, callers that give up': 'FOREVER NO_POLL ABORTS',
  'for ever, no poll, nothing lost, two callers in each process': 'FOREVER NO_POLL CALLS=2 LEASE=1 GRANT=1 HURRY',
  'for ever, any message may be lost': 'FOREVER LOSSY',
  'for ever, records, any message may be lost': 'FOREVER RECORDS LOSSY',
  'for ever, a crash': 'FOREVER CRASHES=1',
  'for ever, who listens to a replica': 'FOREVER UNCOUNTED=1',
  'for ever, a holder that sleeps past its lease': 'FOREVER STALLS=1',
}

/** Faults in the model, each with the run that has to notice it and by what. */
const defects = [
  ['SETTLE_BY_ANYBODY', 'RECORDS LOSSY ABORTS', 'assertion'],
  ['RELEASE_BY_ANYBODY', 'CALLS=2', 'assertion'],
  ['RENEW_BY_ANYBODY', 'CALLS=2', 'assertion'],
  ['LEASE_FROM_REPLY', 'CALLS=2', 'assertion'],
  ['TURN_UNDATED', 'CALLS=2', 'assertion'],
  ['BARGING', 'CALLS=2', 'assertion'],
  ['ENDED_MAY_CLAIM', 'CALLS=2 COPIES=1 LEASE=1', 'assertion'],
  ['FENCE_NOT_KEPT', 'FENCES', 'assertion'],
  ['TWICE_IN_QUEUE', 'RECORDS MIXED TTL LEASE=1', 'assertion'],
  ['JOINED_BY_FENCE', 'RECORDS LOSSY CALLS=2', 'assertion'],
  ['TOLD_UNCOUNTED', 'UNCOUNTED=1 N=3 GENS=1', 'assertion'],
  ['LEAVE_WAKES_NOBODY', 'FOREVER NO_POLL ABORTS', 'cycle'],
  ['JOINS_LATER', 'FOREVER NO_POLL ABORTS', 'cycle'],
  ['ENDLESS_LOCAL_TURNS', 'FOREVER NO_POLL CALLS=2 LEASE=1 GRANT=1 HURRY', 'cycle'],
  ['no poll where messages are lost', 'FOREVER LOSSY NO_POLL', 'cycle'],
  ['no poll where a woken process dies', 'FOREVER CRASHES=1 NO_POLL', 'cycle'],
  ['a poll that is slower than a grant', 'FOREVER LOSSY GRANT=1 POLL=2', 'cycle'],
]

const run = promisify(execFile)
const compiler = ['cc', 'gcc', 'clang'].find(isThere)
for (const [found, what] of [
  [isThere('spin'), 'Spin, the model checker (Debian, Ubuntu: apt-get install spin; macOS: brew install spin)'],
  [compiler, 'a C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev; macOS: xcode-select --install)'],
]) {
  if (found) continue
  console.error(`npm run model needs ${what}.`)
  process.exit(2)
}

// A part of a name given on the command line: only the runs that have it in theirs.
const only = process.argv[2]
const jobs = [
  ...Object.entries(sound).map(([name, switches]) => ({ name, switches, expected: 'nothing' })),
  ...defects.map(([name, switches, expected]) => ({
    name,
    switches: /^[A-Z_]+$/.test(name) ? `${switches} DEFECT_${name}` : switches,
    expected,
  })),
].filter(({ name }) => only === undefined || name.includes(only))
const startedAt = Date.now()
let failed = 0
await Promise.all([work(), work()])
console.log(`${failed} failed, ${((Date.now() - startedAt) / 1000).toFixed(0)} s`)
process.exitCode = failed === 0 ? 0 : 1

async function work() {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
    const { found, states, seconds, text } = await check(job.switches.split(' '))
    const isRight = found === job.expected
    if (!isRight) failed++
    const what = job.expected === 'nothing' ? job.name : `defect: ${job.name}`
    console.log(
      `${isRight ? 'ok  ' : 'FAIL'} ${what.padEnd(68)} ${found.padEnd(9)} ${states.padStart(8)} states ${seconds.padStart(5)} s`,
    )
    if (!isRight) console.log(`     ${job.switches}\n${text}`)
  }
}

/** Builds the checker for these switches, runs it to its end, and says what it found: nothing, an assertion, a cycle. */
async function check(switches) {
  const cwd = mkdtempSync(join(tmpdir(), 'dspinlock-model-'))
  const startedFor = Date.now()
  try {
    cpSync(new URL('lock.pml', import.meta.url), join(cwd, 'lock.pml'))
    await run('spin', [...switches.map(one => `-D${one}`), '-a', 'lock.pml'], { cwd })
    const isEndless = switches.includes('FOREVER')
    const options = isEndless ? ['-DNFAIR=3'] : ['-DSAFETY', '-DNOFAIR']
    await run(compiler, ['-O0', '-w', '-DCOLLAPSE', '-DMEMLIM=1000', ...options, '-o', 'pan', 'pan.c'], { cwd })
    // -E: a process that has nothing more to do may stop anywhere.
    const { stdout } = await run('./pan', isEndless ? ['-a', '-f', '-m400000', '-w21'] : ['-E', '-m400000', '-w21'], {
      cwd,
      maxBuffer: 1e8,
    })
    const isWhole = !/Search not completed|max search depth too small|out of memory|VECTORSZ/.test(stdout)
    const hasErrors = !/errors: 0\b/.test(stdout)
    const kind = /acceptance cycle \(at/.test(stdout)
      ? 'cycle'
      : /assertion violated/.test(stdout)
        ? 'assertion'
        : 'trouble'
    return {
      found: hasErrors ? kind : isWhole ? 'nothing' : 'trouble',
      states: /(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored/.exec(stdout)?.[1] ?? '?',
      seconds: ((Date.now() - startedFor) / 1000).toFixed(1),
      text: stdout.slice(0, 1_000),
    }
  } catch (error) {
    return { found: 'trouble', states: '?', seconds: '?', text: `${error.message}\n${error.stdout ?? ''}` }
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** Whether there is such a command. */
function isThere(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined
}
