// Multipart bodies without their boundary, which is another one each time the same form is sent.

/** Undefined if the content type is not multipart (RFC 2046, section 5.1.1). `rest`: the type without its boundary. */
export function readBoundary(
  contentType: string | undefined,
): { readonly boundary: string; readonly rest: string } | undefined {
  const form = /^(\s*multipart\/[^;]*;(?:.*;)?\s*boundary\s*=\s*)("[^"]{1,70}"|[^\s";]{1,70})(.*)$/is
  const [, before = '', boundary, after = ''] = form.exec(contentType ?? '') ?? []
  return boundary === undefined ? undefined : { boundary: boundary.replaceAll('"', ''), rest: before + after }
}

/** What stands between the boundaries, in order. The pieces and the boundary together make the body again. */
export function splitAt(body: Buffer, boundary: string): Buffer[] {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1')
  const pieces: Buffer[] = []
  let from = 0
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, from)) {
    pieces.push(body.subarray(from, at))
    from = at + delimiter.length
  }
  pieces.push(body.subarray(from))
  return pieces
}
