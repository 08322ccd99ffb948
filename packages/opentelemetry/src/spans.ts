// Spans of the operations that take time. None of them names a key, because keys of the user's own may say who asked for what.

import { DspinlockError, type EnterTrace, type HoldTrace, tracing } from '@dspinlock/core'
import { type ReplayTrace, requestTracing } from '@dspinlock/http'
import { followChannel } from '@dspinlock/http/support'
import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type Link,
  type Span,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'

/** The span of an operation that is under way, and the context that the span is in. */
interface Open {
  readonly span: Span
  /** The context in which the operation was begun. */
  readonly outer: Context
}

export function makeSpans(tracer: Tracer): () => void {
  const enters = new WeakMap<EnterTrace, Open>()
  const waits = new WeakMap<EnterTrace, Span>()
  const holds = new WeakMap<HoldTrace, Open>()
  const settles = new WeakMap<HoldTrace, Span>()
  const replays = new WeakMap<ReplayTrace, Span>()
  /** The span contexts of holds; they outlive the spans, because later duplicates link to them. */
  const places = new WeakMap<HoldTrace, SpanContext>()

  const startSpan = (name: string, outer: Context, attributes: Attributes, links: Link[] = []): Span =>
    tracer.startSpan(name, { attributes, links }, outer)
  const inside = (open: Open | undefined): Context =>
    open === undefined ? context.active() : trace.setSpan(open.outer, open.span)

  const stops = [
    followChannel(tracing.enter, {
      start: enter => {
        const outer = context.active()
        const attributes = { 'dspinlock.duplicates': enter.duplicates, ...routeOf(enter) }
        enters.set(enter, { span: startSpan('dspinlock.enter', outer, attributes), outer })
      },
      end: enter => {
        const open = enters.get(enter)
        if (open === undefined) return
        const { span } = open
        span.setAttribute('dspinlock.role', enter.role ?? '')
        span.setAttribute('dspinlock.waited', enter.hasWaited)
        if (enter.reason !== undefined) span.setAttribute('dspinlock.reason', enter.reason)
        const place = enter.holder === undefined ? undefined : places.get(enter.holder)
        if (place !== undefined) span.addLink({ context: place })
        // A hold that results from this call needs its context.
        if (enter.role !== 'holder') enters.delete(enter)
        endSpan(span, enter.error)
      },
    }),
    followChannel(tracing.wait, {
      start: enter => waits.set(enter, startSpan('dspinlock.wait', inside(enters.get(enter)), routeOf(enter))),
      end: enter => endSpan(waits.get(enter), enter.error),
    }),
    followChannel(tracing.hold, {
      start: hold => {
        // The hold's span is a sibling of the call that led to it, not a child, because that call is over.
        const outer = enters.get(hold.enter)?.outer ?? context.active()
        enters.delete(hold.enter)
        const span = startSpan('dspinlock.hold', outer, { 'dspinlock.fence': hold.fence, ...routeOf(hold) })
        holds.set(hold, { span, outer })
        const place = span.spanContext()
        places.set(hold, place)
        hold.traceparent = writeTraceparent(place)
      },
      end: hold => {
        const span = holds.get(hold)?.span
        holds.delete(hold)
        span?.setAttributes(endOf(hold))
        endSpan(span, hold.error, hold.how === 'lost')
      },
    }),
    followChannel(tracing.settle, {
      start: hold => settles.set(hold, startSpan('dspinlock.settle', inside(holds.get(hold)), routeOf(hold))),
      end: hold => {
        const span = settles.get(hold)
        settles.delete(hold)
        span?.setAttributes(endOf(hold))
        endSpan(span, hold.error, hold.how === 'lost')
      },
    }),
    followChannel(requestTracing.replay, {
      start: replay => {
        const { holder, traceparent, request, ageMs, joined, recordBytes } = replay
        const place = (holder && places.get(holder)) ?? readTraceparent(traceparent)
        const attributes = {
          'dspinlock.outcome': joined ? 'collapsed' : 'replayed',
          'dspinlock.age': ageMs / 1_000,
          'dspinlock.record.size': recordBytes,
          ...routeOf({ label: request.route }),
        }
        const links = place === undefined ? [] : [{ context: place }]
        replays.set(replay, startSpan('dspinlock.replay', context.active(), attributes, links))
      },
      end: replay => endSpan(replays.get(replay), replay.error),
    }),
  ]
  return () => {
    for (const stop of stops.splice(0)) stop()
  }
}

function routeOf({ label }: { readonly label: string | undefined }): Attributes {
  return label === undefined ? {} : { 'dspinlock.route': label }
}

function endOf({ how, recordBytes }: HoldTrace): Attributes {
  return { 'dspinlock.how': how ?? '', ...(recordBytes === 0 ? {} : { 'dspinlock.record.size': recordBytes }) }
}

/** An error is named by its code alone, because its message may name the key. A client that left is not an error. */
function endSpan(span: Span | undefined, error: unknown, isLost = false): void {
  if (error !== undefined) span?.setAttribute('error.type', typeOf(error))
  if (error instanceof DspinlockError || isLost) span?.setStatus({ code: SpanStatusCode.ERROR })
  span?.end()
}

function typeOf(error: unknown): string {
  if (error instanceof DspinlockError) return error.code
  return error instanceof Error ? error.name : '_OTHER'
}

/** W3C Trace Context, section 3.2. Undefined for a span that is not sampled, which nobody will ever see. */
function writeTraceparent(place: SpanContext): string | undefined {
  if (!isSpanContextValid(place) || (place.traceFlags & TraceFlags.SAMPLED) === 0) return undefined
  return `00-${place.traceId}-${place.spanId}-01`
}

function readTraceparent(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId = '', spanId = ''] = traceparent?.split('-') ?? []
  const place = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true }
  return isSpanContextValid(place) ? place : undefined
}
