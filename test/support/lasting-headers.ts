// Which headers of a response are the same in a replay.

/** Headers that are new for each response, or belong to one connection or user. */
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

/** `name` is in lower case. */
export function isLasting(name: string): boolean {
  return !VOLATILE.includes(name)
}
