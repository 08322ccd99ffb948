// Guarded requests share a hidden class, as they do by themselves from Node 24 on; otherwise every access to one of them would be a slow lookup.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import type { Told } from './shared-shape-worker.js'

/** What dspinlock leaves on a request and a response on purpose. */
const OURS = /^(?:Symbol\(dspinlock\)|dspinlock|end|write|writeHead) /

describe('shared shape: a request that is guarded', () => {
  let told: { readonly bare: Told; readonly guarded: Told }

  before(async () => {
    const worker = fork(new URL('./shared-shape-worker.js', import.meta.url), { execArgv: ['--allow-natives-syntax'] })
    const ended = once(worker, 'exit').then(([code]) => {
      throw new Error(`the worker ended with ${String(code)} before it told`)
    })
    ;[told] = (await Promise.race([once(worker, 'message'), ended])) as [typeof told]
    await ended.catch(() => {})
  })

  it('has the hidden class of all that are, and so has its response', () => {
    expect(told.guarded.same).to.deep.equal({ req: true, res: true })
  })

  for (const of of ['req', 'res'] as const) {
    it(`has the same properties as without it, in the same order, to be listed and changed alike: ${of}`, () => {
      const left = told.guarded.own[of].filter(property => !OURS.test(property))
      expect(left).to.deep.equal(told.bare.own[of])
      expect(left).to.have.length.above(10)
    })
  }
})
