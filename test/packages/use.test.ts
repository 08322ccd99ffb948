// The packages work where people install them: from tarballs, with the oldest peers, from each kind of module.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'
import { installAll, newestTypes, packages, top } from './published.js'

const run = promisify(execFile)

/** Node's environment without the source maps that the tests turn on for themselves. */
const env = (): NodeJS.ProcessEnv => ({ ...process.env, NODE_OPTIONS: '', TEST_REDIS_URL: redisUrl() })

const options = {
  target: 'ES2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
  outDir: 'out',
}

/** Compiles the consumer in a folder of its own beside node_modules; resolves to what the compiler reports. */
async function compile(app: string, name: string, extension: string, compilerOptions: object): Promise<string> {
  const folder = join(app, name)
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(top, 'test/packages/consumer/use.ts'), join(folder, `use.${extension}`))
  const tsconfig = { compilerOptions: { ...options, ...compilerOptions }, files: [`use.${extension}`] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  const compiler = join(top, 'node_modules/@typescript/native/bin/tsc')
  const { stdout } = await run(process.execPath, [compiler, '-p', folder, '--pretty', 'false']).catch(
    (failed: { stdout: string }) => failed,
  )
  return stdout
}

/** Runs a compiled consumer; returns what it printed, and what Node warned about. */
async function use(file: string): Promise<{ answers: unknown; warnings: string }> {
  const { stdout, stderr } = await run(process.execPath, [file], { env: env() })
  return { answers: JSON.parse(stdout), warnings: stderr }
}

const oneRun = '1 run: done, done'
const expected = {
  prometheus: 'attached',
  opentelemetry: 'attached and detached',
  core: `${oneRun}; locked; object`,
  http: oneRun,
  express: oneRun,
  koa: oneRun,
  nestjs: oneRun,
  redis: oneRun,
  counted: true,
}

describe('packages installed from their tarballs beside the oldest peers', function () {
  this.timeout(180_000)
  let app: string

  before(async () => {
    app = await installAll()
  })

  it('TypeScript with moduleResolution node16, as an ES module: compiles and runs', async () => {
    expect(await compile(app, 'esm', 'mts', { module: 'node16', moduleResolution: 'node16' })).to.equal('')
    expect(await use(join(app, 'esm/out/use.mjs'))).to.deep.equal({ answers: expected, warnings: '' })
  })

  it('TypeScript with module nodenext, as CommonJS by require: compiles and runs', async () => {
    expect(await compile(app, 'cjs', 'cts', { module: 'nodenext' })).to.equal('')
    expect(await use(join(app, 'cjs/out/use.cjs'))).to.deep.equal({ answers: expected, warnings: '' })
  })

  it('TypeScript with moduleResolution bundler: compiles', async () => {
    const compilerOptions = { module: 'esnext', moduleResolution: 'bundler', esModuleInterop: true }
    expect(await compile(app, 'bundler', 'ts', compilerOptions)).to.equal('')
  })

  it("TypeScript beside Node's newest types, whose declarations differ: ours stand a check of libraries", async () => {
    // What is found here goes before the older types, also for those who refer to Node's types by name.
    const types = join(app, 'strict/types')
    mkdirSync(types, { recursive: true })
    symlinkSync(join(app, 'node_modules', newestTypes), join(types, 'node'))
    const typeRoots = ['types', '../node_modules/@types']
    const complaints = await compile(app, 'strict', 'mts', { module: 'nodenext', skipLibCheck: false, typeRoots })
    // These use only Node's own names; the oldest declarations of the frameworks have faults of their own.
    expect(complaints.split('\n').filter(line => /@dspinlock\/(core|http)\//.test(line))).to.deep.equal([])
  })

  it('TypeScript with module node16 is told that CommonJS cannot require an ES module, which Node since can', async () => {
    expect(await compile(app, 'node16-cjs', 'cts', { module: 'node16' })).to.match(/TS1479/)
  })

  it('JavaScript by require: every entry point of every package', () => {
    const require = createRequire(join(app, 'main.cjs'))
    for (const { manifest } of packages) {
      for (const entry of Object.keys(manifest.exports ?? {})) {
        const name = join(manifest.name, entry)
        expect(Object.keys(require(name) as object), name).to.not.deep.equal([])
      }
    }
  })

  it('ioredis gives up a connection that answers nothing any more', async () => {
    const { Redis } = createRequire(join(app, 'main.cjs'))('ioredis') as typeof import('ioredis')
    const silent = createServer(socket => void socket.resume()).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const client = new Redis(port, '127.0.0.1', { socketTimeout: 50, retryStrategy: null, enableReadyCheck: false })
    client.on('error', () => {})
    const answer = client.ping().catch((error: Error) => error)
    await new Promise<void>(resolve => client.once('end', resolve))
    expect(await answer).to.be.instanceOf(Error)
    silent.close()
  })

  it('the command line runs from its tarball', async () => {
    const { stdout } = await run('npx', ['--no-install', 'dspinlock', 'doctor', '--json', '--url', redisUrl()], {
      cwd: app,
      env: env(),
    })
    expect(JSON.parse(stdout)).to.have.property('ok', true)
  })
})
