// The type of a tracing channel, whichever @types/node is there.

import type { Channel, TracingChannel } from 'node:diagnostics_channel'

/** @types/node 26 and later name the message first, those before it what is stored. */
type MessageFirst = Parameters<Channel<1, 2>['runStores']>[0] extends 1 ? true : false

/** Whatever a listener stores for the operation. An object for the compiler alone: it may be any value but null and undefined. */
type Stored = NonNullable<unknown>

/** Node's TracingChannel whose messages are `T`. */
export type TraceChannel<T extends object> = MessageFirst extends true
  ? TracingChannel<T, Stored>
  : TracingChannel<Stored, T>
