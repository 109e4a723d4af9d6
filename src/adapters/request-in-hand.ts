import type { IncomingMessage, ServerResponse } from 'node:http'
import { nextTick } from '../core/scheduling.js'
import { warnOnce } from '../core/warn-once.js'
import type { Session } from '../core/session/session.js'
import type { UnitOfWork } from '../core/session/unit-of-work.js'
import { Exchange, type ExchangeContext } from '../http/exchange.js'
import type { CookieRequest, ExchangeRequest } from '../http/exchange-request.js'
import { holdResponse } from './node.js'

/** Calls the next handler; with an error, the app's error handler. */
export type Next = (error?: unknown) => void

/** A middleware for Express 4 and 5, connect, and `node:http` with a `next` of your own. */
export type SessionMiddleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void

/** The property of a request that holds its `RequestInHand`. */
export const inHand = Symbol('coatcheck')

export type SessionRequest = IncomingMessage & {
  secure?: boolean
  session?: unknown
  [inHand]?: RequestInHand
}

const nothing = { tokens: [], signed: [] }
/** One function for nextTick, so that no request has to make its own. */
let goOn: (hand: RequestInHand, exchange: Exchange) => void
let failed: (hand: RequestInHand, error: unknown) => void

/** How a middleware handles every request. */
export interface Handling {
  /** The sessions, or resolved options, that the middleware was made of. */
  readonly owner: object
  readonly anonymousWhenUnavailable: boolean
  /** Tokens and signed values that other middleware has read from a request. */
  readonly elsewhere?: (request: SessionRequest) => ReturnType<NonNullable<ExchangeRequest['elsewhere']>>
  /** Called before `next` gets an error in place of the request's session. It may give the request an empty one. */
  readonly refuse?: (request: SessionRequest, error: unknown) => void
  /** The properties that a request gets. */
  readonly session: PropertyDescriptor & ThisType<SessionRequest>
  readonly sessionID: PropertyDescriptor & ThisType<SessionRequest>
}

/** A request's exchange. */
export class RequestInHand implements ExchangeRequest {
  readonly secure: boolean
  readonly #handling: Handling
  readonly #request: SessionRequest
  readonly #response: ServerResponse
  readonly #next: Next
  #exchange: Exchange | undefined

  constructor(
    handling: Handling,
    request: SessionRequest,
    response: ServerResponse,
    next: Next,
    secure: boolean,
  ) {
    this.#handling = handling
    this.#request = request
    this.#response = response
    this.#next = next
    this.secure = secure
  }

  get owner(): object {
    return this.#handling.owner
  }

  get cookieHeader(): string | undefined {
    return this.#request.headers.cookie
  }

  header(name: string): string | undefined {
    const { headers, rawHeaders } = this.#request
    const value = headers[name]
    if (value === undefined) return undefined
    // Of some headers, Node keeps the first alone.
    return isRepeated(rawHeaders, name) ? `${String(value)}, …` : String(value)
  }

  get host(): string | undefined {
    return hostOf(this.#request)
  }

  get request(): CookieRequest {
    return this.#request
  }

  get anonymousWhenUnavailable(): boolean {
    return this.#handling.anonymousWhenUnavailable
  }

  elsewhere(): { readonly tokens: readonly string[]; readonly signed: readonly string[] } {
    return this.#handling.elsewhere?.(this.#request) ?? nothing
  }

  get work(): UnitOfWork {
    return this.#exchange!.work
  }

  get session(): Session | undefined {
    return this.work.session
  }

  /** Finds the request's session, gives the request its properties, and calls the next handler. */
  begin(context: ExchangeContext): void {
    const begun = Exchange.begin(context, this)
    // In a turn of its own: what a handler throws must reach the app as usual, not reject this promise.
    if (begun instanceof Exchange) this.#goOn(begun)
    else
      begun.then(
        (exchange) => nextTick(goOn, this, exchange),
        (error: unknown) => nextTick(failed, this, error),
      )
  }

  static {
    goOn = (hand, exchange) => hand.#goOn(exchange)
    failed = (hand, error) => {
      hand.#handling.refuse?.(hand.#request, error)
      hand.#next(error)
    }
  }

  #goOn(exchange: Exchange): void {
    const request = this.#request
    this.#exchange = exchange
    request[inHand] = this
    try {
      Object.defineProperty(request, 'session', this.#handling.session)
      Object.defineProperty(request, 'sessionID', this.#handling.sessionID)
      // Before the handler runs: `response.end(text(request.session))` looks `end` up before it reads the session.
      holdResponse(this.#response, exchange, request, this.#next)
    } catch (error) {
      // The request or response accepts no properties. To throw here could end the process.
      return this.#next(error)
    }
    this.#next()
  }
}

/** @param rawHeaders names and values in turn, as the client has sent them; stand-ins for a request have none */
function isRepeated(rawHeaders: readonly string[] | undefined, name: string): boolean {
  if (!rawHeaders) return false
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const raw = rawHeaders[index]!
    if (raw.length === name.length && raw.toLowerCase() === name) count++
  }
  return count > 1
}

/**
 * The host of a request. The headers need not be trusted: pages of other sites cannot set them, and they only decide
 * about warnings and the SameSite of the client's own cookie.
 */
function hostOf({ headers }: IncomingMessage): string | undefined {
  const given = headers['x-forwarded-host'] ?? headers.host ?? headers[':authority']
  if (given === undefined) return undefined
  const host = String(given).split(',', 1)[0]!.trim().toLowerCase()
  // Remove the port, which may be empty. An IPv6 address has colons too: in brackets, or without a port.
  return host.replace(/^(\[.*\]|[^:]*):\d*$/, '$1')
}

/**
 * Whether a request came by HTTPS.
 *
 * @param proxy `true`: the first item of X-Forwarded-Proto says so. `false`: only the connection does. `undefined`:
 *   so does Express, by its own `trust proxy` setting
 */
export function isSecure(request: SessionRequest, proxy: boolean | undefined): boolean {
  if ((request.socket as { encrypted?: boolean } | undefined)?.encrypted === true) return true
  if (proxy === false) return false
  const forwarded = request.headers['x-forwarded-proto']
  if (forwarded === undefined) return proxy !== true && request.secure === true
  const forwardedSecure = String(forwarded).split(',', 1)[0]!.trim().toLowerCase() === 'https'
  if (proxy) return forwardedSecure
  if (request.secure !== true && forwardedSecure) warnProxy()
  return request.secure === true
}

function warnProxy(): void {
  warnOnce(
    'COATCHECK_UNTRUSTED_PROXY',
    'A request says that it came by HTTPS to a proxy (X-Forwarded-Proto), which this server was not told to trust, so its session cookie is not Secure. If the proxy is yours: app.set("trust proxy", 1) in Express, or the option { proxy: true } of session().',
  )
}
