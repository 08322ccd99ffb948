// A process that takes locks and waits for them, with any of the libraries.

import { Redis } from 'ioredis'
import type { Sample } from '../../report/dist/model.js'
import { profiling } from '../harness/profile.js'
import { answerCalls } from '../harness/remote.js'
import { findLibrary } from '../peers/locks/index.js'
import type { LockUser, Release } from '../peers/locks/library.js'

export interface Rounds {
  readonly library: string
  /** How many locks are under way at once, each on keys of its own. */
  readonly width: number
  /** Operations of each of them. */
  readonly rounds: number
}

export interface Drain {
  /** When the last one had released the key, in nanoseconds of the clock that all processes share. */
  readonly endedAt: bigint
  readonly failures: number
}

/** Keys of one lane, so that a lock is taken again, but not always the same one. */
const KEYS_OF_A_LANE = 64

let url = ''
const users = new Map<string, Promise<LockUser>>()
const held = new Map<string, Release>()
const waiting = new Map<string, Promise<bigint>>()
let draining: Promise<Drain> | undefined
const listener = { count: 0, heardAt: 0n, onMessage: (): void => {} }
let publisher: Redis | undefined
let script: Promise<string> | undefined

function userOf(name: string): Promise<LockUser> {
  let user = users.get(name)
  if (user === undefined) {
    user = findLibrary(name).open(new Redis(url), url)
    users.set(name, user)
  }
  return user
}

/** Acquires and releases without contention: returns operations per second, and CPU time for each. */
async function run({ library, width, rounds }: Rounds): Promise<Sample> {
  const user = await userOf(library)
  const lane = async (number: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const release = await user.acquire(`${library}:${number}:${round % KEYS_OF_A_LANE}`)
      await release()
    }
  }
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: width }, (_, number) => lane(number)))
  const seconds = (performance.now() - startedAt) / 1000
  const { user: own, system } = process.cpuUsage(cpu)
  const operations = width * rounds
  return { value: operations / seconds, cpuUs: (own + system) / operations }
}

async function acquire({ library, key }: { library: string; key: string }): Promise<void> {
  const user = await userOf(library)
  held.set(key, await user.acquire(key))
}

/** Returns the time at which it was called, before anything was sent. */
async function release(key: string): Promise<bigint> {
  const letGo = held.get(key)
  held.delete(key)
  const calledAt = process.hrtime.bigint()
  await letGo?.()
  return calledAt
}

/** Begins to wait, and returns; `turn` returns when the turn came. */
async function wait({ library, key }: { library: string; key: string }): Promise<void> {
  const user = await userOf(library)
  const turnAt = user.acquire(key).then(async letGo => {
    const now = process.hrtime.bigint()
    await letGo()
    return now
  })
  turnAt.catch(() => {})
  waiting.set(key, turnAt)
}

async function turn(key: string): Promise<bigint> {
  const turnAt = waiting.get(key)
  if (turnAt === undefined) throw new Error(`nobody waits for ${key}`)
  waiting.delete(key)
  return turnAt
}

/** Like `wait`, with many waiters at once in this process; each releases the key as soon as it had its turn. */
async function queue({ library, key, waiters }: { library: string; key: string; waiters: number }): Promise<void> {
  const user = await userOf(library)
  let failures = 0
  const takeTurn = async (): Promise<void> => {
    try {
      const letGo = await user.acquire(key)
      await letGo()
    } catch {
      failures++
    }
  }
  draining = Promise.all(Array.from({ length: waiters }, takeTurn)).then(() => ({
    endedAt: process.hrtime.bigint(),
    failures,
  }))
}

async function drained(): Promise<Drain> {
  if (draining === undefined) throw new Error('nobody waits')
  return draining
}

/** The least that a hand-over can do: a message to another process. */
async function listen(): Promise<void> {
  if (listener.count > 0) return
  const subscriber = new Redis(url)
  subscriber.on('message', () => {
    listener.heardAt = process.hrtime.bigint()
    listener.onMessage()
  })
  await subscriber.subscribe('bench:floor')
  listener.count++
}

let heard: Promise<void> | undefined
async function expectMessage(): Promise<void> {
  heard = new Promise(resolve => {
    listener.onMessage = resolve
  })
}

async function heardAt(): Promise<bigint> {
  await heard
  return listener.heardAt
}

async function publish(): Promise<bigint> {
  publisher ??= new Redis(url)
  const calledAt = process.hrtime.bigint()
  await publisher.publish('bench:floor', 'x')
  return calledAt
}

/** Like `publish`, by a script that does nothing else. */
async function publishByScript(): Promise<bigint> {
  publisher ??= new Redis(url)
  script ??= publisher.script('LOAD', `return redis.call('PUBLISH', ARGV[1], ARGV[2])`) as Promise<string>
  const digest = await script
  const calledAt = process.hrtime.bigint()
  await publisher.evalsha(digest, 0, 'bench:floor', 'x')
  return calledAt
}

answerCalls({
  connect: async (to: string) => {
    url = to
  },
  run,
  acquire,
  release,
  wait,
  turn,
  queue,
  drained,
  listen,
  expectMessage,
  heardAt,
  publish,
  publishByScript,
  ...profiling,
})
