// A map for entries that stay for a moment, by keys that hardly ever come again.

/** The Map is made anew after so many entries came and went, or as many as there are, if those are more. */
const RENEW_AFTER = 1_024

/**
 * V8 links the tables of a Map that outgrew them, each to the next. Once one of them is old, all that was ever in the later ones survives
 * until the next full collection: under load that is a third of everything, and collecting it costs more than the work. So the Map is made
 * anew from time to time.
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

  /** As of now: what changes meanwhile does not matter. */
  values(): V[] {
    return [...this.#map.values()]
  }
}
