// The process of one server under measurement: it listens, and reports what it used.

import { createServer, type RequestListener } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { profiling } from '../harness/profile.js'
import { answerCalls, readArgument } from '../harness/remote.js'
import { runs } from './answers.js'
import { answerAtOnce } from './least.js'
import { openStore } from './own-store.js'
import type { ServerSpec, Usage } from './spec.js'

const spec = readArgument<ServerSpec>()

async function makeListener(): Promise<RequestListener> {
  // Each framework is loaded only if it is measured.
  switch (spec.framework) {
    case 'express':
      return (await import('./express.js')).makeExpressApp(spec)
    case 'koa':
      return (await import('./koa.js')).makeKoaListener(spec)
    case 'nest':
      return (await import('./nest.js')).makeNestListener(spec)
  }
}

if (spec.listener !== undefined) (await import('./listeners.js')).listenBy(spec.listener)

// If the resolution were finer, the monitor's own timer would be part of what is measured.
const delay = monitorEventLoopDelay({ resolution: 20 })

async function guardInFront(listener: RequestListener): Promise<RequestListener> {
  const { guard, least } = spec
  if (least?.place === 'in-front')
    return least.isDeferred ? (req, res) => void setImmediate(answerAtOnce, req, res) : answerAtOnce
  if (guard === undefined || !('place' in guard) || guard.place !== 'in-front') return listener
  const { guard: guardListener } = await import('@dspinlock/http')
  return guardListener(listener, { ...guard.options, store: await openStore(guard, spec.redisUrl) })
}

async function listen(): Promise<number> {
  const server = createServer(await guardInFront(await makeListener()))
  // The load pauses between samples, and closes its connections itself.
  server.keepAliveTimeout = 0
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', 1024, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

function usage({ collect }: { collect: boolean }): Usage {
  if (collect) globalThis.gc?.()
  const { user, system } = process.cpuUsage()
  const { heapUsed, external } = process.memoryUsage()
  const loopDelayP99Ms = delay.percentile(99) / 1e6
  delay.reset()
  return { cpuUs: user + system, runs: runs.count, heapUsed, external, loopDelayP99Ms }
}

const port = listen()
port.then(
  () => delay.enable(),
  () => {},
)
answerCalls({ port: () => port, usage, ...profiling })
