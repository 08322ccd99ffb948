// The project's pages as a reader's browser sees them: code blocks, links, and the anchors that can be linked to.

import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import GithubSlugger from 'github-slugger'
import MarkdownIt, { type Token } from 'markdown-it'

/** The top of the repository. */
export const top = new URL('../../../', import.meta.url)

export interface CodeBlock {
  /** Path of the page from the top of the repository. */
  readonly page: string
  /** The line number of the block's first line of code. */
  readonly line: number
  readonly language: string
  readonly code: string
  /** What a comment `<!-- context … -->` right before the block adds to it, unseen by readers; undefined without one. */
  readonly context: { readonly line: number; readonly code: string } | undefined
}

export interface Link {
  readonly page: string
  readonly line: number
  readonly target: string
}

export interface Page {
  readonly path: string
  readonly blocks: readonly CodeBlock[]
  readonly links: readonly Link[]
  readonly anchors: ReadonlySet<string>
}

const markdown = new MarkdownIt({ html: true })

/** README, CONTRIBUTING, everything under docs and the READMEs of packages and examples. */
export function readPages(): Page[] {
  const under = (folder: string): string[] =>
    readdirSync(fileURLToPath(new URL(folder, top)), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && entry.name.endsWith('.md'))
      .map(entry => posix.join(entry.parentPath, entry.name).slice(fileURLToPath(top).length))
  const readmes = ['examples', 'packages'].flatMap(folder =>
    readdirSync(new URL(folder, top), { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .flatMap(({ name }) => readdirSync(new URL(`${folder}/${name}`, top)).map(file => `${folder}/${name}/${file}`))
      .filter(path => path.endsWith('.md')),
  )
  return ['README.md', 'CONTRIBUTING.md', ...under('docs/'), ...readmes].map(readPage)
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(new URL(path, top), 'utf8'))
}

export function parsePage(path: string, source: string): Page {
  const tokens = markdown.parse(source, {})
  return {
    path,
    blocks: tokens.flatMap((token, at) => (token.type === 'fence' ? [blockOf(path, token, tokens[at - 1])] : [])),
    links: tokens.flatMap(token => linksOf(path, token)),
    anchors: anchorsOf(tokens),
  }
}

function blockOf(page: string, token: Token, before: Token | undefined): CodeBlock {
  const line = lineOf(token) + 1
  return { page, line, language: token.info.trim(), code: token.content, context: contextOf(before) }
}

function contextOf(token: Token | undefined): CodeBlock['context'] {
  const match = token?.type === 'html_block' ? /^<!-- context\n(.*)-->\n?$/s.exec(token.content) : null
  return token === undefined || match === null ? undefined : { line: lineOf(token) + 1, code: match[1] ?? '' }
}

/** The number of the token's first line, counted from 1. */
const lineOf = (token: Token): number => (token.map?.[0] ?? 0) + 1

function linksOf(page: string, token: Token): Link[] {
  const inHtml = (html: string): string[] => [...html.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(([, to]) => to ?? '')
  const targets = (token.children ?? []).flatMap(child => {
    if (child.type === 'html_inline') return inHtml(child.content)
    const target = child.attrGet('href') ?? child.attrGet('src')
    return target === null ? [] : [String(target)]
  })
  if (token.type === 'html_block') targets.push(...inHtml(token.content))
  return targets.map(target => ({ page, line: lineOf(token), target }))
}

function anchorsOf(tokens: readonly Token[]): ReadonlySet<string> {
  const slugger = new GithubSlugger()
  return new Set(
    tokens.flatMap((token, at) => {
      if (token.type !== 'heading_open') return []
      const text = (tokens[at + 1]?.children ?? []).map(({ content }) => content).join('')
      return [slugger.slug(text)]
    }),
  )
}
