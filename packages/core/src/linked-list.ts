// A list whose items know their neighbours, so that removing an item costs the same wherever it is.

/** The fields that the list keeps in each item; only the list writes them. */
export interface Linked<T> {
  isLinked: boolean
  previous: T | undefined
  next: T | undefined
}

/**
 * For items that come and go for as long as the process lives. A Set would serve as well, but when a Set outgrows its table, V8 links the
 * old table to the next: once one table is in old space, everything that was ever in the later ones survives until the next full
 * collection. This list forgets the neighbours of an item that it removes.
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

  /** False if the item was removed before. */
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

  /** `visit` may remove the item that it is given. */
  forEach(visit: (item: T) => void): void {
    for (let item = this.#first; item !== undefined; ) {
      const { next } = item
      visit(item)
      item = next
    }
  }
}
