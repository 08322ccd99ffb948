// The checker names each breach, and excuses only what lost data explains.

import { expect } from 'chai'
import { type BreachName, check, type Incident } from './rig/checker.js'
import type { Dated, HistoryEvent } from './rig/history.js'

const key = 'k'
const at = (when: number, event: HistoryEvent): Dated => ({ at: when, ...event })
const lease = (when: number, fence: number, until: number): Dated => at(when, { event: 'lease', key, fence, until })
const enter = (when: number, fence: number): Dated => at(when, { event: 'enter', key, fence, aborted: false })
const leave = (when: number, fence: number): Dated => at(when, { event: 'leave', key, fence, aborted: false })
const lost = (when: number, fence: number): Dated => at(when, { event: 'lost', key, fence })
const settle = (when: number, fence: number, record: string): Dated => at(when, { event: 'settle', key, fence, record })
const settled = (when: number, sentAt: number, fence: number, visibleMs = 0): Dated =>
  at(when, { event: 'settled', key, fence, sentAt, visibleMs, answer: true })
const follow = (when: number, record: string): Dated => at(when, { event: 'follow', key, record })
const write = (when: number, fence: number, accepted: boolean): Dated =>
  at(when, { event: 'write', key, fence, sentAt: when - 1, accepted })
const bye = at(9_000, { event: 'bye' })

function breachesOf(workers: Dated[][], incidents: Incident[] = []): BreachName[] {
  const histories = workers.map((events, n) => ({ name: `w${n}`, events: [...events, bye] }))
  return check(histories, incidents, 0).breaches.map(({ name }) => name)
}

describe('the checker', () => {
  const hold = (from: number, to: number, fence: number): Dated[] => [
    lease(from - 1, fence, to + 100),
    enter(from, fence),
    leave(to, fence),
  ]

  it('has nothing to say of holds one after another', () => {
    expect(breachesOf([hold(10, 20, 1), hold(30, 40, 2)])).to.deep.equal([])
  })

  it('names an overlap, and excuses it when data was lost between', () => {
    const overlapping = [hold(10, 50, 1), hold(30, 60, 2)]
    expect(breachesOf(overlapping)).to.deep.equal(['overlap'])
    const loss: Incident = { kind: 'data-lost', worker: '', from: 20, to: 25 }
    expect(breachesOf(overlapping, [loss])).to.deep.equal([])
    expect(breachesOf(overlapping, [{ ...loss, from: 70, to: 80 }])).to.deep.equal(['overlap'])
  })

  it('excuses a loss between the grant and the word of it, and none before the grant', () => {
    // Fences are the server's microseconds: granted at 15, known at 40.
    const late = [lease(40, 15_000, 100), enter(41, 15_000), leave(60, 15_000)]
    const other = hold(50, 55, 45_000)
    expect(breachesOf([late, other], [{ kind: 'data-lost', worker: '', from: 20, to: 25 }])).to.deep.equal([])
    expect(breachesOf([late, other], [{ kind: 'data-lost', worker: '', from: 5, to: 9 }])).to.deep.equal(['overlap'])
  })

  it('does not count a holder that knew, or whose lease was over, or that was killed', () => {
    expect(breachesOf([[lease(9, 1, 100), enter(10, 1), lost(29, 1)], hold(30, 60, 2)])).to.deep.equal([])
    expect(breachesOf([[lease(9, 1, 29), enter(10, 1)], hold(30, 60, 2)])).to.deep.equal([])
    const killed: Incident = { kind: 'killed', worker: 'w0', from: 29, to: 29 }
    expect(breachesOf([[lease(9, 1, 100), enter(10, 1)], hold(30, 60, 2)], [killed])).to.deep.equal([])
  })

  it('names fences that do not grow', () => {
    expect(breachesOf([hold(10, 20, 2), hold(30, 40, 1)])).to.deep.equal(['fence'])
    expect(breachesOf([hold(10, 20, 2), hold(30, 40, 2)])).to.include('fence')
  })

  it('names a holder that is not aware', () => {
    expect(breachesOf([[lease(9, 1, 50), enter(10, 1), leave(80, 1)]])).to.deep.equal(['unaware'])
    expect(breachesOf([[lease(9, 1, 50), enter(80, 1)]])).to.deep.equal(['unaware'])
  })

  it('names stale and refused writes', () => {
    const first = [...hold(10, 20, 1), write(40, 1, true)]
    expect(breachesOf([first, [...hold(30, 38, 2), write(35, 2, true)]])).to.deep.equal(['stale-write'])
    expect(breachesOf([[lease(9, 1, 50), enter(10, 1), write(12, 1, false), leave(20, 1)]])).to.deep.equal([
      'refused-holder',
    ])
  })

  it('names what a stale holder left, and who was given it', () => {
    const stale = [lease(9, 1, 29), enter(10, 1), settle(40, 1, 'r'), settled(41, 40, 1)]
    expect(breachesOf([stale, hold(30, 35, 2)])).to.deep.equal(['stale-settle'])
    expect(breachesOf([stale, [...hold(30, 35, 2), follow(50, 'r')]])).to.deep.equal(['stale-settle', 'stale-record'])
  })

  it('names records that nobody left, and two answers from one record', () => {
    expect(breachesOf([[...hold(10, 20, 1), follow(30, 'x')]])).to.deep.equal(['phantom-record'])
    const two = [...hold(10, 20, 1), settle(18, 1, 'x'), settle(19, 1, 'y'), follow(30, 'x'), follow(31, 'y')]
    expect(breachesOf([two])).to.deep.equal(['two-answers'])
  })

  it('names a second run within the time of a record', () => {
    const first = [...hold(10, 20, 1), settle(20, 1, 'r'), settled(21, 20, 1, 100)]
    expect(breachesOf([first, hold(90, 95, 2)])).to.deep.equal(['ran-twice'])
    expect(breachesOf([first, hold(130, 140, 2)])).to.deep.equal([])
  })

  it('names waits without end, crashes, and processes that stay', () => {
    const ask = at(10, { event: 'ask', op: 1, key, endBy: 100 })
    expect(breachesOf([[ask]])).to.deep.equal(['endless-wait'])
    expect(breachesOf([[ask, at(200, { event: 'answer', op: 1, outcome: 'holder' })]])).to.deep.equal(['endless-wait'])
    expect(breachesOf([[ask, at(50, { event: 'answer', op: 1, outcome: 'holder' })]])).to.deep.equal([])
    expect(breachesOf([[at(10, { event: 'crash', error: 'x' })]])).to.deep.equal(['crash'])
    expect(breachesOf([[]], [{ kind: 'not-exited', worker: 'w0', from: 1, to: 1 }])).to.deep.equal(['kept-alive'])
  })
})
