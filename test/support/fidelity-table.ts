// The table in docs/http.md: made from the rows of tests that passed, and compared with the page.

import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../../../docs/http.md', import.meta.url)
const BEGIN = '<!-- table: written by `npm run docs:http` from the tests that passed -->'
const END = '<!-- end of table -->'

export interface Row {
  readonly what: string
  /** What the holder's client and the handler see. */
  readonly first: string
  /** What a duplicate gets. */
  readonly duplicate: string
}

export interface Topic {
  /** To be called by a test when it has shown what its row says. */
  row(what: string, first: string, duplicate: string): void
}

export const SAME = 'as without dspinlock'

/**
 * A topic of the table, to be opened in the `describe` that contains all its tests. Its rows are in the order of the tests. `testFile` is under test/http.
 */
export function openTopic(title: string, testFile: string): Topic {
  const rows: Row[] = []
  after(function () {
    let complete = true
    // If only a part of the tests runs, there is only a part of the rows.
    this.test?.parent?.eachTest(test => {
      complete &&= test.state === 'passed'
    })
    if (!complete) return
    const written = writeTopic(title, testFile, rows)
    if (process.env['DOCS_HTTP'] === 'write') writeTable(title, written)
    else if (readTable().get(title) !== written) {
      throw new Error(`docs/http.md is not what ${testFile} shows under "${title}": run npm run docs:http`)
    }
  })
  return {
    row: (what, first, duplicate) => {
      // What is the same on several frameworks is one row, and each framework has to show it.
      const known = rows.find(row => row.what === what)
      if (known === undefined) rows.push({ what, first, duplicate })
      else if (known.first !== first || known.duplicate !== duplicate) {
        throw new Error(
          `${what}: "${first}", "${duplicate}" here, but "${known.first}", "${known.duplicate}" elsewhere`,
        )
      }
    },
  }
}

function writeTopic(title: string, testFile: string, rows: readonly Row[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return [
    `### ${title}`,
    '',
    `Shown by [test/http/${testFile}](../test/http/${testFile}).`,
    '',
    '| a handler, or a request | the first client | a duplicate |',
    '| --- | --- | --- |',
    ...rows.map(({ what, first, duplicate }) => `| ${cell(what)} | ${cell(first)} | ${cell(duplicate)} |`),
    '',
  ].join('\n')
}

/** The topics by title, each with its heading. */
export function readTable(): Map<string, string> {
  const text = readFileSync(file, 'utf8')
  const table = text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).trim()
  const topics = table === '' ? [] : table.split(/^(?=### )/m)
  return new Map(topics.map(topic => [/^### (.*)$/m.exec(topic)?.[1] ?? '', `${topic.trim()}\n`]))
}

function writeTable(title: string, topic: string): void {
  const topics = readTable().set(title, topic)
  const text = readFileSync(file, 'utf8')
  const sorted = [...topics].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, written]) => written)
  const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length)
  writeFileSync(file, `${before}\n\n${sorted.join('\n')}\n${text.slice(text.indexOf(END))}`)
}
