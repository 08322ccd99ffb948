// Decodes messages from the script to this process, strictly, because anybody can publish on a channel.

import type { Wake } from '@dspinlock/core'

/** Takes the place of a process's id in the name of the channel on which all processes listen that keep records in memory. */
export const TO_ALL = 'all'

const NEWLINE = 0x0a
const MAX_DIGITS = 16

/** Undefined for anything that the scripts do not send. */
export function decodeWake(message: Buffer): Wake | undefined {
  const end = message.indexOf(NEWLINE)
  const token = message.toString('latin1', 1, end < 0 ? undefined : end)
  if (token === '') return undefined
  switch (String.fromCharCode(message[0] ?? 0)) {
    case 't': {
      const between = end < 0 ? -1 : message.indexOf(NEWLINE, end + 1)
      if (between < 0) return undefined
      const fence = readNumber(message, end + 1, between)
      const leaseEndsAt = readNumber(message, between + 1, message.length)
      return fence < 0 || leaseEndsAt < 0 ? undefined : { kind: 'turn', token, fence, leaseEndsAt }
    }
    case 'r':
      return end < 0 ? undefined : { kind: 'record', token, record: message.subarray(end + 1) }
    case 'l':
      return end < 0 ? { kind: 'look', token } : undefined
    case 'f':
      return end < 0 ? { kind: 'lost', token } : undefined
    case 'p':
      return end < 0 ? { kind: 'pass', token } : undefined
    default:
      return undefined
  }
}

/** Reads the number from `from` to `to`; -1 if there is anything but digits. Written by hand, because a waiter's turn waits for this. */
function readNumber(message: Buffer, from: number, to: number): number {
  if (to === from || to - from > MAX_DIGITS) return -1
  let number = 0
  for (let at = from; at < to; at++) {
    const digit = (message[at] as number) - 48
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}

/** The name of the state whose record is gone, if that is what the message says. */
export function decodeDrop(message: Buffer): string | undefined {
  return message[0] === 0x64 ? message.toString('utf8', 1) : undefined
}
