// Shutting down: holders finish and their clients get the answers, newcomers and waiters get 503, and the process ends.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { openTopic } from '../support/fidelity-table.js'
import { send } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

const script = fileURLToPath(new URL('./drain-server.js', import.meta.url))

describe('a process that drains', () => {
  const topic = openTopic('Draining', 'draining.test.ts')

  for (const kind of ['memory', 'Redis']) {
    it(`on ${kind}: the holder finishes, waiters and newcomers get 503, nothing is left, and it exits`, async () => {
      const server = fork(script, kind === 'Redis' ? [redisUrl()] : [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
      let complaints = ''
      server.stderr?.on('data', (chunk: Buffer) => {
        complaints += chunk.toString()
      })
      const exited = once(server, 'exit')
      try {
        const said = async (): Promise<unknown> => ((await once(server, 'message')) as [unknown])[0]
        const port = (await said()) as number
        const ask = () => send(port, '/', { method: 'POST', headers: { host: 'h' } })
        const running = said()
        const holder = ask()
        expect(await running).to.equal('running')
        const waiter = ask()
        const draining = said()
        server.kill('SIGTERM')
        expect(await draining).to.equal('draining')
        const newcomer = await ask()
        for (const refused of [newcomer, await waiter]) {
          expect([refused.status, refused.headers['retry-after']]).to.deep.equal([503, '1'])
          expect(JSON.parse(refused.body)).to.include({ code: 'closing' })
        }
        const drained = said()
        server.send('end')
        expect([(await holder).status, (await holder).body]).to.deep.equal([200, 'done'])
        expect(await drained).to.equal('drained')
        expect(await exited).to.deep.equal([0, null])
        expect(complaints).to.equal('')
      } finally {
        server.kill('SIGKILL')
      }
      if (kind !== 'Redis') return
      const store = redisStore(redisUrl())
      await store.inspect('any')
      for await (const { state } of store.list()) expect(state).to.not.equal('held')
      await store.close()
    })
  }

  it('is in docs/http.md', () => {
    topic.row('SIGTERM, and `close()` of the middleware', 'the holder’s gets its answer', 'gets 503 with Retry-After')
  })
})
