// Parses responses as they are on the wire, and tells which parts a replay has to keep.

export type WireHeaders = readonly (readonly [name: string, value: string])[]

export interface WireResponse {
  /** Status lines of informational responses that came before the response. */
  readonly informational: readonly string[]
  readonly line: string
  readonly status: number
  /** Headers in their order and case. */
  readonly headers: WireHeaders
  /** The body without the framing of chunks, with one character for each byte. */
  readonly body: string
  /** What came in chunks after the chunk that ends the body, where no client looks for it. */
  readonly afterEnd: string
}

/** Parses a response from its bytes as a client does: no further than its declared length. */
export function readResponse(wire: string): WireResponse {
  let rest = wire
  const informational: string[] = []
  while (/^HTTP\/1.1 1\d\d /.test(rest)) {
    informational.push(rest.slice(0, rest.indexOf('\r\n')))
    rest = rest.slice(rest.indexOf('\r\n\r\n') + 4)
  }
  const end = rest.indexOf('\r\n\r\n')
  const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
  const headers = fields.map((field): [string, string] => {
    const [name = '', value = ''] = field.split(/: ?(.*)/s, 2)
    return [name, value]
  })
  const body = rest.slice(end + 4)
  const isChunked = valuesOf(headers, 'transfer-encoding').includes('chunked')
  const [length] = valuesOf(headers, 'content-length')
  const read = isChunked
    ? unchunk(body)
    : { body: body.slice(0, length === undefined ? undefined : Number(length)), afterEnd: '' }
  return { informational, line, status: Number(line.split(' ')[1]), headers, ...read }
}

function unchunk(wire: string): Pick<WireResponse, 'body' | 'afterEnd'> {
  const { chunks, rest } = readChunks(wire)
  // After the last chunk's own line come trailers and an empty line.
  const end = rest.indexOf('\r\n\r\n')
  return { body: chunks, afterEnd: end < 0 ? '' : readChunks(rest.slice(end + 4)).chunks }
}

function readChunks(wire: string): { readonly chunks: string; readonly rest: string } {
  let chunks = ''
  let rest = wire
  for (;;) {
    const start = rest.indexOf('\r\n') + 2
    const size = Number.parseInt(rest.slice(0, start), 16)
    if (!(size > 0)) return { chunks, rest }
    chunks += rest.slice(start, start + size)
    rest = rest.slice(start + size + 2)
  }
}

export function valuesOf(headers: WireHeaders, name: string): string[] {
  return headers.filter(([found]) => found.toLowerCase() === name).map(([, value]) => value)
}

/** Headers that each response has of its own, or of its connection; docs/http.md lists them as different in a replay. */
export const OWN_TO_EACH: readonly string[] = [
  'age',
  'cache-status',
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'set-cookie',
  'trailer',
  'transfer-encoding',
]

export function lastingHeaders(headers: WireHeaders): WireHeaders {
  return headers.filter(([name]) => !OWN_TO_EACH.includes(name.toLowerCase()))
}

export function withoutDate(wire: string): string {
  return wire.replace(/(\r\ndate: )[^\r]*/gi, '$1now')
}
