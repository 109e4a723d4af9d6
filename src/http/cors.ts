import { inspect } from 'node:util'
import { mistakenFor } from '../core/argument.js'
import { optionError, refuseUnknownOptions, type SessionError } from '../core/errors.js'
import { allowedOrigin, askOrigin, headerOf, originFromAnswer, resolveOrigin } from './cors-origin.js'
import type { CorsOrigin, CorsOriginFunction, CorsRequest, OriginRule } from './cors-origin.js'

export type { CorsOrigin, CorsOriginCallback, CorsOriginFunction, CorsRequest } from './cors-origin.js'

/** The options of the cors package, by the same names. All are read once. */
export interface CorsOptions<Request extends CorsRequest = CorsRequest> {
  /**
   * Which origins may read responses. Default: `'*'`. `false`, and also an `undefined` that is given by name, as
   * `process.env.ORIGIN` may be, turn CORS off: requests pass through untouched.
   */
  readonly origin?: CorsOrigin | CorsOriginFunction<Request> | null | undefined
  /** The methods that preflights allow. Default: `'GET,HEAD,PUT,PATCH,POST,DELETE'`. */
  readonly methods?: string | readonly string[] | undefined
  /** The request headers that preflights allow. Default: those that the preflight asks for. `[]`: none. */
  readonly allowedHeaders?: string | readonly string[] | undefined
  /** Another name of `allowedHeaders`, which wins. */
  readonly headers?: string | readonly string[] | undefined
  /** The response headers that pages may read besides the safelisted ones. Default: none. */
  readonly exposedHeaders?: string | readonly string[] | undefined
  /** Whether requests with cookies may be read, by allowed origins only. Default: `false`. */
  readonly credentials?: boolean | undefined
  /** For how many seconds browsers may remember a preflight. Default: not said (browsers take 5). */
  readonly maxAge?: number | string | undefined
  /** Hand preflights on to the next handler, once their headers are set. Default: `false`. */
  readonly preflightContinue?: boolean | undefined
  /** The status of a preflight's answer, 200 to 299. Default: 204. */
  readonly optionsSuccessStatus?: number | undefined
}

/** Checked options, read-only. Made by `resolveCors`. */
export interface Cors<Request extends CorsRequest = CorsRequest> {
  readonly origin: OriginRule<Request>
  readonly methods: string
  /** `undefined`: those that the preflight asks for. */
  readonly allowedHeaders: string | undefined
  readonly exposedHeaders: string
  readonly credentials: boolean
  readonly maxAge: string
  readonly preflightContinue: boolean
  readonly optionsSuccessStatus: number
}

/** What to do with one request. */
export interface CorsAnswer {
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** What to merge into the response's `Vary`. */
  readonly vary: readonly string[]
  /** End the response with this status and no body; `undefined`: hand the request on. */
  readonly status: number | undefined
}

const optionNames = [
  'origin',
  'methods',
  'allowedHeaders',
  'headers',
  'exposedHeaders',
  'credentials',
  'maxAge',
  'preflightContinue',
  'optionsSuccessStatus',
]

/**
 * Checks options and brings them into the form that `answerCors` reads.
 *
 * @throws SessionError `ERR_SESSION_OPTION` if they are unknown, of a wrong type, cannot work, or would let
 * every site read what a signed-in user can see
 */
export function resolveCors<Request extends CorsRequest = CorsRequest>(
  options: CorsOptions<Request> = {},
): Cors<Request> {
  const mistake = mistakenFor(options, optionNames)
  if (mistake !== undefined) throw notCorsOptions(mistake)
  refuseUnknownOptions('cors', options, optionNames)
  const credentials = flag('credentials', options.credentials)
  const methods = headerList('methods', options.methods ?? 'GET,HEAD,PUT,PATCH,POST,DELETE')
  const allowed = options.allowedHeaders ?? options.headers ?? undefined
  const allowedHeaders = allowed === undefined ? undefined : headerList('allowedHeaders', allowed)
  const exposedHeaders = headerList('exposedHeaders', options.exposedHeaders ?? '')
  const lists = { methods, allowedHeaders, exposedHeaders }
  for (const [name, value] of Object.entries(lists)) {
    // Fetch, 'HTTP new-header syntax': with credentials, `*` in these is a name like any other.
    if (credentials && value === '*') {
      throw optionError(`cors: ${name} '*' means nothing to browsers with credentials: true. List the names.`)
    }
  }
  return Object.freeze({
    origin:
      'origin' in options
        ? resolveOrigin(options.origin, credentials)
        : resolveOrigin<Request>('*', credentials),
    ...lists,
    credentials,
    maxAge: wholeSeconds(options.maxAge),
    preflightContinue: flag('preflightContinue', options.preflightContinue),
    optionsSuccessStatus: successStatus(options.optionsSuccessStatus ?? 204),
  })
}

/** @param mistake what was given in place of options */
export function notCorsOptions(mistake: string): SessionError {
  return optionError(
    `cors() was given ${mistake}. cors takes an object of options, like { origin: 'https://app.example.com' }, or what createSessions() of this very package made: cors(sessions).`,
  )
}

/**
 * Answers a request. `done` is called once: at once if the answer is at hand, later if an origin
 * function takes its time.
 *
 * Follows Fetch, 'CORS protocol'. `Vary: Origin` goes out exactly when another `Origin` could
 * get another answer, on denials and without an `Origin` too, so that no cache hands one's answer to the other.
 */
export function answerCors<Request extends CorsRequest>(
  cors: Cors<Request>,
  request: Request,
  done: (error: unknown, answer?: CorsAnswer) => void,
): void {
  const rule = cors.origin
  switch (rule.type) {
    case 'off':
      return done(undefined, { headers: [], vary: [], status: undefined })
    case 'constant':
      return done(undefined, answer(cors, request, rule.value, false))
    case 'match':
      return done(undefined, answer(cors, request, allowedOrigin(request, rule.allows), true))
    case 'ask':
      return askOrigin(rule.ask, request, (error, value) => {
        if (error) return done(error)
        let decided: CorsAnswer
        try {
          decided = answer(cors, request, originFromAnswer(request, value, cors.credentials), true)
        } catch (fault) {
          return done(fault)
        }
        return done(undefined, decided)
      })
  }
}

function answer(
  cors: Cors<never>,
  request: CorsRequest,
  allowOrigin: string | undefined,
  dependsOnOrigin: boolean,
): CorsAnswer {
  const isPreflight = request.method?.toUpperCase() === 'OPTIONS'
  const headers: [string, string][] = []
  const add = (name: string, value: string) => {
    if (value !== '') headers.push([`Access-Control-${name}`, value])
  }
  if (allowOrigin !== undefined) {
    add('Allow-Origin', allowOrigin)
    if (cors.credentials) add('Allow-Credentials', 'true')
    if (isPreflight) {
      add('Allow-Methods', cors.methods)
      add('Allow-Headers', cors.allowedHeaders ?? requestedHeaders(request))
      add('Max-Age', cors.maxAge)
    }
    add('Expose-Headers', cors.exposedHeaders)
  }
  const vary = dependsOnOrigin ? ['Origin'] : []
  if (isPreflight && cors.allowedHeaders === undefined) vary.push('Access-Control-Request-Headers')
  const status = isPreflight && !cors.preflightContinue ? cors.optionsSuccessStatus : undefined
  return { headers, vary, status }
}

/** What the preflight asks for, if it is a list of names (RFC 9110 section 5.6.2); else nothing. */
function requestedHeaders(request: CorsRequest): string {
  const asked = headerOf(request, 'access-control-request-headers')
  return asked !== undefined && isNameList(asked) ? asked : ''
}

function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean') {
    throw optionError(`cors: ${name} must be true or false, not ${inspect(value)}.`)
  }
  return value ?? false
}

function headerList(name: string, value: string | readonly string[]): string {
  const isArray = Array.isArray(value) && value.every((part) => typeof part === 'string')
  const text = isArray ? value.join(',') : value
  if (typeof text !== 'string' || !isNameList(text)) {
    throw optionError(
      `cors: ${name} must be a text like 'A,B' or an array like ['A', 'B'], not ${inspect(value)}.`,
    )
  }
  return text
}

/** Whether this is names with commas between (RFC 9110 section 5.6.1, where empty elements are allowed). */
function isNameList(text: string): boolean {
  return text.split(',').every((part) => /^[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*)?$/.test(part))
}

function wholeSeconds(maxAge: number | string | undefined): string {
  if (maxAge === undefined || maxAge === null || maxAge === '') return ''
  if (!/^\d{1,15}$/.test(String(maxAge))) {
    throw optionError(
      `cors: maxAge must be a whole number of seconds, not ${inspect(maxAge)}. Write 600 for ten minutes, 0 for not at all.`,
    )
  }
  return String(maxAge)
}

function successStatus(status: number): number {
  if (!Number.isInteger(status) || status < 200 || status > 299) {
    throw optionError(
      `cors: optionsSuccessStatus must be 200 to 299, not ${inspect(status)}: browsers refuse a preflight with any other.`,
    )
  }
  return status
}
