// How cost grows with records, waiters and bodies; how much memory a waiter and a record take; how long packages take to load.

import type { Context, Part } from '../harness/context.js'
import { Remote } from '../harness/remote.js'
import { compareBodies } from './scale-bodies.js'
import { compareImports } from './scale-imports.js'
import { weighRecords, weighWaiters } from './scale-memory.js'
import { compareRecords } from './scale-records.js'
import { compareWaiters } from './scale-waiters.js'

export const scale: Part = {
  name: 'scale',
  about: 'a million records, ten thousand waiters, large bodies, memory, imports',
  packages: [
    '@dspinlock/core',
    '@dspinlock/http',
    '@dspinlock/redis',
    '@dspinlock/express',
    '@dspinlock/koa',
    '@dspinlock/nestjs',
    'express',
    'koa',
    '@nestjs/core',
    'ioredis',
  ],
  async measure(context: Context) {
    await compareRecords(context)
    await compareWaiters(context)
    const load = Remote.start('load/main.js', undefined)
    try {
      await compareBodies(context, load)
      await weighWaiters(context, load)
    } finally {
      await load.stop()
    }
    await weighRecords(context)
    await compareImports(context)
  },
}
