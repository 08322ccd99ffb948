// The quick starts do what they say: each program is taken from the page, started, and sent duplicates.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { findFreePort } from 'dspinlock-local-redis'
import { json, send } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { type Compiled, compilePages } from './block-program.js'
import { type CodeBlock, readPage } from './pages.js'

const blocks = readPage('docs/quick-start.md').blocks.filter(({ language }) => language === 'ts')

/** The one program of the page that contains `text`. */
function programWith(...texts: readonly string[]): CodeBlock {
  const [found, ...others] = blocks.filter(({ code }) => texts.every(wanted => code.includes(wanted)))
  if (found === undefined || others.length > 0)
    throw new Error(`${1 + others.length} programs have ${texts.join(', ')}`)
  return found
}

describe('quick starts', function () {
  this.timeout(60_000)
  const running: ChildProcess[] = []
  let program: Compiled

  before(() => {
    program = compilePages()
  })

  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
  })

  /** Starts a program on a free port; resolves to the port once it says that it listens. */
  async function start(block: CodeBlock): Promise<number> {
    const port = await findFreePort()
    const child = spawn(process.execPath, [program.fileOf(block)], {
      env: { ...process.env, PORT: String(port), REDIS_URL: redisUrl() },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    running.push(child)
    for await (const line of createInterface(child.stdout)) {
      if (line.includes(`listening on http://localhost:${port}`)) return port
    }
    throw new Error('the program ended before it listened')
  }

  for (const [framework, from] of [
    ['Express', "from 'express'"],
    ['Koa', "from 'koa'"],
    ['Nest', "from '@nestjs/core'"],
  ] as const) {
    it(`${framework}: five ask for the report and it is made once; of two payments one is refused`, async () => {
      const port = await start(programWith(from, 'paid: '))
      const reports = await Promise.all(Array.from({ length: 5 }, () => send(port, '/report')))
      expect(reports.map(({ body }) => body)).to.deep.equal(Array.from({ length: 5 }, () => '{"report":1}'))
      expect((await send(port, '/report')).headers['cache-status']).to.equal('dspinlock; hit')
      const [paid, refused] = (await Promise.all([1, 2].map(() => send(port, '/pay', json({ amount: 5 }))))).sort(
        (a, b) => a.status - b.status,
      )
      expect([paid?.status, paid?.body]).to.deep.equal([201, '{"paid":5}'])
      expect([refused?.status, refused?.headers['content-type']]).to.deep.equal([409, 'application/problem+json'])
    })
  }

  it('any function: three calls, one run', async () => {
    const child = spawn(process.execPath, [program.fileOf(programWith('engine.run'))], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(await text(child.stdout)).to.equal('[ { run: 1 }, { run: 1 }, { run: 1 } ]\n')
  })

  it('more than one process: two of them on one Redis make one report', async () => {
    const block = programWith('redisStore(')
    const ports = await Promise.all([start(block), start(block)])
    const headers = { host: `shop-${process.pid}.example` }
    const reports = await Promise.all([0, 1, 0, 1, 0, 1].map(at => send(ports[at] ?? 0, '/report', { headers })))
    expect(reports.map(({ status }) => status)).to.deep.equal([200, 200, 200, 200, 200, 200])
    expect(new Set(reports.map(({ body }) => body)).size).to.equal(1)
  })
})
