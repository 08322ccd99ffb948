// Which version of the API a request asks for, read as Nest reads it to choose the handler.

import type { IncomingMessage } from 'node:http'
import { type VersioningOptions, VersioningType } from '@nestjs/common'

/** Undefined if the path names the version. For media types a list, of which Nest takes one. */
export function readRequestedVersion(options: VersioningOptions, req: IncomingMessage): unknown {
  switch (options.type) {
    case VersioningType.HEADER:
      return req.headers[options.header.toLowerCase()]
    case VersioningType.MEDIA_TYPE: {
      const parameters = req.headers.accept?.split(/[;,]/).map(parameter => parameter.trim())
      return parameters?.filter(parameter => parameter.startsWith(options.key))
    }
    case VersioningType.CUSTOM:
      return options.extractor(req)
    default:
      return undefined
  }
}
