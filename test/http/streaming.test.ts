// Streams: every chunk leaves when it is written, back-pressure is passed on, and nothing is held up.

import { pipeline, Readable, Transform } from 'node:stream'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const MEGABYTE = 1_048_576

/** Reads nothing for a moment, so that the server's buffers fill. */
const slowly: Behaviour['client'] = socket => {
  socket.pause()
  setTimeout(() => socket.resume(), 60)
}

const streams: readonly Behaviour[] = [
  {
    what: 'chunks: each one is at the client before the next is written',
    answer: async ({ res, received, attempt }) => {
      for (const chunk of ['one ', 'two ', 'three ']) {
        attempt(chunk, () => res.write(chunk))
        await received(chunk)
      }
      attempt('end', () => res.end())
    },
  },
  {
    what: 'chunks of declared length: each but the last byte is at the client at once',
    answer: async ({ res, received }) => {
      res.setHeader('Content-Length', 9)
      for (const chunk of ['one ', 'two ']) {
        res.write(chunk)
        await received(chunk)
      }
      res.end('.')
    },
  },
  {
    what: 'server-sent events, until the server ends them',
    answer: async ({ res, received }) => {
      res.writeHead(200, {
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-cache',
        'X-Accel-Buffering': 'no',
      })
      res.flushHeaders()
      await received('\r\n\r\n')
      for (let n = 1; n <= 3; n++) {
        res.write(`id: ${n}\ndata: event ${n}\n\n`)
        await received(`event ${n}`)
      }
      res.write(': keep alive\n\n')
      res.end()
    },
  },
  {
    what: '`cork` and `uncork`: chunks leave together',
    answer: async ({ res, note, received }) => {
      res.cork()
      res.write('a')
      res.write('b')
      note(`corked ${res.writableCorked}`)
      await turn()
      res.uncork()
      note(`corked ${res.writableCorked}`)
      await received('b')
      res.cork()
      res.write('c')
      res.end('d')
      note(`corked ${res.writableCorked}`)
    },
  },
  {
    what: '`pipe`, with back-pressure and a slow client',
    client: slowly,
    answer: ({ res, note }) => {
      let pauses = 0
      const source = Readable.from(Array.from({ length: 40 }, (_, n) => Buffer.alloc(16_384, n)))
      source.on('pause', () => pauses++)
      res.once('finish', () => note(`late paused ${pauses > 0}`))
      source.pipe(res)
    },
  },
  {
    what: '`pipeline`, with back-pressure and a slow client',
    client: slowly,
    answer: ({ res, note }) =>
      new Promise<void>(resolve => {
        const source = Readable.from(Array.from({ length: 40 }, (_, n) => Buffer.alloc(16_384, n)))
        const through = new Transform({ transform: (chunk, _encoding, done) => done(null, chunk) })
        pipeline(source, through, res, error => {
          note(`late piped ${String(error)}`)
          resolve()
        })
      }),
  },
  {
    what: '`write` returning false, and `drain`',
    client: slowly,
    answer: async ({ res, note }) => {
      let refused = 0
      for (let n = 0; n < 12; n++) {
        if (res.write(Buffer.alloc(65_536, n))) continue
        refused++
        await new Promise(resolve => res.once('drain', resolve))
      }
      note(`refused ${refused > 0}`)
      res.end()
    },
  },
  {
    what: 'more than `maxRecordBytes`: it flows on',
    client: slowly,
    answer: ({ res }) => void Readable.from([Buffer.alloc(MEGABYTE, 1), Buffer.from('more')]).pipe(res),
    duplicate: 'runs',
  },
  {
    what: 'a web stream',
    answer: async ({ res }) => {
      for await (const chunk of new Blob(['a', 'web ', 'stream']).stream()) res.write(chunk)
      res.end()
    },
  },
  {
    what: 'a pause in mid-body',
    answer: async ({ res, received }) => {
      res.write('before ')
      await received('before')
      await delay(20)
      res.end('after')
    },
  },
]

describe('streamed responses', function () {
  this.timeout(60_000)
  describeBehaviours(openTopic('Streams', 'streaming.test.ts'), [nodeHttp, ...expressSurfaces], streams)
})
