// Reads and changes the store's state of a key in Redis, for tests that look at it or damage it.

import type { Redis } from 'ioredis'

/** The format in which the scripts pack the state, and the names of its items. */
const UNPACK = `
local packed = redis.call('GET', KEYS[1])
if not packed then return false end
local PLAIN, RECORDED, HEAD, MORE, TAIL = 209, 211, '<Bddss', '<dI4BI4c0', '<dddI4c0I4c0'
local version, ends, fence, holder, endings, from = struct.unpack(HEAD, packed)
local passUntil, localTurns, crowded, heldFor = 0, 0, 0, ''
local settled, visible, kept, madeFor, bytes
if version ~= PLAIN then passUntil, localTurns, crowded, heldFor, from = struct.unpack(MORE, packed, from) end
if version == RECORDED then settled, visible, kept, madeFor, bytes = struct.unpack(TAIL, packed, from) end
version = nil
`
const PACK = `
version = version or (bytes and 211 or 210)
packed = struct.pack(HEAD, version, ends, fence, holder, endings) .. struct.pack(MORE, passUntil, localTurns, crowded, #heldFor, heldFor)
if bytes then packed = packed .. struct.pack(TAIL, settled, visible, kept, #madeFor, madeFor, #bytes, bytes) end
redis.call('SET', KEYS[1], packed, 'KEEPTTL')
`

/** `name` is the name of the key's state. */
async function evaluate(redis: Redis, name: string, lua: string, ...args: (string | Buffer)[]): Promise<unknown> {
  return redis.callBuffer('EVAL', `${UNPACK}${lua}`, '1', name, ...args)
}

export async function readRecord(redis: Redis, name: string): Promise<Buffer | undefined> {
  const bytes = await evaluate(redis, name, 'return bytes')
  return Buffer.isBuffer(bytes) ? bytes : undefined
}

export async function writeRecord(redis: Redis, name: string, record: Uint8Array): Promise<void> {
  await evaluate(redis, name, `bytes = ARGV[1] ${PACK}`, Buffer.from(record))
}

/** The last fence of a key; undefined if the key has no state. */
export async function readFence(redis: Redis, name: string): Promise<number | undefined> {
  const text = await evaluate(redis, name, `return string.format('%.0f', fence)`)
  return Buffer.isBuffer(text) ? Number(text.toString()) : undefined
}

/** Makes `token` the holder of a key that has a state, until `ends` (milliseconds since 1970). */
export async function makeHolder(redis: Redis, name: string, token: string, ends: number): Promise<void> {
  await evaluate(redis, name, `holder, ends = ARGV[1], tonumber(ARGV[2]) ${PACK}`, token, String(ends))
}

/** Damages a state: `lua` assigns to its items; `now` is the server's time in milliseconds. */
export async function spoilState(redis: Redis, name: string, lua: string): Promise<void> {
  await evaluate(redis, name, `local now = redis.call('TIME')[1] * 1000 ${lua} ${PACK}`)
}
