import type { IncomingMessage } from 'node:http'
import type { SessionEngine } from '../core/engine.js'
import { SessionError } from '../core/errors.js'
import type { Signer } from '../core/token.js'
import { Cookie, type CookieAttributes } from '../express-session/cookie.js'
import { type ResolvedOptions, resolveOptions, type SessionOptions } from '../express-session/options.js'
import { RequestForm } from '../express-session/request-form.js'
import { missingSecret } from '../express-session/secrets.js'
import { Session } from '../express-session/session.js'
import { pathMatches } from '../http/cookie.js'
import type { ExchangeContext } from '../http/exchange.js'
import {
  type Handling,
  inHand,
  isSecure,
  RequestInHand,
  type SessionMiddleware,
  type SessionRequest,
} from './request-in-hand.js'

/** A request as this form of the middleware sees it. */
interface OldRequest extends SessionRequest {
  readonly originalUrl?: string
  /** By cookie-parser: names and values that it verified, and all others. */
  readonly signedCookies?: Record<string, unknown>
  readonly cookies?: Record<string, unknown>
  sessionID?: unknown
  sessionStore?: unknown
}

/** The middleware of `session(options)`: the same sessions, handled as express-session does. */
export function expressSession(options: SessionOptions): SessionMiddleware {
  const resolved = resolveOptions(options)
  generateInto(resolved)
  const handling: Handling = {
    owner: resolved,
    anonymousWhenUnavailable: resolved.anonymousWhenUnavailable,
    elsewhere: (request) => parsedCookies(request, resolved.name),
    ...properties,
  }

  return function sessionMiddleware(incoming: IncomingMessage, response, next) {
    const request = incoming as OldRequest
    // One that has a session keeps it, and it need not be opened to see that.
    const hasSession = request[inHand] !== undefined || Boolean(request.session)
    if (resolved.skips(request) || hasSession || !resolved.connected()) return next()
    if (!isWithin(resolved.cookieFor(request).path ?? '/', request)) return next()
    const signer = resolved.signerFor(request)
    if (!signer) return next(missingSecret())
    request.sessionStore = resolved.store

    const secure = isSecure(request, resolved.proxy)
    const form = new RequestForm(resolved, request, secure)
    const context = new RequestContext(resolved, request, form, signer)
    new RequestInHand(handling, request, response, next, secure).begin(context)
  }
}

/** What the exchange of one request needs. A class and no object literal: see `Call` in core/line.ts. */
class RequestContext implements ExchangeContext {
  readonly engine: SessionEngine
  readonly cookie: RequestForm
  readonly form: RequestForm
  readonly signer: Signer
  readonly #request: OldRequest
  readonly #unsetDestroys: boolean

  constructor(resolved: ResolvedOptions, request: OldRequest, form: RequestForm, signer: Signer) {
    this.engine = resolved.engine
    this.cookie = form
    this.form = form
    this.signer = signer
    this.#request = request
    this.#unsetDestroys = resolved.unsetDestroys
  }

  beforeCommit(): void {
    settle(this.#request, this.form, this.#unsetDestroys)
  }
}

const properties: Record<'session' | 'sessionID', PropertyDescriptor & ThisType<OldRequest>> = {
  session: {
    get() {
      const hand = this[inHand]!
      return unset.has(hand) ? null : hand.session
    },
    set(value: unknown) {
      assign(this[inHand]!, value)
    },
    // Older apps delete it to leave the session alone.
    configurable: true,
    // Not enumerable: whoever copies or prints a request must not open its session or show its token.
    enumerable: false,
  },
  sessionID: {
    get() {
      return this[inHand]!.work.id
    },
    set(value: unknown) {
      // Without an id that is text, express-session stores nothing of the session and sets no cookie.
      if (typeof value !== 'string') this[inHand]!.work.leave()
      else if (value !== this[inHand]!.work.id) throw fixedId()
    },
    configurable: true,
    enumerable: false,
  },
}

/** Those whose handler assigned nothing to `req.session`. */
const unset = new WeakSet<RequestInHand>()

function assign(hand: RequestInHand, value: unknown): void {
  const { session, work } = hand
  if (typeof value !== 'object' || value === null) return void unset.add(hand)
  unset.delete(hand)
  if (value === session) return
  if (!session) work.startNew()
  // Its JSON: a session object of others has a cookie of its own, and methods.
  work.replaceData(JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
}

/** What a handler may have done to `req.session` itself, and the cookie's time. Right before each commit. */
function settle(request: OldRequest, form: RequestForm, unsetDestroys: boolean): void {
  const hand = request[inHand]!
  // Deleted, and perhaps set anew.
  const property = Object.getOwnPropertyDescriptor(request, 'session')
  if (!property?.get) assign(hand, property?.value)
  if (!unset.has(hand)) form.moveCookie(hand.work)
  else if (unsetDestroys) hand.work.end()
  else hand.work.leave()
}

/** Lets `req.sessionStore.regenerate(req, …)`, and whoever calls `generate` as it does, begin a new session. */
function generateInto(resolved: ResolvedOptions): void {
  const generate = (request: OldRequest): void => {
    const hand = request[inHand]
    if (hand) {
      unset.delete(hand)
      return hand.work.startNew()
    }
    request.sessionID = resolved.genid(request)
    const cookie = new Cookie(resolved.cookieFor(request) as CookieAttributes)
    request.session = new Session(request, { cookie })
  }
  Object.assign(resolved.store, { generate })
}

/** Whether a request is for the path of a cookie, or for one below it. */
function isWithin(path: string, request: OldRequest): boolean {
  const url = request.originalUrl ?? request.url ?? '/'
  return path === '/' ? url.startsWith('/') : pathMatches(path, url.split(/[?#]/, 1)[0]!)
}

/** Where cookie-parser took the cookie out of the header, or another middleware put one. */
function parsedCookies(request: OldRequest, name: string): { tokens: string[]; signed: string[] } {
  const texts = (value: unknown) => (typeof value === 'string' && value !== '' ? [value] : [])
  return {
    tokens: texts(request.signedCookies?.[name]),
    signed: texts(request.cookies?.[name]),
  }
}

function fixedId(): SessionError {
  return new SessionError(
    'ERR_SESSION_RESERVED_NAME',
    'req.sessionID cannot be chosen by a handler: the option genid makes the ids.',
  )
}
