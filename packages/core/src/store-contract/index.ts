// The suite that every store has to pass. It brings no test runner: loop over the cases in yours.

import { type ContractCase as Case, Claimant, type ContractEnvironment } from './bench.js'
import { holdCases } from './hold-cases.js'
import { recallCases } from './recall-cases.js'
import { recordCases } from './record-cases.js'
import { waitCases } from './wait-cases.js'

export type { ContractEnvironment } from './bench.js'

export interface ContractCase {
  readonly name: string
  /** Rejects if the store breaks this part of the contract. Takes a few hundred milliseconds at most. */
  run(environment: ContractEnvironment): Promise<void>
}

/**
 * What a store has to do, case by case. Each case makes three stores on the same data, uses keys of its own, and closes
 * the stores.
 */
export const storeContract: readonly ContractCase[] = [...holdCases, ...waitCases, ...recordCases, ...recallCases].map(
  prepare,
)

function prepare(one: Case, number: number): ContractCase {
  return {
    name: one.name,
    async run(environment) {
      const stores = [environment.makeStore(), environment.makeStore(), environment.makeStore()] as const
      try {
        const [a, b, c] = stores.map(store => new Claimant(store)) as [Claimant, Claimant, Claimant]
        await Promise.all([a.ready(), b.ready(), c.ready()])
        await one.run({ a, b, c, key: `contract ${number} ${process.pid} ${Date.now()} ${Math.random()} ` })
      } finally {
        for (const store of stores) await store.close()
      }
    },
  }
}
