// The whole application over HTTP, on the memory store and on Redis.

import type { INestApplication } from '@nestjs/common'
import { expect } from 'chai'
import { createApp } from '../src/create-app.js'

for (const storeName of ['memory', 'Redis']) {
  describe(`example nestjs-orders on ${storeName}`, () => {
    const customer = `ada ${process.pid} ${Math.random()}`
    const before_ = process.env['REDIS_URL']
    let app: INestApplication
    let url: string

    before(async () => {
      const redisUrl = process.env['TEST_REDIS_URL']
      if (storeName === 'Redis' && redisUrl !== undefined) process.env['REDIS_URL'] = redisUrl
      else delete process.env['REDIS_URL']
      app = await createApp({ quiet: true })
      await app.listen(0, '127.0.0.1')
      url = await app.getUrl()
    })
    after(async () => {
      if (before_ === undefined) delete process.env['REDIS_URL']
      else process.env['REDIS_URL'] = before_
      await app.close()
    })

    const post = (path: string, body: object = {}): Promise<Response> =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: customer },
        body: JSON.stringify(body),
      })
    const order = (sku: string, quantity: number): Promise<Response> => post('/orders', { customer, sku, quantity })

    it('an order that is sent five times at once is taken once', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => order('lamp', 2)))
      expect(answers.map(({ status }) => status)).to.deep.equal([201, 201, 201, 201, 201])
      const bodies = await Promise.all(answers.map(answer => answer.text()))
      expect(new Set(bodies).size).to.equal(1)
      expect(JSON.parse(bodies[0] ?? '')).to.deep.equal({ id: 1, customer, sku: 'lamp', quantity: 2 })
    })

    it('different orders of one thing never sell more of it than there is', async () => {
      const answers = await Promise.all([4, 5, 6, 7].map(quantity => order('chair', quantity)))
      const sold = await Promise.all(
        answers
          .filter(({ status }) => status === 201)
          .map(async answer => ((await answer.json()) as { quantity: number }).quantity),
      )
      expect(sold.reduce((sum, quantity) => sum + quantity, 0)).to.be.within(1, 10)
      expect(answers.filter(({ status }) => status === 409).length).to.be.greaterThan(0)
    })

    it('what is no order is told so, and leaves nothing behind', async () => {
      const answer = await post('/orders', { customer, sku: '', quantity: 0 })
      expect(answer.status).to.equal(400)
      expect(((await answer.json()) as { message: string[] }).message.join()).to.match(/sku.*quantity/)
    })

    it('of two shipments at once, one is made and one refused', async () => {
      const answers = await Promise.all([post('/orders/1/shipment'), post('/orders/1/shipment')])
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([201, 409])
      expect((await post('/orders/1/shipment')).status).to.equal(201)
    })

    it('the report is made once for all', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(`${url}/orders/report?${customer}`)))
      const marks = answers.map(({ headers }) => headers.get('cache-status'))
      expect(marks.filter(mark => mark === 'dspinlock; collapsed').length).to.equal(4)
    })
  })
}
