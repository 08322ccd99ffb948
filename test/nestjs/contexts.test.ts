// Contexts other than HTTP pass through untouched, and so do event streams.

import {
  CurrentLock,
  Dspinlock,
  DspinlockGuard,
  DspinlockInterceptor,
  DspinlockModule,
  Exclusive,
  getLockEngineToken,
  type LockEngine,
  type RequestLock,
} from '@dspinlock/nestjs'
import { Controller, type INestApplication, Injectable, Sse } from '@nestjs/common'
import { APP_GUARD, APP_INTERCEPTOR, ExternalContextCreator } from '@nestjs/core'
import { type ClientProxy, ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices'
import { expect } from 'chai'
import { lastValueFrom, of } from 'rxjs'
import { Gate, until } from '../support/http.js'
import { createNest, type NestServer, nestMajor, platforms, startNest } from '../support/nest.js'

let runs = 0
let gate = new Gate()

@Controller()
class MessagesController {
  @MessagePattern('same') async same(): Promise<number> {
    const run = ++runs
    await gate.opened
    return run
  }
  @MessagePattern('lock') isLocked(@CurrentLock() lock?: RequestLock): boolean {
    return lock !== undefined
  }
  @MessagePattern('exclusive') @Exclusive('one') async exclusive(): Promise<number> {
    const run = ++runs
    await gate.opened
    return run
  }
}

@Injectable()
class Resolver {
  resolve(): number {
    return ++runs
  }
}

@Controller()
@Dspinlock({ duplicates: 'reject', ttlMs: 60_000 })
class EventsController {
  @Sse('events') events(@CurrentLock() lock?: RequestLock): unknown {
    runs++
    return of({ data: { isLocked: lock !== undefined } })
  }
}

const everywhere = [
  { provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor },
  { provide: APP_GUARD, useClass: DspinlockGuard },
]

describe(`contexts on Nest ${nestMajor}`, () => {
  let app: INestApplication
  let client: ClientProxy
  let engine: LockEngine

  before(async () => {
    app = await createNest('express', {
      imports: [DspinlockModule.forRoot()],
      controllers: [MessagesController],
      providers: [Resolver, ...everywhere],
    })
    const service = app.connectMicroservice(
      { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
      { inheritAppConfig: true },
    )
    await app.startAllMicroservices()
    await app.init()
    const { port } = service.unwrap<{ address(): { port: number } }>().address()
    client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } })
    await client.connect()
    engine = app.get<LockEngine>(getLockEngineToken())
  })
  beforeEach(() => {
    runs = 0
    gate = new Gate()
  })
  after(async () => {
    await client.close()
    await app.close()
  })

  const send = (pattern: string): Promise<number> => lastValueFrom(client.send<number>(pattern, {}))

  it('messages run at the same time, and hold nothing', async () => {
    const sent = [send('same'), send('same')]
    await until(() => runs === 2, 'both run')
    expect(engine.keys).to.equal(0)
    gate.open()
    expect((await Promise.all(sent)).sort((a, b) => a - b)).to.deep.equal([1, 2])
  })

  it('unless @Exclusive says otherwise', async () => {
    const sent = [send('exclusive'), send('exclusive')]
    await until(() => engine.waiters === 1, 'one waits')
    expect(runs).to.equal(1)
    gate.open()
    expect((await Promise.all(sent)).sort((a, b) => a - b)).to.deep.equal([1, 2])
  })

  it('there is no current lock in them, whatever the message', async () => {
    for (const message of ['text', { dspinlock: 'of the sender' }]) {
      expect(await lastValueFrom(client.send<boolean>('lock', message))).to.equal(false)
    }
  })

  it('what runs in a context of another library, with all enhancers, is left alone', async () => {
    const resolver = app.get(Resolver)
    const call = app
      .get(ExternalContextCreator)
      // oxlint-disable-next-line typescript/unbound-method -- Nest binds it
      .create(resolver, resolver.resolve, 'resolve', undefined, undefined, undefined, undefined, undefined, 'graphql')
    expect(await Promise.all([call(), call()])).to.deep.equal([1, 2])
    expect(engine.keys).to.equal(0)
  })

  it('also of one that does not say what it is, which Nest takes for HTTP', async () => {
    const resolver = app.get(Resolver)
    // oxlint-disable-next-line typescript/unbound-method -- Nest binds it
    const call = app.get(ExternalContextCreator).create(resolver, resolver.resolve, 'resolve')
    const calls = [call(), call('payload'), call({ payload: 1 }, { job: 1 }), call(null, null)]
    expect(await Promise.all(calls)).to.deep.equal([1, 2, 3, 4])
    expect(engine.keys).to.equal(0)
  })
})

for (const platform of platforms) {
  describe(`event streams on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      runs = 0
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot()],
        controllers: [EventsController],
        providers: everywhere,
      })
    })
    after(async () => {
      await server.stop()
    })

    it('are not locked, under whatever policy', async () => {
      for (let n = 0; n < 2; n++) {
        const { headers, body } = await server.ask('/events', { headers: { accept: 'text/event-stream' } })
        expect(headers['content-type']).to.contain('text/event-stream')
        expect(body).to.contain('data: {"isLocked":false}')
      }
      expect(runs).to.equal(2)
    })
  })
}
