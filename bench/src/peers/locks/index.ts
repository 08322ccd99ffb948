// All lock libraries that are measured, by name.

import { redisSemaphore, redlock4, redlock5, redlockUniversal } from './alternatives.js'
import { dspinlock } from './dspinlock.js'
import type { LockLibrary } from './library.js'
import { rawPair, twoPings, twoScripts } from './raw.js'

export { dspinlock, rawPair, redisSemaphore, twoPings, twoScripts }

export const alternatives: readonly LockLibrary[] = [redlock4, redlock5, redisSemaphore, redlockUniversal]

const all = new Map([dspinlock, rawPair, twoScripts, twoPings, ...alternatives].map(library => [library.name, library]))

export function findLibrary(name: string): LockLibrary {
  const library = all.get(name)
  if (library === undefined) throw new Error(`no lock library is called ${name}`)
  return library
}
