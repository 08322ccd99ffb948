// Wrong arguments, servers that cannot be reached, and disks that are full: exit codes 2, 3 and 1, one line on standard error, nothing secret in it.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { expect } from 'chai'
import { findFreePort, type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { atOnce } from '../support/at-once.js'
import { redisUrl } from '../support/redis.js'
import { runCli, script } from './run.js'

describe('dspinlock with wrong arguments', function () {
  // On a busy machine, a dozen processes at once may take longer than one.
  this.timeout(60_000)
  const wrong: readonly (readonly [args: string[], says: RegExp])[] = [
    [[], /Usage: dspinlock/],
    [['list'], /unknown command 'list'/],
    [['inspect'], /missing required argument 'key'/],
    [['ls', '--colour'], /unknown option '--colour'/],
    [['ls', '--state', 'open'], /Allowed choices are held, settled, pass, free/],
    [['watch', '--interval', 'soon'], /It must be a number of seconds from 0\.001 to 3600, but is "soon"/],
    [['watch', '--count', '0'], /It must be a whole number from 1, but is "0"/],
    [['ls', '--cluster', 'redis-1:port'], /It must be a list like redis-1:6379/],
    [['ls', '--url', 'redis://:secret@host', '--cluster', 'a'], /only one of these may be given: --url, --cluster/],
    [['ls', '--cluster', 'a', '--sentinels', 'b'], /only one of these may be given: --cluster, --sentinels/],
    [['ls', '--sentinel-name', 'master'], /--sentinel-name is only for --sentinels/],
    [['ls', '--url', 'http://:secret@host'], /option url must be a URL that starts with redis:/],
  ]
  const runOf = atOnce(
    wrong.map(
      ([args]) =>
        () =>
          runCli(args),
    ),
  )
  for (const [n, [args, says]] of wrong.entries()) {
    it(`2 for ${JSON.stringify(args)}`, async () => {
      const { code, out, err } = await runOf(n)
      expect([code, out]).to.deep.equal([2, ''])
      expect(err).to.match(says).and.not.include('secret')
    })
  }

  it('2 for a prefix that is none', async () => {
    const { code, err } = await runCli(['ls', '--url', redisUrl(), '--prefix', 'with space'])
    expect(code).to.equal(2)
    expect(err).to.equal(
      'dspinlock: option prefix must be a string without spaces and braces, but received "with space"\n',
    )
  })

  it('help says seconds where seconds are taken', async () => {
    const { out } = await runCli(['watch', '--help'])
    expect(out)
      .to.match(/--timeout <seconds>[^(]+\(default: 2\)/)
      .and.match(/--interval <seconds>[^(]+\(default: 1\)/)
  })

  it('0 for help and version', async () => {
    const help = await runCli(['--help'])
    expect([help.code, help.err]).to.deep.equal([0, ''])
    expect(help.out).to.match(/ls.+inspect.+forget.+watch.+doctor.+Exit codes: 0 done/s)
    expect((await runCli(['--version'])).out).to.match(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('dspinlock and a Redis that is not there', () => {
  let server: RedisServer

  before(async () => {
    server = await startRedisServer(['--requirepass', 'secret'])
  })
  after(() => server.stop())

  it('3, within the timeout, and which it was', async () => {
    const port = await findFreePort()
    const url = `redis://:secret@127.0.0.1:${port}`
    const { code, out, err } = await runCli(['ls', '--url', url, '--timeout', '0.3'])
    expect([code, out]).to.deep.equal([3, ''])
    expect(err).to.match(new RegExp(`^dspinlock: no connection to 127.0.0.1:${port} within 300 ms`))
    expect(err).to.include('ECONNREFUSED').and.not.include('secret')
    expect(err.trimEnd().split('\n')).to.have.length(1)
  })

  it('3 without a password where there has to be one, and 0 with it, from the environment', async () => {
    const args = ['ls', '--url', server.url, '--timeout', '0.5']
    const [refused, wrongOne, right] = await Promise.all([
      runCli(args),
      runCli(args, { REDIS_PASSWORD: 'wrong' }),
      runCli(['ls', '--url', server.url], { REDIS_PASSWORD: 'secret' }),
    ])
    expect(refused.code).to.equal(3)
    expect(refused.err).to.include('NOAUTH')
    expect(wrongOne.code).to.equal(3)
    expect(wrongOne.err).to.include('WRONGPASS')
    expect(right.code).to.equal(0)
  })

  it('the password in a URL is for its server, whatever password the environment has beside it', async () => {
    const url = server.url.replace('//', '//:secret@')
    for (const args of [['ls', '--url', url], ['ls']]) {
      const { code, err } = await runCli(args, { REDIS_URL: url, REDIS_PASSWORD: 'of something else' })
      expect([code, err]).to.deep.equal([0, ''])
    }
  })

  it('3 where no node of a cluster will do, and what the last one said', async () => {
    const args = ['ls', '--cluster', `127.0.0.1:${server.port}`, '--timeout', '0.5']
    const [refused, single] = await Promise.all([runCli(args), runCli(args, { REDIS_PASSWORD: 'secret' })])
    expect(refused.code).to.equal(3)
    expect(refused.err).to.match(/NOAUTH .+; check user name and password/)
    expect(single.code).to.equal(3)
    expect(single.err).to.match(/cluster support disabled; the server is in no Redis Cluster: .+--url/)
  })

  it('REDIS_URL gives way to a Cluster or to Sentinels that are named', async () => {
    const port = await findFreePort()
    for (const option of ['--cluster', '--sentinels']) {
      const args = ['ls', option, `127.0.0.1:${port}`, '--timeout', '0.2']
      const { code, err } = await runCli(args, { REDIS_URL: redisUrl() })
      expect(code).to.equal(3)
      expect(err).to.include(`127.0.0.1:${port}`)
    }
  })

  it('REDIS_URL names the server, too', async () => {
    const { code, out } = await runCli(['ls', '--prefix', 'nobody'], { REDIS_URL: redisUrl() })
    expect([code, out]).to.deep.equal([0, 'no live keys; check --prefix\n'])
  })
})

describe('dspinlock whose output cannot be written', () => {
  /** A file on a disk that is full; only Linux has it. */
  const FULL = '/dev/full'

  before(function () {
    if (!existsSync(FULL)) this.skip()
  })

  const write = (args: string[], env: Record<string, string> = {}) => {
    const full = openSync(FULL, 'w')
    try {
      const { status, stderr } = spawnSync(process.execPath, [script, ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
      })
      return { code: status, err: stderr }
    } finally {
      closeSync(full)
    }
  }

  for (const args of [
    ['ls', '--json'],
    ['inspect', '--help'],
    ['watch', '--count', '1'],
  ]) {
    it(`1, and why: ${args.join(' ')}`, () => {
      const { code, err } = write(args, { REDIS_URL: redisUrl() })
      expect(code).to.equal(1)
      expect(err).to.match(/^dspinlock: .+ could not be written .+ENOSPC.+\n$/)
    })
  }

  it('what went wrong before is what is told', () => {
    const { code, err } = write(['ls', '--url', 'http://'])
    expect(code).to.equal(2)
    expect(err).to.include('option url must be').and.not.include('ENOSPC')
  })
})
