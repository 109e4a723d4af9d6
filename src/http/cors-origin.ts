import type { IncomingHttpHeaders } from 'node:http'
import { isPromise, isRegExp } from 'node:util/types'
import { kindOf, optionError } from '../core/errors.js'

/** What is read of a request. Every Node request has it, Express's and connect's too. */
export interface CorsRequest {
  method?: string | undefined
  headers: IncomingHttpHeaders
}

/**
 * Which origins may read responses:
 *
 * - `true`: all, each by its name; `false`: none
 * - a text: `'*'` for all, or one origin as browsers write it, such as `'https://app.example.com'`.
 * - a regular expression that the origin matches. Begin it with `^https:\/\/`, end it with `$`, and escape dots.
 * - an array of these, in which `'*'` is no wildcard
 */
export type CorsOrigin = boolean | string | RegExp | readonly (boolean | string | RegExp)[]

/** How an origin function answers. An error goes to `next`; a denial (`false`) is no error. */
export type CorsOriginCallback = (error: unknown, origin?: CorsOrigin) => void

/**
 * Decides on each request which origins may read the response. It gets the `Origin` header
 * (`undefined` if there is none), and answers by the callback. One that declares no callback may return a
 * `CorsOrigin`, or a promise of one. What decides by more of the request is a `CorsOptionsFunction`.
 *
 * @example
 * cors({ origin: (origin, callback) => { callback(null, allowed.has(origin)) } })
 * cors({ origin: async (origin) => (await loadOrigins()).includes(origin) })
 */
export type CorsOriginFunction = (origin: string | undefined, callback: CorsOriginCallback) => unknown

/** What a function of the app's calls once it knows. */
export type Callback = (error: unknown, answer?: unknown) => void

/** Whether the package cors takes it for a text. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' || value instanceof String
}

/** Whether an `origin` lets this one in. What is no text, expression or array counts as `true` or `false`. */
export function isAllowed(origin: string, allowed: unknown): boolean {
  if (Array.isArray(allowed)) return allowed.some((entry) => isAllowed(origin, entry))
  if (isText(allowed)) return origin === allowed
  if (isRegExp(allowed)) return matches(allowed, origin)
  return Boolean(allowed)
}

/** As `test`, but the same each time: with the flags `g` and `y`, `test` goes on from its last match. */
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
 * Calls a function that may answer by a callback, or, if it declares none, by returning or by a promise. The first
 * answer counts, and `done` runs after the function has returned, so that what the next handler throws is not taken for
 * the function's error.
 *
 * @param isAnswer tells of what is returned whether it can be the answer
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
    // Old database drivers return whether more may be written, and call back with the answer.
    if (ask.length > 1) return
    if (isAnswer(value)) answerOnce(undefined, value)
    // Without a parameter it may take the callback all the same: as a rest, or after a default.
    else if (ask.length === 1) answerOnce(noAnswer(value))
  }
  // A thrown `undefined` must not read as no error.
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
