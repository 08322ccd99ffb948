// The parts that adapters and tests of this package's rules need, and users of a middleware do not.

export { canonicalise } from './canonical.js'
export { type FingerprintParts, fingerprint } from './fingerprint.js'
export { followChannel } from './follow-channel.js'
export {
  type HistogramSpec,
  type Labels,
  type MeasurementSink,
  type MetricSpec,
  measure,
  metricSpecs,
} from './measurements.js'
export { decodeRecord, encodeRecord, type HttpRecord, type RecordedResponse, tombstone } from './record.js'
export { isReplayable, listUnkeyedVary, type ResponseFacts, selectStorable } from './replayable.js'
