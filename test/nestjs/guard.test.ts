// DspinlockGuard refuses duplicates before anything else of the route runs.

import {
  CurrentLock,
  Dspinlock,
  DspinlockGuard,
  DspinlockInterceptor,
  DspinlockModule,
  getLockEngineToken,
  type LockEngine,
  type RequestLock,
} from '@dspinlock/nestjs'
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  type PipeTransform,
  Post,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_GUARD } from '@nestjs/core'
import { expect } from 'chai'
import { Gate, json, until } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

let runs = 0
let piped = 0
let gate = new Gate()

const countingPipe: PipeTransform = {
  transform(value: unknown) {
    piped++
    return value
  },
}

const fences: unknown[] = []

const guardAfterOurs: CanActivate = {
  canActivate(context: ExecutionContext): boolean {
    fences.push(context.switchToHttp().getRequest<{ dspinlock?: RequestLock }>().dspinlock?.fence)
    return true
  },
}

@Controller()
class GuardedController {
  @Post('plain') @UseGuards(DspinlockGuard) async plain(@Body(countingPipe) _body: unknown): Promise<object> {
    runs++
    await gate.opened
    return { run: runs }
  }
  @Post('with-options')
  @UseGuards(DspinlockGuard)
  @Dspinlock({ duplicates: 'reject', ttlMs: 60_000 })
  withOptions(@Body(countingPipe) _body: unknown): object {
    runs++
    return { run: runs }
  }
  @Post('watched')
  @UseGuards(DspinlockGuard, guardAfterOurs)
  @Dspinlock({ duplicates: 'reject' })
  watched(@CurrentLock() lock: RequestLock): void {
    fences.push(lock.fence)
  }
}

@Controller()
class AllController {
  @Post('post') post(@Body(countingPipe) _body: unknown): Promise<void> {
    runs++
    return gate.opened
  }
  @Get('get') get(): Promise<void> {
    runs++
    return gate.opened
  }
  @Get('bound') @UseInterceptors(DspinlockInterceptor) bound(): Promise<void> {
    runs++
    return gate.opened
  }
  @Post('decorated') @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) decorated(): object {
    return { run: ++runs }
  }
}

for (const platform of platforms) {
  describe(`the guard on ${platform.name}`, () => {
    let server: NestServer
    let all: NestServer

    before(async () => {
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot({ duplicates: 'replay', ttlMs: 60_000 })],
        controllers: [GuardedController],
      })
      all = await startNest(platform, {
        imports: [DspinlockModule.forRoot()],
        controllers: [AllController],
        providers: [{ provide: APP_GUARD, useClass: DspinlockGuard }],
      })
    })
    beforeEach(() => {
      runs = 0
      piped = 0
      gate = new Gate()
    })
    after(async () => {
      await server.stop()
      await all.stop()
    })

    it('refuses while one is in flight, before pipes, and lets the next one run after it', async () => {
      const first = server.ask('/plain', json({ a: 1 }))
      await until(() => runs === 1, 'one runs')
      const second = await server.ask('/plain', json({ a: 1 }))
      expect([second.status, second.headers['content-type']]).to.deep.equal([409, 'application/problem+json'])
      expect(JSON.parse(second.body)).to.include({ code: 'in-flight' })
      expect([runs, piped]).to.deep.equal([1, 1])
      gate.open()
      expect((await first).status).to.equal(201)
      expect((await server.ask('/plain', json({ a: 1 }))).body).to.equal('{"run":2}')
    })

    it('takes the options of the decorator, whose interceptor leaves the request to it', async () => {
      const [first, second] = [
        await server.ask('/with-options', json({ a: 2 })),
        await server.ask('/with-options', json({ a: 2 })),
      ]
      expect([first.status, second.status, runs, piped]).to.deep.equal([201, 409, 1, 1])
      expect(JSON.parse(second.body)).to.include({ code: 'settled' })
    })

    it('has the same hold from then on, also where an interceptor watches the work', async () => {
      await server.ask('/watched', json({}))
      const [first, second] = fences.splice(0)
      expect([typeof first, second]).to.deep.equal(['number', first])
    })

    it('for all routes it leaves those with a decorator to the interceptor', async () => {
      for (let n = 0; n < 2; n++) expect((await all.ask('/decorated', json({}))).body).to.equal('{"run":1}')
    })

    it('for all routes it leaves those to an interceptor that have one bound', async () => {
      const asked = [all.ask('/bound'), all.ask('/bound')]
      await until(() => all.app.get<LockEngine>(getLockEngineToken()).waiters === 1, 'one waits')
      expect(runs).to.equal(1)
      gate.open()
      expect((await Promise.all(asked)).map(({ status }) => status)).to.deep.equal([200, 200])
    })

    it('for all routes it guards what changes something', async () => {
      const asked = [all.ask('/post', json({})), all.ask('/get'), all.ask('/get')]
      await until(() => runs === 3, 'three run')
      expect((await all.ask('/post', json({}))).status).to.equal(409)
      gate.open()
      expect((await Promise.all(asked)).map(({ status }) => status)).to.deep.equal([201, 200, 200])
    })
  })
}
