// Ctrl-C ends a command at once, whatever the command waits for.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { LockEngine } from '@dspinlock/core'
import { createRedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { askServer } from '../support/redis-admin.js'
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

    it('while nobody reads what it writes: until then no more is asked for, and nothing piles up', async () => {
      const store = redisStore(redis.url)
      const engine = new LockEngine({ store })
      const keep = (n: number): Promise<number> =>
        engine.run(`key ${n}`, () => n, { duplicates: 'replay', ttlMs: 60_000 })
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => keep(n)))
      await engine.close()
      await store.close()
      const child = startCli(['watch', '--json', '--url', redis.url, '--interval', '0.001'])
      await once(child.stdout as NodeJS.ReadableStream, 'readable')
      const countScans = async (): Promise<string> => {
        const stats = String(await askServer(redis.port, 'INFO', 'commandstats'))
        return /cmdstat_scan:calls=(\d+)/.exec(stats)?.[1] ?? ''
      }
      // It asks many times a second while it can write.
      for (let before = ''; before !== (await countScans()); ) {
        before = await countScans()
        await new Promise(resolve => setTimeout(resolve, 500))
      }
      expect(await interrupt(child)).to.deep.equal([0, null])
    })

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
