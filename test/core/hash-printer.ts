// Another process that hashes the same values, for the test that hashes are the same everywhere.

import { hashValue } from '@dspinlock/core'
import { hashableValues } from '../support/hashable-values.js'

const hashes = Object.fromEntries(Object.entries(hashableValues).map(([name, value]) => [name, hashValue(value)]))
process.stdout.write(JSON.stringify(hashes))
