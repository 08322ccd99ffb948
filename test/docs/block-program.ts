// All code blocks of the pages as one program; each is a module of its own, on the same lines as in its page.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CodeBlock, readPages, top } from './pages.js'

/** Languages that are compiled. */
export const compiled: ReadonlySet<string> = new Set(['ts', 'js'])

const nameOf = ({ page, line }: CodeBlock): string => `${page}.${line}`

export interface Compiled {
  /** What the compiler reports about the blocks, each as `page:line: message`. */
  readonly complaints: readonly string[]
  /** The JavaScript file that a block was compiled to. */
  fileOf(block: CodeBlock): string
}

/** A block's module: the page with all lines emptied except those of the block and its context. */
function moduleOf({ line, code, context }: CodeBlock): string {
  const blank = (count: number): string => '\n'.repeat(Math.max(0, count))
  if (context === undefined) return `${blank(line - 1)}${code}\nexport {}\n`
  const start = blank(context.line - 1) + context.code
  return `${start}${blank(line - start.split('\n').length)}${code}\nexport {}\n`
}

let pages: Compiled | undefined

/** All blocks of the pages, compiled once for all tests. */
export function compilePages(): Compiled {
  pages ??= compileBlocks(
    'pages',
    readPages()
      .flatMap(({ blocks }) => blocks)
      .filter(({ language }) => compiled.has(language)),
  )
  return pages
}

/** Compiles the blocks as the program `name`. */
export function compileBlocks(name: string, blocks: readonly CodeBlock[]): Compiled {
  // Below the repository, so that packages are resolved as for its own programs.
  const folder = new URL(`test/dist/docs/blocks/${name}/`, top)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(new URL('test/docs/prelude.d.ts', top), new URL('prelude.d.ts', folder))
  writeFileSync(new URL('tsconfig.json', folder), JSON.stringify(configuration))
  for (const block of blocks) {
    const file = new URL(`${nameOf(block)}.${block.language}`, folder)
    mkdirSync(dirname(fileURLToPath(file)), { recursive: true })
    writeFileSync(file, moduleOf(block))
  }
  const compiler = fileURLToPath(new URL('node_modules/@typescript/native/bin/tsc', top))
  const run = spawnSync(process.execPath, [compiler, '-p', '.', '--pretty', 'false'], {
    cwd: fileURLToPath(folder),
    encoding: 'utf8',
  })
  if (run.status !== 0 && run.stdout === '') throw new Error(`the compiler did not run: ${run.stderr}`)
  const complaints = run.stdout
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.replace(/^(.*\.md)\.\d+\.[tj]s\((\d+),\d+\): error /, '$1:$2: '))
  return { complaints, fileOf: block => fileURLToPath(new URL(`out/${nameOf(block)}.js`, folder)) }
}

const configuration = {
  extends: fileURLToPath(new URL('tsconfig.base.json', top)),
  compilerOptions: {
    rootDir: '.',
    outDir: 'out',
    // A block may show something without using it, and is complete in itself.
    noUnusedLocals: false,
    noUnusedParameters: false,
    composite: false,
    declarationMap: false,
    sourceMap: false,
    isolatedDeclarations: false,
    // Set as in every program that uses Nest.
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    allowJs: true,
    checkJs: true,
  },
  include: ['.'],
  exclude: ['out'],
}
