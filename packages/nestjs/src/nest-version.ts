// Checks that this package works with the Nest that is installed.

import { createRequire } from 'node:module'
import { mistakes } from './messages.js'

/** @throws TypeError for a @nestjs/core that is not 11 or 12. */
export function checkNestVersion(): void {
  const version = readVersion()
  const major = Number(version?.split('.')[0])
  if (version !== undefined && major !== 11 && major !== 12) throw mistakes.wrongNest(version)
}

/** Undefined in a bundle, where there is no package to read. */
function readVersion(): string | undefined {
  try {
    const { version } = createRequire(ownPath())('@nestjs/core/package.json') as { version?: string }
    return version
  } catch {
    return undefined
  }
}

/** By V8's stack trace API, because Jest, for which ES modules are compiled to CommonJS, loads no file with `import.meta`. */
function ownPath(): string {
  const before: unknown = Reflect.get(Error, 'prepareStackTrace')
  try {
    Error.prepareStackTrace = (_error, sites) => sites[0]?.getFileName()
    return String(new Error().stack)
  } finally {
    Reflect.set(Error, 'prepareStackTrace', before)
  }
}
