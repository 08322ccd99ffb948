// npm run bench: installs what only the benchmarks need, compiles, and runs them; arguments are handed on.

import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bench = `${root}bench`

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

/** True where the last install was before the last change of what is to be installed. */
function isStale() {
  const installed = `${bench}/node_modules/.package-lock.json`
  return !existsSync(installed) || statSync(installed).mtimeMs < statSync(`${bench}/package-lock.json`).mtimeMs
}

if (isStale()) run('npm', ['ci'], bench)
run('npx', ['tsc', '-b'], root)
run('npx', ['tsc', '-p', 'bench'], root)
run(process.execPath, ['--enable-source-maps', 'bench/dist/main.js', ...process.argv.slice(2)], root)
