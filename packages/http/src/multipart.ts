// Multipart bodies without their boundary, which is another one each time the same form is sent.

/** Undefined if the content type is not multipart (RFC 2046, section 5.1.1). `rest`: the type without its boundary. */
export function readBoundary(
  contentType: string | undefined,
): { readonly boundary: string; readonly rest: string } | undefined {
  if (contentType === undefined || !/^\s*multipart\//i.test(contentType)) return undefined
  const form = /^(\s*multipart\/[^;]*;(?:.*;)?\s*boundary\s*=\s*)("[^"]{1,70}"|[^\s";]{1,70})(.*)$/is
  const [, before = '', boundary, after = ''] = form.exec(contentType) ?? []
  // Of two, a parser may take the other.
  const isOne = contentType.match(/boundary/gi)?.length === 1
  return boundary === undefined || !isOne ? undefined : { boundary: boundary.replaceAll('"', ''), rest: before + after }
}

/** A body of nothing but boundaries would keep this process busy for a second. */
const MAX_PIECES = 1_000

/**
 * What stands between the boundaries, in order. The pieces and the boundary together make the body again. Undefined if they are too
 * many: then the same form sent again is another request.
 */
export function splitAt(body: Buffer, boundary: string): Buffer[] | undefined {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1')
  const pieces: Buffer[] = []
  let from = 0
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, from)) {
    if (pieces.length === MAX_PIECES) return undefined
    pieces.push(body.subarray(from, at))
    from = at + delimiter.length
  }
  pieces.push(body.subarray(from))
  return pieces
}
