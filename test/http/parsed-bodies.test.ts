// What a parser in front left stands for the body only if it tells two bodies apart; otherwise the request runs, and is no duplicate.

import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { Request, RequestHandler } from 'express'
import multer from 'multer'
import { type Ask, frameworks, json, serve } from '../support/http.js'

const form = (contents: string): Ask => ({
  method: 'POST',
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: `--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n${contents}\r\n--b--\r\n`,
})
const typed = (type: string, body: string): Ask => ({ method: 'POST', headers: { 'content-type': type }, body })

/** Reads the body, as a parser does, and leaves something else in its place. */
const leaving =
  (leave: (req: Request, body: string) => void): RequestHandler =>
  (req, _res, next) => {
    text(req).then(body => {
      leave(req, body)
      next()
    }, next)
  }

for (const { name, express } of frameworks) {
  describe(`parsed bodies on ${name}`, () => {
    /** How many of the requests, one after another, are not answered with the response to an earlier one. */
    const countRuns = async (parser: RequestHandler, asks: readonly Ask[]): Promise<number> => {
      let runs = 0
      const app = express()
      app.post('/', parser, dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
        runs++
        res.send('done')
      })
      const server = await serve(app)
      for (const ask of asks) expect((await server.ask('/', ask)).status).to.equal(200)
      await server.stop()
      return runs
    }

    it('one file by multer: another one of the same name is another form', async () => {
      const inMemory = multer()
      const parsers = {
        single: inMemory.single('f'),
        array: inMemory.array('f'),
        fields: inMemory.fields([{ name: 'f' }]),
        any: inMemory.any(),
      }
      for (const [how, parser] of Object.entries(parsers))
        expect(await countRuns(parser, [form('one'), form('two'), form('one')]), how).to.equal(2)
    })

    it('files whose contents are not at hand: their requests run', async () => {
      const files: Record<string, (contents: string) => unknown> = {
        'of multer, in a storage of its own': () => ({ fieldname: 'f', originalname: 'a', mimetype: 'text/plain' }),
        'of formidable': () => ({ originalFilename: 'a', mimetype: 'text/plain' }),
        'of which only the size is known': () => ({ size: 3 }),
        'of the web': contents => new File([contents], 'a'),
      }
      for (const [what, make] of Object.entries(files)) {
        const one = leaving((req, contents) => Object.assign(req, { body: {}, file: make(contents) }))
        const several = leaving((req, contents) => Object.assign(req, { body: {}, files: { f: [make(contents)] } }))
        for (const parser of [one, several])
          expect(await countRuns(parser, [form('one'), form('two'), form('one')]), what).to.equal(3)
      }
    })

    it('no file where there could be one is compared as that', async () => {
      const parser = leaving((req, body) => Object.assign(req, { body: { body }, file: null, files: { f: null } }))
      expect(await countRuns(parser, [form('one'), form('two'), form('one')])).to.equal(2)
    })

    it('null is a body like any other', async () => {
      expect(await countRuns(express.json({ strict: false }), [json(null), json(0), json(null)])).to.equal(2)
    })

    it('what stands in place of a body that nobody has read says nothing about it', async () => {
      const parser: RequestHandler = (req, _res, next) => {
        req.body = { tenant: 1 }
        next()
      }
      expect(await countRuns(parser, [form('one'), form('two'), form('one')])).to.equal(2)
    })

    it('a body that was read, of which nothing is left, is compared with none', async () => {
      expect(
        await countRuns(
          leaving(() => {}),
          [form('one'), form('two'), form('one')],
        ),
      ).to.equal(3)
    })

    it('`{}` stands for JSON that is as short, and else only where body-parser says that it parsed it', async () => {
      const nothing = leaving(req => void (req.body = {}))
      for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/vnd.api+json'])
        for (const body of ['{}', '{  }'])
          expect(await countRuns(nothing, [typed(type, body), typed(type, body)])).to.equal(1)
      for (const type of ['text/plain', 'application/xjson', 'application/jsonp'])
        expect(await countRuns(nothing, [typed(type, '{}'), typed(type, '{}')]), type).to.equal(2)
      const long = typed('application/json', '"abc"')
      expect(await countRuns(nothing, [long, long])).to.equal(2)
      const parsed = leaving(req => void Object.assign(req, { body: {}, _body: true }))
      expect(await countRuns(parsed, [typed('a/b', 'x=1&y'), typed('a/b', 'x=1&y')])).to.equal(1)
    })
  })
}
