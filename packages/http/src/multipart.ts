// Reads multipart bodies without their boundary, which is different each time the same form is sent.

/** Undefined if the content type is not multipart with one boundary (RFC 2046, section 5.1.1). `rest`: the type without its boundary. */
export function readBoundary(
  contentType: string | undefined,
): { readonly boundary: string; readonly rest: string } | undefined {
  if (contentType === undefined) return undefined
  const form = /^(\s*multipart\/[^;]*;(?:.*;)?\s*boundary\s*=\s*)("[^"]{1,70}"|[^\s";]{1,70})(\s*(?:;.*)?)$/is
  const [, before = '', boundary, after = ''] = form.exec(contentType) ?? []
  // If there are two boundaries, also by RFC 2231, a parser may take the other one. The word alone is part of what most browsers and clients send.
  const isOne = boundary !== undefined && contentType.match(/boundary[\s*\d]*=/gi)?.length === 1
  return isOne ? { boundary: boundary.replaceAll('"', ''), rest: before + after } : undefined
}

/** A body of nothing but boundaries would keep this process busy for a second. */
const MAX_FOUND = 1_000
const LF = 10

/**
 * The pieces between the boundaries, in order. Pieces and boundary together make the body again. Undefined if there are too many
 * boundaries: then the same form, sent again, counts as another request.
 */
export function splitAt(body: Buffer, boundary: string): Buffer[] | undefined {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1')
  const pieces: Buffer[] = []
  let from = 0
  let end = 0
  for (let at: number, found = 0; (at = body.indexOf(delimiter, end)) >= 0; ) {
    if (found++ === MAX_FOUND) return undefined
    end = at + delimiter.length
    // A boundary that is not on a line of its own is content.
    if ((body[at - 1] ?? LF) !== LF || !/^(?:--)?(?:\r?\n|$)/.test(body.toString('latin1', end, end + 4))) continue
    pieces.push(body.subarray(from, at))
    from = end
  }
  pieces.push(body.subarray(from))
  return pieces
}
