// A published package contains what its users need and nothing else, and tools that check packages have no complaints.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { expect } from 'chai'
import { transform } from 'esbuild'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { type Package, type Packed, packAll, packages, top } from './published.js'

const beside = ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']

/** What a packed file is needed for; undefined if for nothing. */
function reasonFor(path: string, sources: ReadonlySet<string>): string | undefined {
  if (beside.includes(path)) return 'for people'
  if (/^bin\/[\w-]+\.js$/.test(path)) return 'a command'
  if (sources.has(path)) return 'a source, for debuggers and editors'
  const built = /^dist\/(.*)(\.js|\.d\.ts)(\.map)?$/.exec(path)
  return built !== null && sources.has(`src/${built[1]}.ts`) ? 'made of a source' : undefined
}

for (const { folder, manifest } of packages as readonly Package[]) {
  describe(`the package ${manifest.name}`, () => {
    let packed: Packed

    before(async function () {
      this.timeout(60_000)
      const found = (await packAll()).find(({ name }) => name === manifest.name)
      if (found === undefined) throw new Error(`npm packed no ${manifest.name}`)
      packed = found
    })

    it('holds only what is needed', () => {
      const sources = new Set(packed.files.filter(path => /^src\/.*\.ts$/.test(path)))
      const needless = packed.files.filter(path => reasonFor(path, sources) === undefined)
      expect(needless, 'of no source: `npm run clean`, then build').to.deep.equal([])
      expect(packed.files).to.include.members(beside.filter(name => name !== 'CHANGELOG.md'))
    })

    it('holds everything that its own files point to', () => {
      const files = new Set(packed.files)
      const entries = Object.values(manifest.exports ?? {}).flatMap(({ types, default: code }) => [types, code])
      for (const entry of [...entries, ...Object.values(manifest.bin ?? {})]) {
        expect([...files]).to.include(entry.replace(/^\.\//, ''))
      }
      for (const path of packed.files.filter(name => name.endsWith('.map'))) {
        const text = readFileSync(join(top, 'packages', folder, path), 'utf8')
        for (const source of (JSON.parse(text) as { sources: string[] }).sources) {
          expect([...files], `${path} points to ${source}`).to.include(join(path, '..', source))
        }
      }
    })

    it('can be compiled to CommonJS, as is done for Jest', async () => {
      // The command line is never imported.
      for (const path of manifest.exports === undefined ? [] : packed.files.filter(name => name.endsWith('.js'))) {
        const source = readFileSync(join(top, 'packages', folder, path), 'utf8')
        // An await outside of functions makes this throw; for import.meta, esbuild puts in a variable.
        const { code } = await transform(source, { format: 'cjs', sourcefile: path })
        expect(code.includes('import_meta'), `${path} uses import.meta`).to.equal(false)
      }
    })

    it('publint has nothing to say', async () => {
      const { messages, pkg } = await publint({ pack: { tarball: bytesOf(packed.tarball) } })
      expect(messages.map(message => formatMessage(message, pkg, { color: false }))).to.deep.equal([])
    })

    // The command line has no types, because nobody imports it.
    if (manifest.exports === undefined) return
    it('its types resolve as its code does', async function () {
      this.timeout(60_000)
      const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(bytesOf(packed.tarball))))
      if (analysis.types === false) throw new Error('no types were found')
      // The profile is esm-only: CommonJS uses these packages by `require` of an ES module, as use.test.ts shows.
      const ignored = ['node10', 'node16-cjs']
      const problems = analysis.problems.filter(
        problem => !('resolutionKind' in problem && ignored.includes(problem.resolutionKind)),
      )
      expect(problems).to.deep.equal([])
    })
  })
}

function bytesOf(path: string): ArrayBuffer {
  return new Uint8Array(readFileSync(path)).buffer
}
