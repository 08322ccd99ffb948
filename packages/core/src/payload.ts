// When two payloads contradict each other.

/** Payloads mismatch only if both are given; an empty one is not compared. */
export function isMismatch(a: string, b: string): boolean {
  return a !== '' && b !== '' && a !== b
}
