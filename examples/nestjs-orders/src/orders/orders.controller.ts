// The routes, each with what its duplicates get.

import { Dspinlock } from '@dspinlock/nestjs'
import { Body, Controller, Get, Inject, Param, ParseIntPipe, Post } from '@nestjs/common'
import { CreateOrderDto } from './create-order.dto.js'
import { type Order, OrdersService } from './orders.service.js'

@Controller('orders')
export class OrdersController {
  readonly #orders: OrdersService

  constructor(@Inject(OrdersService) orders: OrdersService) {
    this.#orders = orders
  }

  /** The same order within a minute is the same click, or a client that tried again. */
  @Post()
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  create(@Body() order: CreateOrderDto): Promise<Order> {
    return this.#orders.create(order)
  }

  /** Nobody ships while somebody ships. */
  @Post(':id/shipment')
  @Dspinlock({ duplicates: 'reject' })
  ship(@Param('id', ParseIntPipe) id: number): Promise<{ readonly shipped: number }> {
    return this.#orders.ship(id)
  }

  /** Slow, and the same for everybody. */
  @Get('report')
  @Dspinlock({ duplicates: 'replay', ttlMs: 10_000, identity: 'public' })
  report(): Promise<{ readonly orders: number; readonly items: number }> {
    return this.#orders.report()
  }
}
