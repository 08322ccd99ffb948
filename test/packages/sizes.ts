// What packages weigh where it counts (functions that are billed for their start, bundles): bundled, minified, compressed.

import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { packages, top } from './published.js'

export interface Weight {
  readonly what: string
  /** The source of an entry that imports what is weighed. */
  readonly code: string
  /** Packages that are not counted here, because they count elsewhere. */
  readonly apart?: readonly string[]
  /** The most bytes that it may have, minified and compressed by gzip; undefined: its size is only reported. */
  readonly limit?: number
}

const KB = 1024
const core = ['@dspinlock/core', '@dspinlock/core/*']
/** core imports this package by name, at the first lock that is given parameters of Redis and no store. */
const redis = '@dspinlock/redis'

export const weights: readonly Weight[] = [
  {
    what: 'core: the engine and the memory store',
    code: `export { LockEngine, memoryStore } from '@dspinlock/core'`,
    limit: 12 * KB,
  },
  {
    what: 'core: all of it, HashDSpinlock included',
    code: `export * from '@dspinlock/core'`,
  },
  {
    what: 'express with http, beside core',
    code: `export * from '@dspinlock/express'`,
    apart: core,
    limit: 20.5 * KB,
  },
  {
    what: 'express with http and core',
    code: `export * from '@dspinlock/express'`,
  },
  { what: 'koa with http, beside core', code: `export * from '@dspinlock/koa'`, apart: core },
  { what: 'nestjs with http, beside core', code: `export * from '@dspinlock/nestjs'`, apart: core },
  { what: 'redis, beside core', code: `export * from '@dspinlock/redis'`, apart: core },
]

export interface Weighed extends Weight {
  readonly minified: number
  readonly compressed: number
}

/** Peer dependencies do not count. */
const peers = packages
  .flatMap(({ manifest }) => Object.keys(manifest.peerDependencies ?? {}))
  .filter(name => !name.startsWith('@dspinlock/'))

/** What is imported on demand does not count as part of an import. */
const withoutLazyParts: Plugin = {
  name: 'without lazy parts',
  setup(builder) {
    builder.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  },
}

export async function weigh(weight: Weight): Promise<Weighed> {
  const { outputFiles } = await build({
    stdin: { contents: weight.code, resolveDir: top },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    legalComments: 'none',
    write: false,
    external: [...peers, ...(weight.apart ?? [redis])],
    plugins: [withoutLazyParts],
  })
  const [bundle] = outputFiles
  if (bundle === undefined) throw new Error(`esbuild made nothing of: ${weight.code}`)
  return { ...weight, minified: bundle.contents.length, compressed: gzipSync(bundle.contents, { level: 9 }).length }
}

/** One line for people. */
export function describeWeight({ what, minified, compressed, limit }: Weighed): string {
  const inKB = (bytes: number): string => `${(bytes / KB).toFixed(1)} KB`
  const bound = limit === undefined ? '' : `, at most ${inKB(limit)}`
  return `${what}: ${inKB(minified)} minified, ${inKB(compressed)} compressed${bound}`
}
