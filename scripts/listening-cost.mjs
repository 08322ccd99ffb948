// npm run bench:listening: what one locked call costs in processor time while nobody listens to the channels, and while metrics do.

import { channels, LockEngine, memoryStore, tracing } from '@dspinlock/core'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { Registry } from 'prom-client'

const ROUNDS = 9
const CALLS = 50_000

const engine = new LockEngine({ store: memoryStore() })

/** Processor time of this process for each call, in nanoseconds: other programs on the machine do not count. */
async function measure(work) {
  const before = process.cpuUsage()
  for (let n = 0; n < CALLS; n++) await work(n)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1_000) / CALLS
}

const call = async n => engine.run(`key ${n % 100}`, () => n)
const plain = async n => n

/** All that a call asks while nobody listens: once at its beginning and once at its end. */
const { enter, wait, hold, settle } = tracing
const ask = async n =>
  channels.enter.hasSubscribers ||
  enter.hasSubscribers ||
  wait.hasSubscribers ||
  hold.hasSubscribers ||
  settle.hasSubscribers ||
  channels.end.hasSubscribers ||
  n

const quiet = []
const listening = []
const asking = []
await measure(call)
for (let round = 0; round < ROUNDS; round++) {
  quiet.push(await measure(call))
  const stop = dspinlockMetrics(new Registry())
  listening.push(await measure(call))
  stop()
  asking.push((await measure(ask)) - (await measure(plain)))
}

const median = values => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const inNs = values => `${Math.round(median(values))} ns`
console.log(`one run of an engine in memory, nobody listens: ${inNs(quiet)}`)
console.log(
  `  of which asking whether somebody does:        ${inNs(asking)} (${((median(asking) / median(quiet)) * 100).toFixed(1)} %)`,
)
console.log(`the same with metrics for Prometheus:           ${inNs(listening)}`)
