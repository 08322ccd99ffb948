// A client that leaves changes nothing for the others, and leaves nothing locked, whatever Nest does about it.

import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { Dspinlock, DspinlockModule, getLockEngineToken, type LockEngine } from '@dspinlock/nestjs'
import { Controller, Get, Param, Post, Req, Res, StreamableFile } from '@nestjs/common'
import { expect } from 'chai'
import { from, map } from 'rxjs'
import { Gate, until } from '../support/http.js'
import { type NestServer, nestMajor, platforms, startNest } from '../support/nest.js'

let runs = 0
let hasLeft = false
let gate = new Gate()

interface AnyRequest {
  readonly raw?: AnyRequest
  readonly socket: { once(event: 'close', listener: () => void): void }
}

@Controller()
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class LeavingController {
  @Get('promise/:id') async promise(@Req() req: AnyRequest): Promise<object> {
    this.begin(req)
    await gate.opened
    return { done: true }
  }
  @Get('observable/:id') observable(@Req() req: AnyRequest): unknown {
    this.begin(req)
    return from(gate.opened).pipe(map(() => ({ done: true })))
  }
  @Get('failing/:id') failing(@Req() req: AnyRequest): unknown {
    this.begin(req)
    return from(gate.opened).pipe(
      map(() => {
        if (runs === 1) throw new Error('of the first')
        return { done: true }
      }),
    )
  }
  @Get('hand/:id') hand(@Req() req: AnyRequest, @Res() res: { send(body: unknown): void }): void {
    this.begin(req)
    void gate.opened.then(() => res.send({ done: true }))
  }
  @Get('stream/:id') async stream(@Req() req: AnyRequest): Promise<unknown> {
    this.begin(req)
    await gate.opened
    return new StreamableFile(Readable.from([Buffer.from('done')]))
  }
  @Post('stream/:id') post(@Req() req: AnyRequest): Promise<unknown> {
    return this.stream(req)
  }
  @Get('generator/:id') async *generator(@Req() req: AnyRequest, @Param('id') id: string): AsyncGenerator<string> {
    this.begin(req)
    await gate.opened
    yield `done ${id}`
  }

  private begin(req: AnyRequest): void {
    runs++
    ;(req.raw ?? req).socket.once('close', () => {
      hasLeft = true
    })
  }
}

for (const platform of platforms) {
  describe(`clients that leave, on ${platform.name}`, () => {
    let server: NestServer
    let engine: LockEngine

    before(async () => {
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot({ settleTimeoutMs: 50 })],
        controllers: [LeavingController],
      })
      engine = server.app.get<LockEngine>(getLockEngineToken())
    })
    beforeEach(() => {
      runs = 0
      hasLeft = false
      gate = new Gate()
    })
    after(() => server.stop())

    const beginAndLeave = async (path: string, method = 'GET'): Promise<void> => {
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
      await until(() => runs === 1, 'it runs')
      socket.destroy()
      await until(() => hasLeft, 'the server noticed')
    }

    for (const kind of ['promise', 'observable', 'hand']) {
      it(`${kind}: the work goes on, and the duplicates get its answer`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        const answer = await duplicate
        expect([answer.status, answer.body, runs]).to.deep.equal([200, '{"done":true}', 1])
        expect(answer.headers['content-type']).to.match(/^application\/json/)
        expect(engine.keys).to.equal(0)
      })
    }

    it('an Observable that fails then leaves no record, and the duplicate runs', async () => {
      await beginAndLeave('/failing/1')
      const duplicate = server.ask('/failing/1', { headers: { host: 'h' } })
      await until(() => engine.waiters === 1, 'a duplicate waits')
      gate.open()
      expect([(await duplicate).body, runs]).to.deep.equal(['{"done":true}', 2])
    })

    const streams = nestMajor < 12 ? ['stream'] : ['stream', 'generator']
    for (const kind of streams) {
      it(`${kind}: Nest drops it when its work is done, and the duplicate runs for itself at once`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        expect([(await duplicate).body.slice(0, 4), runs]).to.deep.equal(['done', 2])
        expect(engine.keys).to.equal(0)
      })
    }

    it('a dropped stream of a POST: its duplicate is told that it is done, and nothing runs twice', async () => {
      await beginAndLeave('/stream/2', 'POST')
      const duplicate = server.ask('/stream/2', { method: 'POST', headers: { host: 'h' } })
      await until(() => engine.waiters === 1, 'a duplicate waits')
      gate.open()
      const answer = await duplicate
      expect([answer.status, runs]).to.deep.equal([409, 1])
      expect(JSON.parse(answer.body)).to.include({ code: 'not-kept' })
    })

    it('a follower leaves: it leaves the queue, and nothing else', async () => {
      const holder = server.ask('/promise/2', { headers: { host: 'h' } })
      await until(() => runs === 1, 'one runs')
      const socket = connect(server.port, '127.0.0.1')
      socket.write('GET /promise/2 HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => engine.waiters === 1, 'a duplicate waits')
      socket.destroy()
      await until(() => engine.waiters === 0, 'it left')
      gate.open()
      expect((await holder).body).to.equal('{"done":true}')
      expect(runs).to.equal(1)
    })
  })
}
