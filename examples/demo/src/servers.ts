// The server processes of the demo, and requests to them.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Answer, BURST, STRANGERS } from './scenario.js'

const agent = new Agent({ keepAlive: true, maxSockets: BURST + STRANGERS })

/** Of all servers of a setting, the requests are addressed to one site, as behind a load balancer. */
const HOST = 'shop.example'

export async function send(port: number, method: string, path: string): Promise<Answer> {
  const body = method === 'POST' ? JSON.stringify({ order: 4711, amount: '12.00' }) : ''
  const headers: Record<string, string | number> = { host: HOST, authorization: 'Bearer demo' }
  if (body !== '') Object.assign(headers, { 'content-type': 'application/json', 'content-length': body.length })
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent }).end(body)
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { status: incoming.statusCode ?? 0, body: await text(incoming) }
}

export interface Servers {
  readonly ports: readonly number[]
  readonly stop: () => Promise<void>
}

/** Starts `count` server processes, and connects to them: 200 people who click at once are connected already. */
export async function startServers(count: number, redisUrl: string | undefined): Promise<Servers> {
  const env = { ...process.env, NODE_ENV: 'production' }
  if (redisUrl === undefined) delete (env as NodeJS.ProcessEnv)['REDIS_URL']
  else (env as NodeJS.ProcessEnv)['REDIS_URL'] = redisUrl
  const servers = Array.from({ length: count }, () => fork(new URL('./server.js', import.meta.url), { env }))
  const ports = await Promise.all(
    servers.map(async server => {
      const gone = once(server, 'exit').then(([code]) => {
        throw new Error(`a server process ended before it listened, with exit code ${String(code)}`)
      })
      gone.catch(() => undefined)
      const [port] = (await Promise.race([once(server, 'message'), gone])) as [number]
      return port
    }),
  )
  const total = BURST + STRANGERS
  await Promise.all(Array.from({ length: total }, (_, n) => send(ports[n % ports.length] ?? 0, 'GET', '/runs')))
  return {
    ports,
    stop: async () => {
      for (const server of servers) server.disconnect()
      await Promise.all(servers.map(async server => void (server.exitCode === null && (await once(server, 'exit')))))
    },
  }
}

/** Lets the process end. */
export function disconnect(): void {
  agent.destroy()
}
