// The type of a tracing channel, for every version of @types/node.

import type { Channel, TracingChannel } from 'node:diagnostics_channel'

/** The first type parameter is the message in @types/node 26 and later, and the stored value before. */
type MessageFirst = Parameters<Channel<1, 2>['runStores']>[0] extends 1 ? true : false

/** Whatever a listener stores for the operation: any value but null and undefined. */
type Stored = NonNullable<unknown>

/** Node's TracingChannel whose messages are `T`. */
export type TraceChannel<T extends object> = MessageFirst extends true
  ? TracingChannel<T, Stored>
  : TracingChannel<Stored, T>
