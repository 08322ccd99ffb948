// A process that is killed while it holds a key blocks it for a lease, and no longer.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { send, serve } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

describe('a killed holder', () => {
  it('a duplicate that waits in another process runs after the lease', async () => {
    const child = fork(new URL('./holder.js', import.meta.url))
    const [port] = (await once(child, 'message')) as [number]
    const store = redisStore(redisUrl())
    const guard = dspinlock({ store, leaseMs: 500 })
    const app = express()
    app.get('/work', guard, (req, res) => void res.json({ fence: req.dspinlock?.fence }))
    const server = await serve(app)
    const headers = { host: 'site' }
    const lost = send(port, '/work', { headers }).catch((error: Error) => error)
    await once(child, 'message')
    const waiting = server.ask('/work', { headers })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await lost).to.be.instanceOf(Error)
    const answer = await waiting
    expect(answer.status).to.equal(200)
    expect((JSON.parse(answer.body) as { fence: number }).fence).to.be.above(0)
    await server.stop()
    await guard.close()
    await store.close()
  })
})
