// Every message of this package that a user can see, except what options must be. Most name mistakes in the application, as soon as it starts.

import { ServiceUnavailableException } from '@nestjs/common'

const problem = (text: string): TypeError => new TypeError(`dspinlock: ${text}`)

/** `where`: what the message is about, as it is written in the source. */
export const mistakes = {
  notImported: (where: string): TypeError =>
    problem(
      `${where} needs DspinlockModule, which is not imported; write imports: [DspinlockModule.forRoot({ … })] in the root module`,
    ),
  unknownSet: (where: string, name: string, known: readonly string[]): TypeError =>
    problem(
      `${where} names the set ${JSON.stringify(name)}, but there is ${known.length === 0 ? 'none' : `only ${known.map(one => JSON.stringify(one)).join(', ')}`}; import ${forRoot(name)}`,
    ),
  twoOfOneName: (name: string): TypeError =>
    problem(
      `DspinlockModule is imported twice with the name ${JSON.stringify(name)}; give one of them another name, DspinlockModule.forRoot({ name: '…' }), or call forRoot once and import its result in both places`,
    ),
  wrongAsyncOptions: (received: readonly string[]): TypeError =>
    problem(
      `forRootAsync takes one of useFactory, useClass, useExisting, but received ${received.length === 0 ? 'none of them' : received.join(' and ')}; write forRootAsync({ inject: [Config], useFactory: config => ({ … }) })`,
    ),
  noOptions: (name: string, received: unknown): TypeError =>
    problem(
      `the factory of DspinlockModule ${JSON.stringify(name)} must return an object of options, but returned ${String(received)}`,
    ),
  scopedOptions: (): TypeError =>
    problem(
      'the options of DspinlockModule depend on a provider that Nest makes for each request, but there is one lock engine for all requests; inject only what lives as long as the application, and ask each request by identity, key or skip',
    ),
  notAMember: (decorator: string, what: string): TypeError =>
    problem(`${decorator} belongs on ${what}, not on a property, an accessor or a parameter`),
  noParentheses: (decorator: string): TypeError =>
    problem(`${decorator} is written without parentheses, and so decorates nothing; write ${decorator}`),
  staticMethod: (where: string): TypeError =>
    problem(
      `@Exclusive() is on the static method ${where}, but Nest gives lock engines to objects only; put it on a method of a provider, or call engine.run()`,
    ),
  noHandler: (where: string): TypeError =>
    problem(
      `@Dspinlock() or @SkipDspinlock() is on ${where}, which handles no HTTP route; put it on a method with @Get(), @Post() … of a controller, and use @Exclusive(key => …) on any other method`,
    ),
  noController: (where: string): TypeError =>
    problem(
      `@Dspinlock() or @SkipDspinlock() is on the class ${where}, which is no controller; use @Exclusive(key => …) on its methods`,
    ),
  notReject: (where: string): TypeError =>
    problem(
      `${where} has DspinlockGuard, which can only refuse duplicates; write duplicates: 'reject', or use DspinlockInterceptor in its place`,
    ),
  keyIgnored: (where: string): TypeError =>
    problem(
      `${where} has DspinlockGuard, which can only refuse duplicates, so idempotencyKey of DspinlockModule would mean nothing there; use DspinlockInterceptor, or write @Dspinlock({ duplicates: 'reject' }) on the route`,
    ),
  lostRule: (where: string): TypeError =>
    problem(
      `@Dspinlock() or @SkipDspinlock() on ${where} has no effect, because a decorator above it put another method in place of the one that it is on; write @Dspinlock() above that decorator`,
    ),
  wrongOrder: (subclass: string, where: string): TypeError =>
    problem(
      `@UseInterceptors(${subclass}) is below @Dspinlock() on ${where}, and has no effect there, because the nearest to the handler decides; write it on the line above @Dspinlock()`,
    ),
  methodLeftOut: (where: string, method: string, methods: readonly string[]): TypeError =>
    problem(
      `@Dspinlock() on ${where} guards nothing, because methods names ${methods.join(', ')} only, and this is a route for ${method}; write @Dspinlock({ methods: ['${method}'] }) there, or leave methods out of DspinlockModule`,
    ),
  belongsToModule: (where: string, option: string): TypeError =>
    problem(
      `${where} has the option ${option}, which belongs in DspinlockModule.forRoot(); for another store import a second DspinlockModule.forRoot({ name: 'other', ${option}: … }) and write @Dspinlock('other')`,
    ),
  wrongOptions: (where: string, error: TypeError): TypeError =>
    new TypeError(`${error.message} (in ${where})`, { cause: error }),
  notFromNest: (where: string): TypeError =>
    problem(
      `${where} was not made by Nest; give the class to @UseInterceptors() or { provide: APP_INTERCEPTOR, useClass: … }, or take the object from app.get()`,
    ),
  wrongKey: (where: string, received: unknown): TypeError =>
    problem(`the key function of @Exclusive() on ${where} must return a string, but returned a ${typeof received}`),
  twoOfOnePlace: (where: string): TypeError =>
    problem(
      `@Exclusive() is on two methods that are called ${where}, and each would get the other's results; give one of their classes another name, or call engine.run() with a key of your own in place of one decorator`,
    ),
  noEngine: (where: string): TypeError =>
    problem(
      `${where} was called before Nest gave its object a lock engine; call it after the constructor, and on objects that Nest created`,
    ),
  wrongNest: (found: string): TypeError =>
    problem(`@nestjs/core ${found} is not supported; @dspinlock/nestjs is for Nest 11 and 12`),
} as const

/** The error for an interceptor further out that gave up, and tries again later. */
export function turnMissed(): ServiceUnavailableException {
  return new ServiceUnavailableException('the turn of this request came while nothing waited for it; try again later')
}

/** The code that imports a set of that name. */
export function forRoot(name: string): string {
  return `DspinlockModule.forRoot(${name === 'default' ? '' : `{ name: ${JSON.stringify(name)} }`})`
}
