// What a promise was rejected with, or a failing test.

export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; key?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it should have been rejected')
}
