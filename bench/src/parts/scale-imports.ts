// How long each package takes to load, after what its users load anyway.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Sample } from '../../report/dist/model.js'
import { attempt, type Context } from '../harness/context.js'
import { takePairs } from '../harness/pairs.js'

const packages = [
  { name: '@dspinlock/core', beside: [] },
  { name: '@dspinlock/http', beside: ['node:http'] },
  { name: '@dspinlock/redis', beside: ['ioredis'] },
  { name: '@dspinlock/express', beside: ['express'] },
  { name: '@dspinlock/koa', beside: ['koa'] },
  {
    name: '@dspinlock/nestjs',
    beside: ['reflect-metadata', '@nestjs/common', '@nestjs/core', '@nestjs/platform-express'],
  },
] as const

export async function compareImports(context: Context): Promise<void> {
  for (const { name, beside } of packages) {
    const id = `scale.import.${name.replace('@dspinlock/', '')}`
    await attempt(context, id, async () => {
      const bare = (): Promise<Sample> => importAll(beside)
      const both = (): Promise<Sample> => importAll([...beside, name])
      for (const warmUp of [bare, both]) await warmUp()
      context.add({
        id,
        title: name,
        baseline: beside.length === 0 ? 'nothing' : 'what it stands beside',
        group: 'From the start of a process to its packages loaded',
        unit: 'ms',
        better: 'lower',
        pairs: await takePairs(context.effort, bare, both),
        facts: { beside: beside.join(' ') || 'nothing' },
      })
    })
  }
}

/** The time that a process takes from start to end, and the time that its imports take. */
async function importAll(names: readonly string[]): Promise<Sample> {
  const timer = fileURLToPath(new URL('../servers/import-timer.js', import.meta.url))
  const startedAt = performance.now()
  const child = fork(timer, [JSON.stringify(names)], { execArgv: [] })
  await once(child, 'message')
  const value = performance.now() - startedAt
  if (child.exitCode === null) await once(child, 'exit')
  return { value }
}
