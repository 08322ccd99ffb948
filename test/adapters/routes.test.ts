// The route by which each adapter labels metrics: the framework's pattern.

import { createRequire } from 'node:module'
import { dspinlock } from '@dspinlock/express'
import { type RequestTrace, requestTracing } from '@dspinlock/http'
import { dspinlock as koaDspinlock } from '@dspinlock/koa'
import KoaRouter from '@koa/router'
import { expect } from 'chai'
import express, { type RequestHandler } from 'express'
import { type Ask, serve } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'
import { platforms, startRoutes } from '../support/nest.js'
import { hear } from '../support/tracing.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express

interface Asks {
  ask(path: string, ask?: Ask): Promise<unknown>
  stop(): Promise<unknown>
}

/** The routes that were reported while these paths were requested; stops the server. */
async function routesOf(server: Asks, paths: readonly string[], ask: Ask = {}): Promise<(string | undefined)[]> {
  const ear = hear<RequestTrace>({ request: requestTracing.request })
  for (const path of paths) await server.ask(path, ask)
  ear.stop()
  await server.stop()
  return ear.heard.filter(({ on }) => on === 'request asyncEnd').map(({ message }) => message.route)
}

for (const [name, framework] of [
  ['Express 5', express],
  ['Express 4', express4],
] as const) {
  describe(`routes on ${name}`, () => {
    const answer: RequestHandler = (_req, res) => void res.send('x')

    it('a route on the application', async () => {
      const app = framework()
      app.get('/orders/:id', dspinlock(), answer)
      app.get([/^\/old$/, '/older'], dspinlock(), answer)
      app.get('/', dspinlock(), answer)
      const routes = await routesOf(await serve(app), ['/orders/1?x=2', '/old', '/'])
      expect(routes).to.deep.equal(['/orders/:id', '/^\\/old$/,/older', '/'])
    })

    it('a route of a router, below its mount', async () => {
      const router = framework.Router()
      router.get('/', dspinlock(), answer)
      router.get('/:id', dspinlock(), answer)
      const app = framework()
      app.use('/api/v2/orders', router)
      const routes = await routesOf(await serve(app), ['/api/v2/orders', '/api/v2/orders/5'])
      expect(routes).to.deep.equal(['/api/v2/orders', '/api/v2/orders/:id'])
    })

    it('what differs or looks like an id in a mount is not told', async () => {
      const router = framework.Router()
      router.get('/orders', dspinlock(), answer)
      const app = framework()
      app.use('/tenants/:tenant', router)
      const paths = ['/tenants/17/orders', '/tenants/b@c.example/orders', '/tenants/acme/orders', '/tenants/x/orders']
      expect(await routesOf(await serve(app), paths)).to.deep.equal(Array(4).fill('/tenants/*/orders'))
    })

    it('a mount that is reached by two words has none of them from then on', async () => {
      const router = framework.Router()
      router.get('/orders', dspinlock(), answer)
      const app = framework()
      app.use('/tenants/:tenant', router)
      const paths = ['/tenants/acme/orders', '/tenants/other/orders', '/tenants/acme/orders']
      expect(await routesOf(await serve(app), paths)).to.deep.equal([
        '/tenants/acme/orders',
        '/tenants/*/orders',
        '/tenants/*/orders',
      ])
    })

    it('app-wide there is none yet', async () => {
      const app = framework()
      app.use(dspinlock())
      app.post('/orders/:id', answer)
      const routes = await routesOf(await serve(app), ['/orders/1'], { method: 'POST' })
      expect(routes).to.deep.equal([undefined])
    })
  })
}

for (const { name, Koa } of koas) {
  describe(`routes on ${name}`, () => {
    it('a route with the prefixes of its routers; none app-wide', async () => {
      const orders = new KoaRouter({ prefix: '/orders' })
      orders.get('/:id', koaDspinlock(), ctx => {
        ctx.body = 'x'
      })
      const api = new KoaRouter({ prefix: '/api' })
      api.use(orders.routes())
      const app = new Koa()
      app.use(koaDspinlock({ methods: ['GET'] }))
      app.use(api.routes() as never)
      expect(await routesOf(await serveKoa(app), ['/api/orders/5'])).to.deep.equal([undefined, '/api/orders/:id'])
    })
  })
}

for (const platform of platforms) {
  describe(`routes on ${platform.name}`, () => {
    it('the path of controller and handler', async () => {
      const server = await startRoutes(platform, {}, [
        { method: 'POST', path: 'orders/:id', handler: () => 'x' },
        { method: 'GET', path: 'reports', options: { duplicates: 'replay' }, handler: () => 'x' },
      ])
      const ear = hear<RequestTrace>({ request: requestTracing.request })
      await server.ask('/orders/3', { method: 'POST' })
      await server.ask('/reports')
      ear.stop()
      await server.stop()
      const told = ear.heard.filter(({ on }) => on === 'request asyncEnd').map(({ message }) => message.route)
      expect(told).to.deep.equal(['/orders/:id', '/reports'])
    })
  })
}
