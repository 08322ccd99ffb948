// Finds where a package is installed, as seen from here.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Looks for packages as Node does, here and then in each folder above. Not by `exports`, which may hide package.json. */
export function findPackageJSON(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const path = join(folder, 'node_modules', name, 'package.json')
    if (existsSync(path)) return path
    const above = dirname(folder)
    if (above === folder) throw new Error(`${name} is not installed: run npm ci here and in bench/`)
    folder = above
  }
}
