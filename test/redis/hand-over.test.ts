// What handing a key over costs Redis: the same however many wait, and almost nothing within one process.

import { type Hold, LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { failure, holdOf } from '../support/engine.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { noteTroubles } from '../support/troubles.js'

/** Long enough that no waiter polls while a test runs. */
const pollMs = 60_000
const waitMs = 60_000
const leaseMs = 60_000

describe('handing a key over', () => {
  let redis: RedisServer
  let stores: Store[]
  let engines: LockEngine[]

  before(async () => {
    redis = await startRedisServer()
  })
  after(() => redis.stop())

  /** Engines with a store, a channel and connections of their own, as in processes of their own. */
  const makeEngines = async (count: number): Promise<void> => {
    stores = Array.from({ length: count }, () => redisStore(redis.url))
    engines = stores.map(store => new LockEngine({ store, pollMs }))
    await untilSo('all listen', async () => {
      const channels = (await askServer(redis.port, 'PUBSUB', 'CHANNELS', 'dspinlock:wake:*')) as string[]
      return channels.length === count
    })
    // The first call sends the script twice, because the server does not know it yet.
    await holdOf(await engine(0).enter('warm', { leaseMs })).release()
  }
  afterEach(async () => {
    await Promise.all(engines.map(one => one.close()))
    for (const store of stores) await store.close()
    await untilSo('nobody listens', async () => {
      const channels = (await askServer(redis.port, 'PUBSUB', 'CHANNELS', 'dspinlock:wake:*')) as string[]
      return channels.length === 0
    })
  })
  const engine = (n: number): LockEngine => engines[n] as LockEngine
  const waiters = async (key: string): Promise<number> => (await engine(0).inspect(key))?.waiters ?? 0

  /** The number of commands that Redis carried out meanwhile, those of scripts included. */
  const count = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
    await askServer(redis.port, 'CONFIG', 'RESETSTAT')
    await work()
    const stats = String(await askServer(redis.port, 'INFO', 'commandstats'))
    const calls = [...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, n]) => [name, Number(n)] as const)
    // The count itself takes connections, and the question.
    return Object.fromEntries(calls.filter(([name]) => !/^(info|config|hello|client|select)/.test(String(name))))
  }

  const costs: { waiting: number; perHandOver: Record<string, number> }[] = []
  for (const waiting of [1, 4, 16]) {
    it(`costs the same with ${waiting} waiting processes as with one`, async function () {
      await makeEngines(waiting + 1)
      const first = holdOf(await engine(0).enter('k', { leaseMs }))
      const turns: Promise<Hold>[] = []
      for (let n = 1; n <= waiting; n++) {
        turns.push(engine(n).enter('k', { leaseMs, waitMs }).then(holdOf))
        await untilSo('it waits', async () => (await waiters('k')) === n)
      }
      const order: number[] = []
      const calls = await count(async () => {
        await first.release()
        await Promise.all(
          turns.map(async (turn, n) => {
            const hold = await turn
            order.push(n)
            // Started under the short lease of a hand-over, the hold has to be renewed before that ends.
            await untilSo('it is renewed', async () => hold.signal.aborted || (await leaseLeft(redis.port)) > 1_000)
            await hold.release()
          }),
        )
      })
      expect(order, 'in order of arrival').to.deep.equal(turns.map((_, n) => n))
      const { evalsha = 0, eval: evals = 0, publish = 0 } = calls
      // Each hand-over takes a release, a renewal and a message; the last release has nobody to tell.
      expect(publish, 'messages').to.equal(waiting)
      expect(evalsha + evals, 'scripts').to.equal(2 * waiting + 1)
      const inside = ['get', 'set', 'zrange', 'zpopmin', 'zrem', 'pexpire', 'time']
      const perHandOver = Object.fromEntries(inside.map(name => [name, (calls[name] ?? 0) / waiting]))
      costs.push({ waiting, perHandOver })
      const [one] = costs
      for (const name of inside) {
        // The first and the last release are not hand-overs of this kind, and with one waiter there are no others.
        expect(perHandOver[name], `${name} for each hand-over`).to.be.at.most((one?.perHandOver[name] ?? 0) + 0.01)
      }
    })
  }

  it('a hold that ends in the turn in which it came is not renewed', async () => {
    await makeEngines(2)
    const first = holdOf(await engine(0).enter('k', { leaseMs }))
    const served = engine(1)
      .enter('k', { leaseMs, waitMs })
      .then(entry => holdOf(entry).release())
    await untilSo('it waits', async () => (await waiters('k')) === 1)
    const calls = await count(async () => {
      await first.release()
      expect(await served).to.equal(true)
    })
    // Each of the two releases reads the state once.
    expect(calls['get']).to.equal(2)
  })

  it('a message that is not from the script hands nothing over, and is reported', async () => {
    await makeEngines(2)
    const first = holdOf(await engine(0).enter('k', { leaseMs }))
    let served = false
    const turn = engine(1).enter('k', { leaseMs, waitMs }).then(holdOf)
    void turn.then(() => {
      served = true
    })
    await untilSo('it waits', async () => (await waiters('k')) === 1)
    const [member = ''] = (await askServer(redis.port, 'ZRANGE', 'dspinlock:{=k}:w', 0, -1)) as string[]
    const [token = ''] = member.split(' ')
    const inAMinute = Date.now() + 60_000
    const texts = [
      `${token}`,
      `${token}\n7`,
      `${token}\n\n${inAMinute}`,
      `${token}\n7\n`,
      `${token}\n7\n${inAMinute}\n`,
    ]
    texts.push(
      `${token}\n7\n${inAMinute} `,
      `${token}\n-7\n${inAMinute}`,
      `${token}\n7\n1e15`,
      `${token}\n7:\n${inAMinute}`,
    )
    texts.push(`${token}\n${'7'.repeat(17)}\n${inAMinute}`)
    const { noted, stop } = noteTroubles('redis')
    const wakes = (): number => noted.filter(({ operation }) => operation === 'wake').length
    try {
      for (const text of texts)
        await askServer(redis.port, 'PUBLISH', `dspinlock:wake:${token.split('-')[0]}`, `t${text}`)
      await untilSo('all were told of', async () => wakes() === texts.length)
    } finally {
      stop()
    }
    expect(served).to.equal(false)
    await first.release()
    expect(await (await turn).release()).to.equal(true)
  })

  it('a process that closes gives back what it asked for before its store is closed, and the next one need not wait for the lease', async () => {
    await makeEngines(2)
    const entering = failure(engine(1).enter('k', { leaseMs }))
    await engine(1).close()
    await stores[1]?.close()
    expect((await entering).code).to.equal('ERR_DSPINLOCK_CLOSED')
    await holdOf(await engine(0).enter('k', { leaseMs, waitMs: 5_000 })).release()
  })

  it('300 waiters of one process cost one claim and one settling under replay', async () => {
    await makeEngines(1)
    const task = (): Promise<string> => new Promise(resolve => setTimeout(resolve, 50, 'result'))
    const calls = await count(() =>
      Promise.all(Array.from({ length: 300 }, () => engine(0).run('k', task, { duplicates: 'replay', leaseMs }))),
    )
    expect((calls['evalsha'] ?? 0) + (calls['eval'] ?? 0)).to.be.at.most(3)
    expect(calls['publish'] ?? 0).to.equal(0)
  })

  it('300 turns in one process cost one command each, and no message', async () => {
    await makeEngines(1)
    const fences: number[] = []
    const calls = await count(() =>
      Promise.all(
        Array.from({ length: 300 }, () =>
          engine(0).run('k', ({ fence }) => void fences.push(fence ?? 0), { leaseMs, waitMs }),
        ),
      ),
    )
    expect((calls['evalsha'] ?? 0) + (calls['eval'] ?? 0)).to.be.at.most(302)
    expect(calls['publish'] ?? 0).to.equal(0)
    expect(fences).to.deep.equal([...new Set(fences)].sort((a, b) => a - b))
  })

  it('a process that has more waiters passes the key on to itself at most four times while another waits', async () => {
    await makeEngines(2)
    const turns: { by: number; fence: number }[] = []
    const take = (by: number): Promise<void> =>
      engine(by).run('k', ({ fence }) => void turns.push({ by, fence: fence ?? 0 }), { leaseMs, waitMs })
    const first = holdOf(await engine(0).enter('k', { leaseMs }))
    const all = [0, 1].flatMap(by => Array.from({ length: 20 }, () => take(by)))
    await untilSo('the other waits', async () => (await waiters('k')) === 1)
    await first.release()
    await Promise.all(all)
    expect(turns.map(({ fence }) => fence)).to.deep.equal(turns.map(({ fence }) => fence).sort((a, b) => a - b))
    let row = 0
    for (const [n, { by }] of turns.entries()) {
      row = n > 0 && turns[n - 1]?.by === by ? row + 1 : 1
      const othersLeft = turns.slice(n).some(turn => turn.by !== by)
      if (othersLeft) expect(row, `turns in a row at ${n}`).to.be.at.most(5)
    }
  })
})

async function leaseLeft(port: number): Promise<number> {
  // A hold that ran out stays for a minute.
  return Number(await askServer(port, 'PTTL', 'dspinlock:{=k}')) - 60_000
}
