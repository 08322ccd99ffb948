// What there is to sell. Reading and writing are two steps here, as they would be with a database.

import { setTimeout as sleep } from 'node:timers/promises'
import { Exclusive } from '@dspinlock/nestjs'
import { ConflictException, Injectable } from '@nestjs/common'

@Injectable()
export class StockService {
  readonly #left = new Map<string, number>()

  /** @throws ConflictException if there is not enough. */
  @Exclusive((sku: string) => sku)
  async take(sku: string, quantity: number): Promise<number> {
    const left = this.#left.get(sku) ?? 10
    await sleep(5)
    if (left < quantity) throw new ConflictException(`only ${left} of ${sku} left`)
    this.#left.set(sku, left - quantity)
    return left - quantity
  }
}
