// Many may wait for one key: the memory that each of them takes is bounded.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'

describe('waiting: what is held of a request', () => {
  it('that waits for its turn is at most 2 KiB beyond what Node and Express hold', async function () {
    // Seconds of collecting garbage, and many of them on a busy machine.
    this.timeout(90_000)
    const worker = fork(new URL('./waiting-worker.js', import.meta.url), { execArgv: ['--expose-gc'] })
    const ended = once(worker, 'exit').then(([code]) => {
      throw new Error(`the worker ended with ${String(code)} before it told`)
    })
    const [bytes] = (await Promise.race([once(worker, 'message'), ended])) as [number]
    await ended.catch(() => {})
    expect(bytes, 'bytes of heap').to.be.within(500, 2_048)
  })
})
