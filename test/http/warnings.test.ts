// Likely mistakes are warned about: each once in a process, with a code that the documentation explains; the same done right is not.

import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'

const expected: Readonly<Record<string, readonly [code: string, remedy: RegExp]>> = {
  'memory that is not': ['MEMORY_CLUSTER', /Use redisStore\(\)/],
  'two mounts of one': ['MOUNTED_TWICE', /Mount it once/],
  'a body that was read': ['BODY_UNREADABLE', /Mount dspinlock before that, or after a parser/],
  'a body that cannot be compared': ['BODY_UNHASHABLE', /Mount dspinlock before that, or give a key/],
  'a large body': ['BODY_TOO_LARGE', /Raise it, or set oversize: 'reject'/],
  'Vary: X-Skin': ['VARY', /headers outside its key/],
  'work that takes longer than it is known': ['TTL_SHORT', /longer than its ttlMs \(1\).*raise ttlMs/],
  'no room for a record': ['MEMORY_FULL', /maxBytes \(10\).*raise it, shorten ttlMs, or use Redis/],
  'data of others': ['FOREIGN_DATA', /prefix/],
}

describe('warnings', () => {
  let told: Record<string, string[]>

  before(async () => {
    const exec = fileURLToPath(new URL('./warnings-worker.js', import.meta.url))
    cluster.setupPrimary({ exec, args: [redisUrl()], silent: true })
    const worker = cluster.fork()
    const ended = once(worker, 'exit').then(([code]) => {
      throw new Error(`the worker ended with ${String(code)} before it told`)
    })
    ;[told] = (await Promise.race([once(worker, 'message'), ended])) as [typeof told]
    worker.disconnect()
    await ended.catch(() => {})
  })

  for (const [what, [code, remedy]] of Object.entries(expected)) {
    it(`${what}: DSPINLOCK_W_${code}, once, with the remedy`, () => {
      expect(told[what]).to.have.length(1)
      const full = `DSPINLOCK_W_${code}`
      expect(told[what]?.[0]).to.contain(`DspinlockWarning ${full} See docs/warnings.md#${full.toLowerCase()}: `)
      expect(told[what]?.[0]).to.match(remedy)
    })
  }

  it('nothing is said where nothing is wrong', () => {
    const right = Object.keys(told).filter(what => !(what in expected))
    expect(right).to.have.length(8)
    for (const what of right) expect(told[what], what).to.deep.equal([])
  })
})
