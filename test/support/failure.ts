// Returns the error that a promise was rejected with, or fails the test.

export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; key?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it should have been rejected')
}
