// The records of the memory store, some hundred to a block: each takes little beside its bytes, and no object that collecting garbage would visit.

import { markAsUntransferable } from 'node:worker_threads'

export interface StoredRecord {
  /** As it is read, others are in its memory: not to be written to. It stays as it is, whatever becomes of the record. */
  readonly bytes: Uint8Array
  readonly payload: string
  readonly numbers: RecordNumbers
}

export type RecordNumbers = readonly [
  /** The last one given out for the key. */
  fence: number,
  settledAt: number,
  /** On the scale of fences and arrivals: who arrived before was waiting for it. */
  settledTick: number,
  visibleUntil: number,
  /** Not before `visibleUntil`. */
  retainedUntil: number,
]

/** A block takes this many records, and as many bytes, unless it is one record that has more. */
const BLOCK_RECORDS = 256
const BLOCK_BYTES = 256 * 1024

/** Where the numbers of a record are among those of a block; behind them, where its bytes end and the next one's begin. */
const VISIBLE_UNTIL = 3
const RETAINED_UNTIL = 4
const END = 5
const FIELDS = 6

/** Less than this share of a block that takes no more is worth a copy without the rest. */
const LEAST_FILLED = 0.9

const nothing = new Uint8Array(0)

/** In order of settling. */
class Block {
  /** Blocks are found by it. */
  readonly number: number
  /** Undefined where a record was dropped. */
  keys: (string | undefined)[] = []
  payloads: string[] = []
  numbers: number[] = []
  /** Of its records side by side, with room for more as long as it takes more. What was written is not written to again. */
  bytes: Uint8Array = nothing
  /** How many records are there. */
  live = 0
  #isTrimmed = false
  /** None runs out before. */
  dueAt: number = Number.POSITIVE_INFINITY

  constructor(number: number) {
    this.number = number
  }

  hasRoomFor({ bytes }: StoredRecord): boolean {
    const count = this.keys.length
    return count === 0 || (count < BLOCK_RECORDS && this.endOf(count - 1) + bytes.length <= BLOCK_BYTES)
  }

  add(key: string, { bytes, payload, numbers }: StoredRecord): number {
    const index = this.keys.length
    const startsAt = this.endOf(index - 1)
    const endsAt = startsAt + bytes.length
    // Copied at once: what is made for one request would grow old with it otherwise, with all that shares its memory.
    if (endsAt > this.bytes.length)
      this.#resize(Math.max(endsAt, Math.min(2 * this.bytes.length, BLOCK_BYTES)), startsAt)
    this.bytes.set(bytes, startsAt)
    this.keys.push(key)
    this.payloads.push(payload)
    this.numbers.push(...numbers, endsAt)
    this.live++
    this.dueAt = Math.min(this.dueAt, numbers[RETAINED_UNTIL])
    return index
  }

  read(index: number): StoredRecord {
    return {
      bytes: this.bytes.subarray(this.endOf(index - 1), this.endOf(index)),
      payload: this.payloads[index] ?? '',
      numbers: this.numbers.slice(index * FIELDS, index * FIELDS + END) as unknown as RecordNumbers,
    }
  }

  /** Tells how large it was. */
  drop(index: number): number {
    const size = this.endOf(index) - this.endOf(index - 1)
    this.keys[index] = undefined
    this.payloads[index] = ''
    this.live--
    return size
  }

  /** To take no more: the room for more goes. */
  trim(): void {
    if (this.#isTrimmed) return
    this.#isTrimmed = true
    this.keys = this.keys.slice()
    this.payloads = this.payloads.slice()
    this.numbers = this.numbers.slice()
    const size = this.endOf(this.keys.length - 1)
    if (size < this.bytes.length * LEAST_FILLED) this.#resize(size, size)
  }

  #resize(size: number, used: number): void {
    const bytes = new Uint8Array(size)
    // Not to be taken away by whoever sends a record to a worker: there are others in it.
    markAsUntransferable(bytes.buffer)
    bytes.set(this.bytes.subarray(0, used))
    this.bytes = bytes
  }

  endOf(index: number): number {
    return this.numbers[index * FIELDS + END] ?? 0
  }
}

export class MemoryRecords {
  readonly #maxBytes: number
  /** The number of a block, and the place in it, in one number. */
  readonly places: Map<string, number> = new Map()
  /** The oldest first. */
  readonly #blocks = new Map<number, Block>()
  /** The last one that was begun. It takes more as long as it has room. */
  #open = new Block(0)
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  find(key: string): StoredRecord | undefined {
    const place = this.#placeOf(key)
    return this.#blockAt(place)?.read(place % BLOCK_RECORDS)
  }

  /** In place of what the key had. `false`: the oldest were dropped for it, itself among them if it is too large alone. */
  keep(key: string, record: StoredRecord): boolean {
    this.drop(key)
    let open = this.#open
    if (open.live === 0 || !open.hasRoomFor(record)) {
      this.#open = new Block(open.number + 1)
      this.#pack(open)
      open = this.#open
      this.#blocks.set(open.number, open)
    }
    this.places.set(key, open.number * BLOCK_RECORDS + open.add(key, record))
    this.#bytes += record.bytes.length
    if (this.#bytes <= this.#maxBytes) return true
    for (const block of this.#blocks.values()) {
      for (let index = 0; index < block.keys.length; index++) {
        if (this.#bytes <= this.#maxBytes) return false
        this.#dropAt(block, index)
      }
    }
    return false
  }

  /** The key has another holder: newcomers are not given the record any more if it is to be hidden; if it ran out, it goes. */
  supersede(key: string, fence: number, hide: boolean, now: number): void {
    const place = this.#placeOf(key)
    const block = this.#blockAt(place)
    if (block === undefined) return
    const index = place % BLOCK_RECORDS
    const { numbers } = block
    numbers[index * FIELDS] = fence
    if (hide) numbers[index * FIELDS + VISIBLE_UNTIL] = 0
    if ((numbers[index * FIELDS + RETAINED_UNTIL] ?? 0) > now) return
    this.#dropAt(block, index)
    this.#pack(block)
  }

  drop(key: string): void {
    this.supersede(key, 0, true, Number.POSITIVE_INFINITY)
  }

  /** Drops what has run out, in blocks where something has, until about `atMost` records are gone. */
  sweep(now: number, atMost: number): void {
    const least = this.places.size - atMost
    for (const block of this.#blocks.values()) {
      if (this.places.size < least) return
      if (block.dueAt > now) continue
      block.dueAt = Number.POSITIVE_INFINITY
      for (const [index, key] of block.keys.entries()) {
        const endsAt = block.numbers[index * FIELDS + RETAINED_UNTIL] ?? 0
        if (endsAt <= now) this.#dropAt(block, index)
        else if (key !== undefined) block.dueAt = Math.min(block.dueAt, endsAt)
      }
      this.#pack(block)
    }
  }

  #placeOf(key: string): number {
    return this.places.get(key) ?? -1
  }

  #blockAt(place: number): Block | undefined {
    return this.#blocks.get(Math.floor(place / BLOCK_RECORDS))
  }

  #dropAt(block: Block, index: number): void {
    const key = block.keys[index]
    if (key === undefined) return
    this.places.delete(key)
    this.#bytes -= block.drop(index)
    if (block.live === 0) this.#blocks.delete(block.number)
  }

  /** Leaves a block that takes no more with what its records need, and again once half of them are gone. */
  #pack(block: Block): void {
    const { number, keys, live } = block
    if (live === 0 || block === this.#open) return
    if (live * 2 > keys.length) return block.trim()
    const packed = new Block(number)
    for (const [from, key] of keys.entries()) {
      if (key === undefined) continue
      const to = packed.add(key, block.read(from))
      if (to !== from) this.places.set(key, number * BLOCK_RECORDS + to)
    }
    packed.trim()
    this.#blocks.set(number, packed)
  }
}
