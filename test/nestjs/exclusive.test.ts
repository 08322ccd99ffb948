// @Exclusive on methods of any provider: one call at a time for each key, or one result for all.

import { tracing } from '@dspinlock/core'
import {
  DspinlockModule,
  DuplicateError,
  Exclusive,
  getLockEngineToken,
  type LockEngine,
  type Store,
} from '@dspinlock/nestjs'
import { redisStore } from '@dspinlock/redis'
import { Controller, Get, type INestApplication, Inject, Injectable, Param, Scope, SetMetadata } from '@nestjs/common'
import { expect } from 'chai'
import { Gate, until } from '../support/http.js'
import { createNest, nestMajor, platforms, startNest } from '../support/nest.js'
import { redisUrl } from '../support/redis.js'

let runs = 0
let inside = 0
let overlapped = false
let gate = new Gate()

@Injectable()
class Ledger {
  private readonly label = 'ledger'

  @Exclusive((account: string) => account)
  async serialised(account: string): Promise<string> {
    overlapped ||= ++inside > 1
    runs++
    await new Promise(resolve => setImmediate(resolve))
    inside--
    return `${this.label} ${account} ${runs}`
  }
  @Exclusive('all', { duplicates: 'replay' })
  async shared(): Promise<{ run: number }> {
    runs++
    await gate.opened
    return { run: runs }
  }
  @Exclusive((account: string) => account, { duplicates: 'reject', label: 'refused' })
  async refused(_account: string): Promise<void> {
    runs++
    await gate.opened
  }
  @Exclusive(function (this: Ledger, n: number) {
    return `${this.label} ${n}`
  })
  async throwing(n: number): Promise<never> {
    runs++
    throw new RangeError(`of the work ${n}`)
  }
  @Exclusive(((account: number) => account) as unknown as (account: number) => string)
  async wrong(_account: number): Promise<void> {}

  @Exclusive('all', { name: 'other' })
  @SetMetadata('below', 1)
  async named(_first?: unknown, _second?: unknown): Promise<number> {
    return ++runs
  }
}

/** A subclass with a property of its own. */
@Injectable()
class SpecialLedger extends Ledger {
  @Inject(Ledger) readonly plain!: Ledger
}

/** A class that several classes inherit, each of which fills in a part. */
abstract class Repository {
  abstract load(id: string): string
  @Exclusive((id: string) => id, { duplicates: 'replay', ttlMs: 60_000 })
  async find(id: string): Promise<string> {
    return this.load(id)
  }
  @Exclusive((id: string) => id)
  async save(_id: string): Promise<void> {
    overlapped ||= ++inside > 1
    await new Promise(resolve => setImmediate(resolve))
    inside--
  }
}

@Injectable()
class Users extends Repository {
  load(id: string): string {
    return `user ${id}, run ${++runs}`
  }
}

@Injectable()
class Orders extends Repository {
  load(id: string): string {
    return `order ${id}, run ${++runs}`
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  @Exclusive('one') async run(): Promise<number> {
    overlapped ||= ++inside > 1
    await new Promise(resolve => setImmediate(resolve))
    inside--
    return ++runs
  }
}

@Controller()
class LedgerController {
  constructor(@Inject(PerRequest) private readonly perRequest: PerRequest) {}

  @Get('per-request') perRequestly(): Promise<number> {
    return this.perRequest.run()
  }
  @Get('handler/:id') @Exclusive((id: string) => id, { duplicates: 'replay' }) async handler(
    @Param('id') id: string,
  ): Promise<object> {
    runs++
    await gate.opened
    return { id, run: runs }
  }
}

describe(`@Exclusive on Nest ${nestMajor}`, () => {
  let app: INestApplication
  let other: INestApplication
  let ledger: Ledger
  let engine: LockEngine
  const prefix = `nest-exclusive-${process.pid}-${Math.random()}`
  const makeStore = (): Store => redisStore(redisUrl(), { prefix })

  const start = async (): Promise<INestApplication> => {
    const created = await createNest('express', {
      imports: [DspinlockModule.forRoot({ store: makeStore() }), DspinlockModule.forRoot({ name: 'other' })],
      providers: [Ledger, SpecialLedger, Users, Orders],
    })
    return created.init()
  }
  before(async () => {
    app = await start()
    other = await start()
    ledger = app.get(Ledger)
    engine = app.get<LockEngine>(getLockEngineToken())
  })
  beforeEach(() => {
    runs = 0
    inside = 0
    overlapped = false
    gate = new Gate()
  })
  after(async () => {
    await app.close()
    await other.close()
  })

  it('serialises by key, also between two applications', async () => {
    const elsewhere = other.get(Ledger)
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? ledger : elsewhere).serialised('a')),
    )
    expect(new Set(results).size).to.equal(20)
    expect([runs, overlapped]).to.deep.equal([20, false])
  })

  it('shares one result with all that came meanwhile, each with a copy of its own', async () => {
    const calls = [ledger.shared(), ledger.shared(), other.get(Ledger).shared()]
    const elsewhere = other.get<LockEngine>(getLockEngineToken())
    await until(() => runs === 1 && engine.waiters + elsewhere.waiters === 2, 'one runs, and two wait')
    gate.open()
    const results = await Promise.all(calls)
    expect(results).to.deep.equal([{ run: 1 }, { run: 1 }, { run: 1 }])
    expect(results[0]).not.to.equal(results[1])
  })

  it('refuses, by an error of ours', async () => {
    const first = ledger.refused('a')
    await until(() => runs === 1, 'one runs')
    const error: unknown = await ledger.refused('a').catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(DuplicateError)
    gate.open()
    await first
  })

  it('gives its label to traces', async () => {
    const labels: unknown[] = []
    const note = (message: unknown): void => void labels.push((message as { readonly label?: string }).label)
    tracing.enter.start.subscribe(note)
    gate.open()
    await ledger.refused('b')
    tracing.enter.start.unsubscribe(note)
    expect(labels).to.deep.equal(['refused'])
  })

  it("the work's own error is what the caller sees", async () => {
    const error: unknown = await ledger.throwing(7).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(RangeError)
    expect((error as Error).message).to.equal('of the work 7')
  })

  it('a key that is no string is an error that says where', async () => {
    const error: unknown = await ledger.wrong(1).catch((reason: unknown) => reason)
    expect((error as Error).message).to.match(/key function of @Exclusive\(\) on Ledger\.wrong must return a string/)
  })

  it('uses the engine that it names, and keeps name, length and metadata of the method', async () => {
    expect(await ledger.named()).to.equal(1)
    expect([Ledger.prototype.named.name, Ledger.prototype.named.length]).to.deep.equal(['named', 2])
    const method = Object.getOwnPropertyDescriptor(Ledger.prototype, 'named')?.value as object
    expect(Reflect.getMetadata('below', method)).to.equal(1)
  })

  it('is inherited', async () => {
    expect(await app.get(SpecialLedger).serialised('b')).to.equal('ledger b 1')
  })

  it('inherited by several classes, one does not get the results of another', async () => {
    const found = [await app.get(Users).find('1'), await app.get(Orders).find('1'), await other.get(Users).find('1')]
    expect(found).to.deep.equal(['user 1, run 1', 'order 1, run 2', 'user 1, run 1'])
  })

  it('inherited by several classes, they take turns', async () => {
    await Promise.all([app.get(Users).save('1'), app.get(Orders).save('1')])
    expect(overlapped).to.equal(false)
  })

  it('on an object that Nest did not make, or has not yet: an error that says so', async () => {
    const error: unknown = await new Ledger().serialised('a').catch((reason: unknown) => reason)
    expect((error as Error).message).to.match(/Ledger\.serialised was called before Nest gave its object a lock engine/)
  })

  for (const platform of platforms) {
    it(`request-scoped providers, and handlers, on ${platform.name}`, async () => {
      const server = await startNest(platform, {
        imports: [DspinlockModule.forRoot()],
        controllers: [LedgerController],
        providers: [PerRequest],
      })
      try {
        const asked = await Promise.all(Array.from({ length: 5 }, () => server.ask('/per-request')))
        expect(asked.map(({ body }) => body).sort()).to.deep.equal(['1', '2', '3', '4', '5'])
        expect(overlapped).to.equal(false)
        const handled = [server.ask('/handler/x'), server.ask('/handler/x')]
        await until(() => server.app.get<LockEngine>(getLockEngineToken()).waiters === 1, 'one waits')
        gate.open()
        for (const { body } of await Promise.all(handled)) expect(body).to.equal('{"id":"x","run":6}')
      } finally {
        await server.stop()
      }
    })
  }
})
