// doctor: what it reports about servers that are fit, and about those that are not.

import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { redisUrl } from '../support/redis.js'
import { askServer } from '../support/redis-admin.js'
import { RedisCluster, sharedCluster, sharedClusterNode } from '../support/redis-cluster.js'
import { type Run, runCli } from './run.js'

interface Report {
  readonly ok: boolean
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string }[]
}

const NAMES = ['server', 'scripts', 'messages', 'listing', 'eviction', 'persistence', 'clock', 'latency']

describe('dspinlock doctor', () => {
  const servers: RedisServer[] = []
  const clients: Redis[] = []

  const start = async (...args: string[]): Promise<{ url: string; client: Redis }> => {
    const server = await startRedisServer(args)
    servers.push(server)
    const client = new Redis(server.url)
    clients.push(client)
    return { url: server.url, client }
  }
  const examine = async (args: string[], env?: Record<string, string>): Promise<{ run: Run; report: Report }> => {
    const run = await runCli(['doctor', '--json', ...args], env)
    return { run, report: JSON.parse(run.out) as Report }
  }
  const find = ({ checks }: Report, name: string): Report['checks'][number] | undefined =>
    checks.find(check => check.name === name)

  // Clusters take seconds to form, and wait more than they work. A failure is told to the test that uses them.
  before(() => {
    for (const form of [sharedCluster, sharedClusterNode]) form().catch(() => {})
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect()
    await Promise.all(servers.splice(0).map(server => server.stop()))
  })

  it('a plain Redis will do: 0, and nothing is left behind', async () => {
    const { url, client } = await start()
    const { run, report } = await examine(['--url', url])
    expect([run.code, run.err, report.ok]).to.deep.equal([0, '', true])
    expect(report.checks.map(({ name }) => name)).to.deep.equal(NAMES)
    for (const { name, status, detail } of report.checks) expect(status, `${name}: ${detail}`).to.equal('ok')
    expect(find(report, 'messages')?.detail).to.match(/a waiter is woken after [\d.]+ ms/)
    // What is remembered about ended holds expires by itself.
    for (const key of await client.keys('*')) expect(await client.pttl(key)).to.be.greaterThan(0)
    expect(JSON.parse((await runCli(['ls', '--json', '--url', url])).out)).to.deep.equal([])
  })

  it('for people it is a line each, and a verdict', async () => {
    const { code, out } = await runCli(['doctor', '--url', redisUrl(), '--prefix', 'test-doctor'])
    expect(code).to.equal(0)
    for (const name of NAMES) expect(out).to.match(new RegExp(`^(ok|WARN) +${name} +\\S`, 'm'))
    expect(out.trimEnd().split('\n').at(-1)).to.equal('this Redis will do')
  })

  it('eviction under a limit of memory is warned of, without one not', async () => {
    const { url, client } = await start('--maxmemory-policy', 'allkeys-lru')
    const unlimited = await examine(['--url', url])
    expect(find(unlimited.report, 'eviction')).to.include({ status: 'ok' })
    await client.config('SET', 'maxmemory', '100mb')
    const limited = await examine(['--url', url])
    expect(limited.run.code).to.equal(0)
    expect(find(limited.report, 'eviction')).to.include({ status: 'warn' })
    expect(find(limited.report, 'eviction')?.detail).to.match(/allkeys-lru.+use noeviction/)
  })

  it('whether a restart forgets what was done', async () => {
    const { url, client } = await start()
    const details = async () => find((await examine(['--url', url])).report, 'persistence')?.detail
    expect(await details()).to.match(/^no append-only file: a restart may forget/)
    await client.config('SET', 'appendonly', 'yes')
    expect(await details()).to.match(/^an append-only file/)
  })

  it('a user who may not run scripts: 1, and what to give', async () => {
    const { url, client } = await start()
    await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-eval', '-evalsha')
    const { run, report } = await examine(['--url', url], { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'pw' })
    expect([run.code, report.ok]).to.deep.equal([1, false])
    expect(find(report, 'scripts')).to.include({ status: 'fail' })
    expect(find(report, 'scripts')?.detail).to.match(/NOPERM.+\+eval \+evalsha/)
  })

  it('a user who lacks a command that the scripts call: which remedy, once', async () => {
    const { url, client } = await start()
    await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-publish')
    const { run, report } = await examine(['--url', url], { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'pw' })
    expect(run.code).to.equal(1)
    expect(find(report, 'messages')?.detail.split('give the Redis user')).to.have.length(2)
  })

  it('a user who may not use the channels: messages fail, and why', async () => {
    const { url, client } = await start()
    await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', 'resetchannels', '+@all')
    const { run, report } = await examine(['--url', url], { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'pw' })
    expect(run.code).to.equal(1)
    expect(find(report, 'messages')).to.include({ status: 'fail' })
    expect(find(report, 'messages')?.detail).to.match(/channel.+channel pattern of the prefix/)
  })

  it('a user who may not use INFO and SCAN: locking works, and the rest is not known', async () => {
    const { url, client } = await start()
    await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-info', '-scan')
    const { run, report } = await examine(['--url', url], { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'pw' })
    expect([run.code, run.err]).to.deep.equal([0, ''])
    for (const name of ['server', 'listing', 'eviction', 'persistence']) {
      expect(find(report, name), name).to.include({ status: 'warn' })
    }
    expect(find(report, 'scripts')).to.include({ status: 'ok' })
    const listed = await runCli(['ls', '--url', url], { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'pw' })
    expect(listed.err).to.match(/^dspinlock: .+NOPERM.+\n$/)
  })

  it('a replica will not do', async () => {
    const { client } = await start()
    const replica = await start('--replicaof', '127.0.0.1', String(client.options.port))
    const { run, report } = await examine(['--url', replica.url])
    expect(run.code).to.equal(1)
    expect(find(report, 'server')?.detail).to.match(/is a replica, which takes no writes/)
    expect(find(report, 'scripts')).to.include({ status: 'fail' })
  })

  it('one node of a cluster, by its address, will not do: keys of the others could not be locked', async () => {
    const { nodes } = await sharedCluster()
    const url = `redis://127.0.0.1:${nodes[0]?.port}`
    const { run, report } = await examine(['--url', url])
    expect(run.code).to.equal(1)
    expect(find(report, 'server')).to.include({ status: 'fail' })
    expect(find(report, 'server')?.detail).to.match(/one of 3 masters .+ --cluster/)
    const asked = await Promise.all(
      // Of these, each has its slot on another node.
      ['foo', 'bar', 'hello'].map(key => runCli(['inspect', key, '--url', url, '--timeout', '0.5'])),
    )
    expect(asked.filter(({ err }) => /MOVED .+ --cluster/.test(err))).to.have.length(2)
  })

  it('a cluster of which one master is not as the others: each time, and not by chance', async function () {
    this.timeout(60_000)
    const cluster = await RedisCluster.start(['--cluster-require-full-coverage', 'no'])
    const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')
    const examineAll = async (): Promise<Report> => (await examine(['--cluster', nodes])).report
    try {
      const odd = await cluster.masterOf('any')
      await askServer(odd.port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
      await askServer(odd.port, 'CONFIG', 'SET', 'maxmemory', '100mb')
      expect(find(await examineAll(), 'eviction')?.detail).to.match(/allkeys-lru.+use noeviction/)
      await askServer(odd.port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
      await askServer(odd.port, 'CONFIG', 'SET', 'maxmemory', '1')
      expect(find(await examineAll(), 'scripts')?.detail).to.match(/OOM .+raise maxmemory/)
      const slot = Number(await askServer(odd.port, 'CLUSTER', 'KEYSLOT', 'any'))
      // Any node may be asked, and each knows of it only by itself.
      for (const { port } of cluster.servers) await askServer(port, 'CLUSTER', 'DELSLOTS', slot).catch(() => {})
      const { ok, checks } = await examineAll()
      const missing =
        "1 of the Cluster's 16384 slots have no master that answers, so their keys can neither be locked nor listed"
      expect([ok, checks[0]?.detail]).to.deep.equal([false, missing])
      const listed = await runCli(['ls', '--json', '--cluster', nodes])
      expect(listed, 'what there is, and that it is not all').to.deep.include({
        code: 3,
        err: `dspinlock: ${missing}\n`,
      })
      expect(JSON.parse(listed.out)).to.be.an('array')
    } finally {
      await cluster.stop()
    }
  })

  it('a cluster', async () => {
    const { url } = await sharedClusterNode()
    const { run, report } = await examine(['--cluster', new URL(url).host])
    expect([run.code, run.err]).to.deep.equal([0, ''])
    expect(find(report, 'server')?.detail).to.match(/cluster, master/)
    for (const { name, status, detail } of report.checks) expect(status, `${name}: ${detail}`).to.equal('ok')
  })
})
