import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session } from '../core/session.ts'
import type { UnitOfWork } from '../core/unit-of-work.ts'
import { Exchange, type ExchangeContext } from '../http/exchange.ts'
import { holdResponse } from './node.ts'

/** Goes on to the next handler, or with an error to the app's error handler. */
export type Next = (error?: unknown) => void

/** A middleware for Express 4 and 5, connect, and plain `http` with a `next` of your own. */
export type SessionMiddleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void

/** Where a request keeps its `RequestInHand`. */
export const inHand = Symbol('coatcheck')

export type SessionRequest = IncomingMessage & {
  secure?: boolean
  session?: unknown
  [inHand]?: RequestInHand
}

/** A request's exchange, and the hold on its response once that is needed. */
export class RequestInHand {
  /** The sessions that the request got its session from. */
  readonly owner: object
  readonly #exchange: Exchange
  readonly #response: ServerResponse
  readonly #fail: Next
  #held = false

  constructor(owner: object, exchange: Exchange, response: ServerResponse, fail: Next) {
    this.owner = owner
    this.#exchange = exchange
    this.#response = response
    this.#fail = fail
  }

  get work(): UnitOfWork {
    return this.#exchange.work
  }

  /** The session, for a handler to change: from now on the response waits for the commit. */
  get session(): Session | undefined {
    this.holdResponse()
    return this.work.session
  }

  /** From now on the response waits for the commit. A request that never opens its session never gets here. */
  holdResponse(): void {
    if (this.#held) return
    this.#held = true
    holdResponse(this.#response, this.#exchange, this.#fail)
  }
}

/** What `beginInHand` needs besides the request, its response and `next`. */
export interface Beginning {
  readonly owner: object
  readonly context: ExchangeContext
  readonly secure: boolean
  readonly anonymousWhenUnavailable: boolean
  readonly elsewhere?: () => { readonly tokens: readonly string[]; readonly signed: readonly string[] }
  /** The properties that the request gets, `session` among them. */
  readonly properties: PropertyDescriptorMap & ThisType<SessionRequest>
}

/** Finds a request's session, gives the request its properties, and goes on to the next handler. */
export function beginInHand(
  request: SessionRequest,
  response: ServerResponse,
  next: Next,
  { owner, context, properties, ...asked }: Beginning,
): void {
  const start = (exchange: Exchange): void => {
    const hand = new RequestInHand(owner, exchange, response, next)
    request[inHand] = hand
    Object.defineProperties(request, properties)
    if (exchange.mustFinish) hand.holdResponse()
    next()
  }
  const begun = Exchange.begin(context, { cookieHeader: request.headers.cookie, ...asked })
  // In a turn of its own: what a handler throws must reach the app as it would without us, not a promise.
  if (begun instanceof Exchange) start(begun)
  else
    begun.then(
      (exchange) => process.nextTick(start, exchange),
      (error: unknown) => process.nextTick(next, error),
    )
}

/**
 * Whether a request came by HTTPS.
 *
 * @param proxy `true`: the first item of X-Forwarded-Proto says so. `false`: only the connection does. `undefined`:
 *   so does Express, by its own `trust proxy` setting
 */
export function isSecure(request: SessionRequest, proxy: boolean | undefined): boolean {
  if ((request.socket as { encrypted?: boolean }).encrypted === true) return true
  if (proxy === false) return false
  const forwarded = String(request.headers['x-forwarded-proto'] ?? '')
    .split(',', 1)[0]!
    .trim()
  const forwardedSecure = forwarded.toLowerCase() === 'https'
  if (proxy) return forwardedSecure
  if (request.secure !== true && forwardedSecure) warnProxy()
  return request.secure === true
}

let warned = false

function warnProxy(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    'A request says that it came by HTTPS to a proxy (X-Forwarded-Proto), which this server was not told to trust, so its session cookie is not Secure. If the proxy is yours: app.set("trust proxy", 1) in Express, or the option { proxy: true } of session().',
    { code: 'COATCHECK_UNTRUSTED_PROXY' },
  )
}
