// Where a process spends its time, by Node's sampling profiler: the process profiles itself once it is warm.

import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import type { Profile } from '../../report/dist/model.js'

type Top = Profile['top']

const SHOWN = 12

/** Not work of its own: waiting, and what the profiler is told by. */
const NOT_ITS_OWN: ReadonlySet<string> = new Set(['(idle)', '(root)', 'dispatch'])

let session: Session | undefined

/** For `answerCalls`, in a process that may be profiled. */
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

/** As shares of the time in which anything was done at all. */
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
