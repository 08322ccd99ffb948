// npm run bench -- [part …] [--quick] [--only=text] [--scale=share] [--profile] [--render]: measures, and writes the results.

import { parseArgs } from 'node:util'
import type { Figure, PartResult, Profile } from '../report/dist/model.js'
import type { Context, Part } from './harness/context.js'
import { FULL, QUICK } from './harness/pairs.js'
import { BenchRedis } from './harness/redis.js'
import { describeMachine, readVersions } from './harness/versions.js'
import { describeFigure, publish, rewrite } from './output.js'
import { parts } from './parts/index.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function help(): string {
  return `npm run bench -- [part …] [--quick] [--only=text] [--profile] [--render]

Without a part: all of them. Results go to bench/results.json, bench/results.md, bench/charts and docs/performance.md; those of parts
that were not measured stay. With --quick or --only they are only printed.

parts:
${parts.map(({ name, about }) => `  ${name.padEnd(12)}${about}`).join('\n')}

options:
  --quick       few pairs of little work: shows that everything works, measures nothing
  --scale=0.2   a share of the work in each sample, for a machine that has no time; results say so
  --only=text   figures whose id contains the text
  --render      measure nothing: write everything that is made from results.json anew
  --profile     where the time goes: top functions by self time of each of our servers, in a run of its own
`
}

function choose(names: readonly string[]): readonly Part[] {
  if (names.length === 0) return parts
  return names.map(name => {
    const part = parts.find(candidate => candidate.name === name)
    if (part === undefined) throw new Error(`no part is called ${name}; there are ${parts.map(p => p.name).join(', ')}`)
    return part
  })
}

const effort = values.quick ? QUICK : { ...FULL, scale: readScale(values.scale) }

function readScale(text: string): number {
  const scale = Number(text)
  if (scale > 0 && scale <= 1) return scale
  throw new Error(`--scale is to be above 0 and at most 1, and was ${text}`)
}

async function measure(part: Part): Promise<PartResult> {
  const redis = await BenchRedis.start()
  const figures: Figure[] = []
  const profiles: Profile[] = []
  const versions: Record<string, string> = {}
  const missing: { what: string; why: string }[] = []
  const startedAt = performance.now()
  const context: Context = {
    effort,
    redis,
    figures,
    only: values.only,
    profilesAll: values.profile,
    profilesMissed: !values.quick && values.only === undefined,
    say: line => process.stderr.write(`${line}\n`),
    add: figure => {
      figures.push(figure)
      process.stdout.write(`${describeFigure(figure)}\n`)
    },
    addProfile: profile => {
      profiles.push(profile)
      const lines = profile.top.map(({ name, selfShare }) => `  ${(selfShare * 100).toFixed(1).padStart(5)} % ${name}`)
      process.stdout.write(`${profile.of}, self time:\n${lines.join('\n')}\n`)
    },
    noteVersion: (name, version) => {
      versions[name] = version
    },
    fail: () => {
      process.exitCode = 1
    },
    leaveOut: (what, why) => {
      missing.push({ what, why })
      process.stdout.write(`${what}: ${why}\n`)
    },
  }
  try {
    const machine = describeMachine(await redis.version())
    await part.measure(context)
    return {
      part: part.name,
      measuredAt: new Date().toISOString(),
      seconds: Math.round((performance.now() - startedAt) / 1000),
      scale: effort.scale,
      machine,
      versions: { ...readVersions(part.packages), ...versions },
      figures,
      profiles,
      missing,
    }
  } finally {
    await redis.stop()
  }
}

// Exits by process.exit, so that everything that was started is ended.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

if (values.help) {
  process.stdout.write(help())
} else if (values.render) {
  rewrite()
} else {
  for (const part of choose(positionals)) {
    const result = await measure(part)
    // Written as soon as each part is done, because a run may be interrupted.
    if (!values.quick && values.only === undefined) publish(result)
  }
}
// Ends whatever a peer left open.
process.exit()
