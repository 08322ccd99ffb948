// Run with --allow-natives-syntax: reports how two requests of an Express app look to V8 and JavaScript when their handler gets them.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runInThisContext } from 'node:vm'
import { dspinlock } from '@dspinlock/express'
import express from 'express'

const haveSameMap = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean

export interface Told {
  /** Whether both have one hidden class. */
  readonly same: { readonly req: boolean; readonly res: boolean }
  /** Their own properties, in order, with their attributes. */
  readonly own: { readonly req: readonly string[]; readonly res: readonly string[] }
}

function describe(object: object): string[] {
  const properties = Object.getOwnPropertyDescriptors(object) as Record<string | symbol, PropertyDescriptor>
  return Reflect.ownKeys(properties).map(key => {
    const { enumerable, configurable, writable } = properties[key] ?? {}
    return `${String(key)} ${enumerable} ${configurable} ${writable}`
  })
}

async function tell(guarded: boolean): Promise<Told> {
  const app = express()
  const seen: { req: object; res: object }[] = []
  // With any middleware, Express sets some properties sooner.
  app.use(guarded ? dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) : (_req, _res, next) => next())
  app.post('/orders/:id', (req, res) => {
    seen.push({ req, res })
    const [first] = seen
    if (first === undefined || seen.length < 2) return
    send({
      same: { req: haveSameMap(first.req, req), res: haveSameMap(first.res, res) },
      own: { req: describe(req), res: describe(res) },
    })
    res.json({})
    ;(first.res as typeof res).json({})
  })
  let send: (told: Told) => void = () => {}
  const told = new Promise<Told>(resolve => {
    send = resolve
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answers = [1, 2].map(id => fetch(`http://127.0.0.1:${port}/orders/${id}`, { method: 'POST' }))
  await Promise.all(answers)
  server.close()
  return told
}

process.send?.({ bare: await tell(false), guarded: await tell(true) })
process.disconnect()
