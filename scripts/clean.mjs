// Removes build output, so that the compiled copy of a deleted source is never run. Without arguments: all of it, and what
// the compiler remembers of it, without which it would believe that there is nothing to do.
import { readdirSync, rmSync } from 'node:fs'

const all = () => [
  'test/dist',
  'test/nest11/dist',
  'bench/dist',
  'bench/report/dist',
  ...['packages', 'examples'].flatMap(parent =>
    readdirSync(parent).flatMap(name => [`${parent}/${name}/dist`, `${parent}/${name}/tsconfig.tsbuildinfo`]),
  ),
]
const paths = process.argv.length > 2 ? process.argv.slice(2) : all()
for (const path of paths) rmSync(path, { recursive: true, force: true })
