// The end of a response that comes twice, too late, by an error, or never.

import { createReadStream } from 'node:fs'
import type { Server } from 'node:http'
import { pipeline } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const endings: readonly Behaviour[] = [
  {
    what: '`end` twice, in the same turn',
    answer: ({ res, attempt, note }) => {
      attempt('first', () => res.end('a', () => note('late called back first')))
      attempt('second', () => res.end())
      attempt('with a callback', () =>
        res.end((error?: Error) => note(`late called back again ${error?.message ?? ''}`)),
      )
    },
  },
  {
    what: '`end` again with a chunk, refused',
    answer: ({ res, attempt, note }) => {
      attempt('first', () => res.end('a'))
      attempt('second', () => res.end('b', (error?: Error) => note(`called back ${String(error)}`)))
    },
  },
  {
    what: '`write` after the end, refused',
    answer: ({ res, attempt, note }) => {
      attempt('end', () => res.end('a'))
      attempt('write', () => res.write('b', error => note(`called back ${String(error)}`)))
    },
  },
  {
    what: '`setHeader` and `writeHead` after the end, refused',
    answer: ({ res, attempt }) => {
      attempt('end', () => res.end('a'))
      attempt('set', () => res.setHeader('X-Late', '1'))
      attempt('head', () => res.writeHead(500))
      attempt('remove', () => res.removeHeader('X-Late'))
      attempt('flush', () => res.flushHeaders())
    },
  },
  {
    what: '`end` again after `finish`',
    answer: async ({ res, attempt, note }) => {
      const finished = new Promise(resolve => res.once('finish', resolve))
      res.end('a')
      await finished
      attempt('end', () => res.end((error?: Error) => note(`called back ${String(error)}`)))
    },
  },
  {
    what: '`headersSent`, `writableEnded`, `finished`, `writableLength` and `writableCorked` after each call',
    answer: async ({ res, note }) => {
      const tell = (when: string): void =>
        note(
          `${when} ${[res.headersSent, res.writableEnded, res.finished, res.writableLength, res.writableCorked, res.writable, res.destroyed].join(' ')}`,
        )
      tell('at first')
      res.writeHead(200)
      tell('after writeHead')
      res.write('a')
      tell('after write')
      await turn()
      tell('a turn later')
      res.end('b')
      tell('after end')
    },
  },
  {
    what: 'the response is destroyed once it was ended',
    answer: ({ res }) => {
      res.end('whole')
      res.destroy()
    },
  },
  {
    what: 'its connection is destroyed once it was ended',
    answer: ({ req, res }) => {
      res.end('whole')
      req.socket.destroy()
    },
  },
  {
    what: 'the server is closed once it was ended, and with it the connections that are idle',
    answer: ({ req, res }) => {
      res.end('whole')
      ;(req.socket as unknown as { server: Server }).server.closeIdleConnections()
    },
  },
  {
    what: 'an error after the head: the response is destroyed',
    answer: async ({ res, received }) => {
      res.write('begun')
      await received('begun')
      res.destroy(new Error('planned'))
    },
    duplicate: 'runs',
    isCut: true,
  },
  {
    what: 'an error before the head: the response is destroyed, as `pipeline` does it',
    answer: ({ res }) => {
      // A file that is not there.
      pipeline(createReadStream('/no/such/file'), res, () => {})
    },
    duplicate: 'runs',
  },
  {
    what: 'a failure: 500 and a body',
    answer: ({ res }) => {
      res.statusCode = 500
      res.end('failed')
    },
    duplicate: 'runs',
  },
]

describe('ends of responses', () => {
  describeBehaviours(openTopic('Ends', 'ending.test.ts'), [nodeHttp, ...expressSurfaces], endings)
})
