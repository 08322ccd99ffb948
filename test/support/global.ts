// Runs around all tests: starts a real Redis before them, and checks afterwards that nothing went wrong unseen.

import { type LocalRedis, requireLocalRedis } from 'dspinlock-local-redis'
import fc from 'fast-check'
import { testSeed } from './seed.js'
import { stopShared } from './shared.js'

fc.configureGlobal({ seed: testSeed })

let redis: LocalRedis | undefined
const unexpected: string[] = []

/** Warnings, by code, of other people's code that only tests run. */
const THEIRS = new Set([
  // http-proxy, used by http-proxy-middleware, calls util._extend, which Node has deprecated since 22.
  'DEP0060',
])

/** Our own warnings, which some tests provoke on purpose, come once in each process; warnings of other code must never come. */
process.on('warning', warning => {
  const { code } = warning as NodeJS.ErrnoException
  const isTheirs = code !== undefined && THEIRS.has(code) && /\/node_modules\/http-proxy\//.test(warning.stack ?? '')
  if (warning.name !== 'DspinlockWarning' && !isTheirs) unexpected.push(`warning: ${warning.stack ?? warning.message}`)
})
process.on('unhandledRejection', reason => {
  unexpected.push(`unhandled rejection: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`)
})

export async function mochaGlobalSetup(): Promise<void> {
  redis = await requireLocalRedis()
  process.env['TEST_REDIS_URL'] = redis.url
}

/** Fails the run as a whole, as any failing test does. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await stopShared()
    // Promises that are still unsettled get their chance to report an error.
    await new Promise(resolve => setImmediate(resolve))
    const complaint = takeComplaint()
    if (complaint !== undefined) throw new Error(complaint)
  },
}

export async function mochaGlobalTeardown(): Promise<void> {
  await redis?.stop()
  // Mocha sets the exit code as the process exits, in a listener that it adds after this function, so ours has to come later.
  setTimeout(() => {
    process.on('exit', () => {
      const complaint = takeComplaint()
      if (complaint === undefined) return
      console.error(`\n${complaint}`)
      process.exitCode = 1
    })
  }, 0)
}

function takeComplaint(): string | undefined {
  const all = unexpected.splice(0)
  return all.length === 0 ? undefined : `${all.length} things went wrong outside of any test:\n${all.join('\n')}`
}
