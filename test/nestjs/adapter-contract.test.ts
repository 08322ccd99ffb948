// The Nest adapter keeps the promises of every adapter, on each version and platform.

import { adapterContract } from '../adapters/contract.js'
import { nestOnExpress, nestOnFastify } from '../adapters/nest.js'

adapterContract(nestOnExpress)
adapterContract(nestOnFastify)
