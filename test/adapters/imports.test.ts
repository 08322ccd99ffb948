// Users who install one adapter can import everything they need from it, with its types.

import * as core from '@dspinlock/core'
import * as express from '@dspinlock/express'
import * as koa from '@dspinlock/koa'
import * as nestjs from '@dspinlock/nestjs'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import type { Middleware } from 'koa'

const adapters: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['@dspinlock/express', { ...express }],
  ['@dspinlock/koa', { ...koa }],
  ['@dspinlock/nestjs', { ...nestjs }],
]

describe('what users import', () => {
  for (const [name, exported] of adapters) {
    it(`${name} has engine, store, errors, log and Idempotency-Key policies, the same ones as core`, () => {
      const { LockEngine, memoryStore, attachLogger, attachStructuredLogger, channels } = core
      expect(exported).to.include({ LockEngine, memoryStore, attachLogger, attachStructuredLogger, channels })
      const { DspinlockError, DuplicateError, StoreError, WaitTimeoutError, WaiterLimitError, ClosedError } = core
      expect(exported).to.include({ DspinlockError, DuplicateError, StoreError, WaitTimeoutError })
      expect(exported).to.include({ WaiterLimitError, ClosedError })
      expect(exported['idempotencyPolicy']).to.be.a('function')
    })
  }

  it('handlers know the type of their lock', () => {
    const onExpress: RequestHandler = req => {
      const fence: number | undefined = req.dspinlock?.fence
      // @ts-expect-error it is a lock, and not just anything
      const wrong: string = req.dspinlock
      return [fence, wrong]
    }
    const onKoa: Middleware = ctx => {
      const signal: AbortSignal | undefined = ctx.state.dspinlock?.signal
      // @ts-expect-error it is a lock, and not just anything
      const wrong: string = ctx.state.dspinlock
      return [signal, wrong]
    }
    expect([onExpress, onKoa]).to.have.length(2)
  })
})
