// Whether there is anybody left who could receive a response.

import type { ServerResponse } from 'node:http'

/** A response says nothing of it on HTTP/2, nor while it stands behind others of its connection; what Node calls its socket there does. */
export function isGone(res: ServerResponse): boolean {
  return res.destroyed || res.req.socket?.destroyed
}
