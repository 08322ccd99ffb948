// For tests that wait more than they work: they wait together, and each is still told of its own outcome alone.

/** Each result, by its number. All works begin when the first result is asked for. */
export function atOnce<T>(works: readonly (() => Promise<T>)[]): (n: number) => Promise<T> {
  let begun: readonly Promise<T>[] | undefined
  return async n => {
    begun ??= works.map(work => work())
    // A failure is told by the test that asks for it, which may be a later one.
    for (const one of begun) one.catch(() => {})
    return begun[n] as Promise<T>
  }
}
