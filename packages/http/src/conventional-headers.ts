// Request headers that by convention say who is asking, or what is asked for beside or in place of the request line.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

type NamedValue = readonly [name: string, value: string]
export type NamedValues = readonly NamedValue[]

/**
 * Headers, in lower case, by which applications and the proxies in front of them tell users apart. A name too many costs a missed
 * duplicate; a missing name shows one user the data of another.
 */
export const credentials: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  // What came as Authorization to Google's API Gateway, which puts one of its own in its place, the same for all.
  'x-forwarded-authorization',
  // Keys and tokens other than Authorization.
  'api-key',
  'apikey',
  'ocp-apim-subscription-key',
  'access-token',
  'private-token',
  'x-access-token',
  'x-amz-security-token',
  'x-api-key',
  'x-auth-token',
  'x-authorization',
  'x-functions-key',
  'x-goog-api-key',
  'x-id-token',
  'x-rapidapi-key',
  'x-session-id',
  'x-session-token',
  'x-token',
  // Users as named by an authenticating proxy: oauth2-proxy, Cloudflare Access, Google IAP, AWS ALB, Azure App Service, Kong, Envoy,
  // nginx, Pomerium, Tailscale.
  'cf-access-jwt-assertion',
  'remote-user',
  'ssl-client-cert',
  'tailscale-user-login',
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
  'x-pomerium-jwt-assertion',
  'x-remote-user',
  'x-ssl-client-cert',
  // Tenants, accounts and users, where one service has many.
  'x-account-id',
  'x-org-id',
  'x-organization-id',
  'x-tenant',
  'x-tenant-id',
  'x-user',
  'x-user-id',
])

/**
 * Headers from which applications behind a proxy build links, headers that routers and method-override use in place of the request line, and
 * headers that say which of several operations, events or parts of an upload it is where path and body may be the same for all of them.
 */
export const routing: ReadonlySet<string> = new Set([
  // Events: CloudEvents in binary mode, and webhooks. Of Google's, nothing is in the body. A delivery that is tried again has the same id.
  'ce-id',
  'svix-id',
  'webhook-id',
  'x-github-delivery',
  'x-goog-channel-id',
  'x-goog-message-number',
  'x-shopify-webhook-id',
  'x-wc-webhook-topic',
  // Operations: Next's server actions, AWS.
  'next-action',
  'x-amz-target',
  // Parts of an upload (RFC 9110, section 14.5; tus).
  'content-range',
  'upload-offset',
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

/** Whether a header names only a tenant, account or organisation, to which many users may belong, and so does not say which user is asking. */
export function isOfMany([name]: NamedValue): boolean {
  return /^x-(?:tenant|account|org)/.test(name)
}

/** Who is asking, as far as the request itself says so: its credentials, and its TLS client's certificate. Empty: nobody in particular. */
export function listCredentials(req: IncomingMessage): NamedValues {
  const found = pick(req.headers, credentials)
  const certificate = readClientCertificate(req)
  if (certificate !== undefined) found.push([':certificate', certificate])
  // A copy without the spare room that `push` made, because the list is kept while the request waits.
  return found.slice()
}

/**
 * Returns one value, or both if they differ: on HTTP/2 a client may send pseudo-headers that contradict its Host header and its
 * connection (RFC 9113, section 8.3.1), and an application may use either.
 */
export function bothOf(one: unknown, other: unknown = one): string {
  return String(one === other ? one : [one, other])
}

/** Lists what may tell the application another scheme, host, path, method or operation than the request line does. */
export function listRouting(req: IncomingMessage): NamedValue[] {
  const { headers } = req
  const found: NamedValue[] = pick(headers, routing)
  const { forwarded, ':scheme': said } = headers
  const scheme = bothOf(isEncrypted(req) ? 'https' : 'http', said)
  if (scheme !== 'http') found.push([':scheme', scheme])
  // RFC 7239, section 4. Only host and proto: the client's address says nothing about what it asks for, and a phone moves between attempts.
  const origin = forwarded?.match(/\b(?:host|proto)\s*=(?:"[^"]*"|[^;,])*/gi)
  if (origin) found.push(['forwarded', origin.join(',').toLowerCase()])
  return found
}

function pick(headers: IncomingHttpHeaders, names: ReadonlySet<string>): [string, string][] {
  const found: [string, string][] = []
  for (const name in headers) {
    if (!names.has(name)) continue
    const value = headers[name]
    if (value !== undefined) found.push([name, typeof value === 'string' ? value : value.join('\n')])
  }
  // Sorted, so that the order in which they were sent does not matter.
  return found.sort(([a], [b]) => (a < b ? -1 : 1))
}

function isEncrypted(req: IncomingMessage): boolean {
  return (req.socket as Partial<TLSSocket> | null)?.encrypted === true
}

/** Read for each request, because before TLS 1.3 a client may present a certificate later on the same connection. */
function readClientCertificate(req: IncomingMessage): string | undefined {
  if (!isEncrypted(req)) return undefined
  const socket = req.socket as Partial<TLSSocket>
  return socket.getPeerX509Certificate?.()?.fingerprint256
}
