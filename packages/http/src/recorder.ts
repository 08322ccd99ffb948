// Watches a response go out, without changing it: its head, its body, and when it ended.

import type { ServerResponse } from 'node:http'
import { joinChunks } from './chunks.js'
import { sizeOf, toBytes, withKept, withoutLast } from './declared-length.js'
import { isGone, whenOver } from './gone.js'
import { hasHeadLeft, hasLeftAsUtf8, hasTrailers, readDeclaredLength, readStatus } from './head-encoding.js'
import { type Baseline, type Head, takeBaseline, takeHead, toWire } from './header-list.js'
import { type HeldBack, holdBack } from './hold-back.js'
import type { BodyForm } from './record.js'
import { replaceMethod } from './replace-method.js'
import { isFailure } from './replayable.js'

/** What was recorded of a response, and how it ended. */
export interface Outcome {
  /** As it was sent: a status that is set after the head was written has no effect any more. */
  readonly status: number
  readonly head: Head | undefined
  /** Of no use if the body was too large, or not to be kept. */
  readonly body: Buffer | undefined
  readonly form: BodyForm
  readonly tooLarge: boolean
  readonly hasTrailers: boolean
  /** The handler ended the response; it was not cut short. */
  readonly complete: boolean
}

/** What a recording is made for: it says what to record, and is told of the end. */
export interface RecordingOwner {
  /** Whether head and body are of any use; the end of the response always is. */
  readonly keepsBody: boolean
  readonly maxBytes: number
  /** Whether the bytes by which the client sees the end are to wait for `letGo`. */
  readonly holdsBack: boolean
  /**
   * Called once, in the turn in which the handler ended the response or wrote all bytes that its head declares. If `letGo` is given, the
   * last bytes leave only when it is called.
   */
  onEnd(outcome: Outcome, letGo: (() => void) | undefined): void
  /** Called once if the client left before the handler ended the response. */
  onAbandoned(): void
}

type Method = (this: ServerResponse, ...args: unknown[]) => unknown
/** The watched methods of a response. */
type Watched = Record<'end' | 'write' | 'writeHead', Method>
type Replaceable = Watched & Record<'addTrailers' | 'setTrailer', Method>

export class Recorder {
  readonly #res: ServerResponse
  /** The methods as they were before they were replaced; another middleware may have replaced them already. */
  readonly #below = {} as Watched
  /** What they are replaced by. */
  #ours!: Watched
  /** Those that are replaced. */
  readonly #names: readonly (keyof Watched)[]
  readonly #owner: RecordingOwner
  readonly #baseline: Baseline
  #head: Head | undefined
  /** The head as it is set now, while none is written: it counts if none ever is. */
  #unsent: Head | undefined
  /** Whether the head left with a string, so that Node wrote it as UTF-8; undefined before it left. */
  #isHeadUtf8: boolean | undefined
  #chunks: Buffer[] = []
  #size = 0
  #tooLarge = false
  #hasTrailers = false
  /** The bytes of all writes, also of those that Node let fall because the client had left. */
  written = 0
  /** The last byte, or character, while it has yet to leave. */
  #kept: Buffer | undefined
  /** Middleware mounted before us has replaced `end`, and may collect what it is given and send head and body later. */
  readonly #isReplaced: boolean
  /** Ends the response while its last byte is kept, all others having been written. */
  #endLater: ((args: readonly unknown[]) => unknown) | undefined
  /** A watched method is running; the calls that it makes on the response itself are not the handler's. */
  #inside = false
  /** The end was seen, or the owner no longer wants to know. */
  #done = false

  constructor(res: ServerResponse, owner: RecordingOwner) {
    this.#res = res
    this.#owner = owner
    this.#names = owner.keepsBody ? ['end', 'write', 'writeHead'] : ['end', 'write']
    this.#baseline = owner.keepsBody ? takeBaseline(res) : []
    this.#isReplaced = Object.hasOwn(res, 'end')
    Recorder.#watch(this)
    whenOver(res, () => {
      if (!this.#done) owner.onAbandoned()
    })
  }

  /** Stops watching: nothing more is recorded, and the owner is not told of the end. */
  detach(): void {
    this.#done = true
    this.#chunks = []
  }

  /** Stops watching, and tells what was recorded of a response that ends now. One object, because a copy of it would take 1 µs of each request. */
  finish(complete: boolean): Outcome {
    const chunks = this.#chunks
    this.detach()
    // A handler that failed before its head was written has begun its answer anew.
    const head = isFailure(this.#unsent?.status ?? 0, false) ? this.#unsent : (this.#head ?? this.#unsent)
    return {
      status: head?.status ?? readStatus(this.#res),
      head: head && this.#isHeadUtf8 ? toWire(head) : head,
      // Empty if it was too large, or is not to be kept: then there is no record.
      body: joinChunks(chunks),
      form: 'bytes',
      tooLarge: this.#tooLarge,
      hasTrailers: this.hasTrailers,
      complete,
    }
  }

  get hasTrailers(): boolean {
    return this.#hasTrailers || hasTrailers(this.#res)
  }

  /**
   * Replaces methods by own properties of this one response, as other middleware does: prototype and identity stay. As few as
   * possible, because on a response whose prototype a framework has set, each makes Node 20 build another hidden class.
   */
  static #watch(recorder: Recorder): void {
    const res = recorder.#res
    const watched = res as unknown as Replaceable
    const below = recorder.#below
    // These functions use the response as their `this`, as callers expect.
    recorder.#ours = {
      end(...args) {
        if (recorder.#isLate()) return recorder.#endLater ? recorder.#endLater(args) : call(below.end, res, args)
        return recorder.#isPassedOn() ? call(below.end, this, args) : recorder.#end(args)
      },
      write(...args) {
        if (recorder.#isLate()) return recorder.#lateWrite(args)
        return recorder.#isPassedOn() ? call(below.write, this, args) : recorder.#write(args)
      },
      writeHead(...args) {
        // The head is taken before the call, because middleware mounted before us adds its headers during it.
        const head = recorder.#done || res.headersSent ? recorder.#head : recorder.#takeHead(args)
        const result = recorder.#keepOurs(() => call(below.writeHead, this, args))
        recorder.#head = head
        return result
      },
    }
    for (const name of recorder.#names) recorder.#replace(name, undefined)
    // Only HTTP/2's compatibility layer has setTrailer; an HTTP/1 response keeps a note of its trailers itself.
    if (!('setTrailer' in res)) return
    for (const name of ['addTrailers', 'setTrailer'] as const) {
      const method = watched[name]
      replaceMethod(watched, name, function (this: ServerResponse, ...args: unknown[]) {
        recorder.#hasTrailers = true
        return call(method, this, args)
      })
    }
  }

  /** Puts our method on top of the one that is there, unless that is `before`. */
  #replace(name: keyof Watched, before: unknown): void {
    const watched = this.#res as unknown as Watched
    if (watched[name] === before) return
    this.#below[name] = watched[name]
    replaceMethod(watched, name, this.#ours[name])
  }

  /** Runs one of them. Middleware in front may take its own methods off meanwhile, and with them ours, which stand on top. */
  #keepOurs(run: () => unknown): unknown {
    const watched = this.#res as unknown as Watched
    const before = this.#names.map(name => watched[name])
    const result = run()
    if (!this.#done) this.#names.forEach((name, at) => this.#replace(name, before[at]))
    return result
  }

  /** Whether a call is only passed on: it is one that Node makes itself, or comes too late to be part of the answer. */
  #isPassedOn(): boolean {
    return this.#done || this.#inside || this.#res.writableEnded
  }

  /** Whether all bytes were written but the last, which is kept. */
  #isLate(): boolean {
    return this.#kept !== undefined && !this.#inside
  }

  /** Writes the kept byte first, and by itself, because Node may refuse the other bytes. */
  #lateWrite(args: unknown[]): unknown {
    if (sizeOf(args) > 0) this.#writeKept()
    return this.#run('write', args)
  }

  #writeKept(): void {
    const kept = this.#kept
    this.#kept = undefined
    this.#run('write', [kept])
  }

  #write(args: unknown[]): unknown {
    const size = sizeOf(args)
    const isAll = size > 0 && this.written + size === readDeclaredLength(this.#res)
    const [leaving, kept] = isAll && this.#owner.holdsBack ? withoutLast(args) : [args]
    const accepted = this.#runWithHead('write', leaving)
    this.written += size
    this.#keep(args, true)
    if (isAll) this.#onAllWritten(kept)
    return accepted
  }

  /** Called when all declared bytes were written: the client sees the end even before `end` is called. */
  #onAllWritten(kept: Buffer | undefined): void {
    const res = this.#res
    let heldBack: HeldBack | undefined
    this.#kept = kept
    const letGo = (): void => {
      this.#endLater = undefined
      if (heldBack !== undefined) heldBack.letGo()
      else if (this.#kept !== undefined && !res.destroyed && !res.writableEnded) this.#writeKept()
    }
    if (kept !== undefined) {
      this.#endLater = args => {
        const held = holdBack(res)
        const result = this.#endHeldBack(withKept(args, kept), held)
        // Only now: if Node refuses the arguments, the byte has not left.
        heldBack = held
        this.#kept = undefined
        return result
      }
    }
    this.#owner.onEnd(this.finish(true), kept && letGo)
  }

  #takeHead(args: readonly unknown[]): Head | undefined {
    try {
      return takeHead(this.#res, args, this.#baseline)
    } catch {
      // Node is about to refuse these arguments, and throws its own error.
      return undefined
    }
  }

  #end(args: unknown[]): unknown {
    const heldBack = this.#owner.holdsBack ? holdBack(this.#res) : undefined
    const result = this.#endHeldBack(args, heldBack)
    // Not copied, because the owner is done with the bytes before the handler can change them.
    this.#keep(args, false)
    this.#owner.onEnd(this.finish(true), heldBack?.letGo)
    return result
  }

  #endHeldBack(args: readonly unknown[], heldBack: HeldBack | undefined): unknown {
    try {
      const result = this.#runWithHead('end', args)
      heldBack?.hide()
      return result
    } catch (error) {
      heldBack?.undo()
      throw error
    }
  }

  /** Runs `write` or `end`. The first such call sends the head, so its encoding is noted. */
  #runWithHead(name: 'write' | 'end', args: readonly unknown[]): unknown {
    const res = this.#res
    if (!this.#owner.keepsBody || this.#isHeadUtf8 !== undefined) return this.#run(name, args)
    // From Node 26 on, a first chunk waits for the end of its turn, and the head waits with it; then the head leaves together with the chunk's size.
    const wasFlushed = hasHeadLeft(res) && !(this.written && res.chunkedEncoding)
    // Without a client, no head is written any more; if `end` was replaced, it may be written later. Then the head as it is set now counts.
    if (!res.headersSent && (this.#isReplaced || isGone(res.req))) this.#unsent = this.#takeHead([])
    const result = this.#run(name, args)
    // If the response has no body, a write does not send the head; it leaves later.
    if (hasHeadLeft(res)) this.#isHeadUtf8 = wasFlushed || hasLeftAsUtf8(res, args, name === 'end')
    return result
  }

  #run(name: 'write' | 'end', args: readonly unknown[]): unknown {
    this.#inside = true
    try {
      return this.#keepOurs(() => call(this.#below[name], this.#res, args))
    } finally {
      this.#inside = false
    }
  }

  /** Records bytes that Node has accepted. `copies` is for buffers that the handler may reuse. */
  #keep(args: readonly unknown[], copies: boolean): void {
    const [chunk] = args
    if (!this.#owner.keepsBody || this.#tooLarge || !chunk || typeof chunk === 'function') return
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

export function call(method: unknown, res: ServerResponse, args: readonly unknown[]): unknown {
  return Reflect.apply(method as (...given: unknown[]) => unknown, res, args)
}
