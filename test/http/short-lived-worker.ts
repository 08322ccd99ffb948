// A server and its only client; tells how many bytes of each request grew old.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { getHeapSpaceStatistics } from 'node:v8'
import { guard } from '@dspinlock/http'

const { gc } = globalThis as unknown as { gc(this: void, options?: { type: 'minor' }): void }

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')?.space_used_size ?? 0
}

const server = createServer(guard((_req, res) => void res.end('done'), { methods: ['GET'] })).listen(0, '127.0.0.1')
await once(server, 'listening')
// The client's own objects are to be as few as can be.
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
