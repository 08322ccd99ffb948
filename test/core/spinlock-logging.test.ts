// The diagnostic log: by the environment or by a user's logger, for locks and for the engine under the middleware.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { attachLogger, HashDSpinlock, LockEngine, memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { atOnce } from '../support/at-once.js'

const script = fileURLToPath(new URL('./lock-once.js', import.meta.url))

/** What a process that locks once prints under this environment. */
async function logOf(changes: Record<string, string>): Promise<string> {
  const { SL_LOG_ENABLED: _flag, DEBUG: _debug, ...rest } = process.env
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], { env: { ...rest, ...changes } })
  expect(stdout).to.equal('done')
  return stderr
}

describe('spinlock: logging', function () {
  // On a busy machine, many processes at once may take longer than one.
  this.timeout(60_000)
  const on: Record<string, string>[] = [
    { SL_LOG_ENABLED: '1' },
    { SL_LOG_ENABLED: 'yes' },
    { DEBUG: 'dspinlock:*' },
    { DEBUG: 'express:*, dspinlock*' },
    { DEBUG: '*' },
  ]
  const logOn = atOnce(on.map(env => () => logOf(env)))
  for (const [n, env] of on.entries()) {
    it(`is on with ${JSON.stringify(env)}`, async () => {
      const log = await logOn(n)
      expect(log).to.match(
        /^\d{4}-\d\d-\d\dT[\d:.]+Z DEBUG dspinlock:enter "dspinlock,[0-9a-f]+" as holder after [\d.]+ ms$/m,
      )
      expect(log).to.match(/DEBUG dspinlock:end "dspinlock,[0-9a-f]+" settled/)
    })
  }
  const off: Record<string, string>[] = [
    {},
    { SL_LOG_ENABLED: '' },
    { SL_LOG_ENABLED: '0' },
    { SL_LOG_ENABLED: 'false' },
    { SL_LOG_ENABLED: 'False' },
    { DEBUG: '' },
    { DEBUG: 'express:*' },
    { DEBUG: 'dspinlock' },
    { DEBUG: 'dspinlock:*,-dspinlock:*' },
  ]
  const logOff = atOnce(off.map(env => () => logOf(env)))
  for (const [n, env] of off.entries()) {
    it(`is off with ${JSON.stringify(env)}`, async () => expect(await logOff(n)).to.equal(''))
  }

  it('an engine by itself is logged once the log is loaded, with SL_LOG_ENABLED left empty, too', async () => {
    const code = `
      import { channels, LockEngine, memoryStore } from '@dspinlock/core'
      const engine = new LockEngine({ store: memoryStore() })
      for (let n = 0; n < 10_000 && !channels.enter.hasSubscribers; n++) await new Promise(setImmediate)
      await engine.run('key', () => {})
    `
    const env = { ...process.env, SL_LOG_ENABLED: '', DEBUG: 'dspinlock:*' }
    const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], { env })
    expect(stderr).to.match(/DEBUG dspinlock:enter "key" as holder/)
  })

  it('DEBUG may name single events', async () => {
    const log = await logOf({ DEBUG: 'dspinlock:*,-dspinlock:end' })
    expect(log)
      .to.match(/dspinlock:enter/)
      .and.not.match(/dspinlock:end/)
  })

  it('does not show what was locked', async () => {
    expect(await logOf({ SL_LOG_ENABLED: '1' })).to.not.match(/secret value/)
  })

  it('option logger gets what happens to that lock, and nothing after its end', async () => {
    const store = memoryStore()
    const lines: string[] = []
    const logger = {
      debug: (line: string) => lines.push(`debug ${line}`),
      warn: (line: string) => lines.push(`warn ${line}`),
    }
    const lock = new HashDSpinlock('logged', { store, logger })
    await lock.acquire()
    await new HashDSpinlock('another', { store }).run(() => 1)
    await store.forget(lock.key)
    await lock[Symbol.asyncDispose]()
    await new HashDSpinlock('logged', { store }).run(() => 1)
    expect(lines.map(line => line.replace(/"[^"]*"/g, 'KEY').replace(/ (after|fence|for) .*$/, ''))).to.deep.equal([
      'debug dspinlock:enter KEY as holder',
      'warn dspinlock:lost KEY',
      'debug dspinlock:end KEY lost',
      'warn dspinlock:trouble spinlock in release',
    ])
    for (const line of lines) expect(line).to.include(`"${lock.key}"`)
  })

  it('a logger without warn, and one that throws, do no harm', async () => {
    const lines: string[] = []
    const detachOne = attachLogger({ debug: line => lines.push(line) })
    const detachOther = attachLogger({
      debug: () => {
        throw new Error('disk full')
      },
    })
    const store = memoryStore()
    const lock = await new HashDSpinlock('v', { store }).acquire()
    await store.forget(lock.key)
    await lock[Symbol.asyncDispose]()
    detachOne()
    detachOther()
    await new LockEngine({ store }).run('k', () => 1)
    expect(lines.map(line => line.split(' ')[0])).to.deep.equal([
      'dspinlock:enter',
      'dspinlock:lost',
      'dspinlock:end',
      'dspinlock:trouble',
    ])
  })

  it('attachLogger hears every engine, the middleware’s too', async () => {
    const lines: string[] = []
    const detach = attachLogger({ debug: line => lines.push(line) })
    await new LockEngine({ store: memoryStore() }).run('k', () => 1, { duplicates: 'replay' })
    detach()
    expect(lines[0]).to.match(/^dspinlock:enter "k" as holder/)
    expect(lines[1]).to.match(/^dspinlock:end "k" settled .* record of 1 bytes$/)
  })
})
