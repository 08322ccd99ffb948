// Imports packages and prints how long that took, in a new process for each measurement, because modules are loaded only once.

import { readArgument } from '../harness/remote.js'

const names = readArgument<readonly string[]>()
const startedAt = performance.now()
for (const name of names) await import(name)
process.send?.(performance.now() - startedAt)
process.disconnect?.()
