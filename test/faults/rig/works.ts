// The kinds of work under the keys of the rig, and how often each is chosen.

import type { EnterOptions } from '@dspinlock/core'

export interface Work {
  readonly key: string
  readonly share: number
  readonly options: EnterOptions
}

export const works: readonly Work[] = [
  { key: 'turns-1', share: 4, options: {} },
  { key: 'turns-2', share: 2, options: {} },
  { key: 'shared-1', share: 2, options: { duplicates: 'replay', ttlMs: 150 } },
  { key: 'shared-2', share: 1, options: { duplicates: 'replay', ttlMs: 400 } },
  { key: 'flight', share: 2, options: { duplicates: 'replay' } },
  { key: 'once', share: 1, options: { duplicates: 'reject', ttlMs: 150 } },
]

export const keys: readonly string[] = works.map(({ key }) => key)

const shares = works.reduce((sum, work) => sum + work.share, 0)

export function chooseWork(random: () => number): Work {
  let at = random() * shares
  return works.find(work => (at -= work.share) < 0) ?? (works[0] as Work)
}
