// write and end with every argument that Node takes, in every order, and with arguments that it refuses.

import { setTimeout as delay } from 'node:timers/promises'
import { type Answering, type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'

type Method = 'write' | 'end'

/** Calls a method regardless of its types, and logs its result and when it calls back. */
function call({ res, note, attempt }: Answering, method: Method, ...args: readonly unknown[]): void {
  const given = args.map(arg =>
    arg === 'CALLBACK' ? (error?: Error | null) => note(`late called back ${method} ${error?.message ?? ''}`) : arg,
  )
  attempt(method, () => Reflect.apply(res[method], res, given))
}

const encodings = [
  'utf8',
  'utf-8',
  'UTF8',
  'latin1',
  'binary',
  'ascii',
  'ucs2',
  'utf16le',
  'base64',
  'base64url',
  'hex',
]

const bytes = Uint8Array.from([0, 1, 127, 128, 255, 10])
const arrays: Readonly<Record<string, () => unknown>> = {
  Buffer: () => Buffer.from(bytes),
  Uint8Array: () => bytes,
  'a part of a larger Uint8Array': () => bytes.subarray(1, 4),
  Uint8ClampedArray: () => Uint8ClampedArray.from(bytes),
  Int8Array: () => Int8Array.from(bytes),
  Uint16Array: () => Uint16Array.from(bytes),
  Int32Array: () => Int32Array.from(bytes),
  Float64Array: () => Float64Array.from(bytes),
  BigInt64Array: () => BigInt64Array.from([1n]),
  DataView: () => new DataView(bytes.buffer),
  ArrayBuffer: () => bytes.slice().buffer,
  SharedArrayBuffer: () => new SharedArrayBuffer(4),
}

const arguments_: readonly Behaviour[] = [
  ...encodings.map(
    (encoding): Behaviour => ({
      what: `strings in ${encoding}`,
      answer: answering => {
        const text = /^(base64|hex)/.test(encoding) ? 'c3a4c3a4' : 'hä€\u{1f600}'
        call(answering, 'write', text, encoding)
        call(answering, 'end', text, encoding)
      },
    }),
  ),
  ...Object.entries(arrays).map(
    ([name, make]): Behaviour => ({
      what: /Buffer$|^Uint8Array$|Uint8Array/.test(name) && !/^(Array|Shared)/.test(name) ? name : `${name}: refused`,
      answer: answering => {
        call(answering, 'write', make(), 'CALLBACK')
        call(answering, 'end', make(), 'CALLBACK')
        call(answering, 'end')
      },
    }),
  ),
  {
    what: 'a callback in each place, and none',
    answer: answering => {
      call(answering, 'write', 'a', 'CALLBACK')
      call(answering, 'write', 'b', 'utf8', 'CALLBACK')
      call(answering, 'write', 'c', undefined, 'CALLBACK')
      call(answering, 'write', 'd', null, 'CALLBACK')
      call(answering, 'write', 'e')
      call(answering, 'end', 'f', 'latin1', 'CALLBACK')
    },
  },
  {
    what: '`end(callback)`',
    answer: answering => {
      call(answering, 'write', 'a')
      call(answering, 'end', 'CALLBACK')
    },
  },
  {
    what: '`end(chunk, callback)`',
    answer: answering => call(answering, 'end', Buffer.from('a'), 'CALLBACK'),
  },
  {
    what: '`end()` alone',
    answer: answering => call(answering, 'end'),
  },
  {
    what: '`end` with undefined or null in place of arguments',
    answer: answering => {
      call(answering, 'write', 'a')
      call(answering, 'end', undefined, undefined, 'CALLBACK')
    },
  },
  {
    what: '`end(null)`',
    answer: answering => call(answering, 'end', null),
  },
  {
    what: '`end("")` and `write("")`',
    answer: answering => {
      call(answering, 'write', '', 'CALLBACK')
      call(answering, 'write', Buffer.alloc(0), 'CALLBACK')
      call(answering, 'end', '', 'CALLBACK')
    },
  },
  {
    what: 'chunks that are refused: undefined, null, a number, an object, a list',
    answer: answering => {
      call(answering, 'write', undefined)
      call(answering, 'write', null)
      call(answering, 'write', 5)
      call(answering, 'write', {})
      call(answering, 'write', ['a'])
      call(answering, 'end', 5)
      call(answering, 'end', {}, 'CALLBACK')
      call(answering, 'end', 'a')
    },
  },
  {
    what: 'characters split across chunks of bytes',
    answer: answering => {
      const text = Buffer.from('hä€\u{1f600}')
      for (const byte of text) call(answering, 'write', Buffer.from([byte]))
      call(answering, 'end')
    },
  },
  {
    what: 'surrogates split across strings',
    answer: answering => {
      const [high, low] = ['\ud83d', '\ude00']
      call(answering, 'write', high)
      call(answering, 'write', low)
      call(answering, 'end', `${high}${low}`)
    },
  },
  {
    what: 'a buffer that is used again after the write',
    answer: answering => {
      const buffer = Buffer.from('first')
      answering.res.cork()
      // A handler that writes to a corked response gives its bytes away; a record must not contain what becomes of them later.
      call(answering, 'write', Buffer.from(buffer))
      buffer.fill('x')
      answering.res.uncork()
      call(answering, 'end')
    },
  },
  {
    what: 'a body of declared length, written whole before the end',
    answer: answering => {
      answering.res.setHeader('Content-Length', 6)
      call(answering, 'write', 'ab', 'CALLBACK')
      call(answering, 'write', 'cdef', 'CALLBACK')
      call(answering, 'end', 'CALLBACK')
    },
  },
  {
    what: 'a body of declared length in base64, written whole before the end',
    answer: answering => {
      answering.res.setHeader('Content-Length', 3)
      call(answering, 'write', 'aMOk', 'base64', 'CALLBACK')
      call(answering, 'end')
    },
  },
  {
    what: 'more than the declared length',
    answer: answering => {
      answering.res.setHeader('Content-Length', 2)
      call(answering, 'write', 'ab')
      call(answering, 'write', 'cd')
      call(answering, 'end', 'ef')
    },
    except: { text: 'as a client reads it: no more than declared', headers: [] },
  },
  {
    what: 'a body of declared length, first written with a head that is refused',
    answer: answering => {
      answering.res.setHeader('Content-Length', 4)
      answering.res.statusCode = 1_000
      call(answering, 'write', 'abcd')
      answering.res.statusCode = 200
      call(answering, 'write', 'abcd')
      call(answering, 'end')
    },
  },
  {
    what: 'a body of declared length, written whole before an `end` that is refused, and ended later',
    answer: async answering => {
      answering.res.setHeader('Content-Length', 4)
      call(answering, 'write', 'abcd')
      call(answering, 'end', 5)
      // Node keeps all bytes until then, so only time can show that the store has answered.
      await delay(20)
      call(answering, 'end')
    },
  },
  {
    what: 'a body in chunks that declares a length, too: the chunks count',
    answer: answering => {
      answering.res.writeHead(200, { 'Content-Length': 4, 'Transfer-Encoding': 'chunked' })
      call(answering, 'write', 'abcd')
      call(answering, 'write', 'ef')
      call(answering, 'end')
    },
    duplicate: 'runs',
  },
  {
    what: 'less than the declared length',
    answer: answering => {
      answering.res.setHeader('Content-Length', 20)
      call(answering, 'end', 'ab')
    },
    duplicate: 'runs',
  },
  {
    what: '`strictContentLength`, kept',
    answer: answering => {
      answering.res.strictContentLength = true
      answering.res.setHeader('Content-Length', 4)
      call(answering, 'write', 'abcd')
      call(answering, 'end')
    },
  },
  {
    what: '`strictContentLength`, broken and then kept',
    answer: answering => {
      answering.res.strictContentLength = true
      answering.res.setHeader('Content-Length', 4)
      call(answering, 'write', 'ab')
      call(answering, 'write', 'cde')
      call(answering, 'end', 'cde')
      call(answering, 'end', 'cd')
    },
  },
  {
    what: '`strictContentLength`, broken after all was written',
    answer: answering => {
      answering.res.strictContentLength = true
      answering.res.setHeader('Content-Length', 4)
      call(answering, 'write', 'abcd')
      call(answering, 'write', 'e')
      call(answering, 'end')
    },
  },
  {
    what: '`strictContentLength`, broken by `end` after all was written',
    answer: answering => {
      answering.res.strictContentLength = true
      answering.res.setHeader('Content-Length', 4)
      call(answering, 'write', 'abcd')
      call(answering, 'end', 'e')
      call(answering, 'end')
    },
  },
]

describe('arguments of write and end', () => {
  describeBehaviours(openTopic('Bodies', 'body-arguments.test.ts'), [nodeHttp, ...expressSurfaces], arguments_)
})
