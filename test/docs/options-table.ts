// The table of all options, made from the types that declare them and their docstrings.

import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { top } from './pages.js'

interface Source {
  /** The function that takes these options. */
  readonly of: string
  readonly file: string
  readonly type: string
  /** Options that are left out, because they are listed elsewhere. */
  readonly without?: readonly string[]
  /** If given, only these options are listed. */
  readonly only?: readonly string[]
}

const policy = ['duplicates', 'ttlMs', 'whileInFlight', 'leaseMs', 'waitMs', 'maxHoldMs']
const everywhere = 'middleware, `enter`, `run`'
const entry = 'packages/core/src/entry.ts'

const sources: readonly Source[] = [
  { of: everywhere, file: entry, type: 'EnterOptions', only: policy },
  { of: 'middleware', file: 'packages/http/src/options.ts', type: 'GuardOptions' },
  { of: '`idempotencyKey`', file: 'packages/http/src/idempotency-key.ts', type: 'IdempotencyKeyOptions' },
  { of: '`DspinlockModule`', file: 'packages/nestjs/src/module.ts', type: 'ModuleExtras' },
  { of: '`enter`, `run`', file: entry, type: 'EnterOptions', without: policy },
  { of: '`run`', file: 'packages/core/src/run.ts', type: 'RunOptions' },
  { of: '`LockEngine`', file: 'packages/core/src/engine.ts', type: 'EngineOptions' },
  { of: '`engine.close`', file: 'packages/core/src/engine.ts', type: 'CloseOptions' },
  { of: '`memoryStore`', file: 'packages/core/src/memory-store.ts', type: 'MemoryStoreOptions' },
  { of: '`redisStore`', file: 'packages/redis/src/options.ts', type: 'RedisStoreOptions' },
  { of: '`localCache`', file: 'packages/redis/src/local-cache.ts', type: 'LocalCacheOptions' },
  { of: '`HashDSpinlock`', file: 'packages/core/src/spinlock/tunables.ts', type: 'SpinlockOptions' },
  { of: '`HashDSpinlock`', file: 'packages/core/src/spinlock/tunables.ts', type: 'Tunables' },
  { of: '`attachLogger`', file: 'packages/core/src/logger.ts', type: 'LogFilter' },
  { of: '`instrumentDspinlock`', file: 'packages/opentelemetry/src/index.ts', type: 'InstrumentOptions' },
]

export const optionsPage = 'docs/options.md'

const START = '<!-- table: written by `npm run docs:options` from the types -->'
const END = '<!-- end of the table -->'

/** The page with its table as the types have it now. */
export function renewOptionsPage(): string {
  const page = readFileSync(new URL(optionsPage, top), 'utf8')
  const [before, after] = [page.indexOf(START), page.indexOf(END)]
  if (before < 0 || after < before) throw new Error(`${optionsPage} has no place for the table: ${START} … ${END}`)
  const rows = sources.flatMap(source => readOptions(source).map(option => rowOf(source.of, option)))
  const table = ['| option | of | values | |', '| --- | --- | --- | --- |', ...rows].join('\n')
  return `${page.slice(0, before)}${START}\n\n${table}\n\n${page.slice(after)}`
}

interface Option {
  readonly name: string
  readonly values: string
  readonly text: string
}

function readOptions({ file, type, without = [], only }: Source): Option[] {
  const source = ts.createSourceFile(file, readFileSync(new URL(file, top), 'utf8'), ts.ScriptTarget.Latest, true)
  const declaration = source.statements.find(
    (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === type,
  )
  if (declaration === undefined) throw new Error(`${file} declares no interface ${type}`)
  const aliases = new Map(
    source.statements.filter(ts.isTypeAliasDeclaration).map(alias => [alias.name.text, alias.type.getText(source)]),
  )
  const options = declaration.members.filter(ts.isPropertySignature).map(member => {
    const name = member.name.getText(source)
    const text = ts
      .getJSDocCommentsAndTags(member)
      .map(comment => ts.getTextOfJSDocComment(comment.comment) ?? '')
      .join(' ')
    if (text === '') throw new Error(`${file}: the option ${type}.${name} has no docstring`)
    const values = member.type?.getText(source) ?? ''
    return { name, values: aliases.get(values) ?? values, text }
  })
  return options.filter(({ name }) => (only?.includes(name) ?? true) && !without.includes(name))
}

function rowOf(of: string, { name, values, text }: Option): string {
  const cell = (content: string): string => content.replace(/\s+/g, ' ').replaceAll('|', '\\|')
  return `| \`${name}\` | ${of} | \`${cell(values)}\` | ${cell(text)} |`
}
