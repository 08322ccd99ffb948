// Trailers: those of responses go to the first client only, and the handler still gets those of requests.

import { text } from 'node:stream/consumers'
import { type Behaviour, describeBehaviours, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const trailing: readonly Behaviour[] = [
  {
    what: '`addTrailers`, on a read',
    answer: ({ res, attempt }) => {
      res.setHeader('Trailer', 'X-Sum')
      res.write('a')
      attempt('trailers', () => res.addTrailers({ 'X-Sum': '1' }))
      res.end('b')
    },
    duplicate: 'runs',
  },
  {
    what: '`addTrailers` with pairs, on a write',
    method: 'POST',
    answer: ({ res, attempt }) => {
      res.setHeader('Trailer', 'X-Sum')
      res.write('a')
      attempt('trailers', () => res.addTrailers([['X-Sum', '1']] as never))
      res.end()
    },
    duplicate: 'refused',
  },
  {
    what: 'trailers of a request',
    method: 'POST',
    headers: ['Transfer-Encoding: chunked', 'Trailer: X-Check'],
    body: '4\r\nbody\r\n0\r\nX-Check: 7\r\n\r\n',
    answer: async ({ req, res }) => {
      const body = await text(req)
      res.end(`${body} ${JSON.stringify(req.trailers)} ${JSON.stringify(req.rawTrailers)}`)
    },
  },
]

describe('trailers', () => {
  describeBehaviours(openTopic('Trailers', 'trailers.test.ts'), [nodeHttp], trailing)
})
