// Around the whole run: a real Redis before, and afterwards the question whether anything went wrong unseen.

import { type LocalRedis, requireLocalRedis } from 'dspinlock-local-redis'
import fc from 'fast-check'
import { testSeed } from './seed.js'

fc.configureGlobal({ seed: testSeed })

let redis: LocalRedis | undefined
const unexpected: string[] = []

/** By code: warnings of others' code that is run only by tests. */
const THEIRS = new Set([
  // http-proxy, under http-proxy-middleware, calls util._extend, which Node has deprecated since 22.
  'DEP0060',
])

/** Warnings of ours that some test provokes on purpose are told once for each process; those of others never come. */
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

/** Of the run as a whole: a failure like that of any test. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    // What is left unsettled has its chance to say so.
    await new Promise(resolve => setImmediate(resolve))
    const complaint = takeComplaint()
    if (complaint !== undefined) throw new Error(complaint)
  },
}

export async function mochaGlobalTeardown(): Promise<void> {
  await redis?.stop()
  // Mocha sets the code as the process exits, in a listener that it adds after this function: ours has to come later.
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
