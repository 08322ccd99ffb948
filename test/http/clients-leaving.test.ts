// A client that leaves changes nothing for the others, and leaves nothing locked.

import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, pipeline } from 'node:stream'
import { expect } from 'chai'
import { openTopic } from '../support/fidelity-table.js'
import { until } from '../support/http.js'
import { type Life, lifeStores, type Run, startLife } from '../support/life.js'

const large = join(mkdtempSync(join(tmpdir(), 'dspinlock-large-')), 'file')
writeFileSync(large, Buffer.alloc(8_000_000, 'x'))

describe('clients that leave', () => {
  const topic = openTopic('Clients that leave', 'clients-leaving.test.ts')
  const goesOn = 'the work goes on'

  for (const kind of lifeStores) {
    describe(`on ${kind}`, () => {
      let life: Life
      const start = async (options: Parameters<typeof startLife>[1], onRun?: (run: Run) => void): Promise<Life> => {
        life = await startLife(kind, { settleTimeoutMs: 200, ...options }, onRun)
        return life
      }
      afterEach(() => life.stop())

      /** A holder whose client has left, when the server knows it. */
      const leave = async (path: string, method = 'GET', begun?: string): Promise<Run> => {
        const socket = await life.dial(path, method)
        await until(() => life.runs.length === 1, 'it runs')
        const [run] = life.runs as [Run]
        if (begun !== undefined) {
          run.res.write(begun)
          await new Promise(resolve => socket.once('data', resolve))
        }
        const closed = new Promise(resolve => run.res.once('close', resolve))
        socket.destroy()
        await closed
        return run
      }

      for (const method of ['GET', 'POST']) {
        it(`${method}: the holder’s, before the first byte: duplicates wait for the work and get its answer`, async () => {
          await start({ duplicates: 'replay' })
          const run = await leave('/', method)
          const duplicates = [life.ask('/', method), life.ask('/', method)]
          await life.waiting(2)
          expect(await life.held()).to.be.above(0)
          run.res.setHeader('X-Whole', 'yes')
          run.res.write('whole ')
          run.res.end('answer')
          for (const answer of await Promise.all(duplicates)) {
            expect([answer.status, answer.body, answer.headers['x-whole']]).to.deep.equal([200, 'whole answer', 'yes'])
          }
          expect(life.runs).to.have.length(1)
          await life.free()
          topic.row('the holder’s, before the first byte', goesOn, 'waits for it and gets its answer')
        })

        it(`${method}: the holder’s, in mid-body, and the handler goes on: duplicates get all of it`, async () => {
          await start({ duplicates: 'replay' })
          const run = await leave('/', method, 'begun ')
          const duplicate = life.ask('/', method)
          await life.waiting(1)
          run.res.write('and ')
          run.res.end('ended')
          expect((await duplicate).body).to.equal('begun and ended')
          expect(life.runs).to.have.length(1)
          await life.free()
          topic.row('the holder’s, in mid-body, and the handler goes on', goesOn, 'gets all of it')
        })
      }

      for (const begun of ['begun ', undefined]) {
        const when = begun === undefined ? 'before the first byte' : 'in mid-body'
        it(`the holder’s, ${when}, and the handler writes for longer than settleTimeoutMs: duplicates get all of it`, async () => {
          await start({ duplicates: 'replay', settleTimeoutMs: 40 })
          const run = await leave('/', 'POST', begun)
          const duplicate = life.ask('/', 'POST')
          await life.waiting(1)
          for (let n = 0; n < 20; n++) {
            run.res.write('.')
            await new Promise(resolve => setTimeout(resolve, 5))
          }
          run.res.end('ended')
          expect((await duplicate).body).to.equal(`${begun ?? ''}${'.'.repeat(20)}ended`)
          expect(life.runs).to.have.length(1)
          await life.free()
          topic.row('the holder’s, and the handler writes on, and ends later', goesOn, 'gets all of it')
        })
      }

      it('serialised: the next one runs when the work has ended, and not when its client has left', async () => {
        await start({})
        const run = await leave('/', 'POST')
        const duplicates = [life.ask('/', 'POST'), life.ask('/', 'POST')]
        await life.waiting(2)
        // By then, anything that the client's leaving could let in has had its time.
        await new Promise(resolve => setTimeout(resolve, 50))
        expect(life.runs).to.have.length(1)
        run.res.end()
        for (const n of [2, 3]) {
          await until(() => life.runs.length === n, `number ${n} runs`)
          life.runs[n - 1]?.res.end('its own')
        }
        expect((await Promise.all(duplicates)).map(({ body }) => body)).to.deep.equal(['its own', 'its own'])
        expect(life.most()).to.equal(1)
        await life.free()
        topic.row('the holder’s, under `serialise`', goesOn, 'runs when the work has ended')
      })

      it('rejected: still in flight until the work has ended', async () => {
        await start({ duplicates: 'reject' })
        const run = await leave('/', 'POST')
        expect((await life.ask('/', 'POST')).status).to.equal(409)
        run.res.end()
        await life.free()
        const next = life.ask('/', 'POST')
        await until(() => life.runs.length === 2, 'the next one runs')
        life.runs[1]?.res.end('its own')
        expect((await next).body).to.equal('its own')
        topic.row('the holder’s, under `reject`', goesOn, 'is refused until it has ended')
      })

      for (const method of ['GET', 'POST']) {
        const isRead = method === 'GET'
        it(`${method}: the holder’s, in mid-body, and its source stops: ${isRead ? 'the next one runs' : 'it counts as done'}`, async () => {
          let ended = 0
          await start({ duplicates: 'replay', ttlMs: 60_000 }, ({ res }) => {
            // Like sendFile: nothing ends the response once its client is gone.
            pipeline(createReadStream(large), res, () => ended++)
          })
          const socket = await life.dial('/', method)
          await new Promise(resolve => socket.once('data', resolve))
          const duplicate = life.ask('/', method)
          await life.waiting(1)
          socket.destroy()
          await until(() => ended === 1, 'the source stopped')
          const { status, bytes } = await duplicate
          if (isRead) expect([status, bytes.length, life.runs.length]).to.deep.equal([200, 8_000_000, 2])
          else expect([status, life.runs.length]).to.deep.equal([409, 1])
          await life.free()
          topic.row(
            `the holder’s, in mid-body, and its source stops (${isRead ? 'a read' : 'a write'})`,
            'what came of the body is dropped after `settleTimeoutMs`',
            isRead ? 'runs for itself' : 'is told that it is done (409)',
          )
        })
      }

      for (const [when, method] of [
        ['before', 'GET'],
        ['after', 'GET'],
        ['before', 'POST'],
        ['after', 'POST'],
      ] as const) {
        const isRead = method === 'GET'
        it(`${method}: the holder’s, before the first byte of a stream that was piped ${when} that: ${isRead ? 'the next one runs' : 'it counts as done'}`, async () => {
          await start({ duplicates: 'replay', ttlMs: 60_000 }, ({ res }) => {
            if (life.runs.length > 1) res.end('its own')
            else if (when === 'before') new PassThrough().pipe(res)
          })
          const run = await leave('/', method)
          // Not by `pipeline`, which from Node 24 on throws where the client has left, so that the handler is told.
          if (when === 'after') createReadStream(large).pipe(run.res)
          const { status, body } = await life.ask('/', method)
          if (isRead) expect([status, body, life.runs.length]).to.deep.equal([200, 'its own', 2])
          else expect([status, life.runs.length]).to.deep.equal([409, 1])
          await life.free()
          topic.row(
            `the holder’s, before the first byte, and a stream is piped into the response (${isRead ? 'a read' : 'a write'})`,
            'nothing comes of it: its hold ends after `settleTimeoutMs`',
            isRead ? 'runs for itself' : 'is told that it is done (409)',
          )
        })
      }

      for (const method of ['GET', 'POST']) {
        const isRead = method === 'GET'
        it(`${method}: the holder’s, before the head, and the handler ends nothing after it: ${isRead ? 'the next one runs' : 'it counts as done'}`, async () => {
          await start({ duplicates: 'replay', ttlMs: 60_000 }, ({ res }) => {
            if (life.runs.length > 1) res.end('its own')
          })
          const run = await leave('/', method)
          // Like handlers that are made of a web response: they look for the client only now.
          run.res.writeHead(200)
          const { status, body } = await life.ask('/', method)
          if (isRead) expect([status, body, life.runs.length]).to.deep.equal([200, 'its own', 2])
          else expect([status, life.runs.length]).to.deep.equal([409, 1])
          await life.free()
          topic.row(
            `the holder’s, before the head, and the handler ends nothing after it (${isRead ? 'a read' : 'a write'})`,
            'nothing comes of it: its hold ends after `settleTimeoutMs`',
            isRead ? 'runs for itself' : 'is told that it is done (409)',
          )
        })
      }

      it('serialised: the holder’s, before the head, and the handler waits for the client to take what it wrote: the next one runs', async () => {
        await start({}, ({ res }) => {
          if (life.runs.length > 1) res.end('its own')
        })
        const { res } = await leave('/', 'POST')
        if (!res.write('never taken')) res.once('drain', () => res.end())
        expect((await life.ask('/', 'POST')).body).to.equal('its own')
        await life.free()
      })

      it('the holder’s, before the first byte, and writeHead cannot be replaced: the work goes on', async () => {
        await start({}, ({ res }) => {
          if (life.runs.length > 1) return void res.end('its own')
          Object.defineProperty(res, 'writeHead', {
            value: Reflect.get(res, 'writeHead'),
            writable: false,
            configurable: false,
          })
        })
        const run = await leave('/', 'POST')
        run.res.end()
        expect((await life.ask('/', 'POST')).body).to.equal('its own')
        await life.free()
      })

      it('the holder’s, during its upload: nothing was claimed, and nothing runs', async () => {
        await start({ duplicates: 'reject' }, ({ res }) => res.end('done'))
        const [server] = life.servers
        const socket = await server?.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf')
        // The head has arrived by then.
        await life.servers.at(-1)?.ask('/other', { method: 'HEAD' })
        const left = server?.left()
        socket?.destroy()
        await left
        expect(await life.held()).to.equal(0)
        const runs = life.runs.length
        expect((await life.ask('/', 'POST')).status).to.equal(200)
        expect(life.runs.length - runs).to.equal(1)
        topic.row('the holder’s, during its upload', 'nothing was claimed, and nothing runs', 'is not affected')
      })

      describe('the holder’s, during an upload that is too large to be compared', () => {
        /** A handler has half the body, or can have it, when the server knows that its client has left. */
        const cutShort = async (
          settleTimeoutMs: number,
          onRun?: (run: Run) => void,
          key: (req: IncomingMessage) => string = () => 'upload',
        ): Promise<Run> => {
          const options = { key, maxBodyBytes: 10, settleTimeoutMs }
          await start({ ...options, duplicates: 'replay', ttlMs: 60_000 }, onRun)
          const socket = await life.servers[0]?.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf')
          await until(() => life.runs.length === 1, 'it runs')
          const [run] = life.runs as [Run]
          const closed = new Promise(resolve => run.res.once('close', resolve))
          socket?.destroy()
          await closed
          return run
        }
        const runsAnew = async (): Promise<void> => {
          const next = life.ask('/', 'POST')
          await until(() => life.runs.length === 2, 'the next one runs')
          life.runs[1]?.res.end('its own')
          expect((await next).body).to.equal('its own')
          await life.free()
        }

        for (const when of ['before', 'after']) {
          it(`and its handler waits for the rest, since ${when} that: the next one runs`, async () => {
            const read = ({ req }: Run): unknown => req.pipe(new PassThrough().resume())
            const run = await cutShort(40, when === 'before' ? read : undefined)
            if (when === 'after') read(run)
            await runsAnew()
            topic.row(
              'the holder’s, during an upload that is too large to be compared',
              'what came of it is no answer, and its hold ends after `settleTimeoutMs`',
              'runs for itself',
            )
          })
        }

        it('and its handler says that the body was cut short: that is no answer for others', async () => {
          await cutShort(60_000, ({ req, res }) => {
            req.once('error', () => {
              res.statusCode = 400
              res.end('cut short')
            })
          })
          await runsAnew()
        })

        const listening = (req: IncomingMessage): string => {
          req.on('data', () => {})
          return 'upload'
        }
        const others: readonly (readonly [string, (run: Run) => void, ((req: IncomingMessage) => string)?])[] = [
          ['does not read it', () => {}],
          ['lets it flow away', ({ req }) => void req.resume()],
          ['has paused it', ({ req }) => void req.pause()],
          ['does not read it, but other code in front does', () => {}, listening],
        ]
        for (const [does, onRun, key] of others)
          it(`and its handler ${does}: the work goes on`, async () => {
            const run = await cutShort(5, onRun, key)
            const duplicate = life.ask('/', 'POST')
            await life.waiting(1)
            // By then, anything that the client's leaving could let in has had its time.
            await new Promise(resolve => setTimeout(resolve, 50))
            run.res.end('done')
            expect([(await duplicate).body, life.runs.length]).to.deep.equal(['done', 1])
            await life.free()
          })
      })

      it('a waiting follower’s: it leaves the queue, and nothing else; its turn goes to the next', async () => {
        await start({})
        const holder = life.ask('/', 'POST')
        await until(() => life.runs.length === 1, 'one runs')
        const server = life.servers.at(-1)
        const leaving = await server?.dial('POST / HTTP/1.1\r\nHost: h\r\n\r\n')
        await life.waiting(1)
        const next = life.ask('/', 'POST')
        await life.waiting(2)
        leaving?.destroy()
        await life.waiting(1)
        life.runs[0]?.res.end('first')
        await until(() => life.runs.length === 2, 'the next one runs')
        life.runs[1]?.res.end('second')
        expect([(await holder).body, (await next).body]).to.deep.equal(['first', 'second'])
        expect(life.runs).to.have.length(2)
        await life.free()
        topic.row('a waiting duplicate’s', 'nothing happens', 'leaves the queue, and its turn goes to the next')
      })

      it('a follower’s, before it waits: it does not', async () => {
        let named = 0
        let goOn = (): void => {}
        const leaving = new Promise<void>(resolve => {
          goOn = resolve
        })
        await start({
          identity: async () => {
            if (++named === 2) await leaving
            return 'somebody'
          },
        })
        const holder = life.ask('/', 'POST')
        await until(() => life.runs.length === 1, 'one runs')
        const server = life.servers.at(-1)
        const socket = await server?.dial('POST / HTTP/1.1\r\nHost: h\r\n\r\n')
        await until(() => named === 2, 'the other is asked who it is')
        socket?.destroy()
        await server?.left()
        goOn()
        const next = life.ask('/', 'POST')
        await life.waiting(1)
        life.runs[0]?.res.end('first')
        await until(() => life.runs.length === 2, 'the next one runs')
        life.runs[1]?.res.end('second')
        expect([(await holder).body, (await next).body]).to.deep.equal(['first', 'second'])
        expect(life.runs).to.have.length(2)
        await life.free()
      })

      /** While one runs, a follower waits that is going to leave, and another one behind it. */
      const twoWait = async (options: Parameters<typeof startLife>[1]) => {
        await start(options, ({ res }) => {
          if (life.runs.length > 1) setImmediate(() => res.end('its own'))
        })
        const holder = life.ask('/', 'POST')
        await until(() => life.runs.length === 1, 'one runs')
        const leaving = await life.servers.at(-1)?.dial('POST / HTTP/1.1\r\nHost: h\r\n\r\n')
        await life.waiting(1)
        const next = life.ask('/', 'POST')
        await life.waiting(2)
        return { holder, leaving, next }
      }

      it('a follower’s, at the very moment of its turn: nothing is begun for it, and the next one runs', async () => {
        const { holder, leaving, next } = await twoWait({})
        leaving?.destroy()
        life.runs[0]?.res.end('first')
        // Whichever is noticed first, its leaving or its turn, the next one gets its turn.
        expect([(await holder).body, (await next).body]).to.deep.equal(['first', 'its own'])
        expect(life.most()).to.equal(1)
        await life.free()
        topic.row(
          'a waiting duplicate’s, at the moment of its turn',
          'nothing happens',
          'is not begun; the next one runs',
        )
      })

      it('a follower’s, whose end has come but not yet the end of its connection: nothing is begun, and the next one runs', async () => {
        const sockets: Socket[] = []
        const identity = (req: IncomingMessage): string => {
          sockets.push(req.socket)
          return 'somebody'
        }
        const { holder, leaving, next } = await twoWait({ identity })
        sockets[1]?.once('end', () => life.runs[0]?.res.end('first'))
        leaving?.end()
        expect([(await holder).body, (await next).body]).to.deep.equal(['first', 'its own'])
        expect(life.runs).to.have.length(2)
        await life.free()
      })

      it('a follower’s, while it is sent a large replay: nothing happens to the others', async () => {
        const body = 'x'.repeat(1_000_000)
        await start({ duplicates: 'replay', ttlMs: 60_000 }, ({ res }) => void res.end(body))
        expect((await life.ask('/')).bytes).to.have.length(1_000_000)
        const server = life.servers.at(-1)
        const socket = await server?.dial('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
        socket?.once('data', () => socket.destroy())
        await server?.left()
        const again = await life.ask('/')
        expect([again.bytes.length, life.runs.length]).to.deep.equal([1_000_000, 1])
        await life.free()
        topic.row('a duplicate’s, in the midst of its replay', 'nothing happens', 'leaves the record to the others')
      })
    })
  }
})
