// Every adapter keeps the same promises.

import { adapterContract } from './contract.js'
import { express4, express5 } from './express.js'
import { koa2, koa3 } from './koa.js'
import { nestOnExpress, nestOnFastify } from './nest.js'

adapterContract(express5)
adapterContract(express4)
adapterContract(koa3)
adapterContract(koa2)
adapterContract(nestOnExpress)
adapterContract(nestOnFastify)
