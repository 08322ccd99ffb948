// A map for entries that stay for a moment, under keys that hardly ever come again.

/** The Map is made anew after this many entries came and went, or, if it has more entries than that, after as many as it has. */
const RENEW_AFTER = 1_024

/**
 * When a Map outgrows its table, V8 links the old table to the next. Once one table is in old space, everything that was ever in the later
 * ones survives until the next full collection: under load that is a third of all objects, and collecting them costs more than the work.
 * So the Map is made anew from time to time.
 */
export class ShortLivedMap<V> {
  #map = new Map<string, V>()
  #deleted = 0

  get size(): number {
    return this.#map.size
  }

  get(key: string): V | undefined {
    return this.#map.get(key)
  }

  set(key: string, value: V): void {
    this.#map.set(key, value)
  }

  delete(key: string): void {
    if (!this.#map.delete(key)) return
    if (++this.#deleted < Math.max(RENEW_AFTER, this.#map.size)) return
    this.#deleted = 0
    this.#map = new Map(this.#map)
  }

  /** A copy of the values as they are now, so that changes while it is walked do not matter. */
  values(): V[] {
    return [...this.#map.values()]
  }
}
