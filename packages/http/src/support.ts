// Exports for our other packages and the tests, which users of a middleware do not need.

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
export { listOptionNames } from './options.js'
export { decodeRecord, encodeRecord, type RecordedResponse, tombstone } from './record.js'
