// Messages from the scripts to this process, decoded strictly: a channel is open to anybody.

import type { Wake } from '@dspinlock/core'

/** Where, instead of a process's id, everybody listens who keeps records in memory. */
export const TO_ALL = 'all'

const NEWLINE = 0x0a
const NUMBER = /^\d{1,16}$/

/** Undefined for anything that the scripts do not send. */
export function decodeWake(message: Buffer): Wake | undefined {
  const end = message.indexOf(NEWLINE)
  const token = message.toString('latin1', 1, end < 0 ? undefined : end)
  if (token === '') return undefined
  switch (String.fromCharCode(message[0] ?? 0)) {
    case 't': {
      const [fence, leaseEndsAt, ...rest] = end < 0 ? [] : message.toString('latin1', end + 1).split('\n')
      if (fence === undefined || leaseEndsAt === undefined || rest.length > 0) return undefined
      if (!NUMBER.test(fence) || !NUMBER.test(leaseEndsAt)) return undefined
      return { kind: 'turn', token, fence: Number(fence), leaseEndsAt: Number(leaseEndsAt) }
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

/** The state whose record is gone, if that is what the message says. */
export function decodeDrop(message: Buffer): string | undefined {
  return message[0] === 0x64 ? message.toString('utf8', 1) : undefined
}
