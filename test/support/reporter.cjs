// Mocha's spec reporter, which also writes its counts to the file that TEST_RESULTS names.
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const file = process.env.TEST_RESULTS
    if (file) {
      runner.once(Runner.constants.EVENT_RUN_END, () => {
        const { passes, failures, pending } = this.stats
        writeFileSync(file, JSON.stringify({ passes, failures, pending }))
      })
    }
  }
}
