// The handler's Observable under a lock. What Nest makes of it is written by Nest; a replay is not.

import type { MaybePromise } from '@dspinlock/core'
import { endWithoutResponse, isGone, type RequestLock } from '@dspinlock/http'
import { StreamableFile } from '@nestjs/common'
import { REDIRECT_METADATA, RENDER_METADATA } from '@nestjs/common/constants.js'
import type { AbstractHttpAdapter } from '@nestjs/core'
import { Observable, type Subscriber, type Subscription } from 'rxjs'
import { markAnswered } from './answered.js'
import { type Admission, NestExchange, type Way } from './exchange.js'
import type { Target } from './target.js'

export interface Means {
  readonly handler: object
  readonly adapter: AbstractHttpAdapter
}

/**
 * Runs `work` when the request has its turn. A request that is answered without it gives `undefined`, as a handler with
 * `@Res()` does, once its response is out: interceptors further out end in order, and Nest writes nothing.
 */
export function guardWork(admission: Admission, work: Observable<unknown>, means: Means): Observable<unknown> {
  let isAdmitted = false
  return new Observable(subscriber => {
    // Somebody further out tries again: that is the same request, under the same hold.
    if (isAdmitted) return work.subscribe(subscriber)
    isAdmitted = true
    const passage = new Passage(admission.target, work, means, subscriber)
    passage.expectAnswerUnlessDecided(admission.guard.handle(new NestExchange(admission, passage)))
    return () => passage.tearDown()
  })
}

class Passage implements Way {
  #isHolder = false
  readonly #target: Target
  readonly #work: Observable<unknown>
  readonly #means: Means
  readonly #subscriber: Subscriber<unknown>
  /** Set once the work runs. */
  #running: Subscription | undefined
  /** The work runs, or failed before it could. */
  #isDecided = false
  #expectsAnswer = false
  #last: { readonly value: unknown } | undefined
  /** Nest lost interest, because the client left; the work goes on for the duplicates. */
  #isAlone = false

  constructor(target: Target, work: Observable<unknown>, means: Means, subscriber: Subscriber<unknown>) {
    this.#target = target
    this.#work = work
    this.#means = means
    this.#subscriber = subscriber
  }

  expose({ role }: RequestLock): void {
    this.#isHolder = role === 'holder'
  }

  expectAnswer(): void {
    if (this.#expectsAnswer) return
    this.#expectsAnswer = true
    this.#target.res.once('finish', this.#onAnswered)
    this.#target.res.once('close', this.#onAnswered)
  }

  /** To be called once the request is being seen to, with what that gave: one that had its turn at once needs no listeners. */
  expectAnswerUnlessDecided(handled: MaybePromise<void>): void {
    if (this.#isDecided) return
    if (!isGone(this.#target.req)) return this.expectAnswer()
    // The client left before the request came here, for one while a guard looked up who asks: no event tells of that any more.
    const end = (): void => {
      if (!this.#isDecided) this.#onAnswered()
    }
    if (handled instanceof Promise) void handled.then(end)
    else end()
  }

  /** The response is out, or its client gone, and the work had no part in it. */
  readonly #onAnswered = (): void => {
    this.#unlisten()
    this.#target.takeOver?.()
    markAnswered(this.#target.response)
    this.#subscriber.next(undefined)
    this.#subscriber.complete()
  }

  #unlisten(): void {
    this.#isDecided = true
    if (!this.#expectsAnswer) return
    this.#target.res.removeListener('finish', this.#onAnswered)
    this.#target.res.removeListener('close', this.#onAnswered)
  }

  proceed(): void {
    this.#unlisten()
    // Somebody further out gave up waiting and has answered, or is about to.
    if (this.#subscriber.closed) return endWithoutResponse(this.#target.req, 'unbegun')
    this.#running = this.#work.subscribe({
      next: value => {
        this.#last = { value }
        if (this.#isHolder && isStream(value)) this.#watchStream(value)
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

  fail(error: unknown): void {
    this.#unlisten()
    this.#subscriber.error(error)
  }

  /** Nest does so to a handler's Observable when the client leaves, and any operator further out may. */
  tearDown(): void {
    if (this.#running === undefined || this.#running.closed) return
    if (this.#isHolder && isGone(this.#target.req)) this.#isAlone = true
    else this.#running.unsubscribe()
  }

  /** Nest drops a stream whose client leaves, and never ends the response. */
  #watchStream(stream: object): void {
    const { req, res } = this.#target
    const cut = async (): Promise<void> => {
      if (res.writableEnded) return
      await finish(stream)
      endWithoutResponse(req, 'cut')
    }
    if (res.destroyed) void cut()
    else res.once('close', () => void cut())
  }

  /** As Nest would have answered; nobody receives it but the record. */
  #answerAlone(): void {
    const { req, res, response } = this.#target
    const { handler, adapter } = this.#means
    if (res.writableEnded) return
    if (this.#last === undefined) return this.#failAlone()
    const isPlain = !isStream(this.#last.value) && !hasView(handler)
    if (isPlain) adapter.reply(response, this.#last.value)
    else endWithoutResponse(req, 'cut')
  }

  /** No exception filter is asked any more, so it counts as an error that leaves no record. */
  #failAlone(): void {
    const { res } = this.#target
    if (res.writableEnded) return
    res.statusCode = 500
    res.end()
  }
}

function hasView(handler: object): boolean {
  return Reflect.hasMetadata(RENDER_METADATA, handler) || Reflect.hasMetadata(REDIRECT_METADATA, handler)
}

/** Nest sends these piece by piece: files, generators, web streams and web responses. */
function isStream(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return value instanceof StreamableFile || value instanceof Response || Symbol.asyncIterator in value
}

/** A generator is still at work on its current step; to return from it waits for that. Nest does so, too, and does not wait. */
async function finish(stream: object): Promise<void> {
  const { return: end } = stream as { return?: unknown }
  if (typeof end !== 'function') return
  try {
    await (Reflect.apply(end, stream, []) as unknown)
  } catch {
    // Its own error, which nobody is there to receive.
  }
}
