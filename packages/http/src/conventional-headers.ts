// Request headers that by convention say who asks, or what is asked for in place of what the request line says.

import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

type NamedValue = readonly [name: string, value: string]
export type NamedValues = readonly NamedValue[]

/**
 * What applications and the proxies in front of them tell users apart by, in lower case. A name too many costs a missed duplicate;
 * one that is missing shows somebody what is another's.
 */
export const credentials: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  // Keys and tokens beside Authorization.
  'api-key',
  'apikey',
  'x-access-token',
  'x-amz-security-token',
  'x-api-key',
  'x-auth-token',
  'x-id-token',
  'x-session-id',
  'x-session-token',
  // What an authenticating proxy vouches for: oauth2-proxy, Cloudflare Access, Google IAP, AWS ALB, Azure App Service, Kong, Envoy, nginx.
  'cf-access-jwt-assertion',
  'remote-user',
  'ssl-client-cert',
  'x-amzn-oidc-data',
  'x-amzn-oidc-identity',
  'x-auth-request-email',
  'x-auth-request-user',
  'x-authenticated-user',
  'x-client-cert',
  'x-consumer-id',
  'x-forwarded-client-cert',
  'x-forwarded-email',
  'x-forwarded-user',
  'x-goog-authenticated-user-id',
  'x-goog-iap-jwt-assertion',
  'x-ms-client-principal',
  'x-remote-user',
  'x-ssl-client-cert',
  // Whose data, where one service has many.
  'x-account-id',
  'x-org-id',
  'x-organization-id',
  'x-tenant',
  'x-tenant-id',
  'x-user',
  'x-user-id',
])

/** What links are made of behind a proxy, and what routers and method-override take in place of the request line. */
export const routing: ReadonlySet<string> = new Set([
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
])

/** Says whose data is asked for, but not which of the many who belong there asks. */
export function isOfMany([name]: NamedValue): boolean {
  return /^x-(?:tenant|account|org)/.test(name)
}

/** Who asks, as far as the request itself says so: its credentials, and the certificate of its TLS client. Empty: nobody in particular. */
export function listCredentials(req: IncomingMessage): NamedValues {
  const found = pick(req, credentials)
  const certificate = readClientCertificate(req)
  if (certificate !== undefined) found.push([':certificate', certificate])
  // A copy without the room for more that `push` made: it is kept while the request waits.
  return found.slice()
}

/**
 * One, or both where they differ: on HTTP/2 a client may send pseudo-headers that contradict its Host header and its connection
 * (RFC 9113, section 8.3.1), and an application may go by either.
 */
export function bothOf(one: unknown, other: unknown = one): string {
  return String(one === other ? one : [one, other])
}

/** Under which scheme, host and method the application may take the request to have come, other than by its first line. */
export function listRouting(req: IncomingMessage): NamedValue[] {
  const found: NamedValue[] = pick(req, routing)
  const { forwarded, ':scheme': said } = req.headers
  const scheme = bothOf(isEncrypted(req) ? 'https' : 'http', said)
  if (scheme !== 'http') found.push([':scheme', scheme])
  // RFC 7239, section 4. Where the client is says nothing about what it asks for: a phone moves between its attempts.
  if (forwarded !== undefined) {
    const said = forwarded.match(/\b(?:host|proto)\s*=(?:"[^"]*"|[^;,])*/gi)
    if (said !== null) found.push(['forwarded', said.join(',').toLowerCase()])
  }
  return found
}

function pick(req: IncomingMessage, names: ReadonlySet<string>): [string, string][] {
  const found: [string, string][] = []
  const { headers } = req
  for (const name in headers) {
    if (!names.has(name)) continue
    const value = headers[name]
    if (value !== undefined) found.push([name, typeof value === 'string' ? value : value.join('\n')])
  }
  // In whatever order they were sent.
  return found.sort(([a], [b]) => (a < b ? -1 : 1))
}

function isEncrypted(req: IncomingMessage): boolean {
  return (req.socket as Partial<TLSSocket> | null)?.encrypted === true
}

/** Read for each request: before TLS 1.3, a client may present one later on the same connection. */
function readClientCertificate(req: IncomingMessage): string | undefined {
  if (!isEncrypted(req)) return undefined
  const socket = req.socket as Partial<TLSSocket>
  return socket.getPeerX509Certificate?.()?.fingerprint256
}
