// What a handler can see of request and response, besides what it answers: objects, events, state and async context.

import { AsyncLocalStorage } from 'node:async_hooks'
import { IncomingMessage, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { type Answering, type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

const local = new AsyncLocalStorage<string>()

const post = (body: string): Pick<Behaviour, 'method' | 'headers' | 'body'> => ({
  method: 'POST',
  headers: [`Content-Length: ${Buffer.byteLength(body)}`, 'Content-Type: text/plain'],
  body,
})

function stateOf({ req }: Answering): string {
  return JSON.stringify([
    req.method,
    req.httpVersion,
    req.readable,
    req.readableEnded,
    req.readableFlowing,
    req.destroyed,
    req.closed,
    req.errored,
    req.aborted,
    req.listenerCount('data'),
    req.listenerCount('end'),
    req.listenerCount('readable'),
    req.listenerCount('close'),
    req.listenerCount('error'),
    req.isPaused(),
    req.rawHeaders.filter(name => !name.includes('/')),
    Object.keys(req.headers),
  ])
}

const visible: readonly Behaviour[] = [
  {
    what: 'identity and prototypes of `req` and `res`',
    answer: ({ req, res, note }) => {
      const chain = (object: object): string => {
        const prototype = Object.getPrototypeOf(object) as object | null
        return prototype === null
          ? 'null'
          : `${String(Reflect.get(prototype, 'constructor')?.name)} ${chain(prototype)}`
      }
      note(chain(req))
      note(chain(res))
      note(`${req instanceof IncomingMessage} ${res instanceof ServerResponse} ${res.req === req}`)
      note(`${Object.prototype.toString.call(req)} ${Object.prototype.toString.call(res)}`)
      note([res.write.length, res.end.length, res.writeHead.length].every(n => n >= 0) ? 'functions' : '')
      note(`socket ${res.socket === req.socket} ${res.connection === req.socket}`)
      res.end('x')
    },
  },
  {
    what: 'methods taken from the prototype and called on the response',
    answer: ({ res, attempt }) => {
      attempt('setHeader', () => ServerResponse.prototype.setHeader.call(res, 'X-One', '1'))
      attempt('getHeader', () => ServerResponse.prototype.getHeader.call(res, 'x-one'))
      res.end('x')
    },
  },
  {
    what: 'the state of a request without a body',
    answer: answering => {
      answering.note(stateOf(answering))
      answering.res.end('x')
    },
  },
  {
    what: 'a body by `data` and `end`',
    ...post('hello, body'),
    answer: ({ req, res, note }) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        note(`ended ${req.complete} ${req.readableEnded}`)
        res.end(Buffer.concat(chunks))
      })
    },
  },
  {
    what: 'a body by `readable` and `read(size)`',
    ...post('hello, body'),
    answer: ({ req, res }) => {
      let body = ''
      req.on('readable', () => {
        for (let chunk = req.read(3) as Buffer | null; chunk !== null; chunk = req.read(3) as Buffer | null) {
          body += `[${chunk.toString()}]`
        }
      })
      req.on('end', () => res.end(body))
    },
  },
  {
    what: 'a body by `for await`, with `setEncoding`',
    ...post('h\u00e4\u00df, body'),
    answer: async ({ req, res }) => {
      req.setEncoding('utf8')
      let body = ''
      for await (const chunk of req) body += String(chunk)
      res.end(body)
    },
  },
  {
    what: 'a body piped back',
    ...post('echo '.repeat(10_000)),
    answer: ({ req, res }) => void req.pipe(res),
  },
  {
    what: 'a body in chunks',
    method: 'POST',
    headers: ['Transfer-Encoding: chunked'],
    body: '5\r\nhello\r\n6\r\n, body\r\n0\r\n\r\n',
    answer: async ({ req, res }) => void res.end(await buffer(req)),
  },
  {
    what: 'a body that is given to `fetch`, which takes none that was read before',
    ...post('hello, body'),
    answer: async ({ req, res, attempt }) => {
      let passedOn: Request | undefined
      attempt('give', () => {
        passedOn = new Request('http://upstream.example', { method: 'POST', body: req as never, duplex: 'half' })
      })
      res.end(await passedOn?.text())
    },
  },
  {
    what: 'a body that is read later than it arrived',
    ...post('hello, body'),
    answer: async ({ req, res }) => {
      await turn()
      await turn()
      res.end(await buffer(req))
    },
  },
  {
    what: 'a body that nobody reads',
    ...post('hello, body'),
    answer: ({ res }) => res.end('x'),
  },
  {
    what: 'a body that is paused, resumed and destroyed',
    ...post('hello, body'),
    answer: async ({ req, res, note }) => {
      req.pause()
      await turn()
      req.on('data', (chunk: Buffer) => note(`data ${chunk.toString()}`))
      req.resume()
      await new Promise(resolve => req.once('end', resolve))
      res.end('x')
    },
  },
  {
    what: '`AsyncLocalStorage` in the handler, its callbacks and its events',
    answer: ({ res, note }) =>
      local.run('of the handler', () => {
        res.once('finish', () => note(`late finish in ${local.getStore()}`))
        res.write('a', () => note(`late written in ${local.getStore()}`))
        res.end('b', () => note(`late ended in ${local.getStore()}`))
        note(`now in ${local.getStore()}`)
      }),
  },
  {
    what: 'order of ticks, microtasks, `finish` and callbacks around the end',
    answer: ({ res, note }) => {
      process.nextTick(() => note('tick before'))
      void Promise.resolve().then(() => note('microtask before'))
      res.end('x', () => note('late called back'))
      process.nextTick(() => note('tick after'))
      void Promise.resolve().then(() => note('microtask after'))
      note('returned')
    },
  },
  {
    what: 'listeners for `finish` and `close`: once each',
    answer: async ({ res, note }) => {
      const counts = { finish: 0, close: 0 }
      res.on('finish', () => counts.finish++)
      const closed = new Promise<void>(resolve => {
        res.on('close', () => {
          counts.close++
          resolve()
        })
      })
      res.write('a')
      res.end('b')
      await closed
      await turn()
      note(`late ${JSON.stringify(counts)}`)
    },
  },
  {
    what: 'a method of the response wrapped by the handler',
    answer: ({ res, note }) => {
      const { write, end } = res as unknown as Record<'write' | 'end', (...args: unknown[]) => unknown>
      res.write = (...args: unknown[]) => {
        note('write seen')
        return Reflect.apply(write, res, args) as boolean
      }
      res.end = (...args: unknown[]) => {
        note('end seen')
        return Reflect.apply(end, res, args) as typeof res
      }
      res.write('a')
      res.end('b')
    },
  },
  {
    what: '`setTimeout` of the response, and its socket',
    answer: async ({ res, attempt }) => {
      attempt('timeout', () => res.setTimeout(5_000))
      await turn()
      res.end('x')
    },
  },
]

describe('what a handler sees', () => {
  describeBehaviours(openTopic('What a handler sees', 'visible.test.ts'), [nodeHttp, ...expressSurfaces], visible)
})
