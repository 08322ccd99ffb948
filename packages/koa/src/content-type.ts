// Keeps the Content-Type, which Koa makes up, changes or removes whenever a body is set.

import type { OutgoingHttpHeader, ServerResponse } from 'node:http'

/** Sets the type as it was before: `type`, or none if that is undefined. */
export function restoreType(res: ServerResponse, type: OutgoingHttpHeader | undefined): void {
  if (type === undefined) res.removeHeader('Content-Type')
  else if (res.getHeader('Content-Type') !== type) res.setHeader('Content-Type', type)
}
