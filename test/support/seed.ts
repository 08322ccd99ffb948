// The seed of every property test: the same in each run, unless another is asked for, so that a failure comes from a change of code.

const given = process.env['TEST_SEED']

/** `TEST_SEED` is a whole number; `TEST_SEED=$RANDOM npm test` tries what no run has tried before. */
export const testSeed: number = given === undefined ? 4_711 : Number(given)

if (!Number.isSafeInteger(testSeed)) throw new TypeError(`TEST_SEED is ${JSON.stringify(given)}; give a whole number`)
