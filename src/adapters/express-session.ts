import type { IncomingMessage } from 'node:http'
import type { SessionEngine } from '../core/engine.js'
import type { Signer } from '../core/signer.js'
import { Cookie, type CookieAttributes } from '../express-session/model/cookie.js'
import {
  type ResolvedOptions,
  resolveOptions,
  type SessionOptions,
} from '../express-session/model/options.js'
import { RequestForm } from '../express-session/model/request-form.js'
import { missingSecret } from '../express-session/model/secrets.js'
import { Session } from '../express-session/model/session.js'
import { warnOnce } from '../core/warn-once.js'
import { pathMatches } from '../http/cookie.js'
import { CookieTransport } from '../http/cookie-transport.js'
import type { ExchangeContext } from '../http/exchange.js'
import {
  type Handling,
  inHand,
  isSecure,
  RequestInHand,
  type SessionMiddleware,
  type SessionRequest,
} from './request-in-hand.js'

/** A request as `session(options)` sees it. */
interface OldRequest extends SessionRequest {
  readonly originalUrl?: string
  /** Of cookie-parser: the values that it verified, by their names. `cookies` has all others. */
  readonly signedCookies?: Record<string, unknown>
  readonly cookies?: Record<string, unknown>
  sessionID?: unknown
  sessionStore?: unknown
}

/** The middleware of `session(options)`: the same sessions, with express-session's behaviour. */
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
    // A request that has a session keeps it. This test does not read the session.
    const hasSession = request[inHand] !== undefined || Boolean(request.session)
    if (resolved.skips(request) || hasSession || !resolved.connected()) return next()
    if (!isWithin(resolved.cookieFor(request).path || '/', request)) return next()
    const signer = resolved.signerFor(request)
    if (!signer) return next(missingSecret())
    request.sessionStore = resolved.store

    const secure = isSecure(request, resolved.proxy)
    const form = new RequestForm(resolved, request, secure)
    const context = new RequestContext(resolved, request, form, signer)
    new RequestInHand(handling, request, response, next, secure).begin(context)
  }
}

/** What the exchange of one request needs. A class and no object literal: see `Call` in core/store/request-queue.ts. */
class RequestContext implements ExchangeContext {
  readonly engine: SessionEngine
  readonly form: RequestForm
  readonly #transport: CookieTransport
  readonly #request: OldRequest
  readonly #unsetDestroys: boolean

  constructor(resolved: ResolvedOptions, request: OldRequest, form: RequestForm, signer: Signer) {
    this.engine = resolved.engine
    this.form = form
    this.#transport = new CookieTransport(form, signer)
    this.#request = request
    this.#unsetDestroys = resolved.unsetDestroys
  }

  transportOf(): CookieTransport {
    return this.#transport
  }

  beforeCommit(): void {
    adoptAssigned(this.#request, this.form, this.#unsetDestroys)
  }
}

const properties: Record<'session' | 'sessionID', PropertyDescriptor & ThisType<OldRequest>> = {
  session: {
    get() {
      const hand = this[inHand]!
      return unset.has(hand) ? unset.get(hand) : hand.session
    },
    set(value: unknown) {
      assign(this[inHand]!, value)
    },
    // Older apps delete it, to keep the session from being stored.
    configurable: true,
    // Not enumerable: copying or printing a request must neither open its session nor show its token.
    enumerable: false,
  },
  sessionID: {
    get() {
      const hand = this[inHand]!
      const choice = choiceOf(hand)
      return choice ? choice.id : hand.work.id
    },
    set(value: unknown) {
      const hand = this[inHand]!
      const { id } = hand.work
      if (value === id) choices.delete(hand)
      else choices.set(hand, { id: value, inPlaceOf: id })
    },
    configurable: true,
    enumerable: false,
  },
}

/** What a handler assigned to `req.session` that is no session, such as `null`. */
const unset = new WeakMap<RequestInHand, unknown>()
/** What a handler assigned to `req.sessionID`, and the id that the session had then. */
const choices = new WeakMap<RequestInHand, { readonly id: unknown; readonly inPlaceOf: string }>()

/** What was assigned to `req.sessionID`, as long as the session still has the id that it had then. */
function choiceOf(hand: RequestInHand): { readonly id: unknown } | undefined {
  const choice = choices.get(hand)
  return choice?.inPlaceOf === hand.work.id ? choice : undefined
}

function assign(hand: RequestInHand, value: unknown): void {
  const { session, work } = hand
  if (typeof value !== 'object' || value === null) return void unset.set(hand, value)
  unset.delete(hand)
  if (value === session) return
  const id = choiceOf(hand)?.id
  if (typeof id === 'string') work.startNew(id)
  else if (!session) work.startNew()
  // By its JSON: the session object of another library has a cookie of its own, and methods.
  work.replaceData(JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
}

/** Applies what a handler did to `req.session` itself, and the cookie's new `maxAge`. Runs right before each commit. */
function adoptAssigned(request: OldRequest, form: RequestForm, unsetDestroys: boolean): void {
  const hand = request[inHand]!
  // The property was deleted, and perhaps set again.
  const property = Object.getOwnPropertyDescriptor(request, 'session')
  if (!property?.get) assign(hand, property?.value)
  const isUnset = unset.has(hand)
  if (isUnset && unsetDestroys && isNothing(unset.get(hand))) hand.work.end()
  else if (isUnset || !hasStorableId(hand)) hand.work.leave()
  else form.moveCookie(hand.work)
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null
}

/** Whether the id is text. Otherwise the session is not stored and gets no cookie, as in express-session. */
function hasStorableId(hand: RequestInHand): boolean {
  const choice = choiceOf(hand)
  if (!choice) return true
  if (typeof choice.id !== 'string') return false
  warnOnce(
    'COATCHECK_SESSION_ID',
    'req.sessionID was assigned without req.session, so the session keeps the id that it had. To go on with another session: req.sessionID = id; req.session = req.sessionStore.createSession(req, data).',
  )
  return true
}

/** Gives the store `generate`, by which `req.sessionStore.regenerate(req, …)` and others begin a new session. */
function generateInto(resolved: ResolvedOptions): void {
  const generate = (request: OldRequest): void => {
    const hand = request[inHand]
    if (hand) {
      unset.delete(hand)
      // A handler may have deleted the property.
      Object.defineProperty(request, 'session', properties.session)
      return hand.work.startNew()
    }
    request.sessionID = resolved.genid(request)
    const cookie = new Cookie(resolved.cookieFor(request) as CookieAttributes)
    request.session = new Session(request, { cookie })
  }
  Object.assign(resolved.store, { generate })
}

/** Whether a request is for the cookie's path, or a path below it. */
function isWithin(path: string, request: OldRequest): boolean {
  const pathname = pathOf(request.originalUrl ?? request.url ?? '')
  return path === '/' ? pathname.startsWith('/') : pathMatches(path, pathname)
}

/**
 * The path in a request's target. Proxies send the target in absolute form (RFC 9112, section 3.2.2). Frameworks leave
 * it empty for their root.
 */
function pathOf(target: string): string {
  const origin = target.startsWith('/') ? '' : (/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(target)?.[0] ?? '')
  return target.slice(origin.length).split(/[?#]/, 1)[0] || '/'
}

/** The session cookie as cookie-parser, or another middleware, has put it on the request. */
function parsedCookies(request: OldRequest, name: string): { tokens: string[]; signed: string[] } {
  const texts = (value: unknown) => (typeof value === 'string' && value !== '' ? [value] : [])
  return {
    tokens: texts(request.signedCookies?.[name]),
    signed: texts(request.cookies?.[name]),
  }
}
