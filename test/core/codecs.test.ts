// A codec gets bytes of its own, has to return bytes, and works the same on every store.

import { randomUUID } from 'node:crypto'
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

    it('the bytes of a result, of a record and of each copy of it are not the same memory', async () => {
      const codec: Codec<Uint8Array> = { encode: bytes => bytes, decode: record => record }
      const options = { ...replay, codec }
      const work = async (): Promise<Uint8Array> => {
        await new Promise(resolve => setImmediate(resolve))
        return Buffer.from('result')
      }
      const results = await Promise.all([1, 2, 3].map(() => engine.run('key', work, options)))
      results.push(await engine.run('key', work, options))
      for (const [n, result] of results.entries()) {
        expect(Buffer.from(result).toString(), `result ${n}`).to.equal('result')
        result.fill(0)
      }
      expect(Buffer.from(await engine.run('key', work, options)).toString()).to.equal('result')
    })

    it('a record is a Buffer with nothing beside it, however many there are', async () => {
      const lengths = new Set<number>()
      const codec: Codec<{ n: number }> = {
        encode: result => Buffer.from(JSON.stringify(result)),
        decode: record => {
          lengths.add(record.buffer.byteLength - record.byteLength)
          return JSON.parse(record.toString()) as { n: number }
        },
      }
      const prefix = randomUUID()
      const all = Array.from({ length: 300 }, (_, n) => n)
      const read = (n: number): Promise<{ n: number }> =>
        engine.run(`${prefix} ${n}`, () => ({ n }), { ...replay, codec })
      await Promise.all(all.map(read))
      expect(await Promise.all(all.map(read))).to.deep.equal(all.map(n => ({ n })))
      expect([...lengths]).to.deep.equal([0])
    })
  })
}
