// The picture in the README is drawn from the run stored beside it, and that run is as the picture says.

import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { drawPicture } from 'dspinlock-demo/draw-picture'
import type { PictureData } from 'dspinlock-demo/picture-data'
import { top } from './pages.js'

const read = (name: string): string => readFileSync(new URL(`docs/images/${name}`, top), 'utf8')

describe('the picture of duplicates', () => {
  const data = JSON.parse(read('duplicates.json')) as PictureData

  it('is drawn from the recorded run; if not: npm run docs:picture', () => {
    expect(read('duplicates.svg')).to.equal(drawPicture(data))
  })

  it('the run: 200 requests to three processes, one run while they waited, 200 equal answers', () => {
    expect([data.requests.length, data.processes, data.runs.length, data.bodies]).to.deep.equal([200, 3, 1, 1])
    expect(data.requests.filter(({ status }) => status === 200)).to.have.length(200)
    expect(new Set(data.requests.map(({ process }) => process)).size).to.equal(3)
    const endedMs = data.runs[0]?.endedMs ?? Number.NaN
    expect(data.requests.filter(({ answeredMs }) => answeredMs < endedMs)).to.deep.equal([])
  })
})
