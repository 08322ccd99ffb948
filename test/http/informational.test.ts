// What comes before a response: informational responses, and the invitation to send a body.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { type Behaviour, describeBehaviours, nodeHttp } from '../support/behaviour.js'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { until } from '../support/http.js'
import { guardHandle } from '../support/plain.js'
import { readResponse, withoutDate } from '../support/wire.js'

const informational: readonly Behaviour[] = [
  {
    what: '`writeEarlyHints`: at the client before the response is begun',
    answer: async ({ res, received, note }) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style', 'x-trace': '1' }, () => note('hints written'))
      await received('103 Early Hints')
      res.end('x')
    },
    except: { text: 'less the hints', headers: [] },
  },
  {
    what: '`writeProcessing`, and `writeContinue` unasked',
    answer: async ({ res, received }) => {
      res.writeProcessing()
      res.writeContinue()
      await received('100 Continue')
      res.end('x')
    },
    except: { text: 'less these', headers: [] },
  },
  {
    what: '`Expect: 100-continue`: the server invites, the body arrives',
    method: 'POST',
    headers: ['Expect: 100-continue', 'Content-Length: 4'],
    body: 'body',
    answer: async ({ req, res }) => void res.end(`got ${await text(req)}`),
    except: { text: 'after its own invitation', headers: [] },
  },
]

describe('informational responses', () => {
  const topic = openTopic('Informational responses', 'informational.test.ts')
  describeBehaviours(topic, [nodeHttp], informational)

  type Listener = (req: IncomingMessage, res: ServerResponse) => void

  /** The client sends its body only once it is invited to. */
  const askPolitely = async (
    onContinue: (guarded: Listener) => Listener,
    handle: Listener,
    isGuarded: boolean,
  ): Promise<string> => {
    const store = memoryStore()
    const { handle: guarded, guard } = guardHandle({ store }, handle)
    const listener = isGuarded ? guarded : handle
    const server = createServer(listener).on('checkContinue', onContinue(listener)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      if (received === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('body')
    })
    const closed = once(socket, 'close')
    socket.write('POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
    await closed
    await until(() => guard.engine.keys === 0, 'nothing is locked')
    server.close()
    await store.close()
    return withoutDate(received)
  }

  const echo: Listener = (req, res) => void text(req).then(body => res.end(`got ${body}`))

  it('a `checkContinue` listener that invites and then hands on', async () => {
    const invite =
      (guarded: Listener): Listener =>
      (req, res) => {
        res.writeContinue()
        guarded(req, res)
      }
    const [bare, ours] = [await askPolitely(invite, echo, false), await askPolitely(invite, echo, true)]
    expect(readResponse(ours)).to.include({ status: 200, body: 'got body' })
    expect(ours).to.equal(bare)
    topic.row('a `checkContinue` listener that invites and then hands on', SAME, 'the same')
  })

  it('a `checkContinue` listener whose handler invites: the body is asked for before it is hashed', async () => {
    const hand = (guarded: Listener): Listener => guarded
    const inviting: Listener = (req, res) => {
      // The guard has invited the client already; this would be a second invitation.
      if (!(res as unknown as { _sent100: boolean })._sent100) res.writeContinue()
      echo(req, res)
    }
    const [bare, ours] = [await askPolitely(hand, inviting, false), await askPolitely(hand, inviting, true)]
    expect(ours).to.equal(bare)
    topic.row('a `checkContinue` listener whose handler would invite', 'invited before the handler runs', 'the same')
  })

  it('behind a `checkContinue` listener, whoever expects to be invited is, in any case of letters, and nobody else', async () => {
    const { handle } = guardHandle({}, echo)
    const server = createServer(handle).on('checkContinue', handle).listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (const field of ['', 'Expect: 100-Continue\r\n']) {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(`POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${field}Content-Length: 4\r\n\r\n`)
      if (field !== '') expect(String(await once(socket, 'data'))).to.match(/^HTTP\/1\.1 100 /)
      socket.write('body')
      expect(await text(socket)).to.match(/^HTTP\/1\.1 200 [^]*got body$/)
    }
    server.close()
    await once(server, 'close')
  })

  it('a `checkContinue` listener that refuses: the guard sees nothing', async () => {
    const refuse = (): Listener => (_req, res) => {
      res.writeHead(417, { Connection: 'close' })
      res.end('no')
    }
    const [bare, ours] = [await askPolitely(refuse, echo, false), await askPolitely(refuse, echo, true)]
    expect(readResponse(ours).status).to.equal(417)
    expect(ours).to.equal(bare)
    topic.row('a `checkContinue` listener that refuses', SAME, 'is refused by it, too')
  })
})
