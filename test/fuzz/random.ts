// Random choices that a seed can repeat.

export interface Random {
  /** A whole number, at least 0 and below `below`. */
  below(below: number): number
  pick<T>(from: readonly T[]): T
  /** True once in `times`, on average. */
  once(times: number): boolean
}

/** Mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    pick: from => from[below(from.length)] as (typeof from)[number],
    once: times => below(times) === 0,
  }
}
