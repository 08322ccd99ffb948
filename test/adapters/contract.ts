// The contract of an adapter: an adapter that passes does with its framework what dspinlock promises.

import { lifeCases } from './life-cases.js'
import { policyCases } from './policy-cases.js'
import { requestCases } from './request-cases.js'
import { responseCases } from './response-cases.js'
import type { AdapterSpec } from './spec.js'

export function adapterContract(adapter: AdapterSpec): void {
  describe(`adapter contract: ${adapter.name}`, () => {
    policyCases(adapter)
    requestCases(adapter)
    responseCases(adapter)
    lifeCases(adapter)
  })
}
