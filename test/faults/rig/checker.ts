// Reads what all workers wrote down and names every promise that was broken.

import type { Dated, WorkerHistory } from './history.js'

export type BreachName =
  /** Two holders of one key at once, both within their leases. */
  | 'overlap'
  /** A later hold with a fence that is not greater. */
  | 'fence'
  /** The register refused a holder within its lease, because a writer with a higher fence had been there. */
  | 'refused-holder'
  /** The register accepted a write under a lower fence than one that it had accepted before. */
  | 'stale-write'
  /** A settle was accepted although a later hold had begun. */
  | 'stale-settle'
  /** A duplicate was given the record of a holder although a later hold had begun. */
  | 'stale-record'
  /** A duplicate was given a record that nobody left. */
  | 'phantom-record'
  /** Two duplicates were given different results from one record. */
  | 'two-answers'
  /** A record was there, and within its time the work was run all the same. */
  | 'ran-twice'
  /** A holder went on after its lease had run out, and its signal had not aborted. */
  | 'unaware'
  /** A caller was not answered in time. */
  | 'endless-wait'
  /** An error that no caller got, or a process that ended by itself. */
  | 'crash'
  /** A process that is still alive although everything is closed. */
  | 'kept-alive'

export interface Breach {
  readonly name: BreachName
  readonly what: string
}

/** What happened to a process, or to the server's data, as far as the injector knows. */
export interface Incident {
  readonly kind: 'killed' | 'stopped' | 'data-lost' | 'not-exited'
  /** The id of the worker; '' for the server. */
  readonly worker: string
  readonly from: number
  readonly to: number
}

export interface Verdict {
  readonly breaches: readonly Breach[]
  readonly counts: {
    holds: number
    records: number
    follows: number
    refusals: number
    errors: number
    /** Holds that ended before their holder ended them. */
    lost: number
    writesRefused: number
    /** What looks like a breach, but is explained by data that the server lost. */
    excused: number
  }
}

/** Tolerance for a server's clock, which is read in whole milliseconds. */
const CLOCK_MS = 2
/** Tolerance for the time between the end of a lease and code that looks at the signal. */
const AWARE_WITHIN_MS = 5

interface Held {
  readonly worker: string
  readonly key: string
  readonly fence: number
  /** When the store gave the key; the holder may learn of it much later. */
  readonly grantedAt: number
  readonly enter: number
  /** Until when the holder acts as such: until it left, knew that it lost the key, or was killed, or its lease ended. */
  end: number
}

/** `serverAheadMs`: the time of the server's clock, from which fences are made, minus that of the histories. */
export function check(
  histories: readonly WorkerHistory[],
  incidents: readonly Incident[],
  serverAheadMs: number,
): Verdict {
  const breaches: Breach[] = []
  const counts = { holds: 0, records: 0, follows: 0, refusals: 0, errors: 0, lost: 0, writesRefused: 0, excused: 0 }
  const losses = incidents.filter(incident => incident.kind === 'data-lost')
  /** Reports the breach `name`, unless data was lost between `since` and `until`. */
  const judge = (name: BreachName, what: string, since: number, until: number): void => {
    if (losses.some(loss => loss.from <= until && loss.to >= since)) counts.excused++
    else breaches.push({ name, what })
  }
  const add = (name: BreachName, what: string): void => void breaches.push({ name, what })

  const holds = new Map<string, Held[]>()
  for (const history of histories) {
    for (const held of readHolds(history, incidents, serverAheadMs)) {
      const list = holds.get(held.key) ?? []
      list.push(held)
      holds.set(held.key, list)
      counts.holds++
    }
    checkWorker(history, incidents, add)
    for (const event of history.events) {
      if (event.event === 'lost') counts.lost++
      if (event.event === 'write' && !event.accepted) counts.writesRefused++
      if (event.event === 'answer' && event.outcome.startsWith('refused')) counts.refusals++
      if (event.event === 'answer' && event.outcome.startsWith('error')) counts.errors++
    }
  }
  const byKey = new Map<string, Dated[]>()
  for (const event of histories.flatMap(history => history.events)) {
    if (!('key' in event)) continue
    const list = byKey.get(event.key) ?? []
    list.push(event)
    byKey.set(event.key, list)
  }
  for (const events of byKey.values()) events.sort((a, b) => a.at - b.at)
  for (const [key, list] of holds) {
    list.sort((a, b) => a.enter - b.enter)
    const events = byKey.get(key) ?? []
    checkHolds(list, judge)
    checkWrites(list, events, judge, add)
    checkRecords(list, events, judge, add, counts)
  }
  return { breaches, counts }
}

/** The holds that a worker entered, each until its end. */
function readHolds(history: WorkerHistory, incidents: readonly Incident[], serverAheadMs: number): Held[] {
  const leaseEnds = new Map<string, number>()
  const held = new Map<string, Held>()
  const died = incidents.find(incident => incident.kind === 'killed' && incident.worker === history.name)?.from
  for (const event of history.events) {
    const name = 'fence' in event ? `${event.fence} ${event.key}` : ''
    if (event.event === 'lease') {
      leaseEnds.set(name, Math.max(event.until, leaseEnds.get(name) ?? 0))
    } else if (event.event === 'enter') {
      const { key, fence, at } = event
      const grantedAt = fence / 1_000 - serverAheadMs
      const end = died ?? Number.POSITIVE_INFINITY
      held.set(name, { worker: history.name, key, fence, grantedAt, enter: at, end })
    } else if (event.event === 'lost' || event.event === 'leave') {
      const hold = held.get(name)
      if (hold !== undefined) hold.end = Math.min(hold.end, event.at)
    }
  }
  for (const [name, hold] of held) hold.end = Math.min(hold.end, leaseEnds.get(name) ?? 0)
  return [...held.values()]
}

type Judge = (name: BreachName, what: string, since: number, until: number) => void
type Add = (name: BreachName, what: string) => void

/** The holds of `list` in order of entering. */
function checkHolds(list: readonly Held[], judge: Judge): void {
  const byEnd = [...list].sort((a, b) => a.end - b.end)
  const fences = new Set<number>()
  let longest: Held | undefined
  let ended = 0
  let highestEnded = 0
  for (const hold of list) {
    if (fences.has(hold.fence)) judge('fence', `${tell(hold)}: another hold had the same fence`, hold.enter, hold.enter)
    fences.add(hold.fence)
    // It entered after its lease had ended: then its holder knows, or is reported as unaware.
    if (hold.enter >= hold.end) continue
    if (longest !== undefined && hold.enter + CLOCK_MS < longest.end) {
      judge('overlap', `${tell(hold)} began while ${tell(longest)} lasted`, longest.grantedAt, hold.enter)
    }
    if (longest === undefined || hold.end > longest.end) longest = hold
    for (let next = byEnd[ended]; next !== undefined && next.end < hold.enter; next = byEnd[++ended]) {
      highestEnded = Math.max(highestEnded, next.fence)
    }
    if (hold.fence < highestEnded) {
      judge('fence', `${tell(hold)} began after one with fence ${highestEnded} had ended`, hold.grantedAt, hold.enter)
    }
  }
}

function checkWrites(list: readonly Held[], events: readonly Dated[], judge: Judge, add: Add): void {
  const holds = new Map(list.map(hold => [hold.fence, hold]))
  let highest = { fence: 0, at: 0 }
  for (const write of events) {
    if (write.event !== 'write') continue
    const hold = holds.get(write.fence)
    if (write.accepted) {
      if (write.fence < highest.fence && write.sentAt > highest.at) {
        add('stale-write', `${write.key}: fence ${write.fence} was written after ${highest.fence}`)
      }
      if (write.fence > highest.fence) highest = write
    } else if (hold !== undefined && write.at + CLOCK_MS < hold.end) {
      judge('refused-holder', `${tell(hold)} was refused within its lease`, hold.grantedAt, write.at)
    }
  }
}

function checkRecords(
  list: readonly Held[],
  events: readonly Dated[],
  judge: Judge,
  add: Add,
  counts: Verdict['counts'],
): void {
  const byFence = [...list].sort((a, b) => a.fence - b.fence)
  /** The first hold with a higher fence that began before `at`. */
  const laterHold = (fence: number, at: number): Held | undefined =>
    byFence.slice(firstAbove(byFence, fence)).find(hold => hold.enter < at)
  const settled = new Map<string, { readonly fence: number; readonly staleFor: Held | undefined }>()
  const answers = new Map<number, string>()
  for (const event of events) {
    if (event.event === 'settle') {
      settled.set(event.record, { fence: event.fence, staleFor: laterHold(event.fence, event.at) })
    }
    if (event.event !== 'settled' || event.answer !== true) continue
    counts.records++
    const { key, fence, sentAt } = event
    const staleFor = laterHold(fence, sentAt)
    if (staleFor !== undefined) {
      judge(
        'stale-settle',
        `${key}: fence ${fence} was settled after ${tell(staleFor)} began`,
        staleFor.enter,
        event.at,
      )
    }
    // Newcomers are given the record from the answer on, and, by the server's clock, for no longer than this.
    const until = sentAt + event.visibleMs - CLOCK_MS
    const again = byFence.slice(firstAbove(byFence, fence)).find(hold => hold.enter > event.at && hold.enter < until)
    if (again !== undefined) {
      const ms = Math.round(again.enter - event.at)
      judge('ran-twice', `${tell(again)} ran ${ms} ms after fence ${fence} left a record`, sentAt, again.enter)
    }
  }
  for (const event of events) {
    if (event.event !== 'follow') continue
    counts.follows++
    const { key, record } = event
    const from = settled.get(record)
    if (from === undefined) {
      add('phantom-record', `${key}: a duplicate was given ${record}, which nobody settled`)
      continue
    }
    const known = answers.get(from.fence) ?? record
    answers.set(from.fence, known)
    if (known !== record) add('two-answers', `${key}: fence ${from.fence} answered ${known} and ${record}`)
    if (from.staleFor !== undefined) {
      const what = `${key}: what fence ${from.fence} left after ${tell(from.staleFor)} began was given to a duplicate`
      judge('stale-record', what, from.staleFor.enter, event.at)
    }
  }
}

/** The index of the first hold with a higher fence, in a list in order of fences. */
function firstAbove(list: readonly Held[], fence: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((list[middle]?.fence ?? 0) > fence) high = middle
    else low = middle + 1
  }
  return low
}

function checkWorker(history: WorkerHistory, incidents: readonly Incident[], add: Add): void {
  const mine = incidents.filter(incident => incident.worker === history.name)
  const killed = mine.find(incident => incident.kind === 'killed')
  const stoppedMs = mine
    .filter(incident => incident.kind === 'stopped')
    .reduce((sum, incident) => sum + incident.to - incident.from, 0)
  const open = new Map<number, { readonly key: string; readonly endBy: number }>()
  const leaseEnds = new Map<string, number>()
  let last = 0
  for (const event of history.events) {
    last = event.at
    if (event.event === 'ask') open.set(event.op, event)
    if (event.event === 'answer') {
      const asked = open.get(event.op)
      open.delete(event.op)
      if (asked !== undefined && event.at > asked.endBy + stoppedMs) {
        add(
          'endless-wait',
          `${history.name}: ${asked.key} was answered ${Math.round(event.at - asked.endBy)} ms too late`,
        )
      }
    }
    if (event.event === 'crash') add('crash', `${history.name}: ${event.error}`)
    if (event.event === 'lease') {
      const name = `${event.fence} ${event.key}`
      leaseEnds.set(name, Math.max(event.until, leaseEnds.get(name) ?? 0))
    }
    if (event.event === 'enter' || event.event === 'leave') {
      const lateMs = event.at - (leaseEnds.get(`${event.fence} ${event.key}`) ?? 0)
      if (lateMs > AWARE_WITHIN_MS && !event.aborted) {
        add(
          'unaware',
          `${history.name}: ${event.key} fence ${event.fence}, ${event.event} ${Math.round(lateMs)} ms after its lease`,
        )
      }
    }
  }
  const endedAt = killed?.from ?? last
  for (const { key, endBy } of open.values()) {
    if (killed === undefined || endedAt > endBy + stoppedMs)
      add('endless-wait', `${history.name}: ${key} was never answered`)
  }
  if (killed === undefined && history.events.at(-1)?.event !== 'bye') add('crash', `${history.name} ended by itself`)
  if (mine.some(incident => incident.kind === 'not-exited'))
    add('kept-alive', `${history.name} was closed and did not exit`)
}

function tell({ key, fence, worker }: Held): string {
  return `${key} fence ${fence} (${worker})`
}
