import { isAllowed, isText } from './cors-origin.js'
import type { CorsOrigin, CorsOriginFunction, CorsRequest } from './cors-origin.js'

export type { CorsOrigin, CorsOriginCallback, CorsOriginFunction, CorsRequest } from './cors-origin.js'

/**
 * The options of `cors(options)`: those of the cors package, by the same names. They are read at each request, so you
 * may change the object.
 */
export interface CorsOptions {
  /**
   * Which origins may read responses: `Access-Control-Allow-Origin`. `false` turns CORS off, and so does an explicit
   * `undefined`, as an unset `process.env.ORIGIN` gives it: requests then pass without any headers.
   *
   * With `credentials: true`, `'*'` does not work for requests with cookies: browsers hide the response from the page
   * (Fetch standard, "CORS protocol and credentials").
   * @default '*'
   * @example
   * cors({ origin: ['https://app.example.com', /^https:\/\/pr-\d+\.example\.dev$/] })
   */
  origin?: CorsOrigin | CorsOriginFunction | null | undefined
  /**
   * The methods that preflights allow, as a list or a text with commas: `Access-Control-Allow-Methods`.
   * @default 'GET,HEAD,PUT,PATCH,POST,DELETE'
   */
  methods?: string | readonly string[] | undefined
  /**
   * The request headers that preflights allow, as a list or a text with commas: `Access-Control-Allow-Headers`.
   * Default: those that the preflight asks for. `[]`: none.
   */
  allowedHeaders?: string | readonly string[] | undefined
  /** Another name of `allowedHeaders`. If both are given, `allowedHeaders` counts. */
  headers?: string | readonly string[] | undefined
  /**
   * The response headers that pages may read, as a list or a text with commas: `Access-Control-Expose-Headers`. They
   * can always read the safelisted ones, such as `Content-Type` (Fetch standard, "CORS-safelisted response-header
   * name"). Default: no others.
   */
  exposedHeaders?: string | readonly string[] | undefined
  /**
   * Whether allowed origins may read responses to requests with cookies: `Access-Control-Allow-Credentials`. Only
   * `true` allows it.
   * @default false
   */
  credentials?: boolean | undefined
  /**
   * For how many seconds browsers may remember a preflight: `Access-Control-Max-Age`. Default: the header is not sent,
   * and browsers take 5 seconds.
   */
  maxAge?: number | string | undefined
  /**
   * Whether preflights go on to the next handler, with their headers set. Otherwise they are answered here.
   * @default false
   */
  preflightContinue?: boolean | undefined
  /**
   * The status of the answer to a preflight, from 200 to 299: browsers refuse others (Fetch standard, "ok status").
   * @default 204
   */
  optionsSuccessStatus?: number | undefined
}

/** The answer to one request: the headers to set, and whether it ends here. */
export interface CorsAnswer {
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** What to merge into the response's `Vary`. */
  readonly vary: readonly string[]
  /** End the response with this status and no body; `undefined`: hand the request on. */
  readonly status: number | undefined
}

/**
 * Answers a request as the cors package does (Fetch standard, "CORS protocol"). It does not check the options:
 * `warningsOf` does.
 *
 * @param origin `options.origin`; if that is a function, its answer.
 * @param byFunction whether a function of the app decided. It may have read the `Origin` header, so `Vary` always names
 *   that, also with a denial or `'*'`.
 */
export function answerByOptions(
  options: CorsOptions,
  origin: unknown,
  request: CorsRequest,
  byFunction: boolean,
): CorsAnswer {
  const vary = byFunction || (origin && origin !== '*') ? ['Origin'] : []
  if (!origin) return { headers: [], vary, status: undefined }
  const headers: [string, string][] = []
  const allow = (name: string, value: string) => {
    if (value !== '') headers.push([`Access-Control-${name}`, value])
  }
  allow('Allow-Origin', allowedOrigin(origin, request))
  if (options.credentials === true) allow('Allow-Credentials', 'true')
  allow('Expose-Headers', listOf(options.exposedHeaders))
  if (request.method?.toUpperCase() !== 'OPTIONS') return { headers, vary, status: undefined }

  allow('Allow-Methods', methodsOf(options))
  const allowedHeaders = options.allowedHeaders || options.headers
  if (!allowedHeaders) vary.push('Access-Control-Request-Headers')
  allow('Allow-Headers', listOf(allowedHeaders || request.headers['access-control-request-headers']))
  allow('Max-Age', secondsOf(options))
  return {
    headers,
    vary,
    status: options.preflightContinue ? undefined : (options.optionsSuccessStatus ?? 204),
  }
}

/** A text is sent as it is, as browsers compare it. Otherwise, the request's own origin is sent if it is allowed. */
function allowedOrigin(origin: unknown, request: CorsRequest): string {
  if (isText(origin)) return String(origin)
  const asked = request.headers.origin
  return asked !== undefined && isAllowed(asked, origin) ? asked : ''
}

function methodsOf({ methods }: CorsOptions): string {
  const list = joined(methods ?? 'GET,HEAD,PUT,PATCH,POST,DELETE')
  return list ? textOf(list) : ''
}

function listOf(names: unknown): string {
  const list = joined(names)
  return (list as { length?: unknown } | null | undefined)?.length ? textOf(list) : ''
}

/** Joins arrays and everything else with a `join`, such as the lists of Immutable.js. */
function joined(names: unknown): unknown {
  const { join } = Object(names) as Partial<string[]>
  return typeof join === 'function' ? Reflect.apply(join, names, [',']) : names
}

/** Text of a value, as Node makes it of a header's value. */
function textOf(value: unknown): string {
  return `${value as string}`
}

function secondsOf({ maxAge }: CorsOptions): string {
  return typeof maxAge === 'number' || maxAge ? String(maxAge) : ''
}
