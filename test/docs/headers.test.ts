// The documentation names every header that says who asks, and no others.

import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { top } from './pages.js'

const source = readFileSync(new URL('packages/http/src/conventional-headers.ts', top), 'utf8')

/** The names in a set of the source, sorted. */
function namesIn(set: string): string[] {
  const from = source.indexOf(`export const ${set}`)
  const list = source.slice(from, source.indexOf('\n])', from))
  return [...list.matchAll(/^ {2}'([a-z-]+)',$/gm)].map(([, name = '']) => name).sort()
}

/** The headers that a page names between two texts, in lower case and sorted. */
function namedBetween(page: string, begin: string, end: string): string[] {
  const [, text = ''] = readFileSync(new URL(page, top), 'utf8').split(begin)
  return [...(text.split(end)[0] ?? '').matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name.toLowerCase()).sort()
}

describe('headers that the documentation names', () => {
  it('who asks: all of them', () => {
    const names = namesIn('credentials')
    expect(names.length).to.be.above(30)
    expect(namedBetween('docs/security.md', 'By default, these say who asks:', 'A request without')).to.deep.equal(
      names,
    )
  })

  it('which event, operation or part of an upload: all of them count', () => {
    const named = namedBetween('docs/decisions/052-what-is-asked-for.md', 'It also holds headers', 'Otherwise')
    expect(named.length).to.be.above(8)
    expect(namesIn('routing')).to.include.members(named)
  })
})
