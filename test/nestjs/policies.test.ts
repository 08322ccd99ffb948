// Each policy with real duplicates, wherever the interceptor is bound.

import type { IncomingHttpHeaders } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import {
  CurrentLock,
  Dspinlock,
  DspinlockInterceptor,
  DspinlockModule,
  type DspinlockOptionsFactory,
  getLockEngineToken,
  type LockEngine,
  type RequestLock,
  SkipDspinlock,
} from '@dspinlock/nestjs'
import { Controller, Delete, Get, Injectable, Next, Post, UseInterceptors } from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { expect } from 'chai'
import { type Answer, Gate, json, until } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

let runs = 0
let inside = 0
let overlapped = false

/** For work that lasts until a test has seen what it needs to see meanwhile. */
let gate = new Gate()

async function work(lasting: Promise<unknown> = turn()): Promise<{ run: number }> {
  const run = ++runs
  overlapped ||= ++inside > 1
  await lasting
  inside--
  return { run }
}

@Controller('global')
class GlobalController {
  @Get() get(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Post() post(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role, fence: lock?.fence, isHeld: lock?.signal?.aborted === false }
  }
  @Post('skipped') @SkipDspinlock() skipped(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Post('skip-over-lock') @SkipDspinlock() @Dspinlock() skipOverLock(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Post('lock-over-skip') @Dspinlock() @SkipDspinlock() lockOverSkip(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Post('serialise') serialise(): Promise<object> {
    return work()
  }
  @Get('replay') @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) replay(): Promise<object> {
    return work(gate.opened)
  }
  @Post('reject') @Dspinlock({ duplicates: 'reject', ttlMs: 60_000 }) reject(): Promise<object> {
    return work(gate.opened)
  }
  @Post('early') @Dspinlock({ duplicates: 'replay', ttlMs: 60_000, whileInFlight: 'reject' }) early(): Promise<object> {
    return work(gate.opened)
  }
  @Get('named') @Dspinlock('reports') named(): Promise<object> {
    return work()
  }
  @Get('renamed') @Dspinlock('reports', { duplicates: 'reject' }) renamed(): Promise<object> {
    return work()
  }
}

@Controller('controller')
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class DecoratedController {
  @Get() get(): Promise<object> {
    return work()
  }
  @Get('method') @Dspinlock({ duplicates: 'serialise' }) method(): Promise<object> {
    return work()
  }
  @Get('skipped') @SkipDspinlock() skipped(): Promise<object> {
    return work()
  }
}

@Controller('open')
@SkipDspinlock()
class OpenController {
  @Delete() remove(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Post() @Dspinlock() post(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Get() @Dspinlock() get(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
  @Get('bound') @UseInterceptors(DspinlockInterceptor) bound(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
}

@Controller('bound')
@UseInterceptors(DspinlockInterceptor)
class BoundController {
  @Get() get(@CurrentLock() lock?: RequestLock): object {
    return { role: lock?.role }
  }
}

/** Options as an instance of a class, whose methods and getters no spread copies. */
class Options {
  readonly duplicates = 'replay' as const
  readonly #header = 'x-user'
  get ttlMs(): number {
    return 60_000
  }
  identity({ headers }: { readonly headers: IncomingHttpHeaders }): string {
    return String(headers[this.#header])
  }
}

@Injectable()
class OptionsFactory implements DspinlockOptionsFactory {
  createDspinlockOptions(): Options {
    return new Options()
  }
}

@Controller('instances')
class InstancesController {
  @Post('module') module(): Promise<object> {
    return work()
  }
  @Post('route') @Dspinlock('plain', new Options()) route(): Promise<object> {
    return work()
  }
  @Post('factory') @Dspinlock('factory') factory(): Promise<object> {
    return work()
  }
}

@Controller('next')
class NextController {
  @Get() first(@Next() next: () => void): void {
    next()
  }
  @Get() @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) second(): Promise<object> {
    return work()
  }
}

for (const platform of platforms) {
  describe(`policies on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      server = await startNest(platform, {
        imports: [
          DspinlockModule.forRoot(),
          DspinlockModule.forRoot({ name: 'reports', duplicates: 'replay', ttlMs: 60_000 }),
        ],
        controllers: [
          GlobalController,
          DecoratedController,
          OpenController,
          BoundController,
          // Fastify takes one handler for a path.
          ...(platform.kind === 'express' ? [NextController] : []),
        ],
        providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
      })
    })
    beforeEach(() => {
      runs = 0
      overlapped = false
      gate = new Gate()
    })
    after(() => server.stop())

    const burst = (count: number, path: string, ask = {}): Promise<Answer[]> =>
      Promise.all(Array.from({ length: count }, () => server.ask(path, ask)))
    const count = (answers: readonly Answer[], status: number): number =>
      answers.filter(answer => answer.status === status).length
    const read = async (path: string, ask = {}): Promise<unknown> =>
      JSON.parse((await server.ask(path, ask)).body) as unknown

    it('options that are an instance of a class keep its methods and getters', async () => {
      const other = await startNest(platform, {
        imports: [
          DspinlockModule.forRoot(new Options()),
          DspinlockModule.forRoot({ name: 'plain' }),
          DspinlockModule.forRootAsync({ name: 'factory', useClass: OptionsFactory }),
        ],
        controllers: [InstancesController],
        providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
      })
      for (const path of ['module', 'route', 'factory']) {
        runs = 0
        const answers: string[] = []
        for (const user of ['ann', 'bob', 'ann']) {
          answers.push((await other.ask(`/instances/${path}`, { method: 'POST', headers: { 'x-user': user } })).body)
        }
        expect(answers, path).to.deep.equal(['{"run":1}', '{"run":2}', '{"run":1}'])
      }
      await other.stop()
    })

    if (platform.kind === 'express') {
      it('a handler that passes a request on, unguarded, leaves it to the guard of the next one', async () => {
        expect((await server.ask('/next')).body).to.equal('{"run":1}')
        expect((await server.ask('/next')).body).to.equal('{"run":1}')
      })
    }

    it('for all routes: a GET runs unguarded, a POST under a lock, and a skipped one unguarded', async () => {
      expect(await read('/global')).to.deep.equal({})
      const held = (await read('/global', json({}))) as { fence: number }
      expect(held).to.deep.include({ role: 'holder', isHeld: true })
      expect(held.fence).to.be.a('number')
      expect(await read('/global/skipped', json({}))).to.deep.equal({})
    })

    it('of two decorators on one method, the upper one counts', async () => {
      expect(await read('/global/skip-over-lock', json({}))).to.deep.equal({})
      expect(await read('/global/lock-over-skip', json({}))).to.deep.equal({ role: 'holder' })
    })

    it('serialise: 20 at once are 20 runs that never overlap', async () => {
      const answers = await burst(20, '/global/serialise', json({ a: 1 }))
      expect(new Set(answers.map(({ body }) => body)).size).to.equal(20)
      expect([runs, overlapped]).to.deep.equal([20, false])
    })

    it('replay: 50 at once are one run and 50 identical answers, and later ones get it, too', async () => {
      const asked = burst(50, '/global/replay')
      const engine = server.app.get<LockEngine>(getLockEngineToken())
      await until(() => engine.waiters === 49, 'all but one wait')
      gate.open()
      const answers = await asked
      expect([runs, count(answers, 200)]).to.deep.equal([1, 50])
      expect(new Set(answers.map(({ body }) => body)).size).to.equal(1)
      expect((await server.ask('/global/replay')).headers['cache-status']).to.equal('dspinlock; hit')
      expect(answers.filter(({ headers }) => headers['cache-status'] === 'dspinlock; collapsed').length).to.equal(49)
    })

    it('reject: one runs, the others get 409 with a problem, also after it finished', async () => {
      const asked = burst(10, '/global/reject', json({ pay: 1 }))
      gate.open()
      const answers = await asked
      expect([runs, count(answers, 201), count(answers, 409)]).to.deep.equal([1, 1, 9])
      const later = await server.ask('/global/reject', json({ pay: 1 }))
      expect(later.headers['content-type']).to.equal('application/problem+json')
      expect(JSON.parse(later.body)).to.include({ status: 409, code: 'settled' })
    })

    it("whileInFlight: 'reject': the early ones get 409, the late ones the record", async () => {
      const first = server.ask('/global/early', json({ pay: 1 }))
      await until(() => runs === 1, 'one runs')
      expect(count(await burst(4, '/global/early', json({ pay: 1 })), 409)).to.equal(4)
      gate.open()
      expect([(await first).status, runs]).to.deep.equal([201, 1])
      expect((await server.ask('/global/early', json({ pay: 1 }))).status).to.equal(201)
    })

    it('a named set gives its options to the routes that name it, and they may differ', async () => {
      const [first, second] = [await server.ask('/global/named'), await server.ask('/global/named')]
      expect([second.body, runs]).to.deep.equal([first.body, 1])
      // It has a policy of its own, without the module's ttlMs: otherwise the second request would be refused.
      expect([
        (await server.ask('/global/renamed')).status,
        (await server.ask('/global/renamed')).status,
      ]).to.deep.equal([200, 200])
    })

    it("a controller's decorator covers its methods, and theirs come first", async () => {
      await burst(2, '/controller')
      expect(runs).to.equal(1)
      await burst(2, '/controller/method')
      expect(runs).to.equal(3)
      await burst(2, '/controller/skipped')
      expect(runs).to.equal(5)
    })

    it('a skipped controller, and methods of it that are guarded nevertheless', async () => {
      expect(await read('/open', { method: 'DELETE' })).to.deep.equal({})
      expect(await read('/open', json({}))).to.deep.equal({ role: 'holder' })
      expect(await read('/open')).to.deep.equal({ role: 'holder' })
      // The interceptor by itself does not override the controller's decorator.
      expect(await read('/open/bound')).to.deep.equal({})
    })

    it('bound to a controller, the interceptor guards every method', async () => {
      expect(await read('/bound')).to.deep.equal({ role: 'holder' })
    })
  })
}
