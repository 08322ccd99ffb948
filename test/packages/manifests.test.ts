// What every package.json promises, alike in all packages.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { packages, top } from './published.js'

const versions = new Map(packages.map(({ manifest }) => [manifest.name, manifest.version]))

for (const { folder, manifest } of packages) {
  describe(`package.json of ${manifest.name}`, () => {
    it('says what it is, under which license, and that it is an ES module without side effects', () => {
      expect(manifest).to.include({ license: 'MIT', type: 'module', sideEffects: false })
      expect(manifest.description).to.match(/^.{30,150}$/)
    })

    it('asks for the oldest Node in which require() of an ES module works', () => {
      expect(manifest.engines).to.deep.equal({ node: '>=20.19.0' })
    })

    it('is published for everybody, with a statement of where it was built', () => {
      expect(manifest.publishConfig).to.deep.equal({ access: 'public', provenance: true })
    })

    it('depends on exactly the version of the others that it was built and tested with', () => {
      const ours = Object.entries(manifest.dependencies ?? {}).filter(([name]) => versions.has(name))
      for (const [name, range] of ours) expect(range, name).to.equal(versions.get(name))
    })

    const typedoc = join(top, 'packages', folder, 'typedoc.json')
    if (!existsSync(typedoc)) return
    it('what the API reference leaves out is there to be left out', () => {
      const { intentionallyNotExported = [] } = JSON.parse(readFileSync(typedoc, 'utf8')) as Record<string, string[]>
      expect(intentionallyNotExported).to.be.an('array')
      for (const one of intentionallyNotExported) {
        const [file = '', name = ''] = one.split(':')
        const source = readFileSync(join(top, 'packages', folder, file), 'utf8')
        expect(source, one).to.match(new RegExp(`(type|interface|class|const) ${name}\\b`))
      }
    })
  })
}

describe('peer ranges', () => {
  /** Versions that the tests run on, by name; an alias such as express4 counts as the package that it stands for. */
  const tested = new Map<string, Set<string>>()
  for (const path of ['package.json', 'test/nest11/package.json']) {
    const { devDependencies = {}, dependencies = {} } = readManifest(path)
    for (const [name, range] of Object.entries({ ...devDependencies, ...dependencies })) {
      const [, real = name, major] = /^(?:npm:(.+)@)?\D*(\d+)/.exec(range) ?? []
      if (major !== undefined) tested.set(real, (tested.get(real) ?? new Set()).add(major))
    }
  }

  for (const { manifest } of packages) {
    for (const [name, range] of Object.entries(manifest.peerDependencies ?? {})) {
      if (range === '*' || name.startsWith('@dspinlock/')) continue
      it(`${manifest.name}: all tests run on each major version of ${name} ${range}`, () => {
        const majors = [...range.matchAll(/\^(\d+)/g)].map(([, major]) => major ?? '').filter(major => major !== '0')
        expect([...(tested.get(name) ?? [])]).to.include.members(majors)
      })
    }
  }
})

function readManifest(path: string): {
  devDependencies?: Record<string, string>
  dependencies?: Record<string, string>
} {
  return JSON.parse(readFileSync(join(top, path), 'utf8')) as ReturnType<typeof readManifest>
}
