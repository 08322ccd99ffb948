// The table in docs/http.md has the topics that tests show, and no others.

import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { readTable } from '../support/fidelity-table.js'

const sources = new URL('../../http/', import.meta.url)

describe('the table in docs/http.md', () => {
  it('has a topic for each test that opens one, and says which test that is', () => {
    const opened = readdirSync(sources)
      .filter(name => name.endsWith('.test.ts'))
      .flatMap(name =>
        [...readFileSync(new URL(name, sources), 'utf8').matchAll(/openTopic\('([^']+)', '([^']+)'\)/g)].map(
          ([, title, file]) => {
            expect(file, `${name} says that it is`).to.equal(name)
            return [title, file]
          },
        ),
      )
    expect(opened.length).to.be.above(15)
    const written = [...readTable()].map(([title, topic]) => [title, /\.\.\/test\/http\/([\w.-]+)\)/.exec(topic)?.[1]])
    expect(written).to.have.deep.members(opened)
  })
})
