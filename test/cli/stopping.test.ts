// Ctrl-C ends a command at once, whatever the command waits for.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createRedisConnection } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { startCli } from './run.js'

const TIMEOUT_S = '60'

async function interrupt(child: ChildProcess): Promise<readonly [number | null, string | null]> {
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  child.kill('SIGINT')
  return await ended
}

describe('stopping dspinlock', () => {
  let silent: Server
  let url: string
  const sockets = new Set<Socket>()

  before(async () => {
    silent = createServer(socket => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`
  })
  after(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  for (const command of [['ls'], ['inspect', 'key'], ['doctor'], ['watch']]) {
    it(`${command[0]}, while it waits for a Redis that says nothing`, async () => {
      const child = startCli([...command, '--url', url, '--timeout', TIMEOUT_S])
      await once(silent, 'connection')
      expect(await interrupt(child)).to.deep.equal([null, 'SIGINT'])
    })
  }

  describe('watch', () => {
    let redis: RedisServer

    before(async () => {
      redis = await startRedisServer()
    })
    after(() => redis.stop())

    it('while Redis has stopped answering: that is no error', async () => {
      const child = startCli(['watch', '--url', redis.url, '--timeout', TIMEOUT_S, '--interval', '0.001'])
      let out = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      await once(child.stdout as NodeJS.ReadableStream, 'data')
      const client = await createRedisConnection({ url: redis.url })
      await client.call('CLIENT', 'PAUSE', '60000', 'ALL')
      client.disconnect()
      // Until two looks at it are the same, the command may still be asking.
      for (let before = ''; before !== out; before = out) await new Promise(resolve => setTimeout(resolve, 100))
      expect(await interrupt(child)).to.deep.equal([0, null])
    })
  })
})
