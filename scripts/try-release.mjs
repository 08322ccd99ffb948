// npm run release:try: what `lerna version` would make of the commits so far, in a copy of the repository that is thrown away.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'dspinlock-release-'))
const copy = join(scratch, 'copy')

function run(command, args, cwd) {
  const { status } = spawnSync(command, args, {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, NX_DAEMON: 'false', NX_ISOLATE_PLUGINS: 'false' },
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with exit code ${status}`)
}

function readManifests() {
  const folders = readdirSync(join(copy, 'packages'))
  return folders.map(folder => ({
    folder,
    manifest: JSON.parse(readFileSync(join(copy, 'packages', folder, 'package.json'), 'utf8')),
  }))
}

/** What would be wrong with a release of these packages. */
function* findFaults(packages, before) {
  const { version } = JSON.parse(readFileSync(join(copy, 'lerna.json'), 'utf8'))
  if (version === before) yield `lerna.json stayed at ${version}`
  const names = new Set(packages.map(({ manifest }) => manifest.name))
  for (const { folder, manifest } of packages) {
    if (manifest.version !== version) yield `${manifest.name} has version ${manifest.version} instead of ${version}`
    if (!existsSync(join(copy, 'packages', folder, 'CHANGELOG.md'))) yield `${manifest.name} has no changelog`
    for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
      if (names.has(name) && range !== version)
        yield `${manifest.name} depends on ${name} ${range} instead of ${version}`
    }
  }
}

try {
  run('git', ['clone', '--quiet', '--no-hardlinks', top, copy], scratch)
  run('git', ['switch', '--quiet', '--force-create', 'main'], copy)
  symlinkSync(join(top, 'node_modules'), join(copy, 'node_modules'))
  const { version: before } = JSON.parse(readFileSync(join(copy, 'lerna.json'), 'utf8'))
  run(
    process.execPath,
    [join(top, 'node_modules/lerna/dist/cli.js'), 'version', '--no-git-tag-version', '--no-push', '--yes'],
    copy,
  )
  const faults = [...findFaults(readManifests(), before)]
  for (const fault of faults) console.error(`fault: ${fault}`)
  const { version } = JSON.parse(readFileSync(join(copy, 'lerna.json'), 'utf8'))
  if (faults.length === 0) console.log(`A release would be ${version}, after ${before}.`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
