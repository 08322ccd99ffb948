// Nothing of the library keeps a process alive that has nothing more to do.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'

const script = fileURLToPath(new URL('./idle-script.js', import.meta.url))

describe('a process that wants to exit', () => {
  const cases: readonly [string, () => string[], string][] = [
    ['the memory store', () => [], 'done\n'],
    ['Redis', () => [redisUrl()], 'done\n'],
    ['a Redis that is not there', () => ['redis://127.0.0.1:1'], 'ERR_DSPINLOCK_STORE\n'],
  ]
  for (const [what, args, said] of cases) {
    it(`exits by itself, with an open engine on ${what}`, async () => {
      // Ends with an error if it has to be killed.
      const { stdout } = await promisify(execFile)(process.execPath, [script, ...args()], { timeout: 8_000 })
      expect(stdout).to.equal(said)
    })
  }
})
