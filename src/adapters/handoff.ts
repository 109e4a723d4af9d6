import type { IncomingMessage, ServerResponse } from 'node:http'
import { mistakenFor } from '../core/argument.js'
import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { nextTick } from '../core/scheduling.js'
import type { RequestSession } from '../core/session/session.js'
import { answerHeaders } from '../http/handoff/answers.js'
import { HandoffHub, type HubOptions } from '../http/handoff/hub.js'
import { type BeginOptions, HandoffSite, lengthOf, type SiteOptions } from '../http/handoff/site.js'
import { Sessions } from '../sessions.js'
import type { Next } from './request-in-hand.js'

export type {
  ClientFunction,
  ConsentFunction,
  ConsentRequest,
  HandoffClient,
  HubOptions,
} from '../http/handoff/hub.js'
export type { BeginOptions, SiteOptions } from '../http/handoff/site.js'

/** A middleware for Express 4 and 5, connect, and `node:http` with a `next` of your own. Put it after `session(sessions)`. */
export type HandoffMiddleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void

/** The hub, with its routes. */
export class Hub extends HandoffHub {
  /**
   * The routes of the hub, as a middleware: `GET /authorize`, or another `authorizePath`. Put it after
   * `session(sessions)`, and at the root of the app. The errors of `respond` go to `next(error)`.
   * @example
   * app.use(session(sessions))
   * app.use(hub.router)
   */
  readonly router: HandoffMiddleware

  /** @internal */
  constructor(sessions: Sessions, options: HubOptions) {
    super(sessions, options)
    this.router = routerOf(this, options.issuer)
  }
}

/** A site, with its routes. */
export class Site extends HandoffSite {
  /**
   * The routes of the site, as a middleware: `GET /handoff/sign-in`, `GET /handoff/callback` and `POST /handoff/sign-out`,
   * or those beside another `redirectUri`. Put it after `session(sessions)`, and at the root of the app. The errors of
   * `respond` go to `next(error)`.
   * @example
   * app.use(session(sessions))
   * app.use(site.router)
   */
  readonly router: HandoffMiddleware
  /**
   * A middleware for pages that visitors may see too. It asks the hub, at most once in ten minutes, whether the visitor is signed
   * in there: see `silent`. The browser goes there and back; the visitor sees no page of the hub.
   * @example
   * app.get('/', site.check, (req, res) => res.send(`Hello ${req.session.userId ?? 'visitor'}`))
   */
  readonly check: HandoffMiddleware
  readonly #origin: string

  /** @internal */
  constructor(sessions: Sessions, options: SiteOptions) {
    super(sessions, options)
    this.#origin = new URL(options.redirectUri).origin
    this.router = routerOf(this, this.#origin)
    this.check = middlewareOf(this, this.#origin, (request, session) => this.silent(request, session))
  }

  /**
   * A middleware that lets signed-in users pass, and sends other browsers to the hub: see `requireUser`, whose errors go
   * to `next(error)`.
   *
   * @param options.within how long ago the user may have signed in, here or at the hub: a text such as `'10m'`, or
   *   milliseconds; at least 10 seconds. Left out: any time
   * @throws {SessionError} `ERR_SESSION_OPTION` for a malformed option
   * @example
   * app.get('/members', site.signedIn(), (req, res) => res.send(`Hello ${req.session.userId}`))
   * @example
   * app.get('/transfer', site.signedIn({ within: '5m' }), transferPage)
   */
  signedIn(options: Pick<BeginOptions, 'within'> = {}): HandoffMiddleware {
    refuseUnknownOptions('signedIn', options, ['within'])
    if (options.within !== undefined) lengthOf('signedIn: within', options.within)
    return middlewareOf(this, this.#origin, (request, session) => this.requireUser(request, session, options))
  }
}

/**
 * The hub of several sites on unrelated domains: the app where users sign in. A site sends the browser here, and the hub
 * sends it back with a code, for a session of the site's own. `docs/handoff.md` describes it.
 *
 * The store must use coatcheck's own layout: `MySQLStore`, `PostgreSQLStore`, `SQLiteStore`, `MemoryStore`.
 *
 * @param sessions from `createSessions`, without a `clientId`
 * @throws {SessionError} `ERR_SESSION_OPTION` if an option is missing, unknown or malformed, or the store cannot keep
 *   such sessions
 * @example
 * const hub = createHub(sessions, {
 *   issuer: 'https://accounts.example.com',
 *   signInPage: '/sign-in',
 *   clients: { blog: { redirectUris: ['https://blog.test/handoff/callback'], share: ['name'] } },
 * })
 * app.use(session(sessions))
 * app.use(hub.router)
 */
export function createHub(sessions: Sessions, options: HubOptions): Hub {
  assertSessions('createHub', sessions)
  return new Hub(sessions, options)
}

/**
 * A site on another domain than the hub. It has the hub's store, and sessions of its own with a `clientId`.
 * `docs/handoff.md` describes it.
 *
 * @param sessions from `createSessions({ …, clientId })`, with the hub's store
 * @throws {SessionError} `ERR_SESSION_OPTION` if an option is missing, unknown or malformed, or the sessions have no
 *   `clientId`
 * @example
 * const sessions = createSessions({ store, secret, clientId: 'blog' })
 * const site = createSite(sessions, {
 *   hub: 'https://accounts.example.com',
 *   redirectUri: 'https://blog.test/handoff/callback',
 * })
 * app.use(session(sessions))
 * app.use(site.router)
 * app.get('/members', site.signedIn(), (req, res) => res.send(`Hello ${req.session.userId}`))
 */
export function createSite(sessions: Sessions, options: SiteOptions): Site {
  assertSessions('createSite', sessions)
  return new Site(sessions, options)
}

function assertSessions(what: string, given: unknown): void {
  if (given instanceof Sessions) return
  const mistake = mistakenFor(given) ?? 'an object'
  throw optionError(
    mistake === 'sessions'
      ? `${what} was given sessions that another copy of this package made: run npm ls coatcheck, then npm dedupe.`
      : `${what} was given ${mistake}. Write ${what}(createSessions({ … }), { … }).`,
  )
}

/** Answers a request, or lets it go on. */
type Respond = (
  request: Request,
  session: RequestSession,
) => Response | undefined | Promise<Response | undefined>

/** What Express adds to a request, and `session(sessions)`. */
type GivenRequest = IncomingMessage & { readonly originalUrl?: string; readonly session?: RequestSession }

function routerOf(role: HandoffHub | HandoffSite, origin: string): HandoffMiddleware {
  const middleware = middlewareOf(role, origin, (request, session) => role.respond(request, session))
  return (request, response, next) => {
    if (!role.handles(pathOf(addressOf(request)))) return next()
    middleware(request, response, (error) => {
      // For the app's page: its address may hold a code.
      if (error !== undefined && !response.headersSent)
        for (const [name, value] of Object.entries(answerHeaders)) response.setHeader(name, value)
      next(error)
    })
  }
}

function middlewareOf(role: HandoffHub | HandoffSite, origin: string, respond: Respond): HandoffMiddleware {
  return (given, response, next) => {
    const request = requestOf(given, origin, role)
    let answer: ReturnType<Respond>
    try {
      // Without a session, the hand-off itself says what is missing.
      answer = respond(request, (given as GivenRequest).session!)
    } catch (error) {
      return next(error)
    }
    // Most requests that a page lets pass.
    if (answer === undefined) return next()
    Promise.resolve(answer).then(
      (given) => (given ? send(given, response) : nextTick(next)),
      (error: unknown) => nextTick(next, error),
    )
  }
}

/** Where Express mounts a middleware at a path, only `originalUrl` is whole. */
function addressOf({ originalUrl, url = '/' }: GivenRequest): string {
  return originalUrl ?? url
}

/** The path as Express compares it: `..` is not resolved. */
function pathOf(address: string): string {
  return address.split('?', 1)[0]!
}

/** The request as a `Request`, without its body. Where the target is no path (RFC 9112, section 3.2.2), its path is `/`. */
function requestOf(given: IncomingMessage, origin: string, role: HandoffHub | HandoffSite): Request {
  const address = addressOf(given)
  const url = new URL(address.startsWith('/') ? origin + address : origin)
  // `URL` resolves `..`, and Express does not: it routes `/members/../handoff/callback` to what is below `/members`.
  if (role.handles(url.pathname) && !role.handles(pathOf(address))) url.pathname = '/'
  const headers = new Headers()
  for (const name of ['cookie', 'accept', 'sec-fetch-dest']) {
    const value = given.headers[name]
    if (typeof value === 'string') headers.set(name, value)
  }
  const { method = 'GET' } = given
  // A `Request` refuses some methods. The hand-off answers all of these alike.
  return new Request(url, { method: /^(?:GET|HEAD|POST)$/.test(method) ? method : 'PUT', headers })
}

function send(answer: Response, response: ServerResponse): void {
  response.statusCode = answer.status
  for (const [name, value] of answer.headers) {
    if (name === 'set-cookie') response.appendHeader(name, value)
    else response.setHeader(name, value)
  }
  response.end()
}
