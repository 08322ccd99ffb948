// A list whose items know their neighbours: taking one out costs the same wherever it is.

/** The list's to write. */
export interface Linked<T> {
  isLinked: boolean
  previous: T | undefined
  next: T | undefined
}

/**
 * For what comes and goes for as long as the process lives. A Set would do the same for its users, but V8 links the tables of one that
 * outgrew them, each to the next: once one of them is old, all that was ever in the later ones survives until the next full collection.
 * Neighbours are forgotten here.
 */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get first(): T | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  append(item: T): void {
    item.isLinked = true
    item.previous = this.#last
    if (this.#last === undefined) this.#first = item
    else this.#last.next = item
    this.#last = item
    this.#size++
  }

  /** False if it was taken out before. */
  remove(item: T): boolean {
    if (!item.isLinked) return false
    item.isLinked = false
    const { previous, next } = item
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    item.previous = item.next = undefined
    this.#size--
    return true
  }

  /** `visit` may take out the item that it is given. */
  forEach(visit: (item: T) => void): void {
    for (let item = this.#first; item !== undefined; ) {
      const { next } = item
      visit(item)
      item = next
    }
  }
}
