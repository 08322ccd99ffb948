// A store that writes down what it learns about leases and wakes, and changes nothing.

import type {
  ClaimReply,
  ClaimRequest,
  Mailbox,
  ReleaseReply,
  ReleaseRequest,
  RenewRequest,
  Store,
  Wake,
} from '@dspinlock/core'
import { storeWith } from '../../support/engine.js'
import { type HistoryWriter, now } from './history.js'

export function watchStore(store: Store, history: HistoryWriter): Store {
  /** What is known about the hold of a token. */
  const holds = new Map<string, { readonly key: string; readonly fence: number }>()
  /** The key that a token waits for, because a wake names only the token. */
  const asked = new Map<string, string>()

  const note = (key: string, token: string, fence: number, until: number): void => {
    holds.set(token, { key, fence })
    history.write({ event: 'lease', key, fence, until })
  }
  const readReply = (request: ClaimRequest, reply: ClaimReply, sentAt: number): void => {
    if (reply.state === 'held') note(request.key, request.token, reply.fence, sentAt + request.leaseMs)
  }
  const changes = {
    open(onWake: (wake: Wake) => void): Mailbox {
      return store.open(wake => {
        history.write({ event: 'wake', kind: wake.kind })
        const key = wake.kind === 'turn' ? asked.get(wake.token) : undefined
        if (wake.kind === 'turn' && key !== undefined) {
          note(key, wake.token, wake.fence, now() + (wake.leaseEndsAt - Date.now()))
        }
        onWake(wake)
      })
    },
    async claim(request: ClaimRequest): Promise<ClaimReply> {
      asked.set(request.token, request.key)
      const sentAt = now()
      const reply = await store.claim(request)
      readReply(request, reply, sentAt)
      return reply
    },
    async renew(request: RenewRequest): Promise<boolean> {
      const sentAt = now()
      const mine = await store.renew(request)
      const hold = holds.get(request.token)
      if (mine && hold !== undefined) note(hold.key, request.token, hold.fence, sentAt + request.leaseMs)
      return mine
    },
    async release(request: ReleaseRequest): Promise<ReleaseReply> {
      if (request.next !== undefined) asked.set(request.next.token, request.next.key)
      const sentAt = now()
      const reply = await store.release(request)
      holds.delete(request.token)
      asked.delete(request.token)
      if (request.next !== undefined && reply.next !== undefined) readReply(request.next, reply.next, sentAt)
      return reply
    },
  }
  return storeWith(changes, store)
}
