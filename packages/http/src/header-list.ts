// Response headers as the handler set them, in all the forms that Node takes.

import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import { isNamed } from './replayable.js'

export interface Head {
  readonly status: number
  readonly message: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Set before our place in the middleware order, and removed since. */
  readonly removed: readonly string[]
}

type Values = readonly string[]
/** By name in lower case. */
export type Baseline = ReadonlyMap<string, { readonly name: string; readonly values: Values }>

/** Of a response on which nothing is set. */
export const nothing: Baseline = new Map()

/** What is set before the handler runs: it will be set again, for each follower in its own way. */
export function takeBaseline(res: ServerResponse): Baseline {
  const names = listNames(res)
  if (names.length === 0) return nothing
  const baseline = new Map<string, { readonly name: string; readonly values: Values }>()
  for (const name of names) baseline.set(name.toLowerCase(), { name, values: readValues(res.getHeader(name)) })
  return baseline
}

/** For who keeps no body: of the head that is about to be written, what says when the response is complete and how it went. */
export function takeOutline(res: ServerResponse, args: readonly unknown[]): Head {
  const given = readGiven(typeof args[1] === 'string' ? args[2] : args[1]).find(([name]) =>
    isNamed(name, 'content-length'),
  )
  const [length] = given === undefined ? readSet(res.getHeader('content-length')) : given[1]
  const headers = length === undefined ? [] : [['Content-Length', length] as const]
  return { status: Number(args[0] ?? res.statusCode), message: '', headers, removed: [] }
}

function readSet(value: unknown): string[] {
  return value === undefined ? [] : readValues(value)
}

/** The head that is about to be written, less what `baseline` accounts for. `args`: of writeHead. */
export function takeHead(res: ServerResponse, args: readonly unknown[], baseline: Baseline): Head {
  const status = Number(args[0] ?? res.statusCode)
  const hasMessage = typeof args[1] === 'string'
  const message = hasMessage ? String(args[1]) : (readMessage(res) ?? STATUS_CODES[status] ?? '')
  const given = readGiven(hasMessage ? args[2] : args[1])
  if (given.length === 0) return { status, message, ...listSet(res, baseline) }
  // Given with the head, a header keeps the place that it was set at before.
  const byName = new Map<string, [string, string][]>()
  for (const name of listNames(res)) {
    byName.set(
      name.toLowerCase(),
      readValues(res.getHeader(name)).map(value => [name, value]),
    )
  }
  const replaced = new Set<string>()
  for (const [name, values] of given) {
    const key = name.toLowerCase()
    const pairs = values.map((value): [string, string] => [name, value])
    if (replaced.has(key)) byName.get(key)?.push(...pairs)
    // An empty list takes away what was set.
    else byName.set(key, pairs)
    replaced.add(key)
  }
  const headers: [string, string][] = []
  for (const [key, pairs] of byName) {
    // Some frameworks write all they know with the head, also what was set before our place in the order.
    const values = pairs.map(([, value]) => value)
    if (!isSame(values, baseline.get(key)?.values)) headers.push(...pairs)
  }
  const removed = [...baseline].filter(([key]) => (byName.get(key)?.length ?? 0) === 0).map(([, { name }]) => name)
  return { status, message, headers, removed }
}

/** The usual case: all was set before the head is written, and nothing has to be merged. */
function listSet(res: ServerResponse, baseline: Baseline): Pick<Head, 'headers' | 'removed'> {
  const headers: [string, string][] = []
  for (const name of listNames(res)) {
    const values = readValues(res.getHeader(name))
    if (baseline.size > 0 && isSame(values, baseline.get(name.toLowerCase())?.values)) continue
    for (const value of values) headers.push([name, value])
  }
  const removed: string[] = []
  for (const { name } of baseline.values()) {
    const value = res.getHeader(name)
    // An empty list is sent as nothing.
    if (value === undefined || (Array.isArray(value) && value.length === 0)) removed.push(name)
  }
  return { headers, removed }
}

/** `head` of characters that each stand for one byte on the wire, where it leaves as UTF-8. */
export function toWire(head: Head): Head {
  const bytesOf = (text: string): string => (isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1'))
  if (isAscii(head.message) && head.headers.every(([, value]) => isAscii(value))) return head
  const headers = head.headers.map(([name, value]) => [name, bytesOf(value)] as const)
  return { ...head, message: bytesOf(head.message), headers }
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text)
}

/** writeHead takes an object, a flat list, or a list of pairs. */
function readGiven(given: unknown): [string, string[]][] {
  if (typeof given !== 'object' || given === null) return []
  const fields: [string, string[]][] = []
  const add = (name: unknown, value: unknown): void => {
    if (value !== undefined) fields.push([String(name), readValues(value)])
  }
  if (!Array.isArray(given)) for (const [name, value] of Object.entries(given as OutgoingHttpHeaders)) add(name, value)
  else if (Array.isArray(given[0])) for (const pair of given as unknown[][]) add(pair[0], pair[1])
  else for (let at = 0; at + 1 < given.length; at += 2) add(given[at], given[at + 1])
  return fields
}

/** HTTP/2 has none (RFC 9113, section 8.3.2), and Node warns who asks it. */
function readMessage(res: ServerResponse): string | undefined {
  return res.req.httpVersionMajor < 2 ? res.statusMessage : undefined
}

/** As they were written; HTTP/2's compatibility layer only knows lower case. */
function listNames(res: ServerResponse): string[] {
  const { getRawHeaderNames } = res as unknown as { getRawHeaderNames?: (this: ServerResponse) => string[] }
  return getRawHeaderNames === undefined ? res.getHeaderNames() : getRawHeaderNames.call(res)
}

function readValues(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)]
}

function isSame(a: Values, b: Values | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((value, at) => value === b[at])
}
