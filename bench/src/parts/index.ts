// All parts of the benchmarks, in the order in which they are measured and reported.

import type { Part } from '../harness/context.js'
import { diagnostics } from './diagnostics.js'
import { handOver } from './hand-over.js'
import { http } from './http.js'
import { lock } from './lock.js'
import { network } from './network.js'
import { scale } from './scale.js'
import { stampede } from './stampede.js'

export const parts: readonly Part[] = [lock, handOver, http, stampede, scale, network, diagnostics]
