// If the server carried out a command but its reply was lost, the repeated command gets the same answer, through every client.

import { randomUUID } from 'node:crypto'
import type { ClaimReply, ClaimRequest, Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { FaultProxy } from '../support/fault-proxy.js'
import { redisUrl } from '../support/redis.js'
import { type ConnectedClient, clientNames, connectClient } from '../support/redis-clients.js'

const LEASE_MS = 10_000

for (const client of ['a URL', ...clientNames] as const) {
  describe(`a lost reply, through ${client}`, () => {
    const prefix = `lost-${randomUUID()}`
    let proxy: FaultProxy
    let connected: ConnectedClient | undefined
    /** A store behind the proxy. */
    let store: Store
    /** A store beside the proxy, to see the state on the server. */
    let direct: Store
    let mailbox: string
    let other: string
    let tokens = 0
    let key = ''

    const claimOf = (token: string, wishes: Partial<ClaimRequest> = {}): ClaimRequest => {
      const defaults = { leaseMs: LEASE_MS, wait: true, takeRecord: true, payload: '', arrival: 0 }
      return { key, token, ...defaults, ...wishes }
    }
    const newToken = (id = mailbox): string => `${id}.${++tokens}`
    const hold = async (): Promise<{ token: string; fence: number }> => {
      const token = newToken()
      const reply = await store.claim(claimOf(token))
      if (reply.state !== 'held') throw new Error(`expected to hold, but the claim was answered ${reply.state}`)
      return { token, fence: reply.fence }
    }
    /** Runs it with the reply to the first command that names `token` cut off, and checks that there was one. */
    const withoutReply = async <T>(token: string, work: () => T | Promise<T>): Promise<T> => {
      let sent = 0
      proxy.onRequest = request => {
        if (request.includes(token)) sent++
      }
      const cut = proxy.swallowReplyTo(request => request.includes(token))
      const answer = await work()
      await cut
      expect(sent, 'times sent').to.be.at.least(2)
      return answer
    }

    before(async () => {
      proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
      connected = client === 'a URL' ? undefined : await connectClient(client, { kind: 'single', url: proxy.url })
      const options = { prefix, commandTimeoutMs: 5_000 }
      store = redisStore(connected?.connection() ?? proxy.url, options)
      direct = redisStore(redisUrl(), options)
      ;[mailbox, other] = await Promise.all([listening(store), listening(direct)])
      // A script that the server does not know yet is answered with NOSCRIPT, which is not the reply that is to be lost.
      key = 'warm'
      const one = await hold()
      await store.renew({ key, token: one.token, leaseMs: LEASE_MS })
      await store.release({ key, token: one.token, passMs: 0, maxLocalTurns: 0 })
      const two = await hold()
      await store.settle({ key, token: two.token, record: Buffer.from('x'), ttlMs: 0, retainMs: 0 })
      await store.leave(key, newToken())
    })
    beforeEach(() => {
      key = `k-${randomUUID()}`
    })
    after(async () => {
      await store.close()
      await direct.close()
      await connected?.close()
      await proxy.close()
    })

    it('claim: holds, under the one fence that was given out', async () => {
      const token = newToken()
      const reply = await withoutReply(token, () => store.claim(claimOf(token)))
      const fence = (await direct.inspect(key))?.fence
      expect(reply).to.deep.equal({ state: 'held', fence })
      expect(await store.renew({ key, token, leaseMs: LEASE_MS })).to.equal(true)
    })

    it('claim of a held key: waits, once, at its first place', async () => {
      await hold()
      const token = newToken()
      const reply = await withoutReply(token, () => store.claim(claimOf(token)))
      expect(reply.state).to.equal('busy')
      expect((await direct.inspect(key))?.waiters).to.equal(1)
      const again = await store.claim(claimOf(token))
      expect(again.state === 'busy' && again.arrival).to.equal(reply.state === 'busy' && reply.arrival)
    })

    it('renew: still mine', async () => {
      const { token } = await hold()
      expect(await withoutReply(token, () => store.renew({ key, token, leaseMs: 60_000 }))).to.equal(true)
      expect((await direct.inspect(key))?.leaseLeftMs).to.be.above(LEASE_MS)
    })

    it('settle: stored, and the record is there once', async () => {
      const { token, fence } = await hold()
      const record = Buffer.from('the record')
      const settle = () => store.settle({ key, token, record, ttlMs: 60_000, retainMs: 0 })
      expect(await withoutReply(token, settle)).to.equal(true)
      const reply = await direct.claim(claimOf(newToken(other)))
      expect(reply.state === 'record' && Buffer.from(reply.record).toString()).to.equal('the record')
      expect((await direct.inspect(key))?.fence).to.equal(fence)
    })

    it('release: it was mine, and one waiter is handed the key', async () => {
      const { token, fence } = await hold()
      const waiting = newToken(other)
      await direct.claim(claimOf(waiting))
      const release = () => store.release({ key, token, passMs: 0, maxLocalTurns: 0 })
      expect(await withoutReply(token, release)).to.deep.equal({ mine: true })
      const given = await direct.claim(claimOf(waiting))
      expect(given.state === 'held' && given.fence).to.be.above(fence)
      expect((await direct.inspect(key))?.fence).to.equal(given.state === 'held' && given.fence)
    })

    it('release with a pass mark: it was mine, and the mark is there', async () => {
      const { token } = await hold()
      const release = () => store.release({ key, token, passMs: 60_000, maxLocalTurns: 0 })
      expect(await withoutReply(token, release)).to.deep.equal({ mine: true })
      expect((await direct.claim(claimOf(newToken(other)))).state).to.equal('pass')
    })

    it('release with a next claim: it holds, under the one fence that was given out', async () => {
      const { token, fence } = await hold()
      const next = claimOf(newToken())
      const release = () => store.release({ key, token, passMs: 0, maxLocalTurns: 4, next })
      const reply = await withoutReply(token, release)
      const now = (await direct.inspect(key))?.fence ?? 0
      expect(now).to.be.above(fence)
      expect(reply).to.deep.equal({ mine: true, next: { state: 'held', fence: now } satisfies ClaimReply })
    })

    it('leave: gone, and the others are not', async () => {
      await hold()
      const [leaving, staying] = [newToken(), newToken(other)]
      await store.claim(claimOf(leaving))
      await direct.claim(claimOf(staying))
      await withoutReply(leaving, () => store.leave(key, leaving))
      expect((await direct.inspect(key))?.waiters).to.equal(1)
    })
  })
}

/** The id of a mailbox to which messages arrive. */
function listening(store: Store): Promise<string> {
  return new Promise(resolve => {
    const { id } = store.open(wake => {
      if (wake.kind === 'resync') resolve(id)
    })
  })
}
