// Code blocks are right: code compiles, scripts and commands exist, data can be parsed.

import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parse } from 'yaml'
import { runCli } from '../cli/run.js'
import { compileBlocks, compiled, compilePages } from './block-program.js'
import { npmScriptsIn } from './npm-scripts.js'
import { type CodeBlock, parsePage, readPages, top } from './pages.js'

const blocks = readPages().flatMap(page => page.blocks)
const inLanguage = (...languages: string[]): CodeBlock[] => blocks.filter(block => languages.includes(block.language))

function manifestAt(path: string): { scripts?: Record<string, string>; bin?: Record<string, string> } {
  return JSON.parse(readFileSync(new URL(path, top), 'utf8')) as ReturnType<typeof manifestAt>
}

describe('code blocks of the documentation', () => {
  it('all TypeScript and JavaScript compiles', function () {
    this.timeout(60_000)
    expect(blocks.filter(({ language }) => compiled.has(language)).length).to.be.above(10)
    const { complaints } = compilePages()
    expect(complaints, `\n${complaints.join('\n')}\n`).to.deep.equal([])
  })

  it('a wrong block would be found, on its line', function () {
    this.timeout(60_000)
    const { blocks: wrong } = parsePage(
      'README.md',
      'x\n\n<!-- context\nconst given: number = 1\n-->\n```ts\nconst wrong: string = given\n```\n',
    )
    expect(compileBlocks('wrong', wrong).complaints.join()).to.match(/^README\.md:7: TS2322/)
  })

  it('every block names a language that is checked, or one in which there is nothing to check', () => {
    const known = [...compiled, 'sh', 'json', 'yaml', 'mermaid', 'http', 'text', 'lua']
    expect(blocks.filter(({ language }) => !known.includes(language))).to.deep.equal([])
  })

  it('npm scripts in shell blocks exist', () => {
    let seen = 0
    for (const { page, line, code } of inLanguage('sh')) {
      for (const { script, workspace } of npmScriptsIn(code)) {
        expect(manifestAt(`${workspace}/package.json`).scripts, `${page}:${line}: npm run ${script}`).to.have.property(
          script,
        )
        seen++
      }
    }
    expect(seen).to.be.above(3)
  })

  it('packages in shell blocks are ours, or known', () => {
    const ours = readdirSync(new URL('packages', top)).map(name => `@dspinlock/${name}`)
    const named = inLanguage('sh').flatMap(({ code }) => code.match(/@dspinlock\/[\w-]+/g) ?? [])
    expect(ours).to.include.members([...new Set(named)])
  })

  it('commands of dspinlock exist, wherever a page names one', async () => {
    const { out } = await runCli(['--help'])
    const named = readPages().flatMap(({ path }) => [
      ...readFileSync(new URL(path, top), 'utf8').matchAll(/npx (?:@dspinlock\/cli|dspinlock) ([a-z]+)/g),
    ])
    expect(named.length).to.be.above(3)
    for (const [, command = ''] of named) expect(out, command).to.match(new RegExp(`^  ${command}\\b`, 'm'))
  })

  it('JSON and YAML can be read', () => {
    for (const { page, line, language, code } of inLanguage('json', 'yaml')) {
      expect(() => (language === 'json' ? JSON.parse(code) : parse(code)), `${page}:${line}`).to.not.throw()
    }
  })
})
