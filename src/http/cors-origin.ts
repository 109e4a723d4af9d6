import { inspect } from 'node:util'
import { isPromise, isRegExp } from 'node:util/types'
import { optionError, type SessionError } from '../core/errors.js'
import { isSerializedOrigin, resolveSites } from './sites.js'

/** What is read of a request. Every Node request has it, Express's and connect's too. */
export interface CorsRequest {
  readonly method?: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/**
 * Which origins may read responses:
 *
 * - `true`: all, each by its name; `false`: none
 * - a text: `'*'` for all, one origin (`'https://app.example.com'`), or the subdomains of one
 *   (`'https://*.example.com'`, see `SitePolicy`)
 * - a regular expression that the origin matches; anchor it at both ends
 * - an array of these
 *
 * The origin `null`, which anybody's sandboxed frame can send, is only allowed by the text
 * `'null'`, and never with credentials.
 */
export type CorsOrigin = boolean | string | RegExp | readonly (boolean | string | RegExp)[]

/** How an origin function answers in the callback form. An error goes to `next`; a denial is no error. */
export type CorsOriginCallback = (error: unknown, origin?: CorsOrigin) => void

/**
 * Decides on each request which origins may read the response. It gets the `Origin` header
 * (`undefined` if there is none) and the request, and returns the answer or a promise of it.
 *
 * The second argument can also be called, as the callback of the cors package. A function that
 * answers by calling it must return nothing, for what it returns would be the answer.
 *
 * @example
 * cors({ origin: async (origin, request) => (await tenantOf(request.headers.host)).origins })
 * cors({ origin: (origin, callback) => { callback(null, allowed.has(origin)) } })
 */
export type CorsOriginFunction<Request extends CorsRequest = CorsRequest> = (
  origin: string | undefined,
  request: Request & CorsOriginCallback,
) => CorsOrigin | null | undefined | void | Promise<CorsOrigin | null | undefined | void>

/** Tells whether an origin is allowed; only asked about `null` and well-formed origins. */
type OriginMatch = (origin: string) => boolean

/** The `origin` option, checked. */
export type OriginRule<Request extends CorsRequest> =
  | { readonly type: 'off' }
  /** The same answer to all, so caches need not tell origins apart. */
  | { readonly type: 'constant'; readonly value: string }
  | { readonly type: 'match'; readonly allows: OriginMatch }
  | { readonly type: 'ask'; readonly ask: CorsOriginFunction<Request> }

/**
 * Checks the `origin` option.
 *
 * @throws SessionError `ERR_SESSION_OPTION` if it cannot work, or opens what signed-in users see to every site
 */
export function resolveOrigin<Request extends CorsRequest>(
  origin: CorsOrigin | CorsOriginFunction<Request> | null | undefined,
  credentials: boolean,
): OriginRule<Request> {
  if (typeof origin === 'function') return { type: 'ask', ask: origin }
  // An empty text turned the cors package off, too: it is what an unset variable often comes as.
  if (origin === undefined || origin === null || origin === false || origin === '') return { type: 'off' }
  if (!isAnswer(origin)) throw wrongOrigin(origin)

  const entries = entriesOf(origin)
  const open = entries.find((entry) => entry === '*' || entry === true)
  if (open !== undefined) {
    if (credentials) {
      throw optionError(
        `cors: origin ${inspect(origin)} with credentials: true would let every site read what its visitors ` +
          "see when signed in here. List the origins that you trust, like ['https://app.example.com'], or leave out credentials.",
      )
    }
    return open === '*' ? { type: 'constant', value: '*' } : { type: 'match', allows: isNamed(entries) }
  }
  if (credentials && entries.includes('null')) {
    throw optionError(
      "cors: origin 'null' with credentials: true would let the sandboxed frames of every site in. Leave one of them out.",
    )
  }
  const texts = entries.filter((entry) => typeof entry === 'string' && entry !== 'null')
  const sites = resolveSites(texts as string[], 'cors origin')
  // A fixed origin goes to all alike (Fetch, 'CORS protocol and HTTP caches'), unless credentials come with it: those go to that origin alone.
  if (typeof origin === 'string' && sites.trusts(origin) && !credentials)
    return { type: 'constant', value: origin }
  const patterns = entries.filter((entry) => isRegExp(entry)).map(copyOf)
  const loose = credentials ? patterns.find((pattern) => !isAnchored(pattern)) : undefined
  if (loose) throw notAnchored(loose)
  return {
    type: 'match',
    allows: (asked) =>
      asked === 'null'
        ? entries.includes('null')
        : sites.trusts(asked) || patterns.some((pattern) => matches(pattern, asked)),
  }
}

/**
 * The value for Access-Control-Allow-Origin after an origin function has answered for this request; `undefined` if it is denied.
 *
 * @throws SessionError `ERR_SESSION_OPTION` if the answer is none, or is `'*'` with credentials
 */
export function originFromAnswer(
  request: CorsRequest,
  value: unknown,
  credentials: boolean,
): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (!isAnswer(value)) throw wrongOrigin(value)
  const entries = entriesOf(value)
  if (entries.includes('*')) {
    if (credentials) {
      throw optionError(
        "cors: an origin function answered '*' with credentials: true. Let it answer with true for an origin that you trust.",
      )
    }
    return '*'
  }
  return allowedOrigin(request, (origin) => {
    // Whoever answers with the origin that was asked about has not thought of `null`.
    if (origin === 'null') return !credentials && entries.includes('null')
    if (entries.includes(true) || entries.includes(origin)) return true
    const wildcards = entries.filter((entry) => typeof entry === 'string' && entry.includes('*'))
    return (
      resolveSites(wildcards as string[], 'cors origin').trusts(origin) ||
      entries.some((entry) => isRegExp(entry) && matches(copyOf(entry), origin))
    )
  })
}

/** The request's origin if it is allowed. Whatever no browser sends is not even looked at. */
export function allowedOrigin(request: CorsRequest, allows: OriginMatch): string | undefined {
  const origin = headerOf(request, 'origin')
  if (origin === undefined || !(origin === 'null' || isSerializedOrigin(origin))) return undefined
  return allows(origin) ? origin : undefined
}

/** A header of the request as one text. */
export function headerOf(request: CorsRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'object' ? value.join(', ') : value
}

/** Calls an origin function, and `done` with its answer. */
export function askOrigin<Request extends CorsRequest>(
  ask: CorsOriginFunction<Request>,
  request: Request,
  done: (error: unknown, value?: unknown) => void,
): void {
  let wasRead = (): boolean => false
  askOnce(
    (callback) => {
      const second = callableRequest(request, callback)
      wasRead = second.wasRead
      return ask(headerOf(request, 'origin'), second.argument)
    },
    // One that takes the callback often returns something of no meaning, or nothing since its answer comes later.
    (value) => ask.length < 2 || value === null || (value === undefined ? wasRead() : isAnswer(value)),
    done,
  )
}

/**
 * Calls a function that may answer by returning, by a promise or by a callback; the first answer
 * counts, and of what is returned only what `counts`. `done` runs after the function has returned, so
 * that what the next handler throws is not taken for the function's error.
 */
export function askOnce(
  call: (callback: (error: unknown, value?: unknown) => void) => unknown,
  counts: (returned: unknown) => boolean,
  done: (error: unknown, value?: unknown) => void,
): void {
  let outcome: [error: unknown, value: unknown] | undefined
  let isCalling = true
  const settle = (error: unknown, value?: unknown) => {
    if (outcome !== undefined) return
    outcome = [error, value]
    if (!isCalling) done(error, value)
  }
  const returned = (value: unknown) => {
    if (counts(value)) settle(undefined, value)
  }
  // A thrown `undefined` must not read as no error.
  const failed = (reason: unknown) => {
    settle(reason ? reason : new Error(`A function given to cors failed with ${String(reason)}.`))
  }
  try {
    const result = call(settle)
    if (isPromise(result)) result.then(returned, failed)
    else returned(result)
  } catch (error) {
    failed(error)
  }
  isCalling = false
  if (outcome !== undefined) done(...(outcome as [unknown, unknown]))
}

/**
 * The request, that can also be called as the callback. The cors package gives the callback in the
 * place where the request is wanted, and nothing tells beforehand which of the two a function takes.
 */
function callableRequest<Request extends CorsRequest>(request: Request, callback: CorsOriginCallback) {
  let isRead = false
  const argument = new Proxy(callback, {
    get(target, name): unknown {
      if (!(name in request)) return Reflect.get(target, name)
      isRead = true
      return Reflect.get(request, name)
    },
    set: (_target, name, value) => Reflect.set(request, name, value),
    has: (target, name) => name in request || name in target,
    getPrototypeOf: () => Reflect.getPrototypeOf(request),
  })
  return { argument: argument as Request & CorsOriginCallback, wasRead: () => isRead }
}

function isAnswer(value: unknown): value is CorsOrigin {
  return Array.isArray(value) ? value.every(isEntry) : isEntry(value)
}

function isEntry(value: unknown): value is boolean | string | RegExp {
  return typeof value === 'boolean' || typeof value === 'string' || isRegExp(value)
}

function entriesOf(origin: CorsOrigin): readonly (boolean | string | RegExp)[] {
  return typeof origin === 'object' && !isRegExp(origin) ? [...origin] : [origin]
}

function wrongOrigin(value: unknown) {
  return optionError(
    `cors: origin must be true, false, a text, a regular expression, an array of these or a function, not ${inspect(value, { depth: 1 })}.`,
  )
}

/** Our own, so that its `lastIndex` is nobody else's. */
/** Whether an expression says how an origin ends, and where the host, or a label of it, begins. */
function isAnchored({ source }: RegExp): boolean {
  return /^(\^|\\\.|\\\/\\\/)/.test(source) && /(^|[^\\])\$$/.test(source)
}

function notAnchored(pattern: RegExp): SessionError {
  return optionError(
    `cors: origin ${String(pattern)} also matches origins of others, such as https://example.com.evil.test, and would let ` +
      "them read what visitors see when signed in. Begin it with ^ and end it with $, or write 'https://*.example.com'.",
  )
}

function copyOf(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags)
}

/** As `test`, but the same each time: with the flags `g` and `y`, `test` goes on from its last match. */
function matches(pattern: RegExp, origin: string): boolean {
  pattern.lastIndex = 0
  return pattern.test(origin)
}

/** With everybody allowed, `null` still has to be in the list. */
function isNamed(entries: readonly unknown[]): OriginMatch {
  return (origin) => origin !== 'null' || entries.includes('null')
}
