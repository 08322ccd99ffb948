// The command line as a process of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const script = fileURLToPath(new URL('../../../packages/cli/bin/dspinlock.js', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export function startCli(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { REDIS_URL: _url, REDIS_PASSWORD: _password, ...rest } = process.env
  return spawn(process.execPath, [script, ...args], { env: { ...rest, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
}

export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const child = startCli(args, env)
  if (child.stdout === null || child.stderr === null) throw new Error('the child has no output')
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { code, out, err }
}
