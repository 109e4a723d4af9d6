import type { IncomingHttpHeaders } from 'node:http'
import { isPromise, isRegExp } from 'node:util/types'
import { kindOf, optionError } from '../core/errors.js'

/** The members of a request that `cors` reads. Every Node request has them, those of Express and connect too. */
export interface CorsRequest {
  method?: string | undefined
  headers: IncomingHttpHeaders
}

/**
 * Which origins may read responses:
 *
 * - `true`: all origins. The response names the origin of the request.
 * - `false`: none.
 * - A text: `'*'` for all origins, or one origin as browsers write it, such as `'https://app.example.com'`.
 * - A regular expression that the origin must match. Begin it with `^https:\/\/`, end it with `$`, and escape its dots.
 * - An array of these. `'*'` is no wildcard in it.
 */
export type CorsOrigin = boolean | string | RegExp | readonly (boolean | string | RegExp)[]

/** The callback of an origin function. An error goes to `next`. To deny an origin, pass `false`, not an error. */
export type CorsOriginCallback = (error: unknown, origin?: CorsOrigin) => void

/**
 * A function that decides, for each request, which origins may read the response. It gets the `Origin` header
 * (`undefined` if there is none), and calls back. If it declares no callback, it may return a `CorsOrigin`, or a
 * promise of one. To decide by other parts of the request, use a `CorsOptionsFunction`.
 *
 * @example
 * cors({ origin: (origin, callback) => { callback(null, allowed.has(origin)) } })
 * cors({ origin: async (origin) => (await loadOrigins()).includes(origin) })
 */
export type CorsOriginFunction = (origin: string | undefined, callback: CorsOriginCallback) => unknown

/** The callback of a function of the app. */
export type Callback = (error: unknown, answer?: unknown) => void

/** Whether the cors package takes a value for a text. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' || value instanceof String
}

/**
 * Whether an `origin` option allows this origin. Other values than text, expressions and arrays count as true or false.
 */
export function isAllowed(origin: string, allowed: unknown): boolean {
  if (Array.isArray(allowed)) return allowed.some((entry) => isAllowed(origin, entry))
  if (isText(allowed)) return origin === allowed
  if (isRegExp(allowed)) return matches(allowed, origin)
  return Boolean(allowed)
}

/** As `pattern.test(origin)`, without its state: with the flags `g` and `y`, `test` goes on from its last match. */
export function matches(pattern: RegExp, origin: string): boolean {
  const fresh = pattern.global || pattern.sticky ? new RegExp(pattern) : pattern
  return fresh.test(origin)
}

/** Calls an origin function, and `done` with its answer. */
export function askOrigin(ask: CorsOriginFunction, origin: string | undefined, done: Callback): void {
  // `(origin) => { if (…) return true }` denies the others.
  const isDenial = (value: unknown) => value === null || (value === undefined && ask.length === 1)
  askOnce(ask, origin, (value) => isDenial(value) || isOrigin(value), done)
}

/**
 * Calls a function that answers by a callback; or, if it declares none, by what it returns, or by a promise. The first
 * answer counts. `done` runs after the function has returned: otherwise, what the next handler throws would look like
 * the function's error.
 *
 * @param isAnswer whether a returned value can be the answer.
 */
export function askOnce<Asked>(
  ask: (asked: Asked, callback: Callback) => unknown,
  asked: Asked,
  isAnswer: (returned: unknown) => boolean,
  done: Callback,
): void {
  let outcome: [error: unknown, answer: unknown] | undefined
  let isCalling = true
  const answerOnce = (error: unknown, answer?: unknown) => {
    if (outcome !== undefined) return
    outcome = [error, answer]
    if (!isCalling) done(error, answer)
  }
  const returned = (value: unknown) => {
    // It has a callback, so ignore what it returns: old database drivers return whether more may be written.
    if (ask.length > 1) return
    if (isAnswer(value)) answerOnce(undefined, value)
    // With no declared parameter, it may still use the callback: as a rest parameter, or after a default.
    else if (ask.length === 1) answerOnce(noAnswer(value))
  }
  // A thrown `undefined` is an error too.
  const failed = (reason: unknown) => {
    answerOnce(reason ? reason : new Error(`A function given to cors failed with ${String(reason)}.`))
  }
  try {
    const result = ask(asked, answerOnce)
    if (isPromise(result)) result.then(returned, failed)
    else returned(result)
  } catch (error) {
    failed(error)
  }
  isCalling = false
  if (outcome !== undefined) done(...(outcome as [unknown, unknown]))
}

function noAnswer(value: unknown) {
  return optionError(
    `A function given to cors returned ${kindOf(value)}. Let an origin function answer true, false, an origin, an expression or a list of these; let a function of the request answer an object of options.`,
  )
}

function isOrigin(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isEntry) : isEntry(value)
}

function isEntry(value: unknown): boolean {
  return typeof value === 'boolean' || typeof value === 'string' || isRegExp(value)
}
