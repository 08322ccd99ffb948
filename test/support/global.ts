// Around the whole run: a real Redis before, and afterwards the question whether anything went wrong unseen.

import { type LocalRedis, requireLocalRedis } from 'dspinlock-local-redis'

let redis: LocalRedis | undefined
const unexpected: string[] = []

/** Warnings of ours that some test provokes on purpose are told once for each process; those of others never come. */
process.on('warning', warning => {
  if (warning.name !== 'DspinlockWarning') unexpected.push(`warning: ${warning.stack ?? warning.message}`)
})
process.on('unhandledRejection', reason => {
  unexpected.push(`unhandled rejection: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`)
})

export async function mochaGlobalSetup(): Promise<void> {
  redis = await requireLocalRedis()
  process.env['TEST_REDIS_URL'] = redis.url
}

export async function mochaGlobalTeardown(): Promise<void> {
  await redis?.stop()
  // What is left unsettled has its last chance to say so.
  await new Promise(resolve => setImmediate(resolve))
  if (unexpected.length === 0) return
  console.error(`\n${unexpected.length} things went wrong outside of any test:\n${unexpected.join('\n')}`)
  process.exitCode = 1
  process.on('exit', () => {
    process.exitCode = 1
  })
}
