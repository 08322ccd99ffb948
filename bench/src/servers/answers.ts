// The answers of the handlers of all servers under measurement, the same in all frameworks.

const line = { sku: 'A-1', quantity: 2, price: { amount: '12.50', currency: 'EUR' }, note: 'packed by hand' }

/** 1 KiB as JSON, made anew for each request as a handler would. */
export function makeAnswer(order: string): object {
  return {
    order: order.slice(0, 24).padEnd(24, '0'),
    state: 'accepted',
    lines: [line, line, line, line, line, line, line],
    address: { name: 'A customer', street: 'A street 1', city: 'A city', country: 'DE' },
    padding: 'p'.repeat(196),
  }
}

/** How long slow work takes, in milliseconds: see the part `stampede`. */
export const SLOW_MS = 100

/** How many times a handler ran, of all routes. */
export const runs = { count: 0 }
