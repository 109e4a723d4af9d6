import { optionError, refuseUnknownOptions, shown } from '../core/errors.js'
import type { CorsAnswer } from './cors.js'
import type { CorsRequest } from './cors-origin.js'
import type { SitePolicy } from './sites.js'

/** The options of `cors(sessions, options)`. */
export interface SiteCorsOptions {
  /**
   * The methods that pages of `sites` may use besides GET, HEAD and POST: `Access-Control-Allow-Methods`.
   * @default ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']
   */
  readonly methods?: readonly string[] | undefined
  /**
   * The request headers that pages may send: `Access-Control-Allow-Headers`. Default: all that a preflight asks for.
   * @example ['Content-Type', 'X-Request-Id']
   */
  readonly allowedHeaders?: readonly string[] | undefined
  /**
   * The response headers that pages may read, besides the safelisted ones such as `Content-Type`:
   * `Access-Control-Expose-Headers`. Default: none.
   */
  readonly exposedHeaders?: readonly string[] | undefined
  /**
   * For how many seconds browsers may remember a preflight: `Access-Control-Max-Age`. Chromium takes 7,200 at most.
   * @default 600
   */
  readonly maxAge?: number | undefined
  /**
   * Whether public pages of `sites` may call this app on a private network (Private Network Access):
   * `Access-Control-Allow-Private-Network`, for preflights that ask for it.
   * @default false
   */
  readonly privateNetwork?: boolean | undefined
}

const optionNames = ['methods', 'allowedHeaders', 'exposedHeaders', 'maxAge', 'privateNetwork'] as const
const defaultMethods = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']
/** Long enough to save a busy page most preflights, and short enough for a site that is taken off the list. */
const defaultMaxAge = 600

type Headers = readonly (readonly [name: string, value: string])[]

/** Answers requests by the list of trusted sites (Fetch standard, "CORS protocol"). */
export class SiteCors {
  readonly #sites: SitePolicy
  readonly #exposed: Headers
  /** Of the answer to a preflight, all that is the same each time. */
  readonly #preflight: Headers
  readonly #echoesHeaders: boolean
  readonly #privateNetwork: boolean

  /** @throws ERR_SESSION_OPTION if an option is unknown or malformed */
  constructor(sites: SitePolicy, options: SiteCorsOptions) {
    refuseUnknownOptions('cors(sessions)', options, optionNames)
    const { methods = defaultMethods, allowedHeaders, exposedHeaders = [], maxAge = defaultMaxAge } = options
    if (!Number.isSafeInteger(maxAge) || maxAge < 0) {
      throw optionError(`maxAge of cors(sessions) must be a whole number of seconds, not ${shown(maxAge)}.`)
    }
    if (options.privateNetwork !== undefined && typeof options.privateNetwork !== 'boolean') {
      throw optionError(
        `privateNetwork of cors(sessions) must be true or false, not ${shown(options.privateNetwork)}.`,
      )
    }
    this.#sites = sites
    this.#exposed = list('Access-Control-Expose-Headers', 'exposedHeaders', exposedHeaders)
    this.#preflight = [
      ...list('Access-Control-Allow-Methods', 'methods', methods),
      ...list('Access-Control-Allow-Headers', 'allowedHeaders', allowedHeaders ?? []),
      ['Access-Control-Max-Age', String(maxAge)],
    ]
    this.#echoesHeaders = allowedHeaders === undefined
    this.#privateNetwork = options.privateNetwork === true
  }

  /**
   * Answers a request. It returns a promise only if a function of `sites` has to be asked.
   *
   * @param url the address that was asked
   * @throws (rejects) what that function throws
   */
  answer(request: CorsRequest, url: string): CorsAnswer | Promise<CorsAnswer> {
    const { origin } = request.headers
    const isPreflight = isPreflightRequest(request)
    const trusted = this.#sites.ask(origin, {
      method: (isPreflight ? request.headers['access-control-request-method'] : request.method) ?? 'GET',
      url,
      host: hostOf(request.headers),
    })
    return typeof trusted === 'boolean'
      ? this.#answer(request, isPreflight, trusted)
      : trusted.then((isTrusted) => this.#answer(request, isPreflight, isTrusted))
  }

  #answer(request: CorsRequest, isPreflight: boolean, isTrusted: boolean): CorsAnswer {
    const { origin } = request.headers
    // The answer differs by the origin even where it allows nothing, and a cache must not give it to others.
    if (origin === undefined || !isTrusted) {
      return { headers: [], vary: ['Origin'], status: isPreflight ? 403 : undefined }
    }
    const allowed: Headers = [
      ['Access-Control-Allow-Origin', origin],
      ['Access-Control-Allow-Credentials', 'true'],
    ]
    if (!isPreflight) return { headers: [...allowed, ...this.#exposed], vary: ['Origin'], status: undefined }
    const { headers, vary } = this.#asked(request)
    return { headers: [...allowed, ...this.#preflight, ...headers], vary: ['Origin', ...vary], status: 204 }
  }

  /** What answers the questions of this preflight, and the names of the headers that ask them. */
  #asked({ headers: given }: CorsRequest): { headers: Headers; vary: string[] } {
    const headers: [string, string][] = []
    const vary: string[] = []
    if (this.#echoesHeaders) {
      vary.push('Access-Control-Request-Headers')
      const asked = given['access-control-request-headers']
      if (asked) headers.push(['Access-Control-Allow-Headers', asked])
    }
    if (this.#privateNetwork) {
      vary.push('Access-Control-Request-Private-Network')
      if (given['access-control-request-private-network'] === 'true')
        headers.push(['Access-Control-Allow-Private-Network', 'true'])
    }
    return { headers, vary }
  }
}

/** Fetch standard, "CORS-preflight fetch". Other OPTIONS requests are the app's own to answer. */
function isPreflightRequest({ method, headers }: CorsRequest): boolean {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  )
}

function hostOf(headers: CorsRequest['headers']): string | undefined {
  const authority = headers[':authority']
  return typeof authority === 'string' ? authority : headers.host
}

/** A header with these values; none if there are none. */
function list(name: string, option: string, values: readonly string[]): Headers {
  const isToken = (value: unknown): boolean =>
    typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value)
  if (!Array.isArray(values) || !values.every(isToken)) {
    throw optionError(`${option} of cors(sessions) must be an array of names, like ['X-Total'].`)
  }
  // To requests with credentials it is a name like any other (Fetch standard, "CORS protocol and credentials").
  if (values.includes('*')) {
    throw optionError(
      `${option} of cors(sessions) has '*', which does not count with credentials. List the names.`,
    )
  }
  return values.length === 0 ? [] : [[name, values.join(', ')]]
}
