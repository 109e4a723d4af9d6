import { mistakenFor } from '../core/argument.js'
import { optionError, type SessionError } from '../core/errors.js'
import { nextTick } from '../core/scheduling.js'
import { isFirst, warnOnce } from '../core/warn-once.js'
import { answerByOptions } from '../http/cors.js'
import type {
  CorsAnswer,
  CorsOptions,
  CorsOrigin,
  CorsOriginCallback,
  CorsOriginFunction,
  CorsRequest,
} from '../http/cors.js'
import { askOnce, askOrigin } from '../http/cors-origin.js'
import { corsOptionNames, type CorsWarning, warningsOf, warningsOfForm } from '../http/cors-warnings.js'
import { denialOfOrigin } from '../http/explain.js'
import type { SitePolicy } from '../http/sites.js'
import { SiteCors, type SiteCorsOptions } from '../http/site-cors.js'
import { varyWith } from '../http/vary.js'
import { createSessions, Sessions } from '../sessions.js'

/** The members of a response that `cors` uses. Every Node response has them, those of Express and connect too. */
export interface CorsResponse {
  statusCode?: number | undefined
  getHeader?(name: string): number | string | readonly string[] | undefined
  setHeader(name: string, value: string): unknown
  end(): unknown
}

/**
 * A function that gives the options for each request. It calls back, as in the cors package. If it declares no
 * callback, it may return the options, or a promise of them. An error, or a rejection, goes to `next`.
 * @example
 * cors((request, callback) => callback(null, { origin: request.headers.host === 'api.example.com' }))
 */
export type CorsOptionsFunction<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  callback: (error: unknown, options?: CorsOptions) => void,
) => unknown

/** `CorsOptionsFunction`, by its name in the types of the cors package. */
export type CorsOptionsDelegate<Request extends CorsRequest = CorsRequest> = CorsOptionsFunction<Request>

/** A middleware for Express, connect and `node:http` with a `next` of your own. */
export type CorsMiddleware<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  response: CorsResponse,
  next: (error?: unknown) => unknown,
) => void

/**
 * Middleware that lets pages of other origins read responses (Fetch standard, "CORS protocol"). Put it before the
 * session middleware and every check of your own: preflights have no cookie, and end here.
 *
 * It takes one of these:
 *
 * - `Sessions`, and perhaps `SiteCorsOptions`: pages of their `sites` may read responses, with credentials. A preflight
 *   of any other origin is a 403.
 * - The options of the cors package: it then does what that package does.
 * - A function of the request that gives such options.
 * - Nothing: pages of all origins may read, without credentials.
 *
 * CORS only allows pages to read a response. It stops no request: a denied one still reaches your handler.
 *
 * Options that are unsafe or have no effect cause a warning, once in a process: `COATCHECK_CORS_OPEN`,
 * `COATCHECK_CORS_ORIGIN`, `COATCHECK_CORS_OPTION` or `COATCHECK_UNKNOWN_OPTION`.
 *
 * @throws {SessionError} `ERR_SESSION_OPTION` if the sessions have no `sites`; for a store, or `createSessions` itself;
 *   for sessions of another copy of coatcheck
 *
 * @example
 * app.use(cors(sessions))
 * app.use(cors(sessions, { exposedHeaders: ['X-Total'] }))
 * app.use(cors({ origin: ['https://app.example.com', /^https:\/\/pr-\d+\.example\.dev$/], credentials: true }))
 */
function cors<Request extends CorsRequest = CorsRequest>(
  given?: CorsOptions | CorsOptionsFunction<Request> | Sessions,
  options: SiteCorsOptions = {},
): CorsMiddleware<Request> {
  if (given instanceof Sessions) return bySites(given, options)
  assertMayBeOptions(given)
  return typeof given === 'function' ? byFunction(given) : byOptions(given)
}

/** The types of `cors`, by the names that the types of the cors package use. */
declare namespace cors {
  export type {
    CorsMiddleware,
    CorsOptions,
    CorsOptionsDelegate,
    CorsOptionsFunction,
    CorsOrigin,
    CorsOriginCallback,
    CorsOriginFunction,
    CorsRequest,
    CorsResponse,
    SiteCorsOptions,
  }
}

// Some tools look for an ES module's `default` on a CommonJS module.
Object.assign(cors, { default: cors })

export { cors }

function bySites({ sites }: Sessions, options: SiteCorsOptions): CorsMiddleware {
  if (sites.entries.length === 0) {
    throw optionError(
      "cors(sessions) trusts the sessions' sites, and there are none. Write createSessions({ sites: ['https://app.example.com'], … }).",
    )
  }
  const policy = new SiteCors(sites, options)
  return (request: CorsRequest & { url?: string; originalUrl?: string }, response, next) => {
    const url = request.originalUrl ?? request.url ?? ''
    const respondWith = (answer: CorsAnswer): void => {
      const { origin } = request.headers
      if (answer.status === 403 && origin !== undefined) warnOfDenial(origin, url, sites)
      apply(answer, response, next)
    }
    const answer = policy.answer(request, url)
    if (!(answer instanceof Promise)) return respondWith(answer)
    // In a turn of its own: what a handler throws must not reject this promise.
    answer.then(
      (found) => nextTick(respondWith, found),
      (error: unknown) => {
        // The page of the error goes by the origin too.
        addVary(['Origin'], response)
        nextTick(next, error)
      },
    )
  }
}

/** Once: anybody can send any origin. */
function warnOfDenial(origin: string, url: string, sites: SitePolicy): void {
  if (process.env['NODE_ENV'] === 'production' || !isFirst('COATCHECK_CORS_DENIED')) return
  process.emitWarning(`A preflight was refused (403). ${denialOfOrigin(origin, url, sites)}`, {
    code: 'COATCHECK_CORS_DENIED',
  })
}

function byOptions(options: CorsOptions | null | undefined): CorsMiddleware {
  if (options) warnOf(warningsOf(options))
  return (request, response, next) => respond(options, false, request, response, next)
}

function byFunction<Request extends CorsRequest>(ask: CorsOptionsFunction<Request>): CorsMiddleware<Request> {
  let isFirst = true
  return (request, response, next) => {
    askOnce(ask, request, isObject, (error, answer) => {
      if (error) return void next(error)
      const options = answer as CorsOptions | null | undefined
      // Warn of the first options only: each request may get an object of its own.
      if (isFirst && isObject(options)) warnOf(warningsOfForm(options))
      isFirst = false
      respond(options, true, request, response, next)
    })
  }
}

function respond(
  options: CorsOptions | null | undefined,
  byFunction: boolean,
  request: CorsRequest,
  response: CorsResponse,
  next: (error?: unknown) => unknown,
): void {
  const read: CorsOptions = { origin: '*', ...options }
  if (typeof read.origin !== 'function') {
    return apply(answerByOptions(read, read.origin, request, byFunction), response, next)
  }
  askOrigin(read.origin, request.headers.origin, (error, origin) => {
    if (error) return void next(error)
    const answer = answerByOptions(read, origin, request, true)
    // As the cors package: `next` gets what the function called back with.
    apply(answer, response, origin ? next : () => next(error))
  })
}

/** Errors go to `next`: this may run outside of a framework that would catch them. */
function apply(answer: CorsAnswer, response: CorsResponse, next: (error?: unknown) => unknown): void {
  try {
    addVary(answer.vary, response)
    for (const [name, value] of answer.headers) response.setHeader(name, value)
    if (answer.status !== undefined) {
      response.statusCode = answer.status
      // Without it, some browsers wait for a body, even on a 204.
      response.setHeader('Content-Length', '0')
      return void response.end()
    }
  } catch (error) {
    return void next(error)
  }
  next()
}

function addVary(names: readonly string[], response: CorsResponse): void {
  if (names.length === 0) return
  const present = response.getHeader?.('Vary') ?? ''
  const text = typeof present === 'object' ? present.join(', ') : String(present)
  response.setHeader('Vary', varyWith(text, names))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function warnOf(warnings: readonly CorsWarning[]): void {
  for (const { code, message } of warnings) warnOnce(code, message)
}

/**
 * @throws ERR_SESSION_OPTION for things of coatcheck's that are no options. An app that moved from the cors package
 *   cannot have passed them
 */
function assertMayBeOptions(given: unknown): void {
  // Any other function may be one that gives options.
  if (given === createSessions) throw notOptions('createSessions itself')
  const mistake = mistakenFor(given, corsOptionNames)
  if (mistake === 'sessions' || mistake === 'a store') throw notOptions(mistake)
}

function notOptions(mistake: string): SessionError {
  return optionError(
    `cors() was given ${mistake}. cors takes an object of options, like { origin: 'https://app.example.com' }, or what createSessions() of this very package made: cors(sessions). If there are two copies, npm ls coatcheck shows them.`,
  )
}
