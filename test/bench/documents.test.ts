// Numbers are written into a page only where it asks for them.

import { expect } from 'chai'
import { fillNumbers, findUnknownNumbers } from '#bench-report/documents.js'
import type { Results } from '#bench-report/model.js'

const results: Results = {
  parts: [
    {
      part: 'http',
      measuredAt: '2026-01-01T00:00:00.000Z',
      seconds: 1,
      scale: 1,
      machine: { cpu: 'cpu', cores: 2, memoryMiB: 1, system: 'system', node: 'v20', redis: '7' },
      versions: {},
      profiles: [],
      missing: [],
      figures: [
        {
          id: 'http.a',
          title: 'a',
          baseline: 'bare',
          group: 'group',
          unit: 'requests/s',
          better: 'higher',
          pairs: [{ baseline: { value: 200 }, subject: { value: 150 } }],
          facts: { commands: 2 },
        },
      ],
    },
  ],
}

describe('numbers in the documentation', () => {
  it('are written between their marks, as often as one likes, and again', () => {
    const page = 'a <!--= http.a ratio -->9<!-- =--> b <!--= http.a fact:commands --><!-- =--> c 9'
    const filled = 'a <!--= http.a ratio -->0.75<!-- =--> b <!--= http.a fact:commands -->2<!-- =--> c 9'
    expect(fillNumbers(page, results)).to.equal(filled)
    expect(fillNumbers(filled, results)).to.equal(filled)
  })

  it('that were not measured stay, and are reported', () => {
    const page = '<!--= http.b ratio -->1<!-- =--> <!--= http.a cpuUs -->2<!-- =-->'
    expect(fillNumbers(page, results)).to.equal(page)
    expect(findUnknownNumbers(page, results)).to.deep.equal(['http.b ratio', 'http.a cpuUs'])
  })
})
