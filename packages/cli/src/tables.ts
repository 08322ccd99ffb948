// Output for people: keys as tables, times and sizes in readable units.

import type { KeyState } from '@dspinlock/core'
import stringWidth from 'string-width'
import { noKeys, noMatches, printable, show } from './messages.js'

/** The widest column. Longer keys, which are rare (that of a HashDSpinlock has 74 characters), stand out of it: cut short, they could not be given to `inspect`. */
const MAX_WIDTH = 80

/** Lines without frames, so that tools such as cut and sort can read them. */
function drawTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map(row => row.map(text => ({ text, width: stringWidth(text) })))
  const widths = head.map((_, column) =>
    Math.min(
      MAX_WIDTH,
      cells.reduce((most, row) => Math.max(most, row[column]?.width ?? 0), 0),
    ),
  )
  return cells
    .map(row => row.map(({ text, width }, column) => text + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width))))
    .map(columns => columns.join('  ').trimEnd())
    .join('\n')
}

/** `isSelection`: other keys were left out. */
export function drawKeys(states: readonly KeyState[], isSelection: boolean): string {
  if (states.length === 0) return isSelection ? noMatches : noKeys
  const rows = states.map(state => {
    const isHeld = state.state === 'held'
    const hasRecord = state.state === 'settled'
    return [
      show(state.key),
      state.state,
      isHeld ? time(state.heldMs) : '',
      isHeld ? time(state.leaseLeftMs) : '',
      state.waiters > 0 ? String(state.waiters) : '',
      hasRecord ? size(state.recordBytes) : '',
      hasRecord ? time(state.ageMs) : '',
      hasRecord || state.state === 'pass' ? time(state.ttlLeftMs) : '',
    ]
  })
  return drawTable(['KEY', 'STATE', 'HELD FOR', 'LEASE LEFT', 'WAITERS', 'RECORD', 'AGE', 'TTL LEFT'], rows)
}

export function drawKey(state: KeyState): string {
  return [
    ['key', show(state.key)],
    ['state', state.state],
    ['fence', state.fence === 0 ? 'not known any more' : String(state.fence)],
    ['held for', time(state.heldMs)],
    ['lease left', time(state.leaseLeftMs)],
    ['waiting processes', String(state.waiters)],
    ['record', size(state.recordBytes)],
    ['age', time(state.ageMs)],
    ['ttl left', time(state.ttlLeftMs)],
  ]
    .map(([name = '', value = '']) => `${name.padEnd(18)}${value}`)
    .join('\n')
}

export function drawChecks(checks: readonly { name: string; status: string; detail: string }[]): string {
  const marks: Record<string, string> = { ok: 'ok', warn: 'WARN', fail: 'FAIL' }
  return checks
    .map(({ name, status, detail }) => `${(marks[status] ?? '').padEnd(6)}${name.padEnd(12)}${printable(detail)}`)
    .join('\n')
}

/** Held keys first, the longest held before the others; then by the time that is left. */
export function sortKeys(states: readonly KeyState[]): KeyState[] {
  return [...states].sort(
    (a, b) => b.heldMs - a.heldMs || a.ttlLeftMs - b.ttlLeftMs || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  )
}

export function time(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`
}

function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`
  return bytes < 1_048_576 ? `${(bytes / 1_024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`
}
