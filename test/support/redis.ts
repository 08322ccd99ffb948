// The Redis of this test run.

/** Set before any test runs. */
export function redisUrl(): string {
  const url = process.env['TEST_REDIS_URL']
  if (url === undefined) throw new Error('no Redis was started: run the tests with test/support/global.js required')
  return url
}
