// What hostile, broken or just odd clients send.

import type { Random } from './random.js'

export interface Conversation {
  /** Pieces that are sent one after another, each in its own turn of the event loop; one character for each byte. */
  readonly pieces: readonly string[]
  /** Whether it is valid, and only its last request can end the connection. */
  readonly isOrderly: boolean
  /** Whether the client resets the connection after the pieces, without waiting for an answer. */
  readonly leaves: boolean
}

const methods = ['GET', 'POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE']
const badMethods = ['FOO', 'get', 'POSTX', '', 'PO ST', 'P\x00ST', 'CONNECT', 'POST\r\nX:']
const targets = [
  '/echo',
  '/echo',
  '/json',
  '/json',
  '/idem',
  '/idem',
  '/stream',
  '/echo?a=1&b=2',
  '/echo?b=2&a=1',
  '/echo?a=1&%61=2',
  '/echo?%61=2&a=1',
  '/echo?a[]=1&a[0]=2',
  '/echo?a[0]=2&a[]=1',
  '/echo?__proto__=1&constructor[prototype][x]=2',
  '/echo?a=%',
  '/echo?',
  '/ECHO/',
  '/%65cho',
  '//echo',
  '/echo/../idem',
  '/echo#f',
  'http://h/echo',
  'http://evil/echo?a=1',
  '/idem?a=1',
  '/nowhere',
]
const badTargets = [
  '*',
  '',
  'echo',
  '\\echo',
  '/e\x7fcho',
  '/e\xffcho',
  '/a b',
  `/echo?${'x'.repeat(9_000)}`,
  'h:80',
  'http://',
]
const versions = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0']
const badVersions = ['HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1x', '', 'http/1.1', 'HTTP/1.']
const headers = [
  'Authorization: Bearer a',
  'Authorization: Bearer b',
  'Authorization:',
  'authorization: Bearer c',
  'Cookie: sid=1',
  'Cookie: sid=2',
  'Cookie: sid=1; x=\xff',
  'X-Api-Key: 1',
  'X-Api-Key: 2',
  'X-Forwarded-Host: evil',
  'X-Forwarded-Proto: https',
  'X-HTTP-Method-Override: DELETE',
  'If-Match: "a"',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Range: bytes=0-1',
  'Expect: 100-continue',
  'Expect: something',
  'Accept-Encoding: gzip;q=0',
  'Content-Encoding: gzip',
  'Content-Encoding: nonsense',
  'Forwarded: for="[::1]";host=evil',
  '__proto__: x',
  'constructor: x',
  'Host: other',
  'Host: h:80',
]
const badHeaders = [
  'Host: a b',
  'No-Colon',
  ': nameless',
  'Space : x',
  ' Folded: x',
  'X: a\n Folded: b',
  'X: \x00',
  'X: a\rY: b',
  `X-Huge: ${'x'.repeat(20_000)}`,
  'Host:',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\x0bchunked',
  'Content-Length: -1',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 0x5',
  'Content-Length: 99999999999999999999',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 5\r\nTransfer-Encoding: chunked',
]
const badKeys = ['\x01', '"a\x7f"']
const keys = [
  'a',
  '"a"',
  '"b"',
  'k-1',
  '"k-1"',
  '"same"',
  '',
  '""',
  '"a',
  'a"',
  '"a", "b"',
  '("a")',
  ':YQ==:',
  '?1',
  '5',
  '"\\"',
  '"\xff"',
  'x'.repeat(300),
  '"a";p=1',
  'a;b',
]
const types = [
  'application/json',
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'multipart/form-data; boundary=X',
  'multipart/form-data; boundary="',
  'application/x-www-form-urlencoded',
  'application/json;;',
  '\xff',
]
const bodies = [
  '',
  '{}',
  '[]',
  '{"a":1,"b":2}',
  '{"b":2,"a":1}',
  '{"a":1,"a":2}',
  '{"a":2}',
  '{"__proto__":{"x":1}}',
  '{"x":1}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"a":1e999}',
  '{"a":-0}',
  '{"a":0}',
  '{"a":NaN}',
  '["\\ud800"]',
  '["\\udfff"]',
  '[9007199254740993]',
  '[9007199254740992]',
  '{"a":1',
  `${'['.repeat(300)}${']'.repeat(300)}`,
  '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--X--\r\n',
  '--X--X--X',
  'a=1&b=2',
  '\x00\xff\xfe',
  'x'.repeat(3_000),
  'x'.repeat(6_000),
]

export function makeConversation(random: Random): Conversation {
  const isOrderly = random.once(2)
  const requests = isOrderly ? 1 + random.below(3) : 1
  let sent = ''
  let parts = pickParts(random)
  for (let n = 0; n < requests; n++) {
    sent += isOrderly ? makeRequest(random, parts, requests === 1) : makeBroken(random)
    // Almost the same request: if both had one key, the second would be given the answer to the first.
    parts = alter(random, parts)
  }
  return { pieces: cut(random, sent), isOrderly, leaves: random.once(8) }
}

interface Parts {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly type: string
  readonly body: string
}

const pickHeader = (random: Random): string =>
  random.once(4) ? `Idempotency-Key: ${random.pick(keys)}` : random.pick(headers).replace(/^(Host|Expect: s).*/, 'X: y')

function pickParts(random: Random): Parts {
  return {
    method: random.pick(methods),
    target: random.pick(targets),
    headers: Array.from({ length: random.below(4) }, () => pickHeader(random)),
    type: random.pick(types),
    body: random.pick(bodies),
  }
}

function alter(random: Random, parts: Parts): Parts {
  const [path = '', query] = parts.target.split(/\?(.*)/s, 2)
  switch (random.below(6)) {
    case 0:
      return { ...parts, method: random.pick(methods) }
    case 1:
      return { ...parts, target: random.pick(targets) }
    case 2:
      return query === undefined ? parts : { ...parts, target: `${path}?${query.split('&').reverse().join('&')}` }
    case 3:
      return { ...parts, headers: [...parts.headers, pickHeader(random)] }
    case 4:
      return { ...parts, type: random.pick(types) }
    default:
      return { ...parts, body: random.pick(bodies) }
  }
}

/** A request that HTTP allows, however odd. */
function makeRequest(random: Random, { method, target, headers, type, body }: Parts, isAlone: boolean): string {
  const version = isAlone ? random.pick(versions) : 'HTTP/1.1'
  return finish(random, [`${method} ${target} ${version}`, 'Host: h', ...headers], type, body, true)
}

function makeBroken(random: Random): string {
  const method = random.once(6) ? random.pick(badMethods) : random.pick(methods)
  const target = random.once(6) ? random.pick(badTargets) : random.pick(targets)
  const version = random.once(8) ? random.pick(badVersions) : random.pick(versions)
  const lines = [`${method} ${target} ${version}`]
  if (!random.once(8)) lines.push('Host: h')
  const extra = random.below(5)
  for (let n = 0; n < extra; n++) lines.push(random.once(3) ? random.pick(badHeaders) : random.pick(headers))
  if (random.once(2)) lines.push(`Idempotency-Key: ${random.pick(random.once(5) ? badKeys : keys)}`)
  const whole = finish(random, lines, random.pick(types), random.pick(bodies), !random.once(3))
  // Ends within a head or a body.
  return random.once(5) ? whole.slice(0, random.below(whole.length)) : whole
}

function finish(random: Random, lines: readonly string[], type: string, body: string, isSound: boolean): string {
  if (body === '' && random.once(2)) return `${lines.join('\r\n')}\r\n\r\n`
  const head = [...lines, `Content-Type: ${type}`]
  if (random.once(3)) {
    head.push('Transfer-Encoding: chunked')
    return `${head.join('\r\n')}\r\n\r\n${chunk(random, body, isSound)}`
  }
  const length = isSound ? body.length : Math.max(0, body.length + random.pick([-3, -1, 1, 50]))
  head.push(`Content-Length: ${length}`)
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

function chunk(random: Random, body: string, isSound: boolean): string {
  const at = random.below(body.length + 1)
  const frame = (part: string): string => (part === '' ? '' : `${part.length.toString(16)}\r\n${part}\r\n`)
  const whole = `${frame(body.slice(0, at))}${frame(body.slice(at))}0\r\n\r\n`
  if (isSound) return whole
  return random.pick([
    whole.slice(0, -4),
    whole.replace(/^/, 'z'),
    whole.replace('\r\n', ';ext="\x00"\r\n'),
    whole.replace(/0\r\n\r\n$/, '0\r\nX-Trailer: a\r\nContent-Length: 5\r\n\r\n'),
    whole.replace(/^[\da-f]+/, 'ffffffffffffffff'),
    whole.replace(/0\r\n\r\n$/, '0\r\n\r\nGET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n'),
  ])
}

function cut(random: Random, sent: string): string[] {
  if (random.once(2)) return [sent]
  const at = random.below(sent.length + 1)
  return [sent.slice(0, at), sent.slice(at)]
}
