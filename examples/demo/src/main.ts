// The demo: real servers, real HTTP from another process (this one), a table of what came of it.

import { findLocalRedis, type LocalRedis } from 'dspinlock-local-redis'
import {
  type Answer,
  BURST,
  countBodies,
  findBreaches,
  HANDLER_MS,
  type HandlerRun,
  type Outcome,
  type Scenario,
  SERIALISED_HANDLER_MS,
  STRANGERS,
  scenarios,
} from './scenario.js'
import { disconnect, send, startServers } from './servers.js'
import { formatTable } from './table.js'

async function runScenario(ports: readonly number[], { policy, method }: Scenario): Promise<Outcome> {
  const path = `/${policy}`
  const portOf = (n: number): number => ports[n % ports.length] ?? 0
  const startedAt = performance.now()
  const strangers: Promise<Answer>[] = []
  const answers: Promise<Answer>[] = []
  for (let n = 0; n < BURST; n++) {
    answers.push(send(portOf(n), method, path))
    if (n % (BURST / STRANGERS) === 0) strangers.push(send(portOf(n), method, `${path}?other=${n}`))
  }
  const [answered, answeredStrangers] = await Promise.all([Promise.all(answers), Promise.all(strangers)])
  const wallMs = performance.now() - startedAt
  const all: HandlerRun[] = []
  for (const port of ports) all.push(...(JSON.parse((await send(port, 'GET', '/runs')).body) as HandlerRun[]))
  return {
    answers: answered,
    strangers: answeredStrangers,
    runs: all.filter(run => run.what === `${method} ${path}`),
    strangerRuns: all.filter(run => run.what !== `${method} ${path}`),
    wallMs,
  }
}

function countStatuses(answers: readonly Answer[]): string {
  const counts = new Map<number, number>()
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1)
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ')
}

/** Runs all scenarios against `count` servers; true if every expectation held. */
async function runSetting(title: string, count: number, redisUrl: string | undefined): Promise<boolean> {
  console.log(`\n${title}`)
  const { ports, stop } = await startServers(count, redisUrl)
  const rows: string[][] = []
  const breaches: string[] = []
  try {
    for (const scenario of scenarios) {
      const name = `${scenario.policy} ${scenario.method}`
      process.stdout.write(`  ${name}: ${BURST} duplicates and ${STRANGERS} others … `)
      const outcome = await runScenario(ports, scenario)
      const found = findBreaches(scenario, outcome)
      breaches.push(...found.map(breach => `${name}: ${breach}`))
      console.log(found.length === 0 ? 'as promised' : `NOT as promised: ${found.join('; ')}`)
      const bodies = countBodies(outcome)
      rows.push([
        name,
        String(BURST),
        String(outcome.runs.length),
        countStatuses(outcome.answers),
        bodies === 1 ? 'identical' : `${bodies} different`,
        `${STRANGERS} sent, ${outcome.strangerRuns.length} runs`,
        `${outcome.wallMs.toFixed(0)} ms`,
        `${scenario.policy === 'serialise' ? SERIALISED_HANDLER_MS : HANDLER_MS} ms`,
      ])
    }
  } finally {
    await stop()
  }
  console.log()
  console.log(
    formatTable(
      ['burst', 'sent', 'handler runs', 'answers', '200 bodies', 'others', 'wall time', 'one run takes'],
      rows,
    ),
  )
  for (const breach of breaches) console.log(`BROKEN  ${breach}`)
  return breaches.length === 0
}

/** Without the stack of what is no fault of the demo. */
async function findRedis(): Promise<LocalRedis | undefined> {
  try {
    return await findLocalRedis()
  } catch (error) {
    console.error(`\n${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}

// Asked for first, so that nobody waits for one half to hear that the other cannot be.
const redis = await findRedis()
let held: boolean
try {
  held = await runSetting('One process, the embedded memory store', 1, undefined)
  if (redis === undefined) {
    console.log(
      '\nNo REDIS_URL and no redis-server or valkey-server on PATH: the part with several processes is left out.',
    )
  } else {
    held = (await runSetting(`Three processes sharing ${redis.description}`, 3, redis.url)) && held
  }
} finally {
  await redis?.stop()
}
disconnect()
console.log(held ? '\nEvery expectation held.' : '\nSome expectations did not hold; see the lines marked BROKEN.')
process.exitCode = held ? 0 : 1
