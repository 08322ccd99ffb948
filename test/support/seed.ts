// The seed of every property test: the same in each run, so that a failure is of the change, unless another is asked for.

const given = process.env['TEST_SEED']

/** `TEST_SEED`, a whole number; `TEST_SEED=$RANDOM npm test` goes where no run has been. */
export const testSeed: number = given === undefined ? 4_711 : Number(given)

if (!Number.isSafeInteger(testSeed)) throw new TypeError(`TEST_SEED is ${JSON.stringify(given)}; give a whole number`)
