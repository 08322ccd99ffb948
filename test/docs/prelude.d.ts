// Names that code blocks use without declaring them, because any reader understands them.

declare const slowReport: import('express').RequestHandler & import('koa').Middleware
declare const pay: import('express').RequestHandler & import('koa').Middleware
declare function compute(signal?: AbortSignal, fence?: number): Promise<{ total: number }>
declare const store: import('@dspinlock/core').Store
