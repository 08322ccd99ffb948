// Parses the bytes of a connection, and says in what two transcripts may differ.

export interface Heard {
  readonly line: string
  /** Headers in lower case; of several with one name, the last. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export function splitResponses(wire: string | undefined): Heard[] {
  const heard: Heard[] = []
  let rest = wire ?? ''
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [line = '', ...fields] = (end < 0 ? rest : rest.slice(0, end)).split('\r\n')
    const headers = new Map(
      fields.map(field => {
        const [name = '', value = ''] = field.split(/: ?(.*)/s, 2)
        return [name.toLowerCase(), value]
      }),
    )
    rest = end < 0 ? '' : rest.slice(end + 4)
    let body = ''
    const hasNone = /^HTTP\/1.1 (1\d\d|204|304) /.test(line) || headers.get('x-app') === 'HEAD'
    if (!hasNone && headers.get('transfer-encoding') === 'chunked') {
      for (;;) {
        const start = rest.indexOf('\r\n') + 2
        const size = Number.parseInt(rest, 16)
        if (!(size > 0)) {
          rest = rest.slice(start + 2)
          break
        }
        body += rest.slice(start, start + size)
        rest = rest.slice(start + size + 2)
      }
    } else if (!hasNone) {
      const length = headers.get('content-length')
      body = length === undefined ? rest : rest.slice(0, Number(length))
      rest = rest.slice(body.length)
    }
    heard.push({ line, headers, body })
  }
  return heard
}

/** Fields of a replay, and its length; the connection's fields depend on how much Node has read of the next request by then. */
const MAY_DIFFER: ReadonlySet<string> = new Set([
  'age',
  'cache-status',
  'connection',
  'content-length',
  'date',
  'idempotent-replayed',
  'keep-alive',
  'transfer-encoding',
])

/**
 * Node answers what it cannot parse directly on the connection, at once: how many of the requests before it were answered by then depends
 * on how long each took, and it is not determined whether the connection ends before. Then only what both have answered is compared.
 */
export function isSame(expected: readonly Heard[], answers: readonly Heard[], isOrderly: boolean): boolean {
  const isOfNode = (one: Heard): boolean => !isOfApp(one) && !isInformational(one)
  const [theirs, ours] = [expected.filter(isOfApp), answers.filter(isOfApp)]
  const isBroken = !isOrderly && [...expected, ...answers].some(isOfNode)
  if (!isBroken && ours.length !== theirs.length) return false
  if (isOrderly && expected.filter(isOfNode).length !== answers.filter(isOfNode).length) return false
  return ours.every((answer, at) => {
    const one = theirs[at]
    return one === undefined || isSameAnswer(one, answer)
  })
}

function isOfApp({ headers }: Heard): boolean {
  return headers.has('x-app')
}

function isInformational({ line }: Heard): boolean {
  return / 1\d\d /.test(line)
}

function isSameAnswer(expected: Heard, answer: Heard): boolean {
  if (isRefusal(answer)) return true
  const lasting = ({ headers }: Heard): string =>
    JSON.stringify([...headers].filter(([name]) => !MAY_DIFFER.has(name)).sort(([a], [b]) => (a < b ? -1 : 1)))
  return expected.line === answer.line && expected.body === answer.body && lasting(expected) === lasting(answer)
}

/** Answers that only an Idempotency-Key causes: for an invalid key, a key with two payloads, or a body too large to compare. */
function isRefusal({ line, headers, body }: Heard): boolean {
  if (headers.get('content-type') !== 'application/problem+json') return false
  const { status, code } = JSON.parse(body) as { readonly status: number; readonly code: string }
  return line.startsWith(`HTTP/1.1 ${status} `) && ['key-invalid', 'mismatch', 'too-large'].includes(code)
}
