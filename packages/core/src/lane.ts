// All that one process knows about one key: its hold, the callers that wait, and the one claim that it sends for them.

import { ActiveHold, type HoldOwner } from './active-hold.js'
import { type Asker, answerFor, refuse, refuseWhileBusy, toReply } from './answers.js'
import type { Entry } from './entry.js'
import {
  asClaimError,
  asStoreError,
  HoldTimeoutError,
  LeaseLostError,
  lateAnswerError,
  notSynchronousError,
  StoreError,
} from './errors.js'
import { publishTrouble } from './events.js'
import { type LeaseKeeper, leaseEnd } from './lease-keeper.js'
import type { Cancellation, Policy } from './policy.js'
import { Queue, type WaiterCounter } from './queue.js'
import type { ClaimReply, ClaimRequest, MaybePromise, ReleaseReply, Store, Wake } from './store.js'
import type { EnterCall } from './tracing.js'
import { Waiter, type WaiterOwner } from './waiter.js'
import { isPromise, whenAnswered } from './when-answered.js'

/** What a lane needs of its engine. */
export interface LaneHost extends WaiterCounter {
  readonly store: Store
  readonly keeper: LeaseKeeper
  readonly pollMs: number
  /** Makes a new token; wakes for it come to `lane`. */
  newToken(lane: Lane): string
  dropToken(token: string): void
  /** Tells the store that nobody asks under `token` any more. Never rejects. */
  leave(key: string, token: string): Promise<void>
  /** The lane has no hold, no waiters and no claim under way. */
  laneIdle(lane: Lane): void
}

/** If a handed-over lease has less than this left, a round trip confirms it before work starts. */
const CONFIRM_BELOW_MS = 250
/** Turns in a row that a process may give to itself while other processes wait. */
const MAX_LOCAL_TURNS = 4
/** For this many polls, those who waited can still fetch the record. */
const RETAIN_POLLS = 3
/** How long, beyond `waitMs`, a first claim may take before it is known whether there is something to wait for. */
const FIRST_CLAIM_MS = 5_000
/** How often in a row an answer that grants the key may come after the end of the lease. */
const MAX_LATE_GRANTS = 3
/** The soonest that a waiter asks again. */
const MIN_POLL_MS = 5

export class Lane implements HoldOwner, WaiterOwner {
  readonly key: string
  readonly #host: LaneHost
  readonly #queue: Queue
  /** This process's hold, until the store has answered to its end. */
  #hold: ActiveHold | undefined
  /** The token under which the lane claims or waits; '' if it does neither. */
  #token = ''
  /** The last claim under `#token`. When its answer comes, the waiter for which it was made may no longer be the first. */
  #asked: ClaimRequest | undefined
  /** A claim is under way. */
  #asking = false
  /** Something changed while a claim was under way: ask again, whatever its answer says. */
  #askAgain = false
  /** The key was forgotten while a claim was under way, so what its answer grants may be gone already. */
  #isForgotten = false
  /** The store counts `#token` among its waiters. */
  #joined = false
  #arrival = 0
  #clockAheadMs = 0
  #lateGrants = 0
  #pollTimer: NodeJS.Timeout | undefined

  constructor(key: string, host: LaneHost) {
    this.key = key
    this.#host = host
    this.#queue = new Queue(key, host, this)
  }

  enter(policy: Policy, payload: string, signal: Cancellation | undefined, trace?: EnterCall): Promise<Entry> {
    const refusal = this.#refuseLocally({ policy, payload })
    if (refusal !== undefined) return Promise.resolve(refusal)
    const waiter = new Waiter(policy, payload, signal)
    waiter.trace = trace
    const isFirst = this.#queue.size === 0 && this.#hold === undefined
    this.#queue.add(waiter, this.#hold !== undefined || this.#joined)
    // The answer to a claim that is under way may describe the state before this caller came.
    if (isFirst && this.#asking) this.#askAgain = true
    else if (isFirst) this.#ask()
    // A store in the same process has answered an uncontended claim by now; then no wait has to be watched.
    if (waiter.isLinked) this.#queue.watch(waiter, policy.waitMs + FIRST_CLAIM_MS)
    return waiter.promise
  }

  /** For a synchronous store: returns the answer if it takes no waiting; if it does, nothing is left behind. */
  enterAtOnce(policy: Policy, payload: string): Entry | undefined {
    const asker = { policy, payload }
    const refusal = this.#refuseLocally(asker)
    if (refusal !== undefined) return refusal
    if (this.#queue.size > 0 || this.#hold !== undefined || this.#asking) return undefined
    const { store } = this.#host
    const token = this.#host.newToken(this)
    const leaseEndsAt = leaseEnd(performance.now(), policy.leaseMs)
    try {
      const reply = store.claim(this.#claimFor(asker, token, 0, false))
      if (isPromise(reply)) {
        // If the claim gets the key, nobody is there to hold it.
        reply.then(
          () => this.#leave(token),
          () => {},
        )
        throw notSynchronousError()
      }
      if (reply.state === 'held') return { role: 'holder', hold: this.#begin(asker, token, reply.fence, leaseEndsAt) }
      if (reply.state !== 'busy') return answerFor(asker, reply, asker)
      return policy.waits ? undefined : refuse('in-flight', reply.leaseLeftMs)
    } catch (error) {
      throw asClaimError(store, this.key, error)
    } finally {
      if (this.#hold === undefined) this.#host.dropToken(token)
      this.#quit()
    }
  }

  /** A message from the store for this lane's token. */
  wake(wake: Exclude<Wake, { kind: 'resync' }>): void {
    if (wake.kind === 'lost' && wake.token === this.#hold?.token) return this.forgotten(this.#hold.fence)
    if (wake.token !== this.#token) return
    if (this.#asking) {
      // The answer under way may have been given before this wake or after it; only asking again can tell.
      this.#askAgain = true
      if (wake.kind === 'lost') this.#isForgotten = true
    }
    if (wake.kind === 'record' || wake.kind === 'pass') return this.#onReply(toReply(wake), this.#token, 0)
    if (this.#asking) return
    if (wake.kind !== 'turn') return this.#ask()
    const now = performance.now()
    const leaseLeftMs = wake.leaseEndsAt - (now + this.#clockAheadMs)
    if (leaseLeftMs < CONFIRM_BELOW_MS) return this.#ask()
    this.#hand(this.#token, wake.fence, now + leaseLeftMs)
  }

  /** Messages may have been lost, so the lane asks again for its waiters. */
  resync(): void {
    if (this.#asking) this.#askAgain = true
    else if (this.#hold === undefined && this.#queue.size > 0) this.#ask()
  }

  /** The store dropped the hold with this `fence`: if it was this process's, its holder is told, and the lane asks for the next waiter. */
  forgotten(fence: number): void {
    const hold = this.#hold
    // A hold that is ending calls `#end` by itself.
    if (hold === undefined || hold.ended || hold.fence !== fence) return
    hold.lose(new LeaseLostError(this.key, 'taken'))
    this.#end(hold, undefined)
  }

  /** Ends every wait with `reason` and leaves the store's waiters. */
  rejectAll(reason: (key: string) => unknown): void {
    this.#queue.rejectAll(() => reason(this.key))
    this.#quit()
  }

  /** A wait is about to end by its timeout or signal (WaiterOwner). The lane removes the waiter. */
  gone(waiter: Waiter): void {
    this.#queue.remove(waiter)
    if (this.#queue.size === 0) this.#quit()
    else if (this.#joined && !this.#asking && !this.#isAskedFor(this.#queue.head)) this.#ask()
  }

  // --- what holds need (HoldOwner) ---

  renew(hold: ActiveHold): MaybePromise<boolean> {
    return this.#host.store.renew({ key: this.key, token: hold.token, leaseMs: hold.leaseMs })
  }

  settle(hold: ActiveHold, record: Uint8Array): MaybePromise<boolean> {
    const { store, keeper, pollMs } = this.#host
    keeper.remove(hold)
    const { key } = this
    const { token, policy } = hold
    const outcome = { state: 'record', record, ageMs: 0, joined: true } as const
    const done = (stored: boolean): boolean => {
      this.#end(hold, stored ? outcome : undefined)
      return stored
    }
    return this.#guard('settle', hold, outcome, done, () =>
      store.settle({ key, token, record, ttlMs: policy.ttlMs, retainMs: RETAIN_POLLS * pollMs }),
    )
  }

  release(hold: ActiveHold, passMs: number): MaybePromise<boolean> {
    const { store, keeper } = this.#host
    keeper.remove(hold)
    const heir = passMs > 0 || this.#hold !== hold ? undefined : this.#queue.head
    const next = heir === undefined ? undefined : this.#claimFor(heir, this.#host.newToken(this), 0)
    // Noted before it is sent, because a wake for the next token may overtake the answer.
    const leaseEndsAt = next === undefined ? 0 : this.#noteClaim(next)
    const done = (reply: ReleaseReply): boolean => {
      if (next !== undefined) this.#asking = false
      if (reply.next !== undefined && next !== undefined) {
        this.#host.dropToken(hold.token)
        this.#hold = undefined
        this.#onReply(reply.next, next.token, leaseEndsAt)
      } else {
        this.#end(hold, reply.mine && passMs > 0 ? { state: 'pass' } : undefined)
      }
      return reply.mine
    }
    return this.#guard('release', hold, undefined, done, () =>
      store.release({
        key: this.key,
        token: hold.token,
        passMs,
        maxLocalTurns: MAX_LOCAL_TURNS,
        ...(next === undefined ? {} : { next }),
      }),
    )
  }

  lost(hold: ActiveHold, reason: LeaseLostError | HoldTimeoutError): void {
    this.#host.keeper.remove(hold)
    const leftMs = hold.leaseEndsAt - performance.now()
    // The hold is not renewed any more, but its lease still keeps others out, so asking before it ends is in vain.
    if (reason instanceof HoldTimeoutError && leftMs > 0) {
      setTimeout(() => {
        // A hold that is ending calls `#end` by itself.
        if (!hold.ended) this.#end(hold, undefined)
      }, leftMs).unref()
    } else {
      this.#end(hold, undefined)
    }
  }

  // --- the state machine ---

  /** Refuses without asking the store, because of a hold in this process, or one that other callers here wait for already. */
  #refuseLocally(asker: Asker): Entry | undefined {
    const known = this.#hold ?? (this.#joined ? this.#queue.head : undefined)
    return known && refuseWhileBusy(asker, known.payload, this.#leaseLeftMs())
  }

  #leaseLeftMs(): number {
    return this.#hold === undefined ? this.#host.pollMs : Math.max(0, this.#hold.leaseEndsAt - performance.now())
  }

  #claimFor({ policy, payload }: Asker, token: string, arrival: number, wait: boolean = policy.waits): ClaimRequest {
    return { key: this.key, token, leaseMs: policy.leaseMs, wait, takeRecord: policy.takesRecord, payload, arrival }
  }

  /** Whether the last claim asked for the same as one for `head` would. */
  #isAskedFor(head: Waiter | undefined): boolean {
    const asked = this.#asked
    return (
      head !== undefined &&
      asked?.payload === head.payload &&
      asked.leaseMs === head.policy.leaseMs &&
      asked.takeRecord === head.policy.takesRecord
    )
  }

  #ask(): void {
    const head = this.#queue.head
    if (head === undefined) return this.#quit()
    clearTimeout(this.#pollTimer)
    // A token stays bound to the options of its claim. Other options need another token, which keeps the place in the queue.
    if (this.#token !== '' && !this.#isAskedFor(head)) this.#withdraw()
    const token = this.#token === '' ? this.#host.newToken(this) : this.#token
    const request = this.#claimFor(head, token, this.#arrival)
    const leaseEndsAt = this.#noteClaim(request)
    void whenAnswered(
      () => this.#host.store.claim(request),
      reply => {
        this.#asking = false
        this.#onReply(reply, token, leaseEndsAt)
      },
      error => this.#onClaimError(error),
    )
  }

  /** A claim is about to be sent. Returns when the lease ends if its answer grants the key. */
  #noteClaim(request: ClaimRequest): number {
    this.#token = request.token
    this.#asked = request
    this.#asking = true
    this.#askAgain = this.#isForgotten = false
    return leaseEnd(performance.now(), request.leaseMs)
  }

  /** `leaseEndsAt` is when the lease ends if the reply grants the key. */
  #onReply(reply: ClaimReply, token: string, leaseEndsAt: number): void {
    if (reply.state === 'held') return this.#hand(token, reply.fence, leaseEndsAt)
    if (reply.state === 'busy') return this.#onBusy(reply)
    // The store has dropped the token, so those who are left ask under a new one, with the old place in the queue.
    const asked = this.#asked
    if (!this.#asking) this.#dropToken()
    // A caller that came after the work was done has not waited for it, even if it asks with the place of one that had (docs/decisions/081).
    const doneAt = reply.state === 'record' && reply.joined ? performance.now() - reply.ageMs : Number.POSITIVE_INFINITY
    this.#queue.answer(waiter => (waiter.cameAt > doneAt ? undefined : answerFor(waiter, reply, asked)))
    if ((this.#queue.head?.cameAt ?? 0) > doneAt) this.#arrival = 0
    this.#proceed()
  }

  #onBusy(reply: Extract<ClaimReply, { state: 'busy' }>): void {
    this.#arrival = reply.arrival
    this.#clockAheadMs = reply.clockAheadMs
    // A claim that only looks is told its arrival, too, if it gave one.
    this.#joined ||= reply.arrival > 0 && this.#asked?.wait === true
    if (this.#askAgain || !this.#isAskedFor(this.#queue.head)) return this.#ask()
    this.#queue.stay(this.#asked?.payload ?? '', reply.leaseLeftMs)
    if (this.#queue.size === 0 || !this.#joined) return this.#ask()
    const pollMs = (this.#queue.head?.policy.pollMs ?? this.#host.pollMs) * (0.7 + 0.2 * Math.random())
    const leaseMs = Math.max(MIN_POLL_MS, Math.ceil(reply.leaseLeftMs) + 1)
    this.#pollTimer = setTimeout(() => this.#ask(), Math.min(pollMs, leaseMs))
  }

  /** The store gave the key to `token`: the first waiter becomes its holder. */
  #hand(token: string, fence: number, leaseEndsAt: number): void {
    clearTimeout(this.#pollTimer)
    this.#joined = false
    const head = this.#queue.head
    if (head === undefined || this.#isForgotten || !this.#isAskedFor(head)) return this.#giveBack()
    if (leaseEndsAt <= performance.now()) return this.#onLateGrant(head)
    this.#arrival = 0
    this.#lateGrants = 0
    this.#queue.remove(head)
    const hold = this.#begin(head, token, fence, leaseEndsAt)
    if (this.#queue.size > 0) this.#queue.stay(hold.payload, this.#leaseLeftMs())
    head.answer({ role: 'holder', hold })
  }

  #begin({ policy, payload }: Asker, token: string, fence: number, leaseEndsAt: number): ActiveHold {
    const hold = new ActiveHold(this, this.key, token, fence, payload, policy, leaseEndsAt)
    this.#hold = hold
    this.#token = ''
    this.#asked = undefined
    this.#host.keeper.add(hold)
    return hold
  }

  /** The answer took so long that the lease has run out: ask whether the key is still ours. */
  #onLateGrant(head: Waiter): void {
    if (++this.#lateGrants < MAX_LATE_GRANTS) return this.#ask()
    this.#lateGrants = 0
    const { store } = this.#host
    const reason = new StoreError(store.name, 'claim', this.key, lateAnswerError(head.policy.leaseMs, MAX_LATE_GRANTS))
    publishTrouble('core', 'claim', reason, this.key)
    this.#queue.reject(head, reason)
    this.#giveBack()
  }

  /** The hold is over. `outcome` is what those who waited for it in this process get instead of a turn. */
  #end(hold: ActiveHold, outcome: Extract<ClaimReply, { state: 'record' | 'pass' }> | undefined): void {
    this.#host.dropToken(hold.token)
    if (this.#hold !== hold) return
    this.#hold = undefined
    if (outcome === undefined) this.#proceed()
    else this.#onReply(outcome, hold.token, 0)
  }

  /** Something ended: ask for the waiters that are left, or end the lane. */
  #proceed(): void {
    if (this.#asking) return
    if (this.#queue.size > 0) this.#ask()
    else this.#quit()
  }

  /** Nobody here wants the key any more: tell the store if it has us among its waiters, and end the lane. */
  #quit(): void {
    if (this.#hold !== undefined || this.#asking) return
    clearTimeout(this.#pollTimer)
    if (this.#joined) this.#leave(this.#token)
    this.#dropToken()
    this.#host.laneIdle(this)
  }

  #dropToken(): void {
    if (this.#token !== '') this.#host.dropToken(this.#token)
    this.#token = ''
    this.#joined = false
  }

  /** Gives back what the store granted to `#token`, and asks anew. */
  #giveBack(): void {
    this.#withdraw()
    this.#proceed()
  }

  #withdraw(): void {
    this.#leave(this.#token)
    this.#dropToken()
  }

  #leave(token: string): void {
    void this.#host.leave(this.key, token)
  }

  #onClaimError(error: unknown): void {
    this.#asking = false
    const reason = asClaimError(this.#host.store, this.key, error)
    publishTrouble('core', 'claim', reason, this.key)
    // The store may have carried out the claim, so leave its queue, and use another token next time.
    this.#joined = true
    this.rejectAll(() => reason)
  }

  /**
   * Runs the end of a hold. If the store fails, the lease is left to run out. As long as it lasts, nobody else can have
   * run, so those who waited in this process may have the `outcome` even though it was not stored.
   */
  #guard<T>(
    operation: 'settle' | 'release',
    hold: ActiveHold,
    outcome: Extract<ClaimReply, { state: 'record' }> | undefined,
    done: (answer: T) => boolean,
    end: () => MaybePromise<T>,
  ): MaybePromise<boolean> {
    return whenAnswered(end, done, error => {
      const reason = asStoreError(this.#host.store, operation, this.key, error)
      publishTrouble('core', operation, reason, this.key)
      if (this.#asking && this.#hold === hold) {
        this.#asking = false
        // The store may have carried out the next claim all the same, and then nobody here would hold the key.
        this.#withdraw()
      }
      this.#end(hold, hold.leaseEndsAt > performance.now() ? outcome : undefined)
      throw reason
    })
  }
}
