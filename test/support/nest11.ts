// Puts the built adapter beside Nest 11, so that it finds these packages instead of those of Nest 12.

import { cpSync, rmSync } from 'node:fs'

const source = new URL('../../../packages/nestjs/', import.meta.url)
const target = new URL('../../nest11/node_modules/@dspinlock/nestjs/', import.meta.url)

rmSync(target, { recursive: true, force: true })
for (const part of ['package.json', 'dist']) cpSync(new URL(part, source), new URL(part, target), { recursive: true })
