// ls, inspect, forget and watch, as processes on a real Redis: tables for people, JSON for scripts, exit codes.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { HashDSpinlock, type Hold, type KeyState, LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { type Run, runCli, startCli } from './run.js'

describe('dspinlock on the command line', () => {
  let prefix: string
  let store: Store
  let engine: LockEngine
  let hold: Hold
  let waiting: Promise<unknown>
  let left: AbortController

  const cli = (...args: string[]): Promise<Run> => runCli([...args, '--url', redisUrl(), '--prefix', prefix])
  const keysOf = (json: string): string[] => (JSON.parse(json) as KeyState[]).map(({ key }) => key)

  beforeEach(async () => {
    prefix = `test-${randomUUID()}`
    store = redisStore(redisUrl(), { prefix })
    engine = new LockEngine({ store })
    const recorded = holdOf(await engine.enter('recorded', { duplicates: 'replay', ttlMs: 60_000 }))
    await recorded.settle(new Uint8Array(2_048))
    const passed = holdOf(await engine.enter('passed', { duplicates: 'replay' }))
    await passed.release({ passMs: 60_000 })
    hold = holdOf(await engine.enter('held', { leaseMs: 60_000 }))
    const other = new LockEngine({ store })
    left = new AbortController()
    waiting = other.enter('held', { leaseMs: 60_000, signal: left.signal }).then(
      entry => holdOf(entry).release(),
      () => {},
    )
    await until(() => other.waiters === 1, 'one waits')
  })
  afterEach(async () => {
    left.abort()
    await waiting
    await hold.release()
    await engine.close()
    await store.close()
  })

  describe('ls', () => {
    it('is a table: who holds, for how long, who waits, records and pass marks', async () => {
      const { code, out, err } = await cli('ls')
      expect([code, err]).to.deep.equal([0, ''])
      const [head = '', ...rows] = out.trimEnd().split('\n')
      expect(head.split(/ {2,}/)).to.deep.equal([
        'KEY',
        'STATE',
        'HELD FOR',
        'LEASE LEFT',
        'WAITERS',
        'RECORD',
        'AGE',
        'TTL LEFT',
      ])
      expect(rows).to.have.length(3)
      expect(rows[0]).to.match(/^held +held +[\d.]+ m?s +(5\d|60)\.\d s +1$/)
      expect(rows.find(row => row.startsWith('recorded'))).to.match(
        /^recorded +settled +2\.0 KiB +[\d.]+ m?s +(5\d|60)\.\d s$/,
      )
      expect(rows.find(row => row.startsWith('passed'))).to.match(/^passed +pass +(5\d|60)\.\d s$/)
    })

    it('--json is what the store knows of each', async () => {
      const { code, out } = await cli('ls', '--json')
      expect(code).to.equal(0)
      const states = JSON.parse(out) as KeyState[]
      expect(states[0]).to.include({ key: 'held', state: 'held', fence: hold.fence, waiters: 1 })
      expect(states.find(({ key }) => key === 'recorded')).to.include({ state: 'settled', recordBytes: 2_048 })
    })

    it('--state and --match choose', async () => {
      expect(keysOf((await cli('ls', '--json', '--state', 'settled')).out)).to.deep.equal(['recorded'])
      expect(keysOf((await cli('ls', '--json', '--match', 'ass')).out)).to.deep.equal(['passed'])
    })

    it('where none is chosen, that does not read as if there were none', async () => {
      const none = 'no live key matches; look without --match and --state\n'
      expect((await cli('ls', '--match', 'none of them')).out).to.equal(none)
      expect((await cli('ls', '--state', 'free')).out).to.equal(none)
      expect((await cli('watch', '--count', '1', '--match', 'none of them')).out).to.include(none)
    })

    it('shows keys whole, however long they are, so that they can be given to inspect', async () => {
      const lock = await new HashDSpinlock('a value', { store }).acquire()
      const long = 'k'.repeat(500)
      const other = holdOf(await engine.enter(long))
      const { out } = await cli('ls')
      const shown = out.split('\n').map(row => row.split(/ {2,}/)[0] ?? '')
      expect(shown).to.include.members([lock.key, long])
      for (const key of [lock.key, long]) expect((await cli('inspect', key)).out).to.match(/^state +held$/m)
      await Promise.all([lock.release(), other.release()])
    })

    it('a key cannot move the cursor of who looks at it', async () => {
      const evil = '\u001b[2Jgone\r\n\u009b1m\u202e\u200f'
      const evilHold = holdOf(await engine.enter(evil))
      const table = await cli('ls', '--match', 'gone')
      expect(table.out)
        .to.include('"\\u001b[2Jgone\\r\\n\\u009b1m\\u202e\\u200f"')
        .and.not.match(/[^\n\x20-\x7e]/)
      expect(keysOf((await cli('ls', '--match', 'gone', '--json')).out)).to.deep.equal([evil])
      await evilHold.release()
    })
  })

  describe('inspect', () => {
    it('shows one key', async () => {
      const { code, out } = await cli('inspect', 'held')
      expect(code).to.equal(0)
      expect(out)
        .to.match(/^key +held$/m)
        .and.match(new RegExp(`^fence +${hold.fence}$`, 'm'))
      const json = JSON.parse((await cli('inspect', 'recorded', '--json')).out) as KeyState
      expect(json).to.include({ key: 'recorded', state: 'settled', recordBytes: 2_048 })
    })

    it('1 for an unknown key', async () => {
      const { code, out, err } = await cli('inspect', 'no such')
      expect([code, out]).to.deep.equal([1, ''])
      expect(err).to.equal(
        'dspinlock: nothing is known of the key "no such"; look for it with dspinlock ls, and check --prefix\n',
      )
    })
  })

  describe('forget', () => {
    it('drops a record', async () => {
      const { code, out } = await cli('forget', 'recorded')
      expect([code, out]).to.deep.equal([0, 'forgot recorded, which was settled\n'])
      expect((await engine.inspect('recorded'))?.state ?? 'free').to.equal('free')
      expect((await cli('forget', 'recorded')).code).to.equal(1)
    })

    it('leaves a hold alone, unless it is forced: then its holder is told, and the next one runs', async () => {
      const refused = await cli('forget', 'held')
      expect([refused.code, refused.out]).to.deep.equal([1, ''])
      expect(refused.err).to.include(`the key "held" is held (fence ${hold.fence})`).and.include('--force')
      expect(hold.signal.aborted).to.equal(false)

      const forced = await cli('forget', 'held', '--force', '--json')
      expect(forced.code).to.equal(0)
      expect(JSON.parse(forced.out)).to.deep.equal({ key: 'held', forgotten: 'held', fence: hold.fence })
      await until(() => hold.signal.aborted, 'the holder is told')
      await waiting
    })
  })

  describe('watch', () => {
    it('--count so often, --json one line each', async () => {
      const { code, out } = await cli('watch', '--json', '--count', '2', '--interval', '0.01')
      expect(code).to.equal(0)
      const lines = out
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as { at: string; keys: KeyState[] })
      expect(lines).to.have.length(2)
      for (const { at, keys } of lines) {
        expect(new Date(at).toISOString()).to.equal(at)
        expect(keys.map(({ key }) => key)).to.have.members(['held', 'recorded', 'passed'])
      }
    })

    it('until it is stopped, which is no error', async () => {
      const child = startCli(['watch', '--interval', '0.01', '--url', redisUrl(), '--prefix', prefix])
      let out = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      await until(() => (out.match(/3 keys, 1 held, 1 waiting/g) ?? []).length >= 2, 'it shows them again')
      child.kill('SIGINT')
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
      expect([code, signal]).to.deep.equal([0, null])
      expect(out).to.not.include('\u001b')
    })

    it('into a pipe that closes is no error either', async () => {
      const child = startCli(['watch', '--interval', '0.001', '--url', redisUrl(), '--prefix', prefix])
      await once(child.stdout as NodeJS.ReadableStream, 'data')
      child.stdout?.destroy()
      const [code] = (await once(child, 'exit')) as [number | null]
      expect(code).to.equal(0)
    })
  })
})
