// What is started for the first test that needs it and used by all that do; it ends after the last test.

const stops: (() => Promise<void>)[] = []

/** The same each time, started at the first call. Whoever uses it leaves it as it was, and brings names of its own. */
export function share<T extends { stop(): Promise<void> }>(start: () => Promise<T>): () => Promise<T> {
  let shared: Promise<T> | undefined
  return () => {
    if (shared === undefined) {
      const started = start()
      shared = started
      stops.push(async () => (await started).stop())
    }
    return shared
  }
}

/** Ends whatever was started. */
export async function stopShared(): Promise<void> {
  await Promise.allSettled(stops.splice(0).map(stop => stop()))
}
