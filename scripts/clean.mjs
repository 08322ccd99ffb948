// Removes build output, so that the compiled copy of a deleted source is never run. Without arguments: all of it, and what
// the compiler remembers of it, without which it would believe that there is nothing to do. `--stale`: only what the tests
// left behind whose source is gone, so that the compiler need not begin anew.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'

/** Where the sources in test/ are compiled to. */
const compiledTests = ['test/dist', 'test/nest11/dist']

const all = () => [
  ...compiledTests,
  'bench/dist',
  'bench/report/dist',
  ...['packages', 'examples'].flatMap(parent =>
    readdirSync(parent).flatMap(name => [`${parent}/${name}/dist`, `${parent}/${name}/tsconfig.tsbuildinfo`]),
  ),
]

const stale = () =>
  compiledTests.flatMap(root =>
    (existsSync(root) ? readdirSync(root, { recursive: true, withFileTypes: true }) : [])
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter(path => /(\.d\.ts|\.js)(\.map)?$/.test(path))
      .filter(path => !existsSync(join('test', relative(root, path).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts')))),
  )

const paths = process.argv[2] === '--stale' ? stale() : all()
for (const path of paths) rmSync(path, { recursive: true, force: true })
