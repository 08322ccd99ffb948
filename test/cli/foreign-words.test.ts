// What a server says is shown in such a way that it cannot move the reader's cursor.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect } from 'chai'
import { until } from '../support/http.js'
import { runCli, startCli } from './run.js'

const INFO = 'redis_version:7.4.0\r\nredis_mode:standalone\r\nrole:master\u001b[2J\r\nloading:0\r\n'

/** A server that refuses every command for listing or locking. */
function answerTo(command: string): string {
  if (/INFO/i.test(command)) return `$${INFO.length}\r\n${INFO}\r\n`
  if (/SCAN|EVAL|SCRIPT/i.test(command)) return '-ERR no \u001b]0;mine\u0007 of yours\r\n'
  return '+OK\r\n'
}

describe('a server with words of its own', () => {
  let server: Server
  let url: string

  before(async () => {
    server = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', data => {
        for (const command of data.toString().split(/(?=\*\d+\r\n)/)) socket.write(answerTo(command))
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => server.close())

  it('ls, on standard error', async () => {
    const { out, err } = await runCli(['ls', '--url', url])
    expect(out + err)
      .to.include('ERR no \\u001b]0;mine\\u0007 of yours')
      .and.not.include('\u001b')
  })

  it('doctor', async () => {
    const { out, err } = await runCli(['doctor', '--url', url])
    expect(out + err)
      .to.include('ERR no \\u001b]0;mine\\u0007 of yours')
      .and.include('master\\u001b[2J')
    expect(out + err).to.not.include('\u001b')
  })

  it('watch', async () => {
    const child = startCli(['watch', '--url', url])
    let out = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    await until(() => out.includes('of yours'), 'it says so')
    child.kill('SIGINT')
    await once(child, 'exit')
    expect(out).to.include('ERR no \\u001b]0;mine\\u0007 of yours').and.not.include('\u001b')
  })
})
