// Runs the handler's Observable under a lock. Nest writes the response to its values; a replay is not written by Nest.

import type { MaybePromise } from '@dspinlock/core'
import { endWithoutResponse, isGone, isOver, offClose, onClose, type RequestLock, whenOver } from '@dspinlock/http'
import { type ExecutionContext, StreamableFile } from '@nestjs/common'
import { REDIRECT_METADATA, RENDER_METADATA } from '@nestjs/common/constants.js'
import type { AbstractHttpAdapter } from '@nestjs/core'
import { Observable, type Subscriber, type Subscription } from 'rxjs'
import { markAnswered } from './answered.js'
import { type Admission, NestExchange, type Way } from './exchange.js'
import { turnMissed } from './messages.js'
import { type Class, type Handler, readRoute } from './rule.js'
import type { Target } from './target.js'

export interface Means {
  readonly mount: { isOutermost(context: ExecutionContext): boolean }
  readonly context: ExecutionContext
  readonly adapter: AbstractHttpAdapter
}

const nobody: readonly Attempt[] = []

/** To `close` of a response that is a stream: one here, one of the recorder. */
const OUR_LISTENERS = 2

/** The result of a request's wait for its turn. */
type Fate = 'turn' | 'answered' | { readonly error: unknown }

/**
 * One request's way to its turn, and the work that it does then. If a request is answered without that work, its Observable emits
 * `undefined` once the response is out, as for a handler with `@Res()`: interceptors further out end in order, and Nest writes nothing.
 */
export class Passage implements Way {
  readonly target: Target
  #isHolder = false
  /** Undefined once the work was asked for. */
  #admission: Admission | undefined
  /** Subscriptions that wait for the turn. There is more than one if an interceptor further out gives up, or times out, and tries again. */
  #attempts: readonly Attempt[] = nobody
  /** Undefined while the request waits. */
  #fate: Fate | undefined
  #expectsAnswer = false

  constructor(admission: Admission) {
    this.target = admission.target
    this.#admission = admission
  }

  get isHolder(): boolean {
    return this.#isHolder
  }

  /** Runs `work` when it is the request's turn. Called again, with what is left to do, if an interceptor further out tries again. */
  guard(work: Observable<unknown>, means: Means): Observable<unknown> {
    return new Observable(subscriber => {
      const attempt = new Attempt(this, work, means, subscriber)
      if (this.#fate === undefined) this.#wait(attempt)
      else this.#tell(attempt, this.#fate)
      return () => attempt.tearDown()
    })
  }

  /** For a request that had its turn at a guard; an interceptor may then call `guard`, to watch the work. */
  begin(): void {
    this.#admission = undefined
    this.#fate = 'turn'
  }

  #wait(attempt: Attempt): void {
    const others = this.#attempts
    this.#attempts = others === nobody ? [attempt] : [...others.filter(({ isOver }) => !isOver), attempt]
    const admission = this.#admission
    if (admission === undefined) return
    this.#admission = undefined
    // Asked before `handle`, which may answer.
    const isLate = isOver(this.target)
    this.#expectAnswerUnlessDecided(admission.guard.handle(new NestExchange(admission, this)), isLate)
  }

  #tell(attempt: Attempt, fate: Fate): void {
    if (fate === 'turn') attempt.begin()
    else if (fate === 'answered') attempt.endWithoutValue()
    else attempt.fail(fate.error)
  }

  #decide(fate: Fate): void {
    this.#fate = fate
    if (this.#expectsAnswer) {
      this.target.res.removeListener('finish', this.#onAnswered)
      offClose(this.target.res, this.#onAnswered)
    }
    const attempts = this.#attempts
    this.#attempts = nobody
    for (const attempt of attempts) this.#tell(attempt, fate)
  }

  expose({ role }: RequestLock): void {
    this.#isHolder = role === 'holder'
  }

  expectAnswer(): void {
    if (this.#expectsAnswer) return
    this.#expectsAnswer = true
    this.target.res.once('finish', this.#onAnswered)
    onClose(this.target.res, this.#onAnswered)
  }

  /** Called after `handle`, with what it returned: a request that had its turn at once needs no listeners. */
  #expectAnswerUnlessDecided(handled: MaybePromise<void>, isLate: boolean): void {
    if (this.#fate !== undefined) return
    if (!isLate) return this.expectAnswer()
    // The client left, or other code answered, before the request came here, for example while a guard looked up who is asking, so no event will
    // tell of it.
    const end = (): void => {
      if (this.#fate === undefined) this.#onAnswered()
    }
    if (handled instanceof Promise) void handled.then(end)
    else end()
  }

  /** The response is out, or its client is gone, and the work did not run. */
  readonly #onAnswered = (): void => {
    this.target.takeOver?.()
    markAnswered(this.target.response)
    this.#decide('answered')
  }

  proceed(): void {
    if (this.#attempts.some(({ isOver }) => !isOver)) return this.#decide('turn')
    // An interceptor further out gave up waiting, and has answered or is about to.
    this.#fate ??= { error: turnMissed() }
    endWithoutResponse(this.target.req, 'unbegun')
  }

  fail(error: unknown): void {
    this.#decide({ error })
  }
}

/** One subscription to the result of a request. */
class Attempt {
  readonly #passage: Passage
  readonly #work: Observable<unknown>
  readonly #means: Means
  readonly #subscriber: Subscriber<unknown>
  /** Set once the work runs. */
  #running: Subscription | undefined
  #last: { readonly value: unknown } | undefined
  /** Nest unsubscribed, because the client left; the work goes on for the duplicates. */
  #isAlone = false

  constructor(passage: Passage, work: Observable<unknown>, means: Means, subscriber: Subscriber<unknown>) {
    this.#passage = passage
    this.#work = work
    this.#means = means
    this.#subscriber = subscriber
  }

  get isOver(): boolean {
    return this.#subscriber.closed
  }

  begin(): void {
    if (this.isOver) return
    this.#running = this.#work.subscribe({
      next: value => {
        this.#last = { value }
        if (this.#passage.isHolder) this.#watchStream(value)
        this.#subscriber.next(value)
      },
      error: (error: unknown) => {
        if (this.#isAlone) this.#failAlone()
        else this.#subscriber.error(error)
      },
      complete: () => {
        if (this.#isAlone) this.#answerAlone()
        else this.#subscriber.complete()
      },
    })
  }

  endWithoutValue(): void {
    this.#subscriber.next(undefined)
    this.#subscriber.complete()
  }

  fail(error: unknown): void {
    this.#subscriber.error(error)
  }

  /** Called on unsubscribing: by Nest when the client leaves, or by any operator further out. */
  tearDown(): void {
    if (this.#running === undefined || this.#running.closed) return
    if (this.#passage.isHolder && isGone(this.#passage.target.req)) this.#isAlone = true
    else this.#running.unsubscribe()
  }

  /** Nest drops a stream whose client leaves, and never ends the response. */
  #watchStream(value: unknown): void {
    const stream = findStream(value)
    if (stream === undefined) return
    const { req, res } = this.#passage.target
    // On Express, some versions of Nest end the response as if the file were complete, and call a file that cannot be opened the client's
    // fault (400). On Fastify that is a server error like any other (500).
    if (stream instanceof StreamableFile) {
      stream.getStream().once('error', () => {
        if (res.headersSent || this.#means.adapter.getType() === 'express') endWithoutResponse(req, 'cut')
      })
    }
    const cut = async (): Promise<void> => {
      if (res.writableEnded) return
      await finish(stream)
      endWithoutResponse(req, 'cut')
    }
    if (res.destroyed || isGone(req)) return void cut()
    // Nest and Fastify listen nine times to a stream that an interceptor maps; with ours, Node would warn of a leak.
    const limit = res.getMaxListeners()
    if (limit > 0) res.setMaxListeners(limit + OUR_LISTENERS)
    whenOver(res, () => void cut())
  }

  /**
   * Answers as Nest would have; only the record receives it. Nobody knows what interceptors further out would have made of the value:
   * Nest unsubscribed them, too.
   */
  #answerAlone(): void {
    const { req, res, response } = this.#passage.target
    const { mount, context, adapter } = this.#means
    const { isSentByHand } = readRoute(context.getClass() as Class, context.getHandler() as Handler)
    if (res.writableEnded || isSentByHand) return
    if (this.#last === undefined) return this.#failAlone()
    const isPlain =
      findStream(this.#last.value) === undefined && !hasView(context.getHandler()) && mount.isOutermost(context)
    if (!isPlain) return endWithoutResponse(req, 'cut')
    try {
      adapter.reply(response, this.#last.value)
    } catch {
      // A value that cannot be sent, such as a BigInt. RxJS would make it an uncaught exception.
      this.#failAlone()
    }
  }

  /** Exception filters are not called any more, so this counts as a server error, which leaves no record. */
  #failAlone(): void {
    const { res } = this.#passage.target
    if (res.writableEnded) return
    res.statusCode = 500
    res.end()
  }
}

function hasView(handler: object): boolean {
  return Reflect.hasMetadata(RENDER_METADATA, handler) || Reflect.hasMetadata(REDIRECT_METADATA, handler)
}

/** What Nest sends of a value piece by piece: itself, or, from Nest 12 on, a stream that an interceptor wrapped in a plain object. */
function findStream(value: unknown): object | undefined {
  if (isStream(value)) return value
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return undefined
  return Object.values(value).find(isStream)
}

/** Files, generators, streams, and web responses, also of another implementation than Node's (fetch of undici, say). */
function isStream(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof StreamableFile || Object.prototype.toString.call(value) === '[object Response]') return true
  const { [Symbol.asyncIterator]: iterate, then } = value as { [Symbol.asyncIterator]?: unknown; then?: unknown }
  // A query that can be both awaited and iterated stands for what it resolves to.
  return typeof iterate === 'function' && typeof then !== 'function'
}

/** Waits until a generator has finished its current step, by calling `return`. Nest calls that, too, but does not wait. */
async function finish(stream: object): Promise<void> {
  const { return: end } = stream as { return?: unknown }
  if (typeof end !== 'function') return
  try {
    await (Reflect.apply(end, stream, []) as unknown)
  } catch {
    // The generator's own error, which nobody is left to receive.
  }
}
