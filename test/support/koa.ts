// The versions of Koa under test, and how to serve an app of either.

import type { RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import Koa3 from 'koa'
import { serve, type TestServer } from './http.js'

/** Koa 2 has the same types in everything that tests use. */
const Koa2 = createRequire(import.meta.url)('koa2') as typeof Koa3

export const koas: readonly { readonly name: string; readonly Koa: typeof Koa3 }[] = [
  { name: 'Koa 3', Koa: Koa3 },
  { name: 'Koa 2', Koa: Koa2 },
]

export function serveKoa(app: Koa3): Promise<TestServer> {
  const callback = app.callback()
  const listener: RequestListener = (req, res) => void callback(req, res)
  return serve(listener)
}
