// For tests that wait more than they work: they wait together, and each is still told of its own outcome alone.

/** Each result, by its number. All works begin, in their order, when the first result is asked for; of them, no more than `atMost` are under way. */
export function atOnce<T>(works: readonly (() => Promise<T>)[], atMost = works.length): (n: number) => Promise<T> {
  let begun: readonly Promise<T>[] | undefined
  return async n => {
    if (begun === undefined) {
      begun = startEach(works, atMost)
      // A failure is told by the test that asks for it, which may be a later one.
      for (const one of begun) one.catch(() => {})
    }
    return begun[n] as Promise<T>
  }
}

function startEach<T>(works: readonly (() => Promise<T>)[], atMost: number): readonly Promise<T>[] {
  const waiting: (() => void)[] = []
  let underWay = 0
  return works.map(async work => {
    if (underWay === atMost) await new Promise<void>(resolve => waiting.push(resolve))
    else underWay++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) underWay--
      // Its place goes to the next one.
      else next()
    }
  })
}
