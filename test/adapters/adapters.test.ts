// All adapters keep the same promises; Nest's, which runs on two versions of Nest, is in test/nestjs/adapter-contract.test.ts.

import { adapterContract } from './contract.js'
import { express4, express5 } from './express.js'
import { koa2, koa3 } from './koa.js'

adapterContract(express5)
adapterContract(express4)
adapterContract(koa3)
adapterContract(koa2)
