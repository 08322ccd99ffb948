// The log with fields: what a logger like pino is given, and at which level.

import { randomUUID } from 'node:crypto'
import {
  attachLogger,
  attachStructuredLogger,
  LockEngine,
  type LogFields,
  type LogFilter,
  memoryStore,
  publishTrouble,
} from '@dspinlock/core'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'

type Level = 'debug' | 'info' | 'warn'

describe('a log with fields', () => {
  const engine = new LockEngine({ store: memoryStore() })
  let key: string
  let entries: { level: Level; fields: LogFields; line: string }[]
  let detach: () => void

  const writer = (level: Level) => (fields: LogFields, line: string) => entries.push({ level, fields, line })

  beforeEach(() => {
    key = randomUUID()
    entries = []
    const logger = { debug: writer('debug'), info: writer('info'), warn: writer('warn') }
    detach = attachStructuredLogger(logger, { key })
  })
  afterEach(() => detach())
  after(() => engine.close())

  it('what happens all the time is for debugging', async () => {
    const hold = holdOf(await engine.enter(key, { duplicates: 'replay' }))
    await hold.settle(Uint8Array.of(1))
    expect(entries.map(({ level, fields }) => [level, fields.event])).to.deep.equal([
      ['debug', 'dspinlock:enter'],
      ['debug', 'dspinlock:end'],
    ])
    expect(entries[0]?.fields)
      .to.include({ key: JSON.stringify(key), role: 'holder' })
      .and.not.have.property('err')
    expect(entries[1]?.fields).to.include({ fence: hold.fence, how: 'settled', recordBytes: 1 })
    expect(entries[1]?.line).to.match(/^dspinlock:end ".+" settled after [\d.]+ ms/)
  })

  it('one event is one line, whatever is in a key or in the message of an error', async () => {
    const lines: string[] = []
    const stop = attachLogger({ debug: line => lines.push(line), warn: line => lines.push(line) })
    const hostile = 'a\nWARN dspinlock:trouble forged\r\u001b[31m\u009b2J\u2028\u202e'
    await engine.run(`${key}${hostile}`, () => {})
    publishTrouble('http', 'guard', new Error(`no tenant ${hostile}`))
    stop()
    expect(lines).to.have.length(3)
    for (const line of lines) expect(line).to.not.match(/[\p{Cc}\p{Cf}\u2028]/u)
    expect(lines[2]).to.include('no tenant a\\nWARN')
  })

  it('a refused call says why: what it met is at work, is done, or has another payload', async () => {
    const once = { duplicates: 'reject', ttlMs: 60_000, payload: 'one' } as const
    const hold = holdOf(await engine.enter(key, once))
    await engine.enter(key, once)
    await hold.settle(Uint8Array.of(1))
    await engine.enter(key, once)
    await engine.enter(key, { ...once, payload: 'another' })
    const refused = entries.filter(({ fields }) => fields.role === 'refused')
    expect(refused.map(({ fields }) => fields.reason)).to.deep.equal(['in-flight', 'settled', 'mismatch'])
    expect(refused.map(({ line }) => /as refused after [\d.]+ ms: (.+)$/.exec(line)?.[1])).to.deep.equal(
      refused.map(({ fields }) => fields.reason),
    )
    for (const { fields } of refused) expect(fields).to.not.have.property('err')
    expect(entries[0]?.fields).to.not.have.property('reason')
  })

  it('a failed call and a forget are logged as information', async () => {
    const hold = holdOf(await engine.enter(key))
    const err = await failure(engine.enter(key, { waitMs: 1 }))
    await engine.forget(key, hold.fence)
    const [, failed, , forgot] = entries
    expect(failed).to.deep.include({ level: 'info' })
    expect(failed?.fields).to.include({ role: 'failed', err })
    expect(failed?.line).to.match(/failed after [\d.]+ ms: waited 1 ms for the key/)
    expect([forgot?.level, forgot?.fields.event]).to.deep.equal(['info', 'dspinlock:forget'])
  })

  it('a lost hold and trouble are warnings, with their error', async () => {
    const hold = holdOf(await engine.enter(key))
    await engine.forget(key, hold.fence)
    const cause = new Error('down')
    publishTrouble('test', 'probe', cause, key)
    const warnings = entries.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
    expect(warnings.map(({ event, err }) => [event, err])).to.deep.equal([
      ['dspinlock:lost', hold.signal.reason],
      ['dspinlock:trouble', cause],
    ])
    expect(warnings[1]).to.include({ source: 'test', operation: 'probe' })
  })

  it('a logger without levels is given all of it by debug, with its own this', async () => {
    class Plain {
      readonly lines: string[] = []
      debug(_fields: LogFields, line: string): void {
        this.lines.push(line)
      }
    }
    const plain = new Plain()
    const detachPlain = attachStructuredLogger(plain, { key })
    publishTrouble('test', 'probe', new Error('down'), key)
    detachPlain()
    expect(plain.lines).to.deep.equal([`dspinlock:trouble test in probe for ${JSON.stringify(key)}: down`])
  })

  it('a logger that throws disturbs nobody', async () => {
    const detachBad = attachStructuredLogger(
      {
        debug: () => {
          throw new Error('full disk')
        },
      },
      { key },
    )
    await holdOf(await engine.enter(key)).release()
    detachBad()
    expect(entries).to.have.length(2)
  })

  it('what is no logger is refused at once: it would be a log that stays empty', () => {
    for (const wrong of [undefined, {}, { info: () => {} }]) {
      expect(() => attachLogger(wrong as never)).to.throw(
        TypeError,
        'option logger must be a logger with a method debug',
      )
      expect(() => attachStructuredLogger(wrong as never)).to.throw(TypeError, 'option logger must be')
    }
  })

  it('a filter that would let all through or nothing is refused at once, by name', () => {
    const wrong: readonly (readonly [unknown, message: string | ((attach: string) => string)])[] = [
      [{ accepts: ['enter'] }, 'option accepts must be a function of the name of an event, but received an array of 1'],
      [{ key: 5 }, 'option key must be a string, but received 5'],
      [{ keys: 'a' }, attach => `unknown option "keys" for ${attach}; it takes key, accepts`],
      [null, attach => `argument of ${attach} must be an object of options, but received null`],
    ]
    for (const [filter, told] of wrong) {
      for (const attach of [attachLogger, attachStructuredLogger]) {
        const message = typeof told === 'string' ? told : told(attach.name)
        expect(() => attach({ debug: () => {} }, filter as LogFilter), message).to.throw(TypeError, message)
      }
    }
  })

  it('lines alone tell of a call that failed, too', async () => {
    const lines: string[] = []
    const detachLines = attachLogger({ debug: line => lines.push(line) }, { key })
    const hold = holdOf(await engine.enter(key))
    await failure(engine.enter(key, { waitMs: 1 }))
    await hold.release()
    detachLines()
    expect(lines.join('\n')).to.match(/^dspinlock:enter ".+" failed after [\d.]+ ms: waited 1 ms/m)
  })
})
