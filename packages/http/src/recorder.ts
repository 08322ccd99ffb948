// Watching a response go out: what its head was, what its body was, and when it ended. It changes nothing about it.

import type { ServerResponse } from 'node:http'
import { sizeOf, toBytes, withKept, withoutLast } from './declared-length.js'
import { isGone } from './gone.js'
import { hasHeadLeft, hasLeftAsUtf8, hasTrailers, readDeclaredLength } from './head-encoding.js'
import { type Baseline, type Head, takeBaseline, takeHead, toWire } from './header-list.js'
import { type HeldBack, holdBack } from './hold-back.js'
import type { BodyForm } from './record.js'
import { replaceMethod } from './replace-method.js'
import { isFailure } from './replayable.js'

export interface Recording {
  readonly head: Head | undefined
  /** Undefined if it was too large, or not to be kept. */
  readonly body: Buffer | undefined
  readonly form: BodyForm
  readonly tooLarge: boolean
  readonly hasTrailers: boolean
}

/** Whom a recording is for. */
export interface RecordingOwner {
  /** Whether the body is of any use; its end is always. */
  readonly keepsBody: boolean
  readonly maxBytes: number
  /** What the client sees the end by is to wait for `letGo`. */
  readonly holdsBack: boolean
  /**
   * Called once, right after the handler ended the response or wrote all that its head declares, in the same turn. `letGo`, if it is
   * there, has to be called for the rest to leave.
   */
  onEnd(recording: Recording, letGo: (() => void) | undefined): void
  /** Called once if the client left before the handler ended the response. */
  onAbandoned(hasHead: boolean): void
}

type Method = (this: ServerResponse, ...args: unknown[]) => unknown
type Replaceable = Record<'writeHead' | 'write' | 'end' | 'addTrailers' | 'setTrailer', Method>

/** Methods of the response that are watched; each is called as it was before. */
type Watched = Readonly<Record<'writeHead' | 'write' | 'end', unknown>>

export class Recorder {
  readonly #res: ServerResponse
  readonly #owner: RecordingOwner
  readonly #baseline: Baseline
  #head: Head | undefined
  /** What the head is by now, where nobody writes it: it counts if nobody ever does. */
  #unsent: Head | undefined
  /** The head left with a string, which makes Node write it as UTF-8; undefined before it left. */
  #isHeadUtf8: boolean | undefined
  #chunks: Buffer[] = []
  #size = 0
  #tooLarge = false
  #hasTrailers = false
  /** Bytes that Node has accepted. */
  #written = 0
  /** The last of them, which is yet to leave. */
  #kept: Buffer | undefined
  /** `end` was replaced by middleware mounted before us, which may collect what it is given and send head and all later. */
  readonly #isReplaced: boolean
  /** Ends the response of which all was written, while its last byte is kept. */
  #endLater: ((args: readonly unknown[]) => unknown) | undefined
  /** A watched method is running: what it calls on the response itself is not the handler's doing. */
  #inside = false
  /** The end was seen, or nobody wants to know any more. */
  #done = false

  constructor(res: ServerResponse, owner: RecordingOwner) {
    this.#res = res
    this.#owner = owner
    this.#baseline = owner.keepsBody ? takeBaseline(res) : []
    this.#isReplaced = Object.hasOwn(res, 'end')
    Recorder.#watch(this)
    res.on('close', () => {
      if (!this.#done) owner.onAbandoned(res.headersSent)
    })
  }

  /** Sees and says nothing from now on. */
  detach(): void {
    this.#done = true
    this.#chunks = []
  }

  /** What there is so far. */
  get recording(): Recording {
    const keep = this.#owner.keepsBody && !this.#tooLarge
    const [only] = this.#chunks
    // A handler that failed after a head that nobody wrote has begun its answer anew.
    const head = isFailure(this.#unsent?.status ?? 0, false) ? this.#unsent : (this.#head ?? this.#unsent)
    return {
      head: head && this.#isHeadUtf8 ? toWire(head) : head,
      body: !keep ? undefined : this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks),
      form: 'bytes',
      tooLarge: this.#tooLarge,
      hasTrailers: keep && (this.#hasTrailers || hasTrailers(this.#res)),
    }
  }

  /**
   * Own properties of this one response, as other middleware does it: prototype and identity stay. As few as will do, because each
   * makes Node 20 build a hidden class of its own for a response whose prototype a framework has set.
   */
  static #watch(recorder: Recorder): void {
    const res = recorder.#res
    const watched = res as unknown as Replaceable
    // As they are now, which may be another middleware's.
    const { writeHead, write, end } = watched
    const before = { writeHead, write, end }
    // The functions below have the response as their `this`, as callers expect.
    replaceMethod(watched, 'end', function (this: ServerResponse, ...args: unknown[]) {
      if (recorder.#isLate()) return recorder.#endLater ? recorder.#endLater(args) : call(before.end, res, args)
      return recorder.#isBusy() || this.writableEnded
        ? call(before.end, this, args)
        : recorder.#end(before.end, res, args)
    })
    replaceMethod(watched, 'write', function (this: ServerResponse, ...args: unknown[]) {
      if (recorder.#isLate()) return recorder.#lateWrite(before, res, args)
      return recorder.#isBusy() || this.writableEnded
        ? call(before.write, this, args)
        : recorder.#write(before, res, args)
    })
    if (!recorder.#owner.keepsBody) return
    replaceMethod(watched, 'writeHead', function (this: ServerResponse, ...args: unknown[]) {
      // On entry: middleware that was mounted before us adds its headers inside the call.
      const head = recorder.#done || res.headersSent ? recorder.#head : recorder.#takeHead(args)
      const result = call(before.writeHead, this, args)
      recorder.#head = head
      return result
    })
    // HTTP/1 keeps a note of its trailers; only HTTP/2's compatibility layer has this.
    if (!('setTrailer' in res)) return
    const noting = (method: unknown): Method =>
      function (this: ServerResponse, ...args: unknown[]) {
        recorder.#hasTrailers = true
        return call(method, this, args)
      }
    replaceMethod(watched, 'addTrailers', noting(watched.addTrailers))
    replaceMethod(watched, 'setTrailer', noting(watched.setTrailer))
  }

  #isBusy(): boolean {
    return this.#done || this.#inside
  }

  /** All was written, and its last byte is kept. */
  #isLate(): boolean {
    return this.#kept !== undefined && !this.#inside
  }

  /** The byte that is kept comes first, and by itself, for what Node may refuse is not to take it along. */
  #lateWrite(before: Watched, res: ServerResponse, args: unknown[]): unknown {
    if (sizeOf(args) > 0) this.#writeKept(before, res)
    return this.#run(before.write, res, args)
  }

  #writeKept(before: Watched, res: ServerResponse): void {
    const kept = this.#kept
    this.#kept = undefined
    this.#run(before.write, res, [kept])
  }

  #write(before: Watched, res: ServerResponse, args: unknown[]): unknown {
    const size = sizeOf(args)
    const isAll = size > 0 && this.#written + size === readDeclaredLength(res)
    const [leaving, kept] = isAll && this.#owner.holdsBack ? withoutLast(args) : [args]
    const accepted = this.#runWithHead(before.write, res, leaving, false)
    this.#written += size
    this.#keep(args, true)
    if (isAll) this.#onAllWritten(before, res, kept)
    return accepted
  }

  /** The client needs no `end` to see the end. */
  #onAllWritten(before: Watched, res: ServerResponse, kept: Buffer | undefined): void {
    let heldBack: HeldBack | undefined
    this.#kept = kept
    const letGo = (): void => {
      this.#endLater = undefined
      if (heldBack !== undefined) heldBack.letGo()
      else if (this.#kept !== undefined && !res.destroyed) this.#writeKept(before, res)
    }
    if (kept !== undefined) {
      this.#endLater = args => {
        const held = holdBack(res)
        const result = this.#endHeldBack(before.end, res, withKept(args, kept), held)
        // Not before: what is refused takes nothing along.
        heldBack = held
        this.#kept = undefined
        return result
      }
    }
    this.#done = true
    this.#owner.onEnd(this.recording, kept && letGo)
    this.#chunks = []
  }

  #takeHead(args: readonly unknown[]): Head | undefined {
    try {
      return takeHead(this.#res, args, this.#baseline)
    } catch {
      // Arguments that Node is about to refuse: the error is its to throw.
      return undefined
    }
  }

  #end(end: unknown, res: ServerResponse, args: unknown[]): unknown {
    const heldBack = this.#owner.holdsBack ? holdBack(res) : undefined
    const result = this.#endHeldBack(end, res, args, heldBack)
    // Not copied: the owner is done with the bytes before the handler can change them.
    if (typeof args[0] !== 'function') this.#keep(args, false)
    this.#done = true
    this.#owner.onEnd(this.recording, heldBack === undefined ? undefined : () => heldBack.letGo())
    this.#chunks = []
    return result
  }

  #endHeldBack(end: unknown, res: ServerResponse, args: readonly unknown[], heldBack: HeldBack | undefined): unknown {
    try {
      const result = this.#runWithHead(end, res, args, true)
      heldBack?.hide()
      return result
    } catch (error) {
      heldBack?.undo()
      throw error
    }
  }

  /** The head leaves with the first of these. */
  #runWithHead(method: unknown, res: ServerResponse, args: readonly unknown[], isEnd: boolean): unknown {
    if (!this.#owner.keepsBody || this.#isHeadUtf8 !== undefined) return this.#run(method, res, args)
    // From Node 26 on, a first chunk waits for the end of its turn, and the head with it: then it leaves with the chunk's size.
    const wasFlushed = hasHeadLeft(res) && !(this.#written && res.chunkedEncoding)
    // Without a client a response writes no head any more, and where `end` was replaced it may come later: what it would be counts.
    if (!res.headersSent && (this.#isReplaced || isGone(res.req))) this.#unsent = this.#takeHead([])
    const result = this.#run(method, res, args)
    // Where there is no body, a write does not send the head: it leaves later, with something else.
    if (hasHeadLeft(res)) this.#isHeadUtf8 = wasFlushed || hasLeftAsUtf8(res, args, isEnd)
    return result
  }

  #run(method: unknown, res: ServerResponse, args: readonly unknown[]): unknown {
    this.#inside = true
    try {
      return call(method, res, args)
    } finally {
      this.#inside = false
    }
  }

  /** `copies`: because a handler may reuse its buffer. Only called for what Node has accepted. */
  #keep(args: readonly unknown[], copies: boolean): void {
    const [chunk] = args
    if (!this.#owner.keepsBody || this.#tooLarge || chunk === undefined || chunk === null || chunk === '') return
    const bytes = copies && typeof chunk !== 'string' ? Buffer.from(chunk as Uint8Array) : toBytes(args)
    this.#size += bytes.length
    if (this.#size > this.#owner.maxBytes) {
      this.#tooLarge = true
      this.#chunks = []
    } else if (bytes.length > 0) {
      this.#chunks.push(bytes)
    }
  }
}

function call(method: unknown, res: ServerResponse, args: readonly unknown[]): unknown {
  return Reflect.apply(method as (...given: unknown[]) => unknown, res, args)
}
