// Responses without a body, for HEAD or because of their status, and responses to clients of HTTP/1.0.

import { type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const bodiless: readonly Behaviour[] = [
  ...[204, 205].map(
    (status): Behaviour => ({
      what: `${status}, ended without a body`,
      answer: ({ res, attempt }) => {
        res.statusCode = status
        res.setHeader('X-One', '1')
        attempt('end', () => res.end())
      },
    }),
  ),
  {
    what: '204 with a body that Node drops',
    answer: ({ res, attempt }) => {
      res.statusCode = 204
      attempt('write', () => res.write('dropped'))
      attempt('end', () => res.end('dropped'))
    },
  },
  {
    what: '304 of its own making',
    answer: ({ res, attempt }) => {
      res.statusCode = 304
      res.setHeader('ETag', '"v1"')
      attempt('end', () => res.end('dropped'))
    },
    duplicate: 'runs',
  },
  {
    what: 'an empty body with 200',
    answer: ({ res }) => res.end(),
  },
  {
    what: 'HEAD',
    method: 'HEAD',
    answer: ({ res, attempt }) => {
      res.setHeader('Content-Length', 5)
      attempt('write', () => res.write('abc'))
      attempt('end', () => res.end('de'))
    },
    duplicate: 'runs',
  },
  {
    what: 'OPTIONS',
    method: 'OPTIONS',
    answer: ({ res }) => {
      res.setHeader('Allow', 'GET, OPTIONS')
      res.end()
    },
    duplicate: 'runs',
  },
  {
    what: 'HTTP/1.0: a body without a length ends with the connection',
    version: '1.0',
    answer: ({ res }) => {
      res.write('one ')
      res.end('two')
    },
    except: { text: 'with a length', headers: [] },
  },
  {
    what: '204 by `writeHead`, ended with a body that Node drops',
    answer: ({ res, attempt }) => {
      res.writeHead(204, { 'Content-Type': 'text/plain' })
      attempt('end', () => res.end('dropped', 'utf8'))
    },
  },
]

describe('responses without a body', () => {
  describeBehaviours(openTopic('No body', 'bodiless.test.ts'), [nodeHttp, ...expressSurfaces], bodiless)
})
