// A GraphQL request whose resolvers run at the same time, under an interceptor for all of them.

import {
  CurrentLock,
  DspinlockInterceptor,
  DspinlockModule,
  Exclusive,
  getLockEngineToken,
  type LockEngine,
  type RequestLock,
} from '@dspinlock/nestjs'
import { Module } from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import {
  AbstractGraphQLDriver,
  Field,
  type GqlModuleOptions,
  GraphQLModule,
  Int,
  ObjectType,
  Query,
  ResolveField,
  Resolver,
} from '@nestjs/graphql'
import { expect } from 'chai'
import type { Request, Response } from 'express'
import { graphql } from 'graphql'
import { Gate, json, until } from '../../support/http.js'
import { type NestServer, platforms, startNest } from '../../support/nest.js'

let runs = 0
let gate = new Gate()

/** Executes the query that is posted, as a server library would. */
class PlainDriver extends AbstractGraphQLDriver {
  async start(options: GqlModuleOptions): Promise<void> {
    const { schema } = options
    if (schema === undefined) throw new Error('there is no schema')
    const { httpAdapter } = this.httpAdapterHost
    httpAdapter.post('/graphql', (request: Request, response: Response) => {
      const { query } = request.body as { query: string }
      void graphql({ schema, source: query, contextValue: { req: request } }).then(result => {
        httpAdapter.reply(response, result)
      })
    })
    await Promise.resolve()
  }
  async stop(): Promise<void> {}
}

@ObjectType()
class Report {
  @Field(() => Int) run!: number
}

@Resolver(() => Report)
class ReportResolver {
  @Query(() => Report) async first(): Promise<Report> {
    runs++
    await gate.opened
    return { run: runs }
  }
  @Query(() => Report) async second(): Promise<Report> {
    runs++
    await gate.opened
    return { run: runs }
  }
  @Query(() => Report) @Exclusive('one', { duplicates: 'replay' }) async shared(): Promise<Report> {
    runs++
    await gate.opened
    return { run: runs }
  }
  @Query(() => Boolean) isLocked(@CurrentLock() lock?: RequestLock): boolean {
    return lock !== undefined
  }
  @ResolveField(() => Int) run(): number {
    return runs
  }
}

@Module({ providers: [ReportResolver] })
class ReportModule {}

describe('GraphQL on Nest 12', () => {
  let server: NestServer
  let engine: LockEngine

  before(async () => {
    const [onExpress] = platforms
    if (onExpress === undefined) throw new Error('there is no platform')
    server = await startNest(onExpress, {
      imports: [
        DspinlockModule.forRoot(),
        GraphQLModule.forRoot({ driver: PlainDriver, autoSchemaFile: true, fieldResolverEnhancers: ['interceptors'] }),
        ReportModule,
      ],
      providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
    })
    engine = server.app.get<LockEngine>(getLockEngineToken())
  })
  beforeEach(() => {
    runs = 0
    gate = new Gate()
  })
  after(() => server.stop())

  const query = (text: string): Promise<{ body: string }> => server.ask('/graphql', json({ query: text }))

  it('never locks itself: two resolvers and their fields run at once, in two equal requests', async () => {
    const asked = [query('{ first { run } second { run } }'), query('{ first { run } second { run } }')]
    await until(() => runs === 4, 'all run')
    expect(engine.keys).to.equal(0)
    gate.open()
    for (const { body } of await Promise.all(asked)) {
      expect(JSON.parse(body)).to.deep.equal({ data: { first: { run: 4 }, second: { run: 4 } } })
    }
  })

  it('unless a resolver is exclusive', async () => {
    const asked = [query('{ shared { run } }'), query('{ shared { run } }')]
    await until(() => engine.waiters === 1, 'one waits')
    gate.open()
    await Promise.all(asked)
    expect(runs).to.equal(1)
  })

  it('there is no current lock', async () => {
    expect((await query('{ isLocked }')).body).to.equal('{"data":{"isLocked":false}}')
  })
})
