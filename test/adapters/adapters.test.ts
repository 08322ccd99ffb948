// All adapters keep the same promises, and so does one that is written as docs/writing-an-adapter.md says, for Fastify; Nest's, which runs on
// two versions of Nest, is in test/nestjs/adapter-contract.test.ts.

import { adapterContract } from './contract.js'
import { express4, express5 } from './express.js'
import { fastify5 } from './fastify.js'
import { koa2, koa3 } from './koa.js'

adapterContract(express5)
adapterContract(express4)
adapterContract(koa3)
adapterContract(koa2)
adapterContract(fastify5)
