// Versions of a route that differ only in a header are different work, each with its own answers.

import type { IncomingMessage } from 'node:http'
import { Dspinlock, DspinlockInterceptor, DspinlockModule } from '@dspinlock/nestjs'
import { Controller, Get, Headers, Post, Version, type VersioningOptions, VersioningType } from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { RouteConstraints } from '@nestjs/platform-fastify'
import { expect } from 'chai'
import { json } from '../support/http.js'
import { type NestServer, nestMajor, platforms, startNest } from '../support/nest.js'

@Controller('reports')
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class ReportsController {
  @Version('1') @Get() first(): string {
    return 'version 1'
  }
  @Version('2') @Get() second(): string {
    return 'version 2'
  }
  @Version('1') @Post() @Dspinlock({ idempotencyKey: 'required' }) post(): string {
    return 'version 1'
  }
  @Version('2') @Post() @Dspinlock({ idempotencyKey: 'required' }) postAgain(): string {
    return 'version 2'
  }
}

@Controller('kinds')
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class KindsController {
  @Get() @RouteConstraints({ kind: 'x' }) x(): string {
    return 'x'
  }
  @Get() @RouteConstraints({ kind: 'y' }) y(): string {
    return 'y'
  }
}

const guarded = Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })

@Controller('both')
class BothController {
  @Version(['1', '2']) @Get() @guarded both(@Headers() headers: object): object {
    return headers
  }
  @Get('by-default') @guarded byDefault(@Headers() headers: object): object {
    return headers
  }
}

const extractor = (request: unknown): string | string[] =>
  String((request as IncomingMessage).headers['x-version']).split('+')

const ways: readonly [string, VersioningOptions, (version: string) => Record<string, string>][] = [
  ['a header', { type: VersioningType.HEADER, header: 'X-Version' }, version => ({ 'x-version': version })],
  ['a function', { type: VersioningType.CUSTOM, extractor }, version => ({ 'x-version': version })],
  [
    'a media type',
    { type: VersioningType.MEDIA_TYPE, key: 'v=' },
    version => ({ accept: `application/json; v=${version}` }),
  ],
]

interface FastifyOfKinds {
  addConstraintStrategy(strategy: object): void
}

/** With this, Fastify chooses by the header `x-kind`. */
const kinds = {
  name: 'kind',
  validate: () => true,
  storage: (): object => {
    const handlers = new Map<string, unknown>()
    return {
      get: (kind: string) => handlers.get(kind) ?? null,
      set: (kind: string, handler: unknown) => void handlers.set(kind, handler),
    }
  },
  deriveConstraint: ({ headers }: IncomingMessage) => headers['x-kind'],
}

for (const platform of platforms) {
  describe(`versions on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      server = await startNest(
        platform,
        {
          imports: [DspinlockModule.forRoot()],
          controllers: [ReportsController],
          providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
        },
        app => void app.enableVersioning({ type: VersioningType.HEADER, header: 'X-Version' }),
      )
    })
    after(() => server.stop())

    it('each has its own answer, and a replay of its own', async () => {
      for (const version of ['1', '2', '1', '2']) {
        const answer = await server.ask('/reports', { headers: { 'x-version': version } })
        expect(answer.body).to.equal(`version ${version}`)
      }
    })

    it('also under one Idempotency-Key', async () => {
      for (const version of ['1', '2', '1', '2']) {
        const headers = { 'x-version': version, 'idempotency-key': '"same"' }
        expect((await server.ask('/reports', json({}, headers))).body).to.equal(`version ${version}`)
      }
    })
  })
}

for (const platform of platforms) {
  for (const [name, options, headersOf] of ways) {
    it(`several versions of one handler, named by ${name}, on ${platform.name}: each has a replay of its own`, async () => {
      const server = await startNest(
        platform,
        { imports: [DspinlockModule.forRoot()], controllers: [BothController] },
        app => void app.enableVersioning({ ...options, defaultVersion: ['1', '2'] }),
      )
      try {
        for (const path of ['/both', '/both/by-default']) {
          const statuses: unknown[] = []
          for (const version of ['1', '2', '1', '2']) {
            const headers = headersOf(version)
            const answer = await server.ask(path, { headers })
            expect(JSON.parse(answer.body)).to.include(headers)
            statuses.push(answer.headers['cache-status'])
          }
          expect(statuses).to.deep.equal([undefined, undefined, 'dspinlock; hit', 'dspinlock; hit'])
        }
      } finally {
        await server.stop()
      }
    })
  }
}

describe(`route constraints on Nest ${nestMajor} on Fastify`, () => {
  it('each has its own answer, and a replay of its own', async () => {
    const server = await startNest(
      { name: 'Fastify', kind: 'fastify' },
      { imports: [DspinlockModule.forRoot()], controllers: [KindsController] },
      app => (app.getHttpAdapter().getInstance() as FastifyOfKinds).addConstraintStrategy(kinds),
    )
    try {
      const answers: string[] = []
      for (const kind of ['x', 'y', 'x', 'y']) {
        const { body, headers } = await server.ask('/kinds', { headers: { 'x-kind': kind } })
        answers.push(`${body} ${String(headers['cache-status'] ?? 'run')}`)
      }
      expect(answers).to.deep.equal(['x run', 'y run', 'x dspinlock; hit', 'y dspinlock; hit'])
    } finally {
      await server.stop()
    }
  })
})
