// The requests of the load: their bytes are made once, and a name is written into each.

export interface RequestShape {
  readonly method: 'GET' | 'POST'
  /** The path; the request's name is added as the query `?order=…`. */
  readonly path: string
  /** Size of the JSON body, in bytes; 0: no body. */
  readonly bodyBytes: number
  /** How many names the requests use in turn; undefined: every request has its own name. */
  readonly names?: number
}

/** The length of a name; also that of an Idempotency-Key that every one of the alternatives accepts. */
const NAME_LENGTH = 24
const MARK = '#'.repeat(NAME_LENGTH)

export class RequestMaker {
  readonly #template: Buffer
  readonly #marks: number[] = []
  readonly #names: number | undefined
  /** Different for every maker, in any process, so that no two runs use the same name. */
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

  /** Makes new bytes each time, because a socket may still hold those of the last request. */
  make(): Buffer {
    const number = this.#names === undefined ? this.#next : this.#next % this.#names
    this.#next++
    const name = `${this.#run}-${String(number).padStart(NAME_LENGTH - 1 - this.#run.length, '0')}`
    const bytes = Buffer.from(this.#template)
    for (const at of this.#marks) bytes.write(name, at, 'latin1')
    return bytes
  }
}

/** A small order, filled up to the given size. */
function makeBody(bytes: number): string {
  const order = { order: MARK, customer: 'c-1024', currency: 'EUR', lines: [{ sku: 'A-1', quantity: 2 }], note: '' }
  const length = Buffer.byteLength(JSON.stringify(order))
  return JSON.stringify({ ...order, note: 'n'.repeat(Math.max(0, bytes - length)) })
}
