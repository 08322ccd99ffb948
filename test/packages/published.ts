// The packages as npm would publish them: packed once, and installed once from their tarballs with the oldest peers that we promise.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The top of the repository. */
export const top = fileURLToPath(new URL('../../../', import.meta.url))

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly description?: string
  readonly type?: string
  readonly sideEffects?: boolean
  readonly engines?: { readonly node?: string }
  readonly exports?: Record<string, { readonly types: string; readonly default: string }>
  readonly bin?: Record<string, string>
  readonly dependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly peerDependenciesMeta?: Record<string, { readonly optional?: boolean }>
  readonly publishConfig?: { readonly access?: string; readonly provenance?: boolean }
}

export interface Package {
  /** The package's folder below packages. */
  readonly folder: string
  readonly manifest: Manifest
}

export const packages: readonly Package[] = readdirSync(join(top, 'packages')).map(folder => ({
  folder,
  manifest: JSON.parse(readFileSync(join(top, 'packages', folder, 'package.json'), 'utf8')) as Manifest,
}))

export interface Packed {
  readonly name: string
  readonly tarball: string
  readonly files: readonly string[]
}

const scratch = mkdtempSync(join(tmpdir(), 'dspinlock-packages-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

let packing: Promise<readonly Packed[]> | undefined

/** Packs every package, once for all tests. */
export function packAll(): Promise<readonly Packed[]> {
  packing ??= pack()
  return packing
}

async function pack(): Promise<readonly Packed[]> {
  const workspaces = packages.flatMap(({ folder }) => ['--workspace', `packages/${folder}`])
  const { stdout } = await run('npm', ['pack', ...workspaces, '--json', '--pack-destination', scratch], { cwd: top })
  const report = JSON.parse(stdout) as PackReport
  // npm 10 reports a list, npm 11 an object by name.
  return Object.values(report).map(({ name, filename, files }) => ({
    name,
    tarball: join(scratch, filename),
    files: files.map(({ path }) => path),
  }))
}

type PackReport = Record<string, { name: string; filename: string; files: { path: string }[] }>

/** The oldest version that a peer range allows: its first number. */
export function lowestOf(range: string): string {
  return /\d+\.\d+\.\d+/.exec(range)?.[0] ?? 'latest'
}

let installing: Promise<string> | undefined

/** A folder in which the tarballs are installed, with each framework in the oldest version of its peer range. */
export function installAll(): Promise<string> {
  installing ??= install()
  return installing
}

/** The name under which Node's newest types are installed, too. */
export const newestTypes = 'newest-types-node'

async function install(): Promise<string> {
  const tarballs = (await packAll()).map(({ tarball }) => tarball)
  const folder = join(scratch, 'app')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  const peers = new Map<string, string>()
  for (const { manifest } of packages) {
    for (const [name, range] of Object.entries(manifest.peerDependencies ?? {})) {
      if (!name.startsWith('@dspinlock/') && !name.startsWith('@types/')) peers.set(name, lowestOf(range))
    }
  }
  const others = {
    '@nestjs/platform-express': peers.get('@nestjs/core') ?? 'latest',
    '@types/express': '^4.17.0',
    '@types/koa': '^2.13.0',
    '@types/node': '^20.19.0',
    [newestTypes]: 'npm:@types/node@^26.0.0',
  }
  const wanted = [...peers, ...Object.entries(others)].map(([name, version]) => `${name}@${version}`)
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  await run('npm', ['install', ...quiet, ...tarballs, ...wanted], { cwd: folder })
  return folder
}
