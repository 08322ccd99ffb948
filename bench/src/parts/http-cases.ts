// The servers and requests that the part `http` compares.

import type { RequestShape } from '../load/request.js'
import { alternatives } from '../peers/middleware/index.js'
import type { StoreKind } from '../peers/middleware/subject.js'
import type { Least, OwnGuard, PeerGuard, ServerSpec } from '../servers/spec.js'

export interface Case {
  readonly id: string
  readonly title: string
  readonly group: string
  readonly framework: ServerSpec['framework']
  /** Undefined: bare against bare, which shows the noise, or the least that can be done. */
  readonly guard: OwnGuard | PeerGuard | undefined
  readonly least?: Least
  /** The number of requests of a sample, if the default would be over too soon. */
  readonly requests?: number
  readonly shape: RequestShape
  /** The status that every answer has to have. */
  readonly status: number
  /** Whether only requests of the warm-up reach the handler. */
  readonly isReplay: boolean
  readonly isOurs: boolean
}

const BODY_BYTES = 256
const unique: RequestShape = { method: 'POST', path: '/orders', bodyBytes: BODY_BYTES }
/** Many more names than connections, because duplicates of one name that meet are answered in the process, and never reach the store. */
const again: RequestShape = { ...unique, names: 512 }
const read: RequestShape = { method: 'GET', path: '/orders', bodyBytes: 0 }

/** More requests, because without a framework each takes a fraction of the time. */
const MANY = 12_000

const replay = { duplicates: 'replay', ttlMs: 600_000 } as const
const stores: readonly StoreKind[] = ['memory', 'redis']
const storeNames = { memory: 'memory', redis: 'Redis' } as const

function own(
  id: string,
  title: string,
  group: string,
  guard: Omit<OwnGuard, 'by'>,
  shape: RequestShape,
  more: Partial<Case> = {},
): Case {
  return {
    id: `http.${id}`,
    title,
    group,
    framework: 'express',
    guard: { by: 'dspinlock', ...guard },
    shape,
    status: 200,
    isReplay: shape === again,
    isOurs: true,
    ...more,
  }
}

function noise(framework: ServerSpec['framework'], group: string, status = 200): Case {
  return {
    id: `http.noise.${framework}`,
    title: 'bare against bare (noise)',
    group,
    framework,
    guard: undefined,
    shape: unique,
    status,
    isReplay: false,
    isOurs: false,
  }
}

const places = {
  route: 'behind the body parser',
  'before-parser': 'before the body parser',
  'in-front': 'in front of Express',
} as const

const groups = {
  unique: 'Express: requests that have no duplicate',
  replay: 'Express: duplicates that are answered with an earlier response',
  koa: 'Koa',
  nest: 'Nest',
} as const

const policies = [
  { name: 'serialise', options: { duplicates: 'serialise' } },
  { name: 'replay', options: replay },
  { name: 'reject', options: { duplicates: 'reject' } },
] as const

const frameworks = ['koa', 'nest'] as const

/** The best that could be reached: the least that does the same as what is measured beside it, or less. */
const leasts: readonly Pick<Case, 'id' | 'title' | 'shape' | 'least' | 'requests'>[] = [
  { id: 'pass', title: 'middleware that only calls the next', shape: read, least: { does: 'pass', place: 'app' } },
  {
    id: 'pass-next-turn',
    title: 'middleware that calls the next in the next turn of the event loop, no more',
    shape: unique,
    least: { does: 'pass', place: 'route', isDeferred: true },
  },
  ...stores.map(store => ({
    id: `record.${store}`,
    title: `a hash, a claim and the answer kept, no more, ${storeNames[store]}`,
    shape: unique,
    // On Redis the answer comes in another turn anyway.
    least: { does: 'record', place: 'route', store, isDeferred: store === 'memory' } as const,
  })),
  ...(['route', 'before-parser', 'in-front'] as const).map(place => ({
    id: `answer.${place}`,
    title: `nothing but the answer, ${places[place]}`,
    shape: again,
    least: { does: 'answer', place, isDeferred: true } as const,
    ...(place === 'in-front' ? { requests: MANY } : {}),
  })),
  ...(['route', 'before-parser'] as const).map(place => ({
    id: `ask.${place}`,
    title: `a GET and its answer, no more, ${places[place]}`,
    shape: again,
    least: { does: 'ask', place } as const,
  })),
]

export const cases: readonly Case[] = [
  noise('express', groups.unique),
  own(
    'not-guarded',
    'dspinlock, a request that it does not guard',
    groups.unique,
    { store: 'memory', place: 'app', options: {} },
    read,
  ),
  ...stores.flatMap(store =>
    policies.map(({ name, options }) =>
      own(
        `unique.${store}.${name}`,
        `dspinlock, ${name}, ${storeNames[store]}`,
        groups.unique,
        { store, place: 'route', options },
        unique,
      ),
    ),
  ),
  ...stores.flatMap(store => [
    own(
      `replay.${store}`,
      `dspinlock, ${storeNames[store]}`,
      groups.replay,
      { store, place: 'route', options: replay },
      again,
    ),
    own(
      `replay-before-parser.${store}`,
      `dspinlock, ${storeNames[store]}, before the body parser`,
      groups.replay,
      { store, place: 'before-parser', options: replay },
      again,
    ),
  ]),
  own(
    'replay.local-cache',
    'dspinlock, Redis, records kept in the process',
    groups.replay,
    { store: 'redis', place: 'route', options: replay, localCache: { maxBytes: 64 * 1024 ** 2, maxAgeMs: 600_000 } },
    again,
  ),
  own(
    'replay.in-front',
    'dspinlock, memory, in front of Express',
    groups.replay,
    { store: 'memory', place: 'in-front', options: replay },
    again,
    { requests: MANY },
  ),
  ...leasts.map(({ id, title, ...more }): Case => {
    const isReplay = more.shape === again
    const group = isReplay ? groups.replay : groups.unique
    return { ...noise('express', group), ...more, id: `http.least.${id}`, title, isReplay }
  }),
  ...alternatives.flatMap(({ name }) =>
    stores.flatMap(store =>
      ([unique, again] as const).map(
        (shape): Case => ({
          id: `http.${shape === again ? 'replay' : 'unique'}.${store}.${name}`,
          title: `${name}, ${storeNames[store]}`,
          group: shape === again ? groups.replay : groups.unique,
          framework: 'express',
          guard: { by: name, store },
          shape,
          status: 200,
          isReplay: shape === again,
          isOurs: false,
        }),
      ),
    ),
  ),
  ...frameworks.flatMap(framework => {
    // The status with which Nest answers a POST.
    const status = framework === 'nest' ? 201 : 200
    const group = groups[framework]
    return [
      noise(framework, group, status),
      ...stores.flatMap(store =>
        ([unique, again] as const).map(shape =>
          own(
            `${framework}.${shape === again ? 'replay' : 'unique'}.${store}`,
            `dspinlock, ${shape === again ? 'replays' : 'unique keys'}, ${storeNames[store]}`,
            group,
            { store, place: 'route', options: replay },
            shape,
            { framework, status },
          ),
        ),
      ),
    ]
  }),
]
