// The proxy's faults are those of networks: a connection that is kept keeps its order.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect } from 'chai'
import { FaultProxy } from '../support/fault-proxy.js'

describe('the fault proxy', () => {
  it('keeps the order, also when a delay ends while data is under way and timers are late', async () => {
    const echo = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1')
    await once(echo, 'listening')
    const proxy = await FaultProxy.open((echo.address() as AddressInfo).port)
    const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true })
    let received = ''
    socket.on('data', data => {
      received += String(data)
    })
    let sent = ''
    for (let n = 0; n < 60; n++) {
      if (n % 10 === 0) proxy.delay(20)
      if (n % 10 === 5) proxy.heal()
      const part = `${n},`
      sent += part
      socket.write(part)
      // So that timers and sockets get their turns at odd times.
      if (n % 3 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7)
      await new Promise(resolve => setTimeout(resolve, n % 4))
    }
    while (received.length < sent.length) await once(socket, 'data')
    expect(received).to.equal(sent)
    socket.destroy()
    await proxy.close()
    echo.close()
  })
})
