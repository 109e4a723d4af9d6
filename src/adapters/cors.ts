import { optionError } from '../core/errors.js'
import { answerCors, notCorsOptions, resolveCors } from '../http/cors.js'
import { askOnce } from '../http/cors-origin.js'
import type {
  Cors,
  CorsAnswer,
  CorsOptions,
  CorsOrigin,
  CorsOriginCallback,
  CorsOriginFunction,
  CorsRequest,
} from '../http/cors.js'
import { createSessions, Sessions } from '../sessions.js'

/** What is used of a response. Every Node response has it, Express's and connect's too. */
export interface CorsResponse {
  statusCode: number
  getHeader(name: string): number | string | readonly string[] | undefined
  setHeader(name: string, value: string): unknown
  end(): unknown
}

/**
 * Gives options by request: returns them or a promise of them, or, with a second parameter, calls
 * back as in the cors package. Options are checked each time; what is wrong with them goes to `next`.
 */
export type CorsOptionsFunction<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  callback: (error: unknown, options?: CorsOptions<Request>) => void,
) => CorsOptions<Request> | void | Promise<CorsOptions<Request> | void>

/** `CorsOptionsFunction` by its name in the types of the cors package. */
export type CorsOptionsDelegate<Request extends CorsRequest = CorsRequest> = CorsOptionsFunction<Request>

/** Middleware for Express, connect and bare `http`. */
export type CorsMiddleware<Request extends CorsRequest = CorsRequest> = (
  request: Request,
  response: CorsResponse,
  next: (error?: unknown) => unknown,
) => void

/** Long enough to spare a busy page its preflights, short enough for a site that is taken off the list. */
const preflightSeconds = 600

/**
 * Middleware that lets other origins read responses (CORS, a part of Fetch). Put it before the session
 * middleware: preflights carry no cookie and end here.
 *
 * It takes the `Sessions` themselves: the origins of their `sites` may then read responses, with
 * credentials, and preflights are remembered for ten minutes. Or it takes every option of the cors
 * package, or a function that gives those for a request. With nothing, everybody may read, without credentials.
 *
 * CORS hands out permissions to read and does not stop requests: a denied one goes on, without headers.
 *
 * @throws SessionError `ERR_SESSION_OPTION` if the configuration is unsafe or cannot work
 *
 * @example
 * app.use(cors(sessions))
 * app.use(cors({ origin: ['https://app.example.com', /^https:\/\/pr-\d+\.example\.dev$/], credentials: true }))
 */
function cors<Request extends CorsRequest = CorsRequest>(
  options?: CorsOptions<Request> | CorsOptionsFunction<Request> | Sessions,
): CorsMiddleware<Request> {
  // A function is asked for options by each request, so only this one can be told from those that give some.
  if ((options as unknown) === createSessions) throw notCorsOptions('createSessions itself')
  if (typeof options === 'function') {
    return (request, response, next) => {
      askOptions(options, request, (error, resolved) => {
        if (resolved === undefined) next(error)
        else respond(resolved, request, response, next)
      })
    }
  }
  const resolved = resolveCors(options instanceof Sessions ? optionsOf(options) : (options ?? {}))
  return (request, response, next) => respond(resolved, request, response, next)
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

function optionsOf({ sites }: Sessions): CorsOptions {
  if (sites.origins.length === 0) {
    throw optionError(
      "cors(sessions) trusts the sessions' sites, and there are none. Write createSessions({ sites: ['https://app.example.com'], … }).",
    )
  }
  return { origin: (origin) => sites.trusts(origin), credentials: true, maxAge: preflightSeconds }
}

function respond<Request extends CorsRequest>(
  resolved: Cors<Request>,
  request: Request,
  response: CorsResponse,
  next: (error?: unknown) => unknown,
): void {
  answerCors(resolved, request, (error, answer) => {
    if (answer === undefined) return void next(error)
    applyAnswer(answer, response)
    if (answer.status === undefined) return void next()
    response.statusCode = answer.status
    // Some browsers wait for a body otherwise, even on a 204.
    response.setHeader('Content-Length', '0')
    response.end()
  })
}

function applyAnswer(answer: CorsAnswer, response: CorsResponse): void {
  for (const [name, value] of answer.headers) response.setHeader(name, value)
  if (answer.vary.length === 0) return
  const present = String(response.getHeader('Vary') ?? '')
  const names = present.split(',').map((name) => name.trim().toLowerCase())
  if (names.includes('*')) return
  const added = answer.vary.filter((name) => !names.includes(name.toLowerCase()))
  if (added.length > 0)
    response.setHeader('Vary', [present, ...added].filter((part) => part !== '').join(', '))
}

function askOptions<Request extends CorsRequest>(
  ask: CorsOptionsFunction<Request>,
  request: Request,
  done: (error: unknown, resolved?: Cors<Request>) => void,
): void {
  askOnce(
    (callback) => ask(request, (error, options) => callback(error, options ?? {})),
    () => ask.length < 2,
    (error, options) => {
      if (error) return done(error)
      let resolved: Cors<Request>
      try {
        // A function that forgot to return must not open everything, as no options would: `null` is refused.
        resolved = resolveCors((options ?? null) as CorsOptions<Request>)
      } catch (fault) {
        return done(fault)
      }
      return done(undefined, resolved)
    },
  )
}
