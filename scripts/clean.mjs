// Removes build output, so that the compiled copy of a deleted source is never run. Without arguments: all of it.
import { readdirSync, rmSync } from 'node:fs'

const all = () => [
  'test/dist',
  'test/nest11/dist',
  ...['packages', 'examples'].flatMap(parent => readdirSync(parent).map(name => `${parent}/${name}/dist`)),
]
const paths = process.argv.length > 2 ? process.argv.slice(2) : all()
for (const path of paths) rmSync(path, { recursive: true, force: true })
