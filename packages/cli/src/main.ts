// Runs the command that this process was started with, and ends the process with the matching exit code.

import { CommanderError } from 'commander'
import { exitCodes, Failure, failures, printable } from './messages.js'
import { makeProgram } from './program.js'

// Process warnings are not shown: the command itself reports what is wrong, once.
process.removeAllListeners('warning')
// ioredis warns there, on each connection, of a user that may not use INFO. Locking needs no INFO, and doctor reports it.
console.warn = () => {}
// `dspinlock watch | head` closes the pipe, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.ok : process.exitCode || tell(failures.unwritten(error.message)))
})

/** What a reader has for taking the rest once all was stopped. */
const READER_MS = 200

const program = makeProgram({
  write: text =>
    new Promise(resolve => {
      process.stdout.write(text, () => resolve())
    }),
  isTerminal: process.stdout.isTTY,
  untilStopped: () => {
    const stopping = new AbortController()
    const stop = (): void => {
      stopping.abort()
      // A reader that is at work gets the whole line; for one that is not, nothing would ever end.
      setTimeout(() => process.exit(), READER_MS).unref()
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
    return stopping.signal
  },
  exit: code => {
    process.exitCode = code
  },
})
for (const command of [program, ...program.commands]) command.exitOverride().showHelpAfterError('(try --help)')

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}
// Exits explicitly once all output has left, because a client that never connected would keep the process for another two seconds. A failed
// write is reported one turn after the write is over.
process.stdout.write('', () => process.stderr.write('', () => setImmediate(() => process.exit())))

function tell(error: unknown): number {
  // Commander has printed its own errors already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const isUsage = error instanceof TypeError && error.message.startsWith('dspinlock: ')
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`dspinlock: ${printable(message.replace(/^dspinlock: /, ''))}\n`)
  if (error instanceof Failure) return error.exitCode
  return isUsage ? exitCodes.usage : exitCodes.redis
}
