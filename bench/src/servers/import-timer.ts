// Imports packages, and tells how long that took: a process for each measurement, since modules are loaded once.

import { readArgument } from '../harness/remote.js'

const names = readArgument<readonly string[]>()
const startedAt = performance.now()
for (const name of names) await import(name)
process.send?.(performance.now() - startedAt)
process.disconnect?.()
