// Duplicates that reach three processes at once meet on Redis, under each policy.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { type Answer, type Ask, json, send } from '../support/http.js'

interface Run {
  readonly from: string
  readonly to: string
  readonly by: number
}

describe('three processes on Redis', () => {
  let workers: ChildProcess[] = []
  let ports: number[] = []

  before(async () => {
    workers = Array.from({ length: 3 }, () => fork(new URL('./worker.js', import.meta.url)))
    ports = await Promise.all(workers.map(async worker => Number((await once(worker, 'message'))[0])))
  })
  after(async () => {
    for (const worker of workers) {
      worker.disconnect()
      await once(worker, 'exit')
    }
  })

  const burst = (count: number, path: string, ask: Ask): Promise<Answer[]> => {
    const withHost = { ...ask, headers: { ...ask.headers, host: 'site' } }
    return Promise.all(Array.from({ length: count }, (_, n) => send(ports[n % 3] ?? 0, path, withHost)))
  }

  for (const [what, ask] of [
    ['GET', {}],
    ['POST', json({ amount: 1 })],
  ] as const) {
    it(`replay: 200 times the same ${what} are one run and 200 identical answers`, async () => {
      const answers = await burst(200, '/replay', ask)
      expect(new Set(answers.map(answer => `${answer.status} ${answer.body}`)).size).to.equal(1)
      expect(answers[0]?.status).to.equal(200)
    })

    it(`reject: of 200 times the same ${what} one runs and 199 are refused`, async () => {
      const statuses = (await burst(200, '/reject', ask)).map(answer => answer.status)
      expect(statuses.filter(status => status === 200)).to.have.length(1)
      expect(statuses.filter(status => status === 409)).to.have.length(199)
    })

    it(`serialise: 20 times the same ${what} are 20 runs that never overlap, in more than one process`, async () => {
      const runs = (await burst(20, '/serialise', ask)).map(answer => JSON.parse(answer.body) as Run)
      runs.sort((a, b) => (BigInt(a.from) < BigInt(b.from) ? -1 : 1))
      for (const [at, run] of runs.entries()) {
        const next = runs[at + 1]
        if (next !== undefined)
          expect(BigInt(next.from) >= BigInt(run.to), 'the next begins after the end').to.equal(true)
      }
      expect(new Set(runs.map(run => run.by)).size).to.equal(3)
    })
  }
})
