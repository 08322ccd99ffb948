// Turns what the channels publish into numbers, for packages that hand them to a metrics library. No key and no client is named.

import { channels, HoldTimeoutError, type TroubleEvent, tracing } from '@dspinlock/core'
import { followChannel, quietly } from './follow-channel.js'
import { type RequestTrace, requestTracing } from './tracing.js'

/** Each label has few values: `route` is a framework's pattern or the `label` given to an engine, '' if there is none. */
export type Labels = Readonly<Record<string, string>>

/** Where the numbers go, with the labels of each. Times are in seconds, sizes in bytes. Errors that it throws are ignored. */
export interface MeasurementSink {
  /** Labels: `outcome`, `code` of a refusal (or ''), `method`, `route`. */
  countRequest(labels: Labels): void
  /** Called when a wait has ended. Labels: `role`, which is what the wait came to, and `route`. */
  recordWait(seconds: number, labels: Labels): void
  /** Called when a hold has ended. Labels: `how` (`settled`, `released`, `lost`, `failed`), `route`. */
  recordHold(seconds: number, labels: Labels): void
  /** Called when the store was told how a hold ended. Labels: `how`, `route`. */
  recordSettle(seconds: number, labels: Labels): void
  /** Called when a record was stored. Label: `route`. */
  recordSize(bytes: number, labels: Labels): void
  /** One more or one less hold is active now. Label: `route`. */
  addHolds(change: 1 | -1, labels: Labels): void
  /** One more or one less caller is waiting now. Label: `route`. */
  addWaiters(change: 1 | -1, labels: Labels): void
  /** Labels: `reason` (the `lease` ran out or was taken; `max-hold` was reached; the loss was `found-late`, when the hold ended) and `route`. */
  countLostLease(labels: Labels): void
  /** Labels: `source`, `operation`. */
  countStoreError(labels: Labels): void
}

export interface MetricSpec {
  readonly help: string
  readonly labels: readonly string[]
}

export interface HistogramSpec extends MetricSpec {
  /** The upper ends of its buckets. */
  readonly buckets: readonly number[]
}

/** From the time that a store in the same process takes to the longest of the default limits. */
const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const BYTES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]

/** All metrics; their names are much the same in every metrics library. */
export const metricSpecs: Readonly<
  Record<'requests' | 'activeHolds' | 'activeWaiters' | 'lostLeases' | 'storeErrors', MetricSpec> &
    Record<'waits' | 'holds' | 'settles' | 'sizes', HistogramSpec>
> = {
  requests: {
    help: 'Requests that came to a middleware, by their outcome',
    labels: ['outcome', 'code', 'method', 'route'],
  },
  waits: { help: 'How long callers waited, if they had to', labels: ['role', 'route'], buckets: SECONDS },
  holds: { help: 'How long keys were held', labels: ['how', 'route'], buckets: SECONDS },
  settles: {
    help: 'How long the store took to note the end of a hold',
    labels: ['how', 'route'],
    buckets: SECONDS,
  },
  sizes: { help: 'Size of the records that were stored', labels: ['route'], buckets: BYTES },
  activeHolds: { help: 'Keys that this process holds', labels: ['route'] },
  activeWaiters: { help: 'Callers that are waiting in this process', labels: ['route'] },
  lostLeases: { help: 'Holds that ended before their holder ended them', labels: ['reason', 'route'] },
  storeErrors: { help: 'What went wrong with the store or with what it holds', labels: ['source', 'operation'] },
}

/** What the middleware does after a store failed; not counted, because the engine published the store's error already. */
const CONSEQUENCES: ReadonlySet<string> = new Set(['bypass', 'local'])

/**
 * Feeds `sink` with what happens in this process, until the returned function is called. After that, it is only told of the end of operations
 * whose start it was told of.
 */
export function measure(sink: MeasurementSink): () => void {
  const detachers = [
    followRequests(({ outcome, code, method, route }) =>
      sink.countRequest({ outcome: outcome ?? '', code: code ?? '', method, route: route ?? '' }),
    ),
    followChannel(tracing.wait, {
      start: trace => {
        sink.addWaiters(1, routeOf(trace))
        return performance.now()
      },
      end: (trace, at) => {
        sink.addWaiters(-1, routeOf(trace))
        sink.recordWait(secondsSince(at), { role: trace.role ?? '', ...routeOf(trace) })
      },
    }),
    followChannel(tracing.hold, {
      start: trace => sink.addHolds(1, routeOf(trace)),
      end: trace => {
        sink.addHolds(-1, routeOf(trace))
        sink.recordHold(trace.heldMs / 1_000, { how: trace.how ?? '', ...routeOf(trace) })
        if (trace.how === 'lost') sink.countLostLease({ reason: reasonOf(trace.error), ...routeOf(trace) })
      },
    }),
    followChannel(tracing.settle, {
      start: () => performance.now(),
      end: (trace, at) => {
        sink.recordSettle(secondsSince(at), { how: trace.how ?? '', ...routeOf(trace) })
        if (trace.how === 'settled') sink.recordSize(trace.recordBytes, routeOf(trace))
      },
    }),
    followTrouble(({ source, operation }) => {
      if (!CONSEQUENCES.has(operation)) sink.countStoreError({ source, operation })
    }),
  ]
  return () => {
    for (const detach of detachers.splice(0)) detach()
  }
}

/** A request counts when it ends, whenever it began. */
function followRequests(count: (trace: RequestTrace) => void): () => void {
  const { asyncEnd } = requestTracing.request
  const listener = quietly(count)
  asyncEnd.subscribe(listener)
  return () => asyncEnd.unsubscribe(listener)
}

function followTrouble(tell: (event: TroubleEvent) => void): () => void {
  const listener = quietly(tell)
  channels.trouble.subscribe(listener)
  return () => {
    channels.trouble.unsubscribe(listener)
  }
}

const routeOf = ({ label = '' }: { readonly label: string | undefined }): { readonly route: string } => ({
  route: label,
})

function secondsSince(at: number): number {
  return (performance.now() - at) / 1_000
}

function reasonOf(error: unknown): string {
  if (error === undefined) return 'found-late'
  return error instanceof HoldTimeoutError ? 'max-hold' : 'lease'
}
