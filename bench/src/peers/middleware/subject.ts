// A middleware as the harness sees it: something to mount in an app.

import type { Request, RequestHandler } from 'express'

export type StoreKind = 'memory' | 'redis'

export interface Setting {
  readonly store: StoreKind
  readonly redisUrl: string
}

/** A middleware for Express, ready to mount on a route. */
export interface Mounted {
  readonly handler: RequestHandler
  /** True for requests that the middleware has answered although it calls the handler all the same. */
  readonly hasAnswered?: (req: Request) => boolean
}

export interface Subject {
  readonly name: string
  readonly packages: readonly string[]
  mount(setting: Setting): Promise<Mounted>
}
