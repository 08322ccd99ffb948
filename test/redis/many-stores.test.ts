// A store that is made anew for each request keeps its connections, so in time Redis refuses more, and a warning says so before that.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'

/** Makes 150 stores, in a process of its own, because a warning is given once in a process. `use` is what is done with each. */
async function warningsOf(use: string): Promise<string> {
  const code = `
    import { redisStore } from '@dspinlock/redis'
    const stores = []
    for (let n = 0; n < 150; n++) {
      const store = redisStore(process.argv[1])
      ${use}
    }
    for (const store of stores) store.close()
  `
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code, redisUrl()])
  return stderr
}

describe('many stores', () => {
  it('that are open at once are warned about, once', async () => {
    expect((await warningsOf('stores.push(store)')).match(/\[DSPINLOCK_W_MANY_STORES\]/g)).to.have.length(1)
  })

  it('that are closed, one after another, are nothing to warn about', async () => {
    expect(await warningsOf('store.close()')).to.equal('')
  })
})
