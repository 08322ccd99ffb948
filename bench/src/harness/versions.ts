// The machine, and the versions of everything that took part: read from what is installed, never from what was asked for.

import { readFileSync } from 'node:fs'
import { cpus, release, type as systemType, totalmem } from 'node:os'
import type { Machine } from '../../report/dist/model.js'
import { findPackageJSON } from './find-package.js'

export function describeMachine(redisVersion: string): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryMiB: Math.round(totalmem() / 1024 / 1024),
    system: `${systemType()} ${release()}`,
    node: process.version,
    redis: redisVersion,
  }
}

export function readVersions(names: readonly string[]): Record<string, string> {
  const versions: Record<string, string> = {}
  for (const asked of names) {
    const { name, version } = JSON.parse(readFileSync(findPackageJSON(asked), 'utf8')) as {
      name: string
      version: string
    }
    versions[asked === name ? name : `${asked} (${name})`] = version
  }
  return versions
}
