// The workflows can be parsed, run only scripts that exist, and run what the README tells people to run.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { npmScriptsIn } from '../docs/npm-scripts.js'
import { readPage } from '../docs/pages.js'
import { top } from './published.js'

interface Workflow {
  readonly jobs: Record<
    string,
    {
      readonly strategy?: { readonly matrix: { readonly node: string[] } }
      readonly steps: { readonly run?: string }[]
    }
  >
}

const read = (path: string): string => readFileSync(join(top, path), 'utf8')
const workflow = (name: string): Workflow => parse(read(`.github/workflows/${name}.yml`)) as Workflow
const commandsOf = ({ jobs }: Workflow): string[] =>
  Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => (run === undefined ? [] : [run])))

describe('workflows', () => {
  it('run scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const name of ['ci', 'release']) {
      const named = commandsOf(workflow(name)).flatMap(npmScriptsIn)
      expect(named).to.not.deep.equal([])
      for (const { script } of named) expect(scripts, name).to.have.property(script)
    }
  })

  it('ci runs the two commands that the README gives for a clone, on Node 20.19, 22, 24 and 26', () => {
    const ci = workflow('ci')
    const block = readPage('README.md').blocks.find(
      ({ language, code }) => language === 'sh' && code.includes('npm ci'),
    )
    const commands = (block?.code ?? '').split('\n').flatMap(line => {
      const command = line.split('#')[0]?.trim() ?? ''
      return command === '' ? [] : [command]
    })
    expect(commands).to.have.length(2)
    expect(commandsOf(ci)).to.include.members(commands)
    expect(ci.jobs['test']?.strategy?.matrix.node).to.deep.equal(['20.19', '22', '24', '26'])
  })

  it('ci tries a release and writes the API reference', () => {
    expect(commandsOf(workflow('ci'))).to.include.members(['npm run release:try', 'npm run docs', 'npm run lint'])
  })
})
