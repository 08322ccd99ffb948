// Which requests are guarded: by their method, where the middleware is mounted, and what else they ask for.

import { type IncomingMessage, METHODS as known } from 'node:http'
import { memoryStore } from '@dspinlock/core'
import { createGuard, type GuardOptions } from '@dspinlock/http'
import { expect } from 'chai'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY']

/** Of all of them, because each middleware without one is counted as made for a request. */
const store = memoryStore()

const isGuarded = (
  options: GuardOptions,
  onRoute: boolean,
  method: string | undefined,
  headers: Record<string, string> = {},
): boolean => createGuard({ store, ...options }).guards({ method, headers } as unknown as IncomingMessage, onRoute)

/** Those of the methods that are guarded. */
const guarded = (options: GuardOptions, onRoute: boolean): string[] =>
  METHODS.filter(method => isGuarded(options, onRoute, method))

describe('which requests are guarded', () => {
  const replay = { duplicates: 'replay', ttlMs: 60_000 } as const

  it('app-wide those that change something', () => {
    expect(guarded({}, false)).to.deep.equal(['POST', 'PUT', 'PATCH', 'DELETE'])
  })

  it('on a route all but those that do no work, or take the connection over', () => {
    expect(guarded({}, true)).to.deep.equal(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'])
  })

  it('with `methods` those, but never the same few', () => {
    for (const onRoute of [false, true]) {
      expect(guarded({ methods: ['GET', 'PUT'] }, onRoute)).to.deep.equal(['GET', 'PUT'])
      expect(guarded({ methods: METHODS.filter(method => known.includes(method)) }, onRoute)).to.deep.equal(
        guarded({}, true),
      )
    }
  })

  it('HEAD only as a GET, where GET is guarded and `headFromGet` is set', () => {
    expect(isGuarded({ ...replay, headFromGet: true }, true, 'HEAD')).to.equal(true)
    expect(isGuarded({ ...replay, headFromGet: true }, false, 'HEAD')).to.equal(false)
    expect(isGuarded({ ...replay, headFromGet: true, methods: ['GET'] }, false, 'HEAD')).to.equal(true)
    expect(isGuarded({ ...replay, methods: ['GET'] }, false, 'HEAD')).to.equal(false)
    expect(isGuarded({ ...replay, headFromGet: true }, true, 'OPTIONS')).to.equal(false)
  })

  it('methods count in small letters, too', () => {
    expect(isGuarded({}, false, 'delete')).to.equal(true)
    expect(isGuarded({}, true, 'trace')).to.equal(false)
    expect(isGuarded({}, false, undefined)).to.equal(false)
  })

  it('no GET for a range or a WebSocket, which is for one client only; with other methods, neither is a way past', () => {
    for (const headers of [
      { range: 'bytes=0-1' },
      { upgrade: 'WebSocket' },
      { upgrade: 'h2c, websocket/13' },
    ] as Record<string, string>[]) {
      expect(isGuarded({}, true, 'GET', headers), JSON.stringify(headers)).to.equal(false)
      for (const method of ['POST', 'DELETE']) expect(isGuarded({}, false, method, headers)).to.equal(true)
    }
    for (const upgrade of ['', 'h2c', 'websockets', 'mywebsocket'])
      expect(isGuarded({}, true, 'GET', { upgrade }), upgrade).to.equal(true)
  })
})
