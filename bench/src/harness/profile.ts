// Shows where a process spends its time, by Node's sampling profiler: the process profiles itself once it is warm.

import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import type { Profile } from '../../report/dist/model.js'

type Top = Profile['top']

const SHOWN = 12

/** Entries that are not the process's own work: waiting, and the profiler's own calls. */
const NOT_ITS_OWN: ReadonlySet<string> = new Set(['(idle)', '(root)', 'dispatch'])

let session: Session | undefined

/** Functions for `answerCalls` in a process that may be profiled. */
export const profiling = {
  async startProfile(): Promise<void> {
    session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
  },
  async stopProfile(): Promise<Top> {
    if (session === undefined) throw new Error('no profile was started')
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    session = undefined
    return topFunctions(profile)
  },
}

/** Self times as shares of the time in which the process was not idle. */
function topFunctions({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Top {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, describe(callFrame)]))
  const spent = new Map<string, number>()
  let whole = 0
  samples.forEach((id, at) => {
    const name = names.get(id) ?? ''
    if (NOT_ITS_OWN.has(name)) return
    const delta = timeDeltas[at] ?? 0
    whole += delta
    spent.set(name, (spent.get(name) ?? 0) + delta)
  })
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, us]) => ({ name, selfShare: us / whole }))
}

function describe({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): string {
  if (url === '') return functionName
  const place = url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*\/(packages|bench)\//, '$1/')
  return `${functionName || '(anonymous)'} ${place}:${lineNumber + 1}`
}
