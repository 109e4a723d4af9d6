import { isAllowed, isText } from './cors-origin.js'
import type { CorsOrigin, CorsOriginFunction, CorsRequest } from './cors-origin.js'
import type { SitePolicy } from './sites.js'

export type { CorsOrigin, CorsOriginCallback, CorsOriginFunction, CorsRequest } from './cors-origin.js'

/** The options of the cors package, by the same names. They are read at each request. */
export interface CorsOptions {
  /**
   * Which origins may read responses. Default: `'*'`. `false`, and also an `undefined` that is given by name, as
   * `process.env.ORIGIN` may be, turn CORS off: requests pass through untouched.
   */
  origin?: CorsOrigin | CorsOriginFunction | null | undefined
  /** The methods that preflights allow. Default: `'GET,HEAD,PUT,PATCH,POST,DELETE'`. */
  methods?: string | readonly string[] | undefined
  /** The request headers that preflights allow. Default: those that the preflight asks for. `[]`: none. */
  allowedHeaders?: string | readonly string[] | undefined
  /** Another name of `allowedHeaders`, which wins. */
  headers?: string | readonly string[] | undefined
  /** The response headers that pages may read besides the safelisted ones. Default: none. */
  exposedHeaders?: string | readonly string[] | undefined
  /** Whether requests with cookies may be read, by allowed origins only. Default: `false`. */
  credentials?: boolean | undefined
  /** For how many seconds browsers may remember a preflight. Default: not said (browsers take 5). */
  maxAge?: number | string | undefined
  /** Hand preflights on to the next handler, once their headers are set. Default: `false`. */
  preflightContinue?: boolean | undefined
  /** The status of a preflight's answer, 200 to 299. Default: 204. */
  optionsSuccessStatus?: number | undefined
}

/** What to do with one request. */
export interface CorsAnswer {
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** What to merge into the response's `Vary`. */
  readonly vary: readonly string[]
  /** End the response with this status and no body; `undefined`: hand the request on. */
  readonly status: number | undefined
}

/** What is allowed to `sites`. Long enough to spare a busy page its preflights, short enough for one taken off the list. */
const siteOptions: CorsOptions = { origin: true, credentials: true, maxAge: 600 }

/** Answers a request by the list of trusted sites. All others get no header that allows anything. */
export function answerBySites(sites: SitePolicy, request: CorsRequest): CorsAnswer {
  const answer = answerByOptions(siteOptions, siteOptions.origin, request, false)
  return sites.trusts(request.headers.origin) ? answer : { ...answer, headers: [] }
}

/**
 * Answers a request as the cors package does (Fetch, 'CORS protocol'), whatever the options are: what is wrong with them,
 * `warningsOf` tells.
 *
 * @param origin `options.origin`, or, where that is a function, its answer
 * @param byFunction whether a function of the app decided. It may have read the `Origin`, so `Vary` always names that,
 * also with a denial and with `'*'`
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

/** A text is sent as it is, whoever asks: the browser compares. Otherwise the request's own origin is sent, if it is allowed. */
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

/** Arrays are joined, and whatever else can be, such as the lists of Immutable.js. */
function joined(names: unknown): unknown {
  const { join } = Object(names) as Partial<string[]>
  return typeof join === 'function' ? Reflect.apply(join, names, [',']) : names
}

/** As Node makes a text of what a header is set to. */
function textOf(value: unknown): string {
  return `${value as string}`
}

function secondsOf({ maxAge }: CorsOptions): string {
  return typeof maxAge === 'number' || maxAge ? String(maxAge) : ''
}
