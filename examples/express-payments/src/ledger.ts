// What stands for a database: it takes a payment under a fence, and none under an older one.

export interface Payment {
  readonly from: string
  readonly to: string
  readonly amount: number
}

export class Ledger {
  readonly #payments: Payment[] = []
  /** The highest fence seen, by lock. */
  readonly #fences = new Map<string, number>()

  /** @throws Error if somebody with a later fence was here: the writer lost its lock and does not know it yet. */
  book(payment: Payment, lock: string, fence: number): void {
    if (fence < (this.#fences.get(lock) ?? 0)) throw new Error('a later holder of the same lock was here')
    this.#fences.set(lock, fence)
    this.#payments.push(payment)
  }

  balanceOf(user: string): number {
    return this.#payments.reduce(
      (sum, { from, to, amount }) => sum + (to === user ? amount : 0) - (from === user ? amount : 0),
      0,
    )
  }
}
