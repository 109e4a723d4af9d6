import type { IncomingMessage, ServerResponse } from 'node:http'
import { optionError, refuseUnknownOptions, type SessionError } from '../core/errors.ts'
import type { RequestSession, Session } from '../core/session.ts'
import { Exchange, type ExchangeContext } from '../http/exchange.ts'
import { Sessions } from '../sessions.ts'
import { holdResponse } from './node.ts'

declare global {
  namespace Express {
    interface Request {
      /** The session of this request. `undefined` only after `destroy()`, and where `skip` said so. */
      session: RequestSession
      /** The session's token. A secret: never log it; `req.session.publicId` is for that. */
      sessionID: string
    }
  }
}

/** The options of `session(sessions, options)`. */
export interface ExpressSessionOptions {
  /**
   * Requests that get no session at all, such as health checks: nothing is read, `req.session` stays undefined.
   * `path` and `originalUrl` are there under Express.
   * @example session(sessions, { skip: (req) => req.path === '/healthz' })
   */
  readonly skip?:
    | ((request: IncomingMessage & { readonly path?: string; readonly originalUrl?: string }) => boolean)
    | undefined
  /**
   * What a request gets whose session cannot be read because the store is down. `'error'`, the default: a 503 by
   * `next(err)`. `'anonymous'`: an empty session, which cannot be stored; its holder keeps the cookie
   * and is known again when the store is back.
   */
  readonly whenUnavailable?: 'error' | 'anonymous' | undefined
  /** Trust the first item of X-Forwarded-Proto, as a proxy of yours sets it. Express's own setting, `trust proxy`, does so too. */
  readonly proxy?: boolean | undefined
}

/** A middleware for Express 4 and 5, connect, and plain `http` with a `next` of your own. */
export type SessionMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

type SessionRequest = IncomingMessage & { secure?: boolean; session?: unknown; [inHand]?: RequestInHand }

const inHand = Symbol('coatcheck')

/** A request's exchange, and the hold on its response once that is needed. */
class RequestInHand {
  readonly sessions: Sessions
  readonly exchange: Exchange
  readonly #response: ServerResponse
  readonly #fail: (error: unknown) => void
  #held = false

  constructor(
    sessions: Sessions,
    exchange: Exchange,
    response: ServerResponse,
    fail: (error: unknown) => void,
  ) {
    this.sessions = sessions
    this.exchange = exchange
    this.#response = response
    this.#fail = fail
  }

  get session(): Session | undefined {
    this.holdResponse()
    return this.exchange.work.session
  }

  /** From now on the response waits for the commit. A request that never opens its session never gets here. */
  holdResponse(): void {
    if (this.#held) return
    this.#held = true
    holdResponse(this.#response, this.exchange, this.#fail)
  }
}

const sessionProperty: PropertyDescriptor & ThisType<SessionRequest> = {
  get() {
    return this[inHand]?.session
  },
  set(value: unknown) {
    if (value !== null && value !== undefined) {
      if (value === this[inHand]?.session) return
      throw new TypeError('req.session cannot be replaced: set its properties, or use regenerate().')
    }
    const hand = this[inHand]!
    hand.holdResponse()
    hand.exchange.work.end()
  },
  configurable: true,
  // Not enumerable: whoever copies or prints a request must not open its session or show its token.
  enumerable: false,
}

const sessionIdProperty: PropertyDescriptor & ThisType<SessionRequest> = {
  get() {
    return this[inHand]?.exchange.work.id
  },
  configurable: true,
  enumerable: false,
}

/**
 * Gives each request its session, at `req.session`, and lets no response begin before the session is stored.
 *
 * What a handler changed is stored when it begins to answer: by `res.end`, `res.json`, `res.redirect`, the
 * first chunk of a stream, `flushHeaders` or `writeHead`. A stream may write 16 MiB while that is under way,
 * against back-pressure; past it the response becomes a 503. Changes made between a stream's first byte and its
 * end are stored before it ends. If storing fails, the answer is taken back and the error goes to `next(err)`;
 * a stream that has not ended gets a plain text answer with the error's status.
 *
 * @param sessions from `createSessions`
 * @throws {SessionError} ERR_SESSION_OPTION
 * @example
 * app.use(session(sessions))
 * app.get('/', (req, res) => {
 *   req.session.views = (req.session.views ?? 0) + 1
 *   res.send(`Your visit no. ${req.session.views}`)
 * })
 */
export default function session(sessions: Sessions, options: ExpressSessionOptions = {}): SessionMiddleware {
  if (!(sessions instanceof Sessions)) {
    throw optionError(
      'session() takes what createSessions() made: session(createSessions({ store, secret })).',
    )
  }
  refuseUnknownOptions('session', options, ['skip', 'whenUnavailable', 'proxy'])
  const { skip, whenUnavailable = 'error', proxy = false } = options
  if (skip !== undefined && typeof skip !== 'function')
    throw optionError('skip must be a function of the request.')
  if (whenUnavailable !== 'error' && whenUnavailable !== 'anonymous') {
    throw optionError("whenUnavailable must be 'error' or 'anonymous'.")
  }
  const context: ExchangeContext = { engine: sessions, cookie: sessions.cookie, signer: sessions.signer }
  const anonymousWhenUnavailable = whenUnavailable === 'anonymous'

  return function sessionMiddleware(request: SessionRequest, response, next) {
    if (skip?.(request) === true) return next()
    const before = request[inHand]
    if (before) return before.sessions === sessions ? next() : next(secondSessions())

    const start = (exchange: Exchange): void => {
      const hand = new RequestInHand(sessions, exchange, response, next)
      request[inHand] = hand
      Object.defineProperty(request, 'session', sessionProperty)
      Object.defineProperty(request, 'sessionID', sessionIdProperty)
      if (exchange.mustFinish) hand.holdResponse()
      next()
    }

    const begun = Exchange.begin(context, {
      cookieHeader: request.headers.cookie,
      secure: isSecure(request, proxy),
      anonymousWhenUnavailable,
    })
    // In a turn of its own: what a handler throws must reach the app as it would without us, not a promise.
    if (begun instanceof Exchange) start(begun)
    else
      begun.then(
        (exchange) => process.nextTick(start, exchange),
        (error: unknown) => process.nextTick(next, error),
      )
  }
}

function isSecure(request: SessionRequest, proxy: boolean): boolean {
  if ((request.socket as { encrypted?: boolean }).encrypted === true) return true
  const forwarded = String(request.headers['x-forwarded-proto'] ?? '')
    .split(',', 1)[0]!
    .trim()
  const forwardedSecure = forwarded.toLowerCase() === 'https'
  if (proxy) return forwardedSecure
  // Express works it out from its own `trust proxy` setting.
  if (request.secure !== true && forwardedSecure) warnProxy()
  return request.secure === true
}

let warned = false

function warnProxy(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    'A request says that it came by HTTPS to a proxy (X-Forwarded-Proto), which this server was not told to trust, so its session cookie is not Secure. If the proxy is yours: app.set("trust proxy", 1) in Express, or session(sessions, { proxy: true }).',
    { code: 'COATCHECK_UNTRUSTED_PROXY' },
  )
}

function secondSessions(): SessionError {
  return optionError(
    'This request already has a session from other sessions: give each path one session() middleware, or use skip.',
  )
}
