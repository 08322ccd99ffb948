// A server and its only client; prints how many bytes of each request grew old. With the argument `async`, its store answers with promises, as a remote one does.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { getHeapSpaceStatistics } from 'node:v8'
import { memoryStore, type Store } from '@dspinlock/core'
import { guard } from '@dspinlock/http'

const { gc } = globalThis as unknown as { gc(this: void, options?: { type: 'minor' }): void }

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')?.space_used_size ?? 0
}

function openStore(): Store {
  const store = memoryStore()
  if (process.argv[2] !== 'async') return store
  const answersLater = new Set<PropertyKey>(['claim', 'renew', 'settle', 'release', 'leave'])
  return new Proxy(store, {
    get(of, name) {
      if (name === 'synchronous') return false
      const found: unknown = Reflect.get(of, name)
      if (typeof found !== 'function') return found
      const call = (...args: unknown[]): unknown => Reflect.apply(found as (...given: unknown[]) => unknown, of, args)
      return answersLater.has(name) ? (...args: unknown[]) => Promise.resolve(call(...args)) : call
    },
  })
}

const listener = guard((_req, res) => void res.end('done'), { methods: ['GET'], store: openStore() })
const server = createServer(listener).listen(0, '127.0.0.1')
await once(server, 'listening')
// The client is to make as few objects of its own as possible.
const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
let asked = 0
async function ask(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    client.write(`GET /${asked++} HTTP/1.1\r\nHost: h\r\n\r\n`)
    await new Promise(resolve => client.once('data', resolve))
  }
}
await ask(800)
gc()
for (let time = 0; time < 3; time++) gc({ type: 'minor' })
const before = oldBytes()
for (let time = 0; time < 3; time++) {
  await ask(400)
  gc({ type: 'minor' })
}
gc({ type: 'minor' })
process.send?.((oldBytes() - before) / 1_200, () => process.exit())
