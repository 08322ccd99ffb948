// A process that locks once, for the tests of what it logs.

import { HashDSpinlock, memoryStore } from '@dspinlock/core'

await new HashDSpinlock('secret value', { store: memoryStore() }).run(() => 'secret value')
process.stdout.write('done')
