// The examples do what their READMEs say, started by the command given there, on either store.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { type Ask, json, send, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

const top = new URL('../../../', import.meta.url)

interface RunningExample {
  readonly port: number
  /** Everything that it wrote. */
  readonly log: () => string
  stop(): Promise<void>
}

async function start(name: string, env: Record<string, string>): Promise<RunningExample> {
  const readme = readFileSync(new URL(`examples/${name}/README.md`, top), 'utf8')
  const command = /^npm start [^#\n]+/m.exec(readme)?.[0].trim()
  if (command === undefined) throw new Error(`the README of ${name} does not say how to start it`)
  const { REDIS_URL: _, ...outer } = process.env
  // In a process group of its own, so that npm and what it started end together.
  const child: ChildProcess = spawn(command, {
    cwd: top,
    shell: true,
    detached: true,
    env: { ...outer, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit') as Promise<unknown[]>
  const output = child.stdout
  if (output === null) throw new Error('no output')
  let log = ''
  output.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  for await (const line of createInterface(output)) {
    const port = /listening on http:\/\/localhost:(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    output.resume()
    return {
      port: Number(port),
      log: () => log,
      stop: async () => {
        process.kill(-Number(child.pid), 'SIGTERM')
        await exited
      },
    }
  }
  throw new Error(`${name} ended before it listened`)
}

for (const [storeName, envOf] of [
  ['memory', () => ({})],
  ['Redis', () => ({ REDIS_URL: redisUrl() })],
] as const) {
  describe(`examples on ${storeName}`, () => {
    let running: RunningExample | undefined
    const ask = (path: string, what?: Ask): ReturnType<typeof send> => send(running?.port ?? 0, path, what)

    afterEach(async () => {
      await running?.stop()
      running = undefined
    })

    it('koa-reports: one report is made for all, a stream is replayed, sales run one after another', async () => {
      running = await start('koa-reports', envOf())
      const month = `m${process.pid}-${storeName}`
      const sale = json({ month, amount: 5 })
      const sales = await Promise.all([ask('/sales', sale), ask('/sales', sale)])
      expect(sales.map(({ status }) => status)).to.deep.equal([201, 201])
      const made = await Promise.all(Array.from({ length: 5 }, () => ask(`/reports/${month}`)))
      expect(new Set(made.map(({ body }) => body))).to.deep.equal(
        new Set([JSON.stringify({ report: 1, month, total: 10 })]),
      )
      const [first, second] = [await ask(`/reports/${month}.csv`), await ask(`/reports/${month}.csv`)]
      expect([first.body, second.body]).to.deep.equal(['1,5\n2,5\n', '1,5\n2,5\n'])
      expect(second.headers['cache-status']).to.equal('dspinlock; hit')
      const zipped = await ask(`/reports/${month}.csv`, { headers: { 'accept-encoding': 'gzip' } })
      expect([zipped.headers['content-encoding'], zipped.headers['cache-status']]).to.deep.equal([
        'gzip',
        'dspinlock; hit',
      ])
      expect((await ask('/sales', json({}))).status).to.equal(400)
    })

    it('express-payments: a payment clicked twice is one, and nobody sees the account of another', async () => {
      running = await start('express-payments', envOf())
      const user = `alice-${process.pid}-${storeName}`
      const payment = json({ to: 'bob', amount: 5 }, { authorization: user, 'idempotency-key': '"click"' })
      const clicks = await Promise.all([ask('/payments', payment), ask('/payments', payment)])
      expect(clicks.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([201, 409])
      const retry = await ask('/payments', payment)
      expect([retry.status, retry.headers['idempotent-replayed']]).to.deep.equal([201, 'true'])
      expect((await ask('/payments', json({ to: 'bob', amount: 5 }, { authorization: user }))).status).to.equal(400)
      const accounts = [user, `carol-${user}`].map(name => ask('/account', { headers: { authorization: name } }))
      const bodies = (await Promise.all(accounts)).map(({ body }) => JSON.parse(body) as { balance: number })
      expect(bodies.map(({ balance }) => balance)).to.deep.equal([-5, 0])
    })

    it('express-payments: what became of the payments is in its metrics and, in detail, in its log', async () => {
      running = await start('express-payments', { ...envOf(), LOG_LEVEL: 'debug' })
      const user = `dora-${process.pid}-${storeName}`
      const payment = json({ to: 'bob', amount: 5 }, { authorization: user, 'idempotency-key': '"click"' })
      await ask('/payments', payment)
      await ask('/payments', payment)
      const { body } = await ask('/metrics')
      for (const outcome of ['run', 'replayed']) {
        const labels = `outcome="${outcome}",code="",method="POST",route="/payments"`
        expect(body).to.include(`dspinlock_requests_total{${labels}} 1\n`)
      }
      const entries = (): Record<string, unknown>[] =>
        (running?.log() ?? '')
          .split('\n')
          .slice(0, -1)
          .filter(line => line.startsWith('{'))
          .map(line => JSON.parse(line) as Record<string, unknown>)
      const has = (event: string, fields: object): boolean =>
        entries().some(entry => entry['event'] === event && Object.entries(fields).every(([k, v]) => entry[k] === v))
      await until(() => has('dspinlock:enter', { role: 'follower' }), 'the replay is in the log')
      expect(has('dspinlock:enter', { role: 'holder', level: 20, module: 'dspinlock' })).to.equal(true)
      expect(has('dspinlock:end', { how: 'settled' })).to.equal(true)
      expect(running.log()).to.not.include(user)
      expect(body).to.not.include(user)
    })
  })
}
