// Versions, of HTTP and of Node, that make a difference.

import type { IncomingMessage } from 'node:http'

/** Whether the request came by HTTP/1 and not through the compatibility layer of HTTP/2. */
export function isHttp1({ httpVersionMajor }: Pick<IncomingMessage, 'httpVersionMajor'>): boolean {
  return httpVersionMajor < 2
}

export const nodeMajor: number = Number.parseInt(process.versions.node, 10)
