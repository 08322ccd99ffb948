// How to reach a Redis, as plain data; read in this package, so that wrong parameters throw when a lock is made.

import type { ConnectionOptions } from 'node:tls'
import { optionError, secretOptionError } from '../errors.js'
import { boolean, integer, isText, type OptionReader, optional, parseOptions, timerMs } from '../options.js'

export interface RedisNode {
  readonly host: string
  /** Default 6379; for a Sentinel, 26379. */
  readonly port?: number
}

/**
 * One of `url`, `path`, `cluster`, `sentinels`, or `host` and `port` says where the server is. All are optional; the
 * default is localhost:6379.
 */
export interface RedisParameters {
  /** Default `'localhost'`. */
  readonly host?: string
  /** Default 6379. */
  readonly port?: number
  /** The number of the database. Default 0; a cluster has only that one. */
  readonly db?: number
  /** TLS. Default false, unless `tls` is given or the URL starts with rediss://. */
  readonly ssl?: boolean
  /** How long connecting may take, in milliseconds. Default 2 000. */
  readonly connectTimeoutMs?: number
  readonly username?: string
  readonly password?: string
  /** A URL that starts with `redis://`, `rediss://` or `unix://`, with user name, password and database in it if need be. */
  readonly url?: string
  /** The path of a unix socket. */
  readonly path?: string
  /** Some nodes of a Redis Cluster, from which the others are found. */
  readonly cluster?: readonly RedisNode[]
  /** Sentinels that know the master. */
  readonly sentinels?: readonly RedisNode[]
  /** The name by which the Sentinels know the master. Default `'mymaster'`. */
  readonly sentinelName?: string
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
  /** Options of `tls.connect`: `ca`, `cert`, `key`, `servername` and so on. Implies `ssl`. */
  readonly tls?: ConnectionOptions
}

export type RedisSettings = Required<Pick<RedisParameters, 'db' | 'ssl' | 'connectTimeoutMs' | 'sentinelName'>> &
  Pick<RedisParameters, 'username' | 'password' | 'sentinelUsername' | 'sentinelPassword' | 'tls'> & {
    readonly target:
      | { readonly kind: 'host'; readonly host: string; readonly port: number }
      | { readonly kind: 'path'; readonly path: string }
      | { readonly kind: 'cluster'; readonly nodes: readonly Required<RedisNode>[] }
      | { readonly kind: 'sentinels'; readonly nodes: readonly Required<RedisNode>[] }
  }

/** No URL, because it may hold a password, and errors name the host or path that cannot be reached. */
const isNoUrl = (given: unknown): given is string => isText(given) && !given.includes('://')
const isTls = (given: unknown): given is ConnectionOptions =>
  typeof given === 'object' && given !== null && !Array.isArray(given)

const secret: OptionReader<string | undefined> = (given, name) => {
  if (given === undefined || typeof given === 'string') return given
  throw secretOptionError(name, 'a string')
}

/** What a URL has to be, in words for errors. */
export const redisUrlForm =
  'a URL that starts with redis://, rediss:// or unix://, whose user name and password went through encodeURIComponent()'

/** Whether `given` can be used as a URL: a % that begins no escaped byte cannot be decoded. */
export function isRedisUrl(given: string): boolean {
  try {
    decodeURIComponent(given)
    return /^(rediss?|unix):$/.test(new URL(given).protocol)
  } catch {
    return false
  }
}

const readUrl: OptionReader<URL | undefined> = (given, name) => {
  if (given === undefined) return undefined
  if (typeof given === 'string' && isRedisUrl(given)) return new URL(given)
  throw secretOptionError(name, redisUrlForm)
}

const nodes =
  (defaultPort: number): OptionReader<readonly Required<RedisNode>[] | undefined> =>
  (given, name) => {
    if (given === undefined) return undefined
    if (!Array.isArray(given) || given.length === 0) {
      throw secretOptionError(name, "a list of nodes, for example [{ host: 'redis-1', port: 6379 }]")
    }
    return given.map((node: unknown, at) => {
      const read = parseOptions(`${name}[${at}]`, node, {
        host: optional('a host name', isNoUrl),
        port: port(defaultPort),
      })
      if (read.host === undefined) throw optionError(`${name}[${at}].host`, read.host, 'a host name')
      return { host: read.host, port: read.port }
    })
  }

const port = (fallback: number): OptionReader<number> => integer(fallback, 1, 65_535)

const shape = {
  host: optional('a host name', isNoUrl),
  port: port(6379),
  db: integer(0, 0),
  ssl: boolean(false),
  connectTimeoutMs: timerMs(2_000),
  username: optional('a string', isText),
  password: secret,
  url: readUrl,
  path: optional('the path of a socket', isNoUrl),
  cluster: nodes(6379),
  sentinels: nodes(26_379),
  sentinelName: optional('the name of the master', isText),
  sentinelUsername: optional('a string', isText),
  sentinelPassword: secret,
  tls: optional('options of tls.connect', isTls),
} as const

/**
 * Reads parameters, with all defaults filled in.
 * @throws TypeError naming the parameter, what was received (unless it may hold a password) and what it takes.
 */
export function readRedisParameters(given?: RedisParameters): RedisSettings {
  // A URL in place of parameters is a likely mistake, and may hold a password.
  if (typeof given === 'string') throw secretOptionError('redisParams', 'an object of parameters, for example { url }')
  const parsed = parseOptions('redisParams', given, shape)
  const where = (['url', 'path', 'cluster', 'sentinels', 'host'] as const).filter(name => parsed[name] !== undefined)
  if (where.length > 1) throw secretOptionError(where[1] as string, `left out where ${where[0]} says where Redis is`)
  if (given?.port !== undefined && where.length === 1 && where[0] !== 'host') {
    throw optionError('port', given.port, `left out where ${where[0]} says where Redis is`)
  }
  for (const name of ['sentinelName', 'sentinelUsername', 'sentinelPassword'] as const) {
    if (parsed[name] !== undefined && parsed.sentinels === undefined) {
      throw secretOptionError(name, 'left out without sentinels')
    }
  }
  if (parsed.tls !== undefined && given?.ssl === false) throw optionError('ssl', false, 'true or left out with tls')
  const { sentinelUsername, sentinelPassword, tls, connectTimeoutMs } = parsed
  const common = {
    connectTimeoutMs,
    tls,
    username: parsed.username,
    password: parsed.password,
    db: parsed.db,
    ssl: parsed.ssl || tls !== undefined,
    sentinelName: parsed.sentinelName ?? 'mymaster',
    sentinelUsername,
    sentinelPassword,
  }
  const settings = (changes: Partial<RedisSettings> & Pick<RedisSettings, 'target'>): RedisSettings =>
    Object.freeze(
      Object.fromEntries(Object.entries({ ...common, ...changes }).filter(([, value]) => value !== undefined)),
    ) as unknown as RedisSettings
  if (parsed.url !== undefined) return settings(readTarget(parsed.url, parsed, given))
  if (parsed.path !== undefined) return settings({ target: { kind: 'path', path: parsed.path } })
  if (parsed.sentinels !== undefined) return settings({ target: { kind: 'sentinels', nodes: parsed.sentinels } })
  if (parsed.cluster !== undefined) {
    if (parsed.db !== 0) throw optionError('db', parsed.db, '0 with cluster, which has no other')
    return settings({ target: { kind: 'cluster', nodes: parsed.cluster } })
  }
  return settings({ target: { kind: 'host', host: parsed.host ?? 'localhost', port: parsed.port } })
}

function readTarget(
  url: URL,
  parsed: { readonly ssl: boolean; readonly username: string | undefined; readonly password: string | undefined },
  given: RedisParameters | undefined,
): Partial<RedisSettings> & Pick<RedisSettings, 'target'> {
  const isSocket = url.protocol === 'unix:'
  const isTls = url.protocol === 'rediss:'
  if (given?.ssl !== undefined && parsed.ssl !== isTls) {
    throw optionError('ssl', parsed.ssl, 'left out with url: rediss:// says it')
  }
  const username = decodeURIComponent(url.username)
  const password = decodeURIComponent(url.password)
  const db = isSocket ? url.searchParams.get('db') : url.pathname.slice(1)
  if (db !== null && db !== '' && !/^\d{1,6}$/.test(db))
    throw secretOptionError('url', 'one whose path is the number of a database')
  for (const [name, inUrl] of [
    ['username', username],
    ['password', password],
    ['db', db ?? ''],
  ] as const) {
    if (inUrl !== '' && given?.[name] !== undefined) throw secretOptionError(name, 'left out where url has it')
  }
  return {
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(db === null || db === '' ? {} : { db: Number(db) }),
    ...(isTls ? { ssl: true } : {}),
    target: isSocket
      ? { kind: 'path', path: decodeURIComponent(url.pathname) }
      : {
          kind: 'host',
          host: url.hostname === '' ? 'localhost' : url.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: Number(url.port || 6379),
        },
  }
}
