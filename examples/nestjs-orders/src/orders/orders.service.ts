// Orders, in memory.

import { setTimeout as sleep } from 'node:timers/promises'
import { Inject, Injectable, NotFoundException } from '@nestjs/common'
import type { CreateOrderDto } from './create-order.dto.js'
import { StockService } from './stock.service.js'

export interface Order {
  readonly id: number
  readonly customer: string
  readonly sku: string
  readonly quantity: number
}

@Injectable()
export class OrdersService {
  readonly #orders: Order[] = []
  readonly #stock: StockService

  constructor(@Inject(StockService) stock: StockService) {
    this.#stock = stock
  }

  async create({ customer, sku, quantity }: CreateOrderDto): Promise<Order> {
    await this.#stock.take(sku, quantity)
    const order = { id: this.#orders.length + 1, customer, sku, quantity }
    this.#orders.push(order)
    return order
  }

  /** Takes a while. @throws NotFoundException */
  async ship(id: number): Promise<{ readonly shipped: number }> {
    if (this.#orders[id - 1] === undefined) throw new NotFoundException(`there is no order ${id}`)
    await sleep(100)
    return { shipped: id }
  }

  /** Takes a while, too. */
  async report(): Promise<{ readonly orders: number; readonly items: number }> {
    await sleep(50)
    return { orders: this.#orders.length, items: this.#orders.reduce((sum, { quantity }) => sum + quantity, 0) }
  }
}
