// The documentation explains every warning that the packages can give under its code, and no others.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { readPage, top } from './pages.js'

describe('the page of warnings', () => {
  it('has a heading for each code in the sources, and for no other', () => {
    const codes = new Set<string>()
    const packages = fileURLToPath(new URL('packages', top))
    for (const entry of readdirSync(packages, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts') || !/\/src(\/|$)/.test(entry.parentPath)) continue
      if (entry.parentPath.includes('node_modules')) continue
      const source = readFileSync(join(entry.parentPath, entry.name), 'utf8')
      for (const [code] of source.matchAll(/DSPINLOCK_W_[A-Z_]+/g)) codes.add(code)
    }
    expect(codes.size).to.be.above(5)
    const anchors = [...readPage('docs/warnings.md').anchors].filter(anchor => anchor.startsWith('dspinlock_w_'))
    expect(anchors.sort()).to.deep.equal([...codes].map(code => code.toLowerCase()).sort())
  })
})
