// Types of the one function that the package `fresh` exports.
declare module 'fresh' {
  function fresh(
    requestHeaders: Record<string, string | string[] | undefined>,
    responseHeaders: Record<string, string | undefined>,
  ): boolean
  export = fresh
}
