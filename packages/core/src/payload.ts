// When two payloads contradict each other.

/** Only if both are given: an empty one is compared with nothing. */
export function isMismatch(a: string, b: string): boolean {
  return a !== '' && b !== '' && a !== b
}
