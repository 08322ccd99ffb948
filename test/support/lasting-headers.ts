// Which headers of a response a replay has as they were.

/** New for each response, or of one connection or user. */
const VOLATILE = [
  'date',
  'age',
  'cache-status',
  'content-length',
  'transfer-encoding',
  'x-outside',
  'set-cookie',
  'connection',
  'keep-alive',
]

/** `name` in lower case. */
export function isLasting(name: string): boolean {
  return !VOLATILE.includes(name)
}
