// Every relative link leads to an existing file, and to a heading in it.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { expect } from 'chai'
import { parsePage, readPage, readPages, top } from './pages.js'

const anchorsOf = new Map<string, ReadonlySet<string>>()

function anchorsIn(path: string): ReadonlySet<string> {
  const known = anchorsOf.get(path) ?? readPage(path).anchors
  anchorsOf.set(path, known)
  return known
}

/** What is wrong with a link; undefined if nothing is. */
function faultOf(page: string, target: string): string | undefined {
  if (/^[a-z]+:/i.test(target)) return undefined
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : posix.join(posix.dirname(page), decodeURIComponent(path))
  if (file.startsWith('..') || !existsSync(new URL(file, top))) return 'there is no such file'
  if (anchor === undefined) return undefined
  if (statSync(new URL(file, top)).isDirectory() || !file.endsWith('.md')) return 'only pages have anchors'
  return anchorsIn(file).has(anchor) ? undefined : 'there is no such heading'
}

describe('links of the documentation', () => {
  const pages = readPages()

  it('lead to files and headings that exist', () => {
    const faults: string[] = []
    for (const { page, line, target } of pages.flatMap(({ links }) => links)) {
      const fault = faultOf(page, target)
      if (fault !== undefined) faults.push(`${page}:${line}: ${target}: ${fault}`)
    }
    expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
  })

  it('are all looked at: in text, in tables, in HTML, and images', () => {
    const source =
      '[a](x.md)\n\n| a |\n| --- |\n| [b](y.md#z) |\n\n<img src="c.svg">\n\ntext <a href="d">d</a> ![e](e.png)\n'
    const targets = parsePage('README.md', source).links.map(({ target }) => target)
    expect(targets).to.deep.equal(['x.md', 'y.md#z', 'c.svg', 'd', 'e.png'])
    expect(faultOf('README.md', 'docs/warnings.md#no-such-warning')).to.equal('there is no such heading')
    expect(faultOf('docs/cli.md', '../docs/none.md')).to.equal('there is no such file')
  })

  it('whatever the README says yes to, beside the alternatives, it links to', () => {
    const rows = readFileSync(new URL('README.md', top), 'utf8')
      .split('\n')
      .filter(line => line.startsWith('| '))
      .map(line => line.split(' | '))
    const ours: string[] = []
    let isOurs = false
    for (const [, cell = ''] of rows) {
      if (cell === 'dspinlock') isOurs = true
      else if (!/^-+$|^`|@dspinlock/.test(cell) && isOurs) ours.push(cell)
    }
    expect(ours.length).to.be.above(15)
    expect(ours.filter(cell => /\byes\b/.test(cell) && !/\[[^\]]*yes[^\]]*\]\(/.test(cell))).to.deep.equal([])
  })

  it('every page of docs can be reached from the README', () => {
    const byPath = new Map(pages.map(page => [page.path, page]))
    const reached = new Set<string>()
    const visit = (path: string): void => {
      const page = byPath.get(path)
      if (page === undefined || reached.has(path)) return
      reached.add(path)
      for (const { target } of page.links) {
        if (!/^[a-z]+:/i.test(target)) visit(posix.join(posix.dirname(path), target.split('#')[0] ?? ''))
      }
    }
    visit('README.md')
    // Decisions are linked to as a folder, and each is in the folder's list.
    const lost = pages.filter(({ path }) => path.startsWith('docs/') && !path.startsWith('docs/decisions/'))
    expect(lost.map(({ path }) => path).filter(path => !reached.has(path))).to.deep.equal([])
  })
})
