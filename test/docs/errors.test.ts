// The documentation explains every code that an error of the packages can have, and no others.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { top } from './pages.js'

const codesIn = (text: string): string[] => [...new Set(text.match(/ERR_DSPINLOCK_[A-Z_]+/g))].sort()

describe('the codes of errors', () => {
  it('are in the documentation, each, and no other', () => {
    const docs = fileURLToPath(new URL('docs', top))
    const pages = readdirSync(docs).filter(name => name.endsWith('.md'))
    const explained = codesIn(pages.map(name => readFileSync(new URL(`docs/${name}`, top), 'utf8')).join('\n'))
    const given = codesIn(readFileSync(new URL('packages/core/src/errors.ts', top), 'utf8'))
    expect(given.length).to.be.above(10)
    expect(explained).to.deep.equal(given)
  })
})
