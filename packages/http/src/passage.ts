// One request's passage up to its turn, from top to bottom: skip, identify who is asking, read the body.

import type { MaybePromise } from '@dspinlock/core'
import { isPromise } from '@dspinlock/core/support'
import { type BodyRead, noBody, readBody } from './body.js'
import { listCredentials } from './conventional-headers.js'
import type { Exchange } from './exchange.js'
import type { BodyInput, Identity } from './fingerprint.js'
import { isOver } from './gone.js'
import { type IdempotencyKeyRead, readIdempotencyKey } from './idempotency-key.js'
import { noTextError, warn } from './messages.js'
import type { GuardSettings } from './options.js'
import { wasRead } from './parsed-body.js'
import { isSafeMethod } from './replayable.js'
import type { NameParts } from './request-name.js'
import { type RequestState, readState } from './request-state.js'
import { type Steps, wait } from './steps.js'
import { handOn, letFlow, type PassageTools, refuse, type Turn, takeTurn } from './turn.js'

/** Shared by all requests that do not vary, which is most of them. */
const nothing: NameParts['variant'] = []

export function* passThrough<Req, Res>(exchange: Exchange<Req, Res>, tools: PassageTools<Req, Res>): Steps<void> {
  const { req, request, response } = exchange
  const { settings } = tools

  const known = readState(req)
  if (known?.seenBy.includes(settings)) {
    warn('DSPINLOCK_W_MOUNTED_TWICE')
    return handOn({ exchange, state: known })
  }
  known?.seenBy.push(settings)
  // Written as a literal: an array that grew by `push` would keep room for sixteen more, in every request that waits.
  const state = known ?? { seenBy: [settings], body: undefined, ending: undefined }
  if (settings.skip !== undefined && (yield* wait(settings.skip(request, response)))) return handOn({ exchange, state })

  const idempotencyKey = takeIdempotencyKey(exchange, settings)
  if (idempotencyKey === 'unguarded') return handOn({ exchange, state })
  if (typeof idempotencyKey === 'string') return refuse(exchange, settings, idempotencyKey)
  const customKey = settings.key === undefined ? undefined : assertText('key', yield* wait(settings.key(request)))
  if (settings.key !== undefined && customKey === undefined) return handOn({ exchange, state })
  const identity = yield* wait(identify(exchange, settings))
  const body = takeBody(yield* wait(findBody(exchange, state, settings)), state, settings)
  // The client may have left, or other code answered, while `identity` was called or the body arrived. Then no event is left that would end a hold.
  if (body === 'gone' || isOver(exchange)) return state.ending?.release()
  if (body === 'too-large') return refuse(exchange, settings, 'too-large')
  if (body === 'unlockable' && idempotencyKey === undefined) return handOn({ exchange, state })

  const leave = tools.identityLimit?.enter(identity, exchange.res)
  if (tools.identityLimit && !leave) return refuse(exchange, settings, 'too-many-of-identity')

  // The mount nearest to the handler decides, so a hold of a mount further out ends here.
  state.ending?.release()
  state.ending = undefined

  const turn: Turn<Req, Res> = {
    exchange,
    tools,
    state,
    leave,
    body,
    identity,
    customKey,
    idempotencyKey: idempotencyKey?.value,
    variant: nothing,
    rounds: 0,
    doubted: undefined,
    // Other code listens to the body already. None of it flows to that code before the handler can listen, too.
    isPaused: req.readableFlowing && !wasRead(req),
  }
  const taken = takeTurn(turn)
  if (!turn.isPaused) return taken
  req.pause()
  return Promise.resolve(taken).finally(() => letFlow(turn))
}

/** Undefined if the option is off. */
function takeIdempotencyKey<Req, Res>(
  { req }: Exchange<Req, Res>,
  { idempotencyKey: rules }: GuardSettings<Req, Res>,
): IdempotencyKeyRead | 'unguarded' | undefined {
  if (rules === undefined) return undefined
  const read = readIdempotencyKey(req.headers, rules)
  return read === 'key-missing' && (!rules.required || isSafeMethod(req.method)) ? 'unguarded' : read
}

function identify<Req, Res>(exchange: Exchange<Req, Res>, settings: GuardSettings<Req, Res>): MaybePromise<Identity> {
  if (settings.identity === 'public') return { kind: 'public' }
  const name = (given?: unknown): Identity => {
    const id = assertText('identity', given)
    // Where the application does not know (yet) who asks, what the request itself says must not be lost.
    return id === undefined ? { kind: 'headers', credentials: listCredentials(exchange.req) } : { kind: 'custom', id }
  }
  if (settings.identity === undefined) return name()
  const given = settings.identity(exchange.request)
  return isPromise(given) ? given.then(name) : name(given)
}

/** Strings only, because an object would become `[object Object]` for every user. */
function assertText(option: 'identity' | 'key', given: unknown): string | undefined {
  if (given === undefined || typeof given === 'string') return given
  throw noTextError(option, given)
}

type FoundBody = BodyRead | Extract<BodyInput, { kind: 'parsed' }>

function findBody<Req, Res>(
  exchange: Exchange<Req, Res>,
  { body }: RequestState,
  { maxBodyBytes }: GuardSettings<Req, Res>,
): MaybePromise<FoundBody> {
  if (body === undefined && exchange.isParsed) return { kind: 'parsed', value: exchange.parsedBody }
  return body ?? readBody(exchange, maxBodyBytes)
}

function takeBody<Req, Res>(
  read: FoundBody,
  state: RequestState,
  settings: GuardSettings<Req, Res>,
): BodyInput | 'gone' | 'too-large' | 'unlockable' {
  // With a key of the application's own, the body says nothing, but nobody is to hold the key by sending it slowly.
  if (settings.key !== undefined && read.kind !== 'gone') return noBody
  switch (read.kind) {
    case 'none':
    case 'parsed':
      return read
    case 'complete':
      state.body = read
      return { kind: 'raw', bytes: read.bytes }
    case 'gone':
      return 'gone'
    case 'too-large':
      if (settings.oversize === 'reject') return 'too-large'
      warn('DSPINLOCK_W_BODY_TOO_LARGE')
      return 'unlockable'
    case 'unreadable':
      warn('DSPINLOCK_W_BODY_UNREADABLE')
      return 'unlockable'
  }
}
