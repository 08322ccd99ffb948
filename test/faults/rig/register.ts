// The fenced register: a database that refuses a writer whose fence is lower than one that it has seen. No fault reaches it.

import { Redis } from 'ioredis'

const WRITE = `
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) < last then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
`

export class Register {
  readonly #redis: Redis

  constructor(url: string) {
    this.#redis = new Redis(url)
  }

  /** Resolves to whether the write was accepted. */
  async write(key: string, fence: number): Promise<boolean> {
    return (await this.#redis.eval(WRITE, 1, key, fence)) === 1
  }

  close(): void {
    this.#redis.disconnect()
  }
}
