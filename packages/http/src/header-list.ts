// Response headers as the handler set them, in all the forms that Node accepts.

import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from 'node:http'
import type { HeaderPairs } from './replayable.js'
import { isHttp1, nodeMajor } from './versions.js'

export interface Head {
  readonly status: number
  readonly message: string
  readonly headers: HeaderPairs
  /** Headers, in lower case, that were set before our place in the middleware order and have been removed since. */
  readonly removed: readonly string[]
}

/** All headers of one name. */
interface Field {
  /** In lower case. */
  readonly key: string
  readonly pairs: (readonly [name: string, value: string])[]
  /** Given to writeHead, rather than set before it. */
  readonly isGiven: boolean
}

export type Baseline = readonly Field[]

/** Node 20 sets the headers of a list one by one, as it does those of an object, so that equal names replace each other. */
const setsListsSingly = nodeMajor < 22

/** The headers that are set before the handler runs: for each follower they will be set anew, maybe with other values. Names in lower case, which Node lists in a third of the time. */
export function takeBaseline(res: ServerResponse): Baseline {
  return listSet(res, res.getHeaderNames())
}

/** The head that is about to be written, without the headers of `baseline`. `args` are those of writeHead. */
export function takeHead(res: ServerResponse, args: readonly unknown[], baseline: Baseline): Head {
  const status = Number(args[0] ?? res.statusCode)
  const hasMessage = typeof args[1] === 'string'
  const message = hasMessage ? String(args[1]) : (readMessage(res) ?? STATUS_CODES[status] ?? '')
  const fields = listSet(res, listNames(res))
  // If there is no message, the headers may be the second argument.
  const given = args[2] ?? args[1]
  // Headers that Node sets one by one replace each other if their names differ only in case: those of an object where anything was set
  // before, and always on HTTP/2. On Node 20 the same goes for equal names in a list.
  const isList = Array.isArray(given)
  const keepsAll = isHttp1(res.req) ? fields.length === 0 || (isList && !setsListsSingly) : isList
  for (const field of readGiven(given)) {
    const at = fields.findIndex(({ key }) => key === field.key)
    const known = fields[at]
    if (known === undefined) fields.push(field)
    else if (known.isGiven && keepsAll) known.pairs.push(...field.pairs)
    // The field keeps its place in the order. An empty list removes the field that was set.
    else fields[at] = field
  }
  const headers: (readonly [string, string])[] = []
  // Some frameworks give writeHead all headers that they know, including those that were set before our place in the order.
  for (const field of fields) if (!baseline.some(set => isSame(set, field))) headers.push(...field.pairs)
  const isLeft = ({ key }: Field): boolean => fields.some(field => field.key === key && field.pairs.length > 0)
  const removed = baseline.filter(set => !isLeft(set)).map(({ key }) => key)
  return { status, message, headers, removed }
}

function listSet(res: ServerResponse, names: readonly string[]): Field[] {
  return names.map(name => toField(name, res.getHeader(name), false))
}

function toField(name: string, value: unknown, isGiven: boolean): Field {
  const pairs = (Array.isArray(value) ? value : [value]).map(one => [name, String(one)] as const)
  return { key: name.toLowerCase(), pairs, isGiven }
}

function isSame(a: Field, b: Field): boolean {
  return (
    a.key === b.key && a.pairs.length === b.pairs.length && a.pairs.every(([, value], at) => value === b.pairs[at]?.[1])
  )
}

/** For a head that leaves as UTF-8: the same head with each character standing for one byte on the wire. */
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
function readGiven(given: unknown): Field[] {
  if (typeof given !== 'object' || given === null) return []
  const fields: Field[] = []
  const add = (name: unknown, value: unknown): void => {
    if (value !== undefined) fields.push(toField(String(name), value, true))
  }
  if (!Array.isArray(given)) for (const [name, value] of Object.entries(given as OutgoingHttpHeaders)) add(name, value)
  else if (Array.isArray(given[0])) for (const pair of given as unknown[][]) add(pair[0], pair[1])
  else for (let at = 0; at + 1 < given.length; at += 2) add(given[at], given[at + 1])
  return fields
}

/** HTTP/2 has no status message (RFC 9113, section 8.3.2), and Node prints a warning if it is read. */
function readMessage(res: ServerResponse): string | undefined {
  return isHttp1(res.req) ? res.statusMessage : undefined
}

/** Names in the case in which they were set; HTTP/2's compatibility layer only knows lower case. */
function listNames(res: ServerResponse): string[] {
  return (res as unknown as { getRawHeaderNames?(): string[] }).getRawHeaderNames?.() ?? res.getHeaderNames()
}
