// The demo prints a table of the outcomes of real requests, and its exit code says whether they were as promised.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { findBreaches, type Outcome, scenarios } from 'dspinlock-demo/scenario'
import { redisUrl } from '../support/redis.js'

const script = fileURLToPath(new URL('../../../examples/demo/dist/main.js', import.meta.url))

function run(url: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise(resolve => {
    const child = execFile(
      process.execPath,
      [script],
      { env: { ...process.env, REDIS_URL: url } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

describe('the demo', () => {
  it('runs on memory and on Redis, shows what it does, and ends with 0', async function () {
    this.timeout(90_000)
    const { code, stdout, stderr } = await run(redisUrl())
    expect([code, stderr], stdout).to.deep.equal([0, ''])
    expect(stdout.match(/^ {2}(replay|reject|serialise) (GET|POST): .* as promised$/gm)).to.have.length(12)
    const rows = stdout.match(/^(replay|reject|serialise) +(GET|POST) .*$/gm) ?? []
    expect(rows.filter(row => /^replay .* 200 +1 +200 × 200 +identical +20 sent, 20 runs /.test(row))).to.have.length(4)
    expect(rows.filter(row => /^reject .* 200 +1 +1 × 200, 199 × 409 /.test(row))).to.have.length(4)
    expect(rows.filter(row => /^serialise .* 200 +200 +200 × 200 /.test(row))).to.have.length(4)
    expect(stdout.trim().split('\n').at(-1)).to.equal('Every expectation held.')
  })

  it('says at once that there is no Redis where REDIS_URL says, and ends with 1', async () => {
    const { code, stderr } = await run('redis://:secret@127.0.0.1:1')
    expect(code).to.equal(1)
    expect(stderr.trim()).to.equal(
      'REDIS_URL names a Redis at 127.0.0.1:1, but nothing listens there. Start it, or unset REDIS_URL.',
    )
  })

  for (const scenario of scenarios.filter(({ method }) => method === 'GET')) {
    it(`would notice a ${scenario.policy} that is none`, () => {
      const startedAt = 1_000
      const ok = { status: 200, body: 'x' }
      // Without a lock, each runs at once and answers for itself.
      const unlocked: Outcome = {
        answers: Array.from({ length: 200 }, (_, n) => ({ ...ok, body: String(n) })),
        strangers: Array.from({ length: 20 }, () => ok),
        runs: Array.from({ length: 200 }, (_, n) => ({
          what: 'x',
          startedAt: startedAt + n,
          endedAt: startedAt + n + 5,
        })),
        strangerRuns: Array.from({ length: 20 }, () => ({ what: 'y', startedAt, endedAt: startedAt + 5 })),
        wallMs: 100,
      }
      expect(findBreaches(scenario, unlocked)).to.not.deep.equal([])
      expect(findBreaches(scenario, { ...unlocked, strangerRuns: [] }).join()).to.contain('0 runs for 20 others')
    })
  }
})
