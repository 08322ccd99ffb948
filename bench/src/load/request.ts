// The requests that load is made of: bytes that are made once, with a name written into each.

export interface RequestShape {
  readonly method: 'GET' | 'POST'
  /** Its name is added as the query `?order=…`. */
  readonly path: string
  /** Of the JSON body, in bytes; 0: no body. */
  readonly bodyBytes: number
  /** Of how many names requests take turns; undefined: every request has a name of its own. */
  readonly names?: number
}

/** Also the length of an Idempotency-Key that every one of the alternatives accepts. */
const NAME_LENGTH = 24
const MARK = '#'.repeat(NAME_LENGTH)

export class RequestMaker {
  readonly #template: Buffer
  readonly #marks: number[] = []
  readonly #names: number | undefined
  /** Distinct for every maker, also across processes, so that no name is ever used by two runs. */
  readonly #run: string
  #next = 0

  constructor(shape: RequestShape, run: string) {
    const body = shape.bodyBytes === 0 ? '' : makeBody(shape.bodyBytes)
    const head = [
      `${shape.method} ${shape.path}?order=${MARK} HTTP/1.1`,
      'host: shop.example',
      'accept: application/json',
      'authorization: Bearer 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d',
      `idempotency-key: ${MARK}`,
      ...(body === '' ? [] : ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]),
    ]
    this.#template = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
    for (let at = this.#template.indexOf(MARK); at >= 0; at = this.#template.indexOf(MARK, at + 1)) this.#marks.push(at)
    this.#names = shape.names
    this.#run = run
  }

  /** The bytes are new each time: a socket may still hold those of the last request. */
  make(): Buffer {
    const number = this.#names === undefined ? this.#next : this.#next % this.#names
    this.#next++
    const name = `${this.#run}-${String(number).padStart(NAME_LENGTH - 1 - this.#run.length, '0')}`
    const bytes = Buffer.from(this.#template)
    for (const at of this.#marks) bytes.write(name, at, 'latin1')
    return bytes
  }
}

/** A small order, filled up to the size that is asked for. */
function makeBody(bytes: number): string {
  const order = { order: MARK, customer: 'c-1024', currency: 'EUR', lines: [{ sku: 'A-1', quantity: 2 }], note: '' }
  const length = Buffer.byteLength(JSON.stringify(order))
  return JSON.stringify({ ...order, note: 'n'.repeat(Math.max(0, bytes - length)) })
}
