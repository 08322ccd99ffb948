// The Redis that is tormented: a primary and its replica, both with an append-only file.

import { once } from 'node:events'
import { connect } from 'node:net'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'

/**
 * The file is written before a reply is sent, and what the kernel has is not lost with the process: a restart loses
 * nothing. The replica is fed afterwards: a failover may.
 */
const serverArguments = [
  '--appendonly',
  'yes',
  '--appendfsync',
  'no',
  '--repl-diskless-sync-delay',
  '0',
  '--repl-backlog-size',
  '16mb',
]

export class TormentedServers {
  #primary: RedisServer
  #replica: RedisServer
  /** Called when clients have to go to another port. */
  onMove: (port: number) => void = () => {}

  private constructor(primary: RedisServer, replica: RedisServer) {
    this.#primary = primary
    this.#replica = replica
  }

  static async start(): Promise<TormentedServers> {
    const [primary, replica] = await Promise.all([startRedisServer(serverArguments), startRedisServer(serverArguments)])
    const servers = new TormentedServers(primary, replica)
    await servers.#follow()
    return servers
  }

  get port(): number {
    return this.#primary.port
  }

  async restart(): Promise<void> {
    await this.#primary.kill()
    await this.#primary.start()
  }

  async restartEmpty(lost: () => void): Promise<void> {
    await this.#primary.kill()
    await this.#primary.wipe()
    await this.#primary.start()
    lost()
  }

  /** The primary dies, the replica takes its place, and the old primary comes back empty as the new one's replica. */
  async failOver(lost: () => void): Promise<void> {
    await this.#primary.kill()
    await command(this.#replica.port, 'REPLICAOF', 'NO', 'ONE')
    const dead = this.#primary
    this.#primary = this.#replica
    this.#replica = dead
    this.onMove(this.port)
    lost()
    await dead.wipe()
    await dead.start()
    await this.#follow()
  }

  async flushScripts(): Promise<void> {
    await command(this.port, 'SCRIPT', 'FLUSH')
  }

  async killClients(): Promise<void> {
    await command(this.port, 'CLIENT', 'KILL', 'TYPE', 'normal')
    await command(this.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
  }

  async stop(): Promise<void> {
    await Promise.all([this.#primary.stop(), this.#replica.stop()])
  }

  async #follow(): Promise<void> {
    await command(this.#replica.port, 'REPLICAOF', '127.0.0.1', String(this.#primary.port))
    for (let tries = 0; tries < 400; tries++) {
      const info = await command(this.#replica.port, 'INFO', 'replication')
      if (info.includes('master_link_status:up')) return
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    throw new Error('the replica did not find its primary')
  }
}

/** One command on a connection of its own; its reply as text. */
export async function command(port: number, ...words: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`*${words.length}\r\n${words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
  let reply = ''
  for await (const data of socket) {
    reply += String(data)
    const length = /^\$(\d+)\r\n/.exec(reply)
    if (length === null ? reply.endsWith('\r\n') : reply.length >= length[0].length + Number(length[1])) break
  }
  socket.destroy()
  if (reply.startsWith('-')) throw new Error(`${words.join(' ')}: ${reply.trim()}`)
  return reply
}
