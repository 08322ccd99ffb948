// The example of two scripts that contend for one value does what it says.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'

describe('examples/spinlock-script', () => {
  it('two processes take turns, and one computes for both', async () => {
    const script = fileURLToPath(new URL('../../../examples/spinlock-script/dist/main.js', import.meta.url))
    const env = { ...process.env, REDIS_URL: redisUrl() }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], { env })
    expect(stdout).to.match(/One at a time, and the report once\.\n$/)
    expect(stdout.match(/begins step/g)).to.have.length(6)
    expect(stdout.match(/, found: 3 rows/g)).to.have.length(1)
    expect(stderr).to.equal('')
  })
})
