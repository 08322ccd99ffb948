// Requests that come together take each step together: all are claimed before the first of them is worked on.

import { execFile } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { guard } from '@dspinlock/http'
import { expect } from 'chai'
import { serve, type TestServer } from '../support/http.js'

const run = promisify(execFile)

/** What is written at once is read at once. Returns when both are answered and the connection has ended. */
async function askTogether(server: TestServer, first: string, last: string): Promise<void> {
  const left = server.left()
  const socket = await server.dial(`${first}\r\n${last}Connection: close\r\n\r\n`)
  socket.resume()
  await left
}

describe('requests that come together', () => {
  it('go on where a test has taken the timers of the process away', async () => {
    const guarded = guard((_req: IncomingMessage, res: ServerResponse) => res.end('done'), { methods: ['GET'] })
    const server = await serve(guarded)
    const { setImmediate } = globalThis
    try {
      globalThis.setImmediate = (() => {}) as unknown as typeof setImmediate
      expect((await server.ask('/')).body).to.equal('done')
    } finally {
      globalThis.setImmediate = setImmediate
      await server.stop()
      await guarded.close()
    }
  })

  it('go on where a test had taken them away before dspinlock was loaded', async () => {
    const program = `
      globalThis.setImmediate = () => {}
      const { guard } = await import('@dspinlock/http')
      const guarded = guard((_req, res) => res.end('done'), { methods: ['GET'] })
      const server = (await import('node:http')).createServer(guarded).listen(0, async () => {
        const answer = await fetch('http://localhost:' + server.address().port)
        console.log(await answer.text())
        process.exit()
      })`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { timeout: 10_000 })
    expect(stdout).to.equal('done\n')
  })

  it('are all claimed before the first of them is worked on, with a store in memory', async () => {
    const steps: string[] = []
    const guarded = guard(
      (req: IncomingMessage, res: ServerResponse) => {
        steps.push(`run ${req.url}`)
        res.end()
      },
      { methods: ['GET'] },
    )
    const server = await serve((req: IncomingMessage, res: ServerResponse) => {
      steps.push(`come ${req.url}`)
      guarded(req, res)
    })
    try {
      await askTogether(server, 'GET /1 HTTP/1.1\r\nHost: h\r\n', 'GET /2 HTTP/1.1\r\nHost: h\r\n')
      expect(steps).to.deep.equal(['come /1', 'come /2', 'run /1', 'run /2'])
    } finally {
      await server.stop()
      await guarded.close()
    }
  })

  it('a request whose lease runs out before it begins, in a stall, asks anew and does not run beside the next one', async () => {
    const steps: string[] = []
    const guarded = guard(
      (req: IncomingMessage, res: ServerResponse) => {
        const name = String(req.headers['x-name'])
        steps.push(`begin ${name}`)
        setImmediate(() => {
          steps.push(`end ${name}`)
          res.end()
        })
      },
      {
        methods: ['GET'],
        leaseMs: 200,
        identity: req => {
          const until = performance.now() + (req.headers['x-name'] === 'two' ? 300 : 0)
          while (performance.now() < until);
          return 'ann'
        },
      },
    )
    const server = await serve(guarded)
    try {
      const headOf = (name: string): string => `GET / HTTP/1.1\r\nHost: h\r\nX-Name: ${name}\r\n`
      await askTogether(server, headOf('one'), headOf('two'))
      expect(steps).to.deep.equal(['begin two', 'end two', 'begin one', 'end one'])
    } finally {
      await server.stop()
      await guarded.close()
    }
  })
})
