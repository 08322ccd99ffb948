// What docs/security.md and docs/idempotency-key.md claim is shown by tests: each row names at least one, and every named test exists.

import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { expect } from 'chai'
import { top } from './pages.js'

interface Row {
  readonly line: number
  readonly cells: readonly string[]
}

/** Rows of the tables whose last column is headed `shown by`. */
function readRows(page: string): Row[] {
  const rows: Row[] = []
  let isTable = false
  for (const [at, text] of readFileSync(new URL(page, top), 'utf8').split('\n').entries()) {
    if (!text.startsWith('|')) isTable = false
    else if (text.endsWith('| shown by |')) isTable = true
    else if (isTable && !/^[|\s:-]+$/.test(text))
      rows.push({ line: at + 1, cells: text.slice(1, -1).split(/(?<!\\)\|/) })
  }
  return rows
}

/** Files that contain the names of tests which are made for several files. */
const SHARED = 'test/support/stores.ts'

/** The titles of a file's tests as patterns; each group stands for what a template fills in. */
function readTitles(file: string): RegExp[] {
  const source = readFileSync(new URL(file, top), 'utf8')
  return [...source.matchAll(/\bit\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map(([, , title = '']) => {
    const literal = title.replace(/\\(.)/g, '$1').split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
    return new RegExp(`^${literal.map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+)')}$`, 's')
  })
}

function listFaults(page: string, { line, cells }: Row): string[] {
  const links = [...(cells.at(-1) ?? '').matchAll(/\[((?:\\.|[^\]\\])+)\]\(([^)]+)\)/g)]
  if (links.length === 0) return [`${page}:${line}: names no test`]
  return links.flatMap(([, shown = '', target = '']) => {
    const title = shown.replace(/\\(.)/g, '$1')
    const file = posix.join(posix.dirname(page), target)
    if (!/^test\/.*\.test\.ts$/.test(file)) return [`${page}:${line}: ${target} is no test`]
    const source = readFileSync(new URL(file, top), 'utf8') + readFileSync(new URL(SHARED, top), 'utf8')
    const isThere = readTitles(file).some(pattern => {
      const filled = pattern.exec(title)?.slice(1)
      return filled?.every(part => source.includes(part)) === true
    })
    return isThere ? [] : [`${page}:${line}: ${file} has no test “${title}”`]
  })
}

describe('what the documentation says is shown', () => {
  for (const [page, atLeast] of [
    ['docs/security.md', 30],
    ['docs/idempotency-key.md', 15],
  ] as const) {
    it(`in ${page}, by tests that exist`, () => {
      const rows = readRows(page)
      expect(rows.length).to.be.above(atLeast)
      const faults = rows.flatMap(row => listFaults(page, row))
      expect(faults, `\n${faults.join('\n')}\n`).to.deep.equal([])
    })
  }

  it('is looked for by title: another one is found missing', () => {
    const cell = (title: string): Row => ({ line: 1, cells: ['', `[${title}](../test/http/idempotency-key.test.ts)`] })
    const page = 'docs/idempotency-key.md'
    expect(listFaults(page, cell('two in one header is 400, also where a key is optional'))).to.deep.equal([])
    expect(listFaults(page, cell('missing where it is optional: not guarded'))).to.deep.equal([])
    expect(listFaults(page, cell('missing where it is optional'))).to.have.length(1)
    expect(listFaults(page, cell('three in one header is 400, also where a key is optional'))).to.have.length(1)
    expect(listFaults(page, { line: 1, cells: ['', 'nothing'] })).to.have.length(1)
  })
})
