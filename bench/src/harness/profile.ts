// Where a process spent its time: the functions of a .cpuprofile, by self time.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Profile } from '../../report/dist/model.js'

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Not work: the process waited. */
const IDLE: ReadonlySet<string> = new Set(['(idle)', '(root)'])

const SHOWN = 12

/** Has `work` start a process with the options that it is given, and end it: the functions in which it spent most of its time. */
export async function profileProcess(work: (nodeOptions: readonly string[]) => Promise<void>): Promise<Profile['top']> {
  const folder = mkdtempSync(join(tmpdir(), 'dspinlock-profile-'))
  try {
    await work(['--cpu-prof', `--cpu-prof-dir=${folder}`])
    return topFunctions(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of the only profile in `folder`, as shares of the time that was spent at all. */
function topFunctions(folder: string): Profile['top'] {
  const file = readdirSync(folder).find(name => name.endsWith('.cpuprofile'))
  if (file === undefined) throw new Error(`no profile was written to ${folder}`)
  const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, describe(callFrame)]))
  const spent = new Map<string, number>()
  let whole = 0
  profile.samples.forEach((id, at) => {
    const name = names.get(id) ?? ''
    if (IDLE.has(name)) return
    const delta = profile.timeDeltas[at] ?? 0
    whole += delta
    spent.set(name, (spent.get(name) ?? 0) + delta)
  })
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, us]) => ({ name, selfShare: us / whole }))
}

function describe({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName
  const place = url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/(packages|bench)\//, '$1/')
  return `${functionName || '(anonymous)'} ${place}:${lineNumber + 1}`
}
