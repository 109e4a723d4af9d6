import { mistakenFor } from '../core/argument.js'
import { optionError, type SessionError } from '../core/errors.js'
import { warnOnce } from '../express-session/model/warn-once.js'
import { answerByOptions, answerBySites } from '../http/cors.js'
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
import { varyWith } from '../http/vary.js'
import { createSessions, Sessions } from '../sessions.js'

/** What is used of a response. Every Node response has it, Express's and connect's too. */
export interface CorsResponse {
  statusCode?: number | undefined
  getHeader?(name: string): number | string | readonly string[] | undefined
  setHeader(name: string, value: string): unknown
  end(): unknown
}

/**
 * Gives options by request: calls back as in the cors package, or, if it declares no callback, returns them or a promise
 * of them.
 */
export type CorsOptionsFunction<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  callback: (error: unknown, options?: CorsOptions) => void,
) => unknown

/** `CorsOptionsFunction` by its name in the types of the cors package. */
export type CorsOptionsDelegate<Request extends CorsRequest = CorsRequest> = CorsOptionsFunction<Request>

/** Middleware for Express, connect and bare `http`. */
export type CorsMiddleware<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  response: CorsResponse,
  next: (error?: unknown) => unknown,
) => void

/**
 * Middleware that lets other origins read responses (CORS, a part of Fetch). Put it before the session
 * middleware: preflights carry no cookie and end here.
 *
 * It takes the `Sessions` themselves: the origins of their `sites` may then read responses, with
 * credentials, and preflights are remembered for ten minutes. Or it takes every option of the cors
 * package, or a function that gives those for a request, and does as that package does. With nothing, everybody may read,
 * without credentials.
 *
 * CORS hands out permissions to read and does not stop requests: a denied one goes on, without headers.
 *
 * Options that are unsafe or without effect are warned of, once a process, as `COATCHECK_CORS_OPEN`,
 * `COATCHECK_CORS_ORIGIN`, `COATCHECK_CORS_OPTION` or `COATCHECK_UNKNOWN_OPTION`.
 *
 * @throws SessionError `ERR_SESSION_OPTION` if the sessions have no `sites`, or a store or `createSessions` is given
 *
 * @example
 * app.use(cors(sessions))
 * app.use(cors({ origin: ['https://app.example.com', /^https:\/\/pr-\d+\.example\.dev$/], credentials: true }))
 */
function cors<Request extends CorsRequest = CorsRequest>(
  given?: CorsOptions | CorsOptionsFunction<Request> | Sessions,
): CorsMiddleware<Request> {
  if (given instanceof Sessions) return bySites(given)
  assertMayBeOptions(given)
  return typeof given === 'function' ? byFunction(given) : byOptions(given)
}

/** Its types, by the names that the types of the cors package give them. */
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
  }
}

// Tools that take an ES module's `default` out of a CommonJS module look for it.
Object.assign(cors, { default: cors })

export { cors }

function bySites({ sites }: Sessions): CorsMiddleware {
  if (sites.origins.length === 0) {
    throw optionError(
      "cors(sessions) trusts the sessions' sites, and there are none. Write createSessions({ sites: ['https://app.example.com'], … }).",
    )
  }
  return (request, response, next) => apply(answerBySites(sites, request), response, next)
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
      // Each may be made for its request, and a warning is to be one, not one a request.
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
    // The cors package hands on what it was called back with.
    apply(answer, response, origin ? next : () => next(error))
  })
}

/** Whatever fails goes to `next`: not all that gets here was called by a framework that would catch it. */
function apply(answer: CorsAnswer, response: CorsResponse, next: (error?: unknown) => unknown): void {
  try {
    addVary(answer.vary, response)
    for (const [name, value] of answer.headers) response.setHeader(name, value)
    if (answer.status !== undefined) {
      response.statusCode = answer.status
      // Some browsers wait for a body otherwise, even on a 204.
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

/** @throws ERR_SESSION_OPTION if it is of coatcheck, so that no app moved here with it, and cannot be meant */
function assertMayBeOptions(given: unknown): void {
  // A function is asked for options by each request, so only this one can be told from those that give some.
  if (given === createSessions) throw notOptions('createSessions itself')
  const mistake = mistakenFor(given, corsOptionNames)
  if (mistake === 'sessions' || mistake === 'a store') throw notOptions(mistake)
}

function notOptions(mistake: string): SessionError {
  return optionError(
    `cors() was given ${mistake}. cors takes an object of options, like { origin: 'https://app.example.com' }, or what createSessions() of this very package made: cors(sessions).`,
  )
}
