// What a codec gives has to be bytes, and is told of as an error where it is not.

import { type Codec, LockEngine, RecordError, type Store } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/engine.js'
import { storeKinds } from '../support/stores.js'

for (const [kind, makeStore] of storeKinds) {
  describe(`codecs of run, on ${kind}`, () => {
    let store: Store
    let engine: LockEngine
    const replay = { duplicates: 'replay', ttlMs: 60_000 } as const

    beforeEach(() => {
      store = makeStore()
      engine = new LockEngine({ store })
    })
    afterEach(async () => {
      await engine.close()
      await store.close()
    })

    const noBytes: readonly (readonly [what: string, given: unknown, told: string])[] = [
      ['text', '{"a":1}', '"{\\"a\\":1}"'],
      ['a promise', Promise.resolve(Uint8Array.of(1)), 'an object (Promise)'],
      ['an ArrayBuffer', new ArrayBuffer(2), 'an object (ArrayBuffer)'],
      ['wider numbers', Uint16Array.of(300), 'an object (Uint16Array)'],
      ['nothing', undefined, 'undefined'],
    ]
    for (const [what, given, told] of noBytes) {
      it(`${what} in place of bytes is a RecordError that says so, and spoils neither the key nor the store`, async () => {
        const codec = { encode: () => given, decode: () => 'decoded' } as unknown as Codec<string>
        const error = await failure(engine.run('key', () => 'result', { ...replay, codec }))
        expect(error).to.be.instanceOf(RecordError)
        const cause = `dspinlock: codec.encode() must return a Uint8Array, but returned ${told}`
        expect(error.cause).to.be.instanceOf(TypeError).with.property('message', cause)
        for (const key of ['key', 'another']) {
          await engine.run(key, () => 'first', { ...replay, waitMs: 0 })
          expect(await engine.run(key, () => 'again', replay)).to.equal('first')
        }
      })
    }
  })
}
