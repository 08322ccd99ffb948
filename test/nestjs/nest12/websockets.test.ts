// Messages of a WebSocket pass through the interceptor and the guard untouched, and `@Exclusive` locks them where asked.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import {
  DspinlockGuard,
  DspinlockInterceptor,
  DspinlockModule,
  Exclusive,
  getLockEngineToken,
  type LockEngine,
} from '@dspinlock/nestjs'
import { type INestApplication, UseGuards, UseInterceptors } from '@nestjs/common'
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core'
import { WsAdapter } from '@nestjs/platform-ws'
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { expect } from 'chai'
import { WebSocket } from 'ws'
import { Gate, until } from '../../support/http.js'
import { createNest, nestMajor } from '../../support/nest.js'

let runs = 0
let gate = new Gate()

async function work(): Promise<{ event: string; data: number }> {
  const run = ++runs
  await gate.opened
  return { event: 'done', data: run }
}

@WebSocketGateway()
@UseInterceptors(DspinlockInterceptor)
@UseGuards(DspinlockGuard)
class Gateway {
  @SubscribeMessage('same') same(): Promise<object> {
    return work()
  }
  @SubscribeMessage('exclusive') @Exclusive('one') async exclusive(): Promise<object> {
    return work()
  }
}

describe(`WebSockets on Nest ${nestMajor}`, () => {
  let app: INestApplication
  let socket: WebSocket
  let engine: LockEngine
  let received: number[]

  before(async () => {
    app = await createNest('express', {
      imports: [DspinlockModule.forRoot({ methods: ['GET', 'POST'] })],
      providers: [
        Gateway,
        { provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor },
        { provide: APP_GUARD, useClass: DspinlockGuard },
      ],
    })
    app.useWebSocketAdapter(new WsAdapter(app))
    await app.listen(0, '127.0.0.1')
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address()
    socket = new WebSocket(`ws://127.0.0.1:${port}`)
    socket.on('message', (data: Buffer) => received.push((JSON.parse(data.toString()) as { data: number }).data))
    await once(socket, 'open')
    engine = app.get<LockEngine>(getLockEngineToken())
  })
  beforeEach(() => {
    runs = 0
    received = []
    gate = new Gate()
  })
  after(async () => {
    socket.terminate()
    await app.close()
  })

  const sendTwice = (event: string): void => {
    for (let n = 0; n < 2; n++) socket.send(JSON.stringify({ event, data: {} }))
  }

  it('equal messages run at the same time, and hold nothing', async () => {
    sendTwice('same')
    await until(() => runs === 2, 'both run')
    expect(engine.keys).to.equal(0)
    gate.open()
    await until(() => received.length === 2, 'both are answered')
    expect(received.sort((a, b) => a - b)).to.deep.equal([1, 2])
  })

  it('unless @Exclusive says otherwise', async () => {
    sendTwice('exclusive')
    await until(() => engine.waiters === 1, 'one waits')
    expect(runs).to.equal(1)
    gate.open()
    await until(() => received.length === 2, 'both are answered')
    expect(received).to.deep.equal([1, 2])
  })
})
