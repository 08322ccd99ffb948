// The records of the memory store, some hundred in a block, so that each takes little beside its bytes, and no object for the garbage collector to visit.

import { markAsUntransferable } from 'node:worker_threads'

export interface StoredRecord {
  /** Do not write to these bytes: they share memory with other records. They stay as they are even after the record was dropped. */
  readonly bytes: Uint8Array
  readonly payload: string
  readonly numbers: RecordNumbers
}

export type RecordNumbers = readonly [
  /** The last fence given out for the key. */
  fence: number,
  settledAt: number,
  /** On the scale of fences and arrivals: a caller whose arrival is earlier was waiting when the record was settled. */
  settledTick: number,
  visibleUntil: number,
  /** Not before `visibleUntil`. */
  retainedUntil: number,
]

/** A block takes this many records at most, and no further ones once it has this many bytes. */
const BLOCK_RECORDS = 256
const BLOCK_BYTES = 256 * 1024

/** Roughly what a record takes beside its bytes and the characters of its key and payload. */
const RECORD_BYTES = 150

/** Positions among the numbers that a block has for each record; the last is where its bytes end and those of the next record begin. */
const VISIBLE_UNTIL = 3
const RETAINED_UNTIL = 4
const END = 5
const FIELDS = 6

/** A block of records, in order of settling. */
class Block {
  /** Identifies the block. */
  readonly number: number
  /** Undefined where a record was dropped. */
  keys: (string | undefined)[] = []
  payloads: string[] = []
  numbers: number[] = []
  /** The bytes of all records, side by side, once the block takes no more; until then they are in `pieces`, as they were given. */
  bytes: Uint8Array | undefined
  pieces: (Uint8Array | undefined)[] = []
  /** How many records the block still has. */
  live = 0
  /** No record of the block runs out before this time. */
  dueAt: number = Number.POSITIVE_INFINITY

  constructor(number: number) {
    this.number = number
  }

  add(key: string, record: StoredRecord): number {
    const { bytes, payload, numbers } = record
    const index = this.keys.length
    this.keys.push(key)
    this.pieces.push(bytes)
    this.payloads.push(payload)
    const end = this.endOf(index - 1) + bytes.length
    for (const number of numbers) this.numbers.push(number)
    this.numbers.push(end)
    this.live++
    this.dueAt = Math.min(this.dueAt, numbers[RETAINED_UNTIL])
    return index
  }

  read(index: number): StoredRecord {
    return {
      bytes: this.bytes?.subarray(this.endOf(index - 1), this.endOf(index)) ?? (this.pieces[index] as Uint8Array),
      payload: this.payloads[index] ?? '',
      numbers: this.numbers.slice(index * FIELDS, index * FIELDS + END) as unknown as RecordNumbers,
    }
  }

  /** Drops a record, and returns how much memory it took. */
  drop(index: number): number {
    const bytes = this.endOf(index) - this.endOf(index - 1)
    const size = sizeOf(bytes, this.keys[index] ?? '', this.payloads[index] ?? '')
    this.keys[index] = undefined
    this.payloads[index] = ''
    if (this.bytes === undefined) this.pieces[index] = undefined
    this.live--
    return size
  }

  /** Copies the bytes of all records side by side; from then on the block takes no more. */
  seal(): void {
    const bytes = new Uint8Array(this.endOf(this.live - 1))
    // Otherwise, transferring one record to a worker would take the other records of the block along.
    markAsUntransferable(bytes.buffer)
    this.pieces.forEach((piece, index) => bytes.set(piece as Uint8Array, this.endOf(index - 1)))
    this.bytes = bytes
    this.pieces = []
  }

  endOf(index: number): number {
    return this.numbers[index * FIELDS + END] ?? 0
  }
}

/** What a record takes in all, because even empty records can fill the memory of a process. */
function sizeOf(bytes: number, key: string, payload: string): number {
  return bytes + 2 * (key.length + payload.length) + RECORD_BYTES
}

export class MemoryRecords {
  readonly #maxBytes: number
  /** For each key, the number of its block and its place in it, combined in one number. */
  readonly places: Map<string, number> = new Map()
  /** Blocks by number, the oldest first. */
  readonly #blocks = new Map<number, Block>()
  /** The newest block, which takes records as long as it has room. */
  #open = new Block(0)
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  find(key: string): StoredRecord | undefined {
    const place = this.#placeOf(key)
    return this.#blockAt(place)?.read(place % BLOCK_RECORDS)
  }

  /** Keeps a record in place of the one that the key had. `false`: there was no room, so the oldest were dropped, or this one if it is too large. */
  keep(key: string, record: StoredRecord): boolean {
    this.drop(key)
    let open = this.#open
    const count = open.keys.length
    if (open.live === 0 || count === BLOCK_RECORDS || open.endOf(count - 1) >= BLOCK_BYTES) {
      this.#open = new Block(open.number + 1)
      this.#pack(open)
      open = this.#open
      this.#blocks.set(open.number, open)
    }
    this.places.set(key, open.number * BLOCK_RECORDS + open.add(key, record))
    this.#bytes += sizeOf(record.bytes.length, key, record.payload)
    if (this.#bytes <= this.#maxBytes) return true
    for (const block of this.#blocks.values()) {
      for (let index = 0; index < block.keys.length; index++) {
        if (this.#bytes <= this.#maxBytes) return false
        this.#dropAt(block, index)
      }
    }
    return false
  }

  /** The key has a new holder: hides the record from newcomers, and drops it if it has run out. */
  supersede(key: string, fence: number, now: number): void {
    const place = this.#placeOf(key)
    const block = this.#blockAt(place)
    if (block === undefined) return
    const index = place % BLOCK_RECORDS
    const { numbers } = block
    numbers[index * FIELDS] = fence
    numbers[index * FIELDS + VISIBLE_UNTIL] = 0
    if ((numbers[index * FIELDS + RETAINED_UNTIL] ?? 0) > now) return
    this.#dropAt(block, index)
    this.#pack(block)
  }

  drop(key: string): void {
    this.supersede(key, 0, Number.POSITIVE_INFINITY)
  }

  /** Drops records that have run out, block by block, until about `atMost` records are gone. */
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

  /** Shrinks a block that takes no more to the size of its records, and again once half of them are gone. */
  #pack(block: Block): void {
    const { number, keys, live } = block
    if (live === 0 || block === this.#open || (block.bytes !== undefined && live * 2 > keys.length)) return
    if (live === keys.length) return block.seal()
    const packed = new Block(number)
    for (const [from, key] of keys.entries()) {
      if (key === undefined) continue
      const to = packed.add(key, block.read(from))
      if (to !== from) this.places.set(key, number * BLOCK_RECORDS + to)
    }
    packed.seal()
    this.#blocks.set(number, packed)
  }
}
