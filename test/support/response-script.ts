// Random ways to answer a request: a list of operations on the response, run by a handler that logs everything it can observe.

import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'

export type Step =
  | { readonly op: 'status'; readonly status: number }
  | { readonly op: 'message'; readonly message: string }
  | { readonly op: 'set' | 'append'; readonly name: string; readonly value: string | string[] }
  | { readonly op: 'remove'; readonly name: string }
  | { readonly op: 'head'; readonly args: readonly unknown[] }
  | { readonly op: 'write' | 'end'; readonly args: readonly unknown[]; readonly callback: boolean }
  | { readonly op: 'trailers'; readonly trailers: Record<string, string> }
  | { readonly op: 'headers'; readonly headers: readonly (readonly [string, string])[] }
  | { readonly op: 'strict' | 'dateless'; readonly value: boolean }
  | { readonly op: 'flush' | 'cork' | 'uncork' | 'hints' | 'continue' | 'turn' | 'tick' }

const name = fc.constantFrom(
  'X-One',
  'x-one',
  'X-Two',
  'ETag',
  'Content-Type',
  'Cache-Control',
  'Set-Cookie',
  'Vary',
  'Content-Length',
)
const values: Readonly<Record<string, fc.Arbitrary<string | string[]>>> = {
  etag: fc.constantFrom('"a"', 'W/"b"'),
  'content-length': fc.constantFrom('1', '5'),
  vary: fc.constantFrom('Accept', 'Accept-Encoding, Accept'),
}
const header = name.chain(chosen =>
  fc.tuple(
    fc.constant(chosen),
    values[chosen.toLowerCase()] ??
      fc.oneof(fc.constantFrom('a', 'b/c', 'ä', ''), fc.array(fc.constantFrom('1', '2'), { maxLength: 2 })),
  ),
)
const status = fc.constantFrom(200, 200, 200, 201, 203, 204, 205, 206, 301, 304, 404, 422, 500, 99, 1_000)
const headForms: fc.Arbitrary<readonly unknown[]> = fc
  .tuple(
    status,
    fc.option(fc.constantFrom('Fine', 'OK', 'Ü'), { nil: undefined }),
    // How Node treats a name that is twice in a list depends on its version, and on whether setHeader was used before.
    fc.uniqueArray(header, { maxLength: 3, selector: ([of]) => of.toLowerCase() }),
    fc.constantFrom('none', 'object', 'flat', 'pairs'),
  )
  .map(([code, message, headers, form]) => {
    const given: unknown =
      form === 'none'
        ? undefined
        : form === 'object'
          ? (Object.fromEntries(headers) satisfies OutgoingHttpHeaders)
          : form === 'flat'
            ? headers.flat(1)
            : headers
    return [code, ...(message === undefined ? [] : [message]), ...(given === undefined ? [] : [given])]
  })
const chunk = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>('a', 'häß', '', '\u{1f600}', 'x'.repeat(3_000)) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 5 }).map(bytes => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(new Uint8Array([1, 2]), undefined, null, 5, {}) },
)
const encoding = fc.constantFrom<unknown>(
  'utf8',
  'latin1',
  'base64',
  'base64url',
  'utf16le',
  'ascii',
  undefined,
  'nope',
)
const bodyArgs = fc.oneof(
  fc.constant([]),
  chunk.map(one => [one]),
  fc.tuple(chunk, encoding).map(pair => [...pair]),
  // Half a byte would crash Node itself.
  fc.constant(['c3a4', 'hex']),
)
const write = fc.record({ op: fc.constant('write' as const), args: bodyArgs, callback: fc.boolean() })
const end = fc.record({ op: fc.constant('end' as const), args: bodyArgs, callback: fc.boolean() })

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: status.map(code => ({ op: 'status', status: code }) as const) },
  { weight: 1, arbitrary: fc.constantFrom('Own', 'Ä').map(message => ({ op: 'message', message }) as const) },
  { weight: 4, arbitrary: header.map(([of, value]) => ({ op: 'set', name: of, value }) as const) },
  { weight: 2, arbitrary: header.map(([of, value]) => ({ op: 'append', name: of, value }) as const) },
  { weight: 1, arbitrary: name.map(of => ({ op: 'remove', name: of }) as const) },
  { weight: 2, arbitrary: headForms.map(args => ({ op: 'head', args }) as const) },
  { weight: 6, arbitrary: write },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(fc.tuple(fc.constantFrom('X-One', 'X-Two', 'x-three'), fc.constantFrom('a', 'ö')), {
        maxLength: 2,
        selector: ([of]) => of.toLowerCase(),
      })
      .map(headers => ({ op: 'headers', headers }) as const),
  },
  { weight: 1, arbitrary: fc.boolean().map(value => ({ op: 'strict', value }) as const) },
  { weight: 1, arbitrary: fc.boolean().map(value => ({ op: 'dateless', value }) as const) },
  { weight: 1, arbitrary: fc.constant({ op: 'trailers', trailers: { 'X-Sum': '1' } } as const) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom('flush', 'cork', 'uncork', 'hints', 'continue', 'turn', 'tick')
      .map(op => ({ op }) as const),
  },
  { weight: 1, arbitrary: end },
)

/** For excluding scripts: Node writes a 1xx into the middle of a response that was begun, and corks an ended response for good. */
const BEGINNING: ReadonlySet<Step['op']> = new Set(['head', 'flush', 'write', 'end'])
const INFORMING: ReadonlySet<Step['op']> = new Set(['hints', 'continue'])
const CORKING: ReadonlySet<Step['op']> = new Set(['cork', 'uncork'])

/** Ends the response at last, often more than once. */
export const script: fc.Arbitrary<readonly Step[]> = fc
  .tuple(fc.array(step, { maxLength: 8 }), end, fc.array(fc.oneof(write, end), { maxLength: 1 }))
  .map(([steps, last, late]) => {
    const begun = steps.findIndex(({ op }) => BEGINNING.has(op))
    const ended = steps.findIndex(({ op }) => op === 'end')
    const before = steps.filter(({ op }, at) => {
      return !(begun >= 0 && at > begun && INFORMING.has(op)) && !(ended >= 0 && at > ended && CORKING.has(op))
    })
    return [...before, last, ...late]
  })

const codeOf = (error: unknown): string =>
  error instanceof Error ? String((error as NodeJS.ErrnoException).code ?? error.message) : typeof error

/** Runs the steps and logs every result, thrown error, event and callback, and the state after each step. */
export async function play(steps: readonly Step[], res: ServerResponse, log: string[]): Promise<void> {
  for (const event of ['finish', 'close', 'prefinish', 'drain', 'pipe']) res.on(event, () => log.push(`event ${event}`))
  res.on('error', (error: unknown) => log.push(`event error ${codeOf(error)}`))
  for (const [at, one] of steps.entries()) {
    if (one.op === 'turn') await new Promise(resolve => setImmediate(resolve))
    else if (one.op === 'tick') await Promise.resolve()
    else {
      let result: unknown
      try {
        result = perform(one, res, `${at}`, log)
      } catch (error) {
        log.push(`${at} ${one.op} threw ${codeOf(error)}`)
        continue
      }
      log.push(`${at} ${one.op} returned ${result === res ? 'the response' : String(result)} ${observe(res)}`)
    }
  }
  if (res.writableEnded) return
  // If every end threw, nothing more will come, but what was written may still be on its way to the client.
  await delay(10)
  res.destroy()
}

function perform(
  one: Exclude<Step, { op: 'turn' | 'tick' }>,
  res: ServerResponse,
  label: string,
  log: string[],
): unknown {
  const callback = (error?: Error | null): void => void log.push(`${label} called back ${error ? codeOf(error) : ''}`)
  const call = (method: string, ...args: readonly unknown[]): unknown =>
    Reflect.apply(Reflect.get(res, method), res, args)
  switch (one.op) {
    case 'status':
      return Reflect.set(res, 'statusCode', one.status)
    case 'message':
      return Reflect.set(res, 'statusMessage', one.message)
    case 'set':
      // Node appends to the very list that it is given.
      return call('setHeader', one.name, structuredClone(one.value))
    case 'append':
      return call('appendHeader', one.name, structuredClone(one.value))
    case 'headers':
      return call('setHeaders', new Map(one.headers))
    case 'strict':
      return Reflect.set(res, 'strictContentLength', one.value)
    case 'dateless':
      return Reflect.set(res, 'sendDate', !one.value)
    case 'remove':
      return call('removeHeader', one.name)
    case 'head':
      return call('writeHead', ...structuredClone(one.args))
    case 'write':
    case 'end':
      return call(one.op, ...one.args, ...(one.callback ? [callback] : []))
    case 'trailers':
      return call('addTrailers', one.trailers)
    case 'flush':
      return call('flushHeaders')
    case 'hints':
      return call('writeEarlyHints', { link: '</a>; rel=preload' })
    case 'continue':
      return call('writeProcessing')
    default:
      return call(one.op)
  }
}

function observe(res: ServerResponse): string {
  const state = [
    res.headersSent,
    res.writableEnded,
    res.writableFinished,
    res.finished,
    res.statusCode,
    res.statusMessage,
    res.writableCorked,
    `length=${res.writableLength}`,
    res.destroyed,
    res.errored === null,
    JSON.stringify(res.getHeaders()),
    Reflect.apply(Reflect.get(res, 'getRawHeaderNames'), res, []),
    res.hasHeader('x-one'),
  ]
  return state.map(String).join(' ')
}

/** The requests that the steps answer. */
export interface Asked {
  readonly method: 'GET' | 'POST' | 'HEAD'
  readonly version: '1.1' | '1.0'
  readonly body: string
}

export const asked: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ method: 'GET', version: '1.1', body: '' } as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      method: fc.constantFrom('GET', 'POST', 'HEAD'),
      version: fc.constantFrom('1.1', '1.0'),
      body: fc.constantFrom('', 'body'),
    }),
  },
)
