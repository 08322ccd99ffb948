// Encrypts records, so that only servers with the encryption key can read them, and binds each to the lock key that it was left for.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { secretOptionError, viewOf } from '@dspinlock/core/support'
import { startsWith } from './record.js'

/** `D`, `E`, and the version of this format. */
const MAGIC = Buffer.from([0x44, 0x45, 1])
const KEY_ID_BYTES = 4
/** NIST SP 800-38D, section 8.2.2: random, 96 bits. */
const IV_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = MAGIC.length + KEY_ID_BYTES + IV_BYTES + TAG_BYTES
const KEY_BYTES = 32

interface SealKey {
  readonly id: Buffer
  readonly secret: Buffer
}

/** The record itself; undefined if it is not sealed, damaged, or sealed for another lock key; or sealed with a key that is not among ours. */
export type Opened = Buffer | undefined | 'unknown-key'

export function isSealed(bytes: Uint8Array): boolean {
  return bytes.length >= HEAD_BYTES && startsWith(bytes, MAGIC)
}

/** Seals with the first key and opens with any. To change the key, put a new one in front, and drop the old one after the longest `ttlMs`. */
export class RecordSealer {
  readonly #keys: readonly SealKey[]
  /** Opened records by the sealed bytes, as one object: the followers of one response share one opened copy while any of them has it. */
  readonly #opened = new WeakMap<Uint8Array, { readonly lockKey: string; readonly bytes: WeakRef<Buffer> }>()
  readonly #first: SealKey

  constructor(secrets: readonly [Buffer, ...Buffer[]]) {
    const [first, ...others] = secrets
    this.#first = toSealKey(first)
    this.#keys = [this.#first, ...others.map(toSealKey)]
  }

  /** Layout: magic, key id, IV, tag, ciphertext. AES-256-GCM with the lock key as additional data. */
  seal(bytes: Uint8Array, lockKey: string): Uint8Array {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#first.secret, iv)
    cipher.setAAD(Buffer.from(lockKey))
    const sealed = [cipher.update(bytes), cipher.final()]
    return Buffer.concat([MAGIC, this.#first.id, iv, cipher.getAuthTag(), ...sealed])
  }

  open(given: Uint8Array, lockKey: string): Opened {
    const known = this.#opened.get(given)
    const bytes = known?.lockKey === lockKey ? known.bytes.deref() : undefined
    if (bytes !== undefined) return bytes
    const opened = this.#decrypt(given, lockKey)
    if (Buffer.isBuffer(opened)) this.#opened.set(given, { lockKey, bytes: new WeakRef(opened) })
    return opened
  }

  #decrypt(given: Uint8Array, lockKey: string): Opened {
    if (!isSealed(given)) return undefined
    const frame = viewOf(given)
    let at = MAGIC.length
    const take = (length: number): Buffer => frame.subarray(at, (at += length))
    const id = take(KEY_ID_BYTES)
    const key = this.#keys.find(one => one.id.equals(id))
    if (key === undefined) return 'unknown-key'
    const decipher = createDecipheriv('aes-256-gcm', key.secret, take(IV_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(lockKey))
    decipher.setAuthTag(take(TAG_BYTES))
    try {
      return Buffer.concat([decipher.update(frame.subarray(at)), decipher.final()])
    } catch {
      return undefined
    }
  }
}

function toSealKey(secret: Buffer): SealKey {
  return {
    secret,
    id: createHash('sha256').update('dspinlock-key-id').update(secret).digest().subarray(0, KEY_ID_BYTES),
  }
}

/** @throws TypeError, without showing what was received, for anything but a list of keys of 32 bytes. */
export function readEncryptionKeys(given: unknown, name: string): RecordSealer | undefined {
  if (given === undefined) return undefined
  const keys = Array.isArray(given) ? given.map(toKeyBytes) : []
  if (keys.length > 0 && keys.every(key => key.length === KEY_BYTES)) {
    return new RecordSealer(keys as [Buffer, ...Buffer[]])
  }
  throw secretOptionError(name, 'a list of keys of 32 bytes, as bytes or base64')
}

/** Returns a buffer of another length for anything that is no key. */
function toKeyBytes(given: unknown): Buffer {
  if (given instanceof Uint8Array) return Buffer.from(given)
  const isBase64 = typeof given === 'string' && /^[A-Za-z0-9+/_-]{43}=?$/.test(given)
  return isBase64 ? Buffer.from(given, 'base64') : Buffer.alloc(0)
}
