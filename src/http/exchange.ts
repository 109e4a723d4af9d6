import { SessionError } from '../core/errors.js'
import type { SessionForm } from '../core/session/session-form.js'
import type { Signer, VerifiedToken } from '../core/token.js'
import type { UnitOfWork } from '../core/session/unit-of-work.js'
import { warnOnce } from '../core/warn-once.js'
import { cacheControlWithCookie, overrulesCacheControl } from './caching.js'
import { cookieValues } from './cookie.js'
import { isWithin, warnOutside, warnUnshared } from './cookie-domain.js'

/** What an exchange needs of the sessions. */
export interface ExchangeContext {
  readonly engine: ExchangeEngine
  readonly cookie: CookiePolicy
  readonly signer: Signer
  /** How the app sees the session. Left out: as the engine does. */
  readonly form?: SessionForm
  /** Called right before each commit, to change the session first. */
  readonly beforeCommit?: (work: UnitOfWork) => void
}

/** What makes the unit of work of an exchange. `SessionEngine` is one. */
export interface ExchangeEngine {
  beginAs(form: SessionForm | undefined, unavailable?: SessionError): UnitOfWork
  loadAs(form: SessionForm | undefined, tokens: readonly string[]): Promise<UnitOfWork>
}

/** The session cookie's name and headers, by whether a request is secure. `SessionCookie` is one. */
export interface CookiePolicy {
  name(secure: boolean): string
  /** Whether a response may set the cookie, by whether the request is secure. */
  settable(secure: boolean): boolean
  /** The Set-Cookie value that gives the browser a signed token. */
  set(value: string, secure: boolean): string
  /** The Set-Cookie value that makes the browser drop the cookie. */
  clear(secure: boolean): string
  /** The cookie's Domain, in lower case and without a leading dot. */
  readonly domain?: string | undefined
  /** Whether every response sets the cookie again. */
  readonly rolling?: boolean
  /** Whether the app's own Cache-Control stays, even if it lets shared caches keep the cookie. */
  readonly leavesCaching?: boolean
  /** Whether it is a warning, not an error, if a session begins too late for its cookie. */
  readonly toleratesLate?: boolean
  /** Whether a warning has already said that the cookie is Secure by mistake. */
  readonly warnedOfSecure?: boolean
  /** Whether to set the browser's cookie again after what was stored, such as a new `maxAge`. */
  moves?(work: UnitOfWork): boolean
}

/** A request, as `sessions.exchange` takes it. */
export interface ExchangeRequest {
  /** The `Cookie` header; `undefined` if there is none. Its first 16,384 characters are read. */
  readonly cookieHeader: string | undefined
  /** Whether the request came by HTTPS. Believe a proxy's `X-Forwarded-Proto` only if that proxy is yours. */
  readonly secure: boolean
  /** The host of the request, in lower case and without the port. It only decides about a warning. */
  readonly host?: string | undefined
  /**
   * Whether the request gets an empty session that cannot be stored while the store is away. Otherwise, `exchange`
   * rejects.
   * @default false
   */
  readonly anonymousWhenUnavailable?: boolean | undefined
  /**
   * Other places of the token, used if no session cookie is in the header: `tokens` that somebody else has verified,
   * and `signed` values that are verified here.
   */
  readonly elsewhere?: () => { readonly tokens: readonly string[]; readonly signed: readonly string[] }
}

/** What to change in the response, after a finished exchange. */
export interface ResponseChanges {
  /** A value of `Set-Cookie`, to add to those of the response. */
  readonly setCookie: string
  /**
   * Returns the `Cache-Control` to set, given the current one (`''` if none). `undefined`: leave it. A shared cache
   * must not give one visitor's cookie to another (RFC 9111, section 7.3).
   */
  readonly cacheControl: (current: string) => string | undefined
  /**
   * Whether to remove a header of the response, such as `CDN-Cache-Control`, which overrules `Cache-Control` (RFC
   * 9213).
   */
  readonly drops: (name: string, value: string) => boolean
}

/**
 * How many characters of a Cookie header are read: as many as Node accepts of all headers by default. All cookies of
 * the name in them are tried. The reason: an attacker on a sibling subdomain can put any number before the visitor's
 * own.
 */
const longestHeader = 16_384

/**
 * One request and its response. It begins by finding the session of the request's cookie. It finishes by storing what
 * changed, and says which response headers to set. Made by `sessions.exchange(request)`.
 */
export class Exchange {
  /** The work on the request's session: `work.session` is what an app sees at `req.session`. */
  readonly work: UnitOfWork
  readonly #context: ExchangeContext
  readonly #request: ExchangeRequest
  /** Whether an old secret signed the browser's token, so that it should get a new signature. */
  readonly #renew: boolean

  private constructor(context: ExchangeContext, request: ExchangeRequest, work: UnitOfWork, renew: boolean) {
    this.#context = context
    this.#request = request
    this.work = work
    this.#renew = renew
  }

  /**
   * Begins an exchange. It returns no promise if the store need not be asked.
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503):
   *   the session may well exist, so this does not mean "no session"
   */
  static begin(context: ExchangeContext, request: ExchangeRequest): Exchange | Promise<Exchange> {
    const { engine, form } = context
    const verified = verifiedTokens(context, request)
    if (verified.length === 0) return new Exchange(context, request, engine.beginAs(form), false)
    const tokens = verified.map(({ token }) => token)
    return engine.loadAs(form, tokens).then(
      (work) => {
        const renew = verified.some(({ token, renew }) => renew && work.leadsFrom(token))
        return new Exchange(context, request, work, renew)
      },
      (error: unknown) => {
        if (!request.anonymousWhenUnavailable || !(error instanceof SessionError)) throw error
        return new Exchange(context, request, engine.beginAs(form, error), false)
      },
    )
  }

  /**
   * Stores what changed, and returns what to change in the response. Call it right before the headers are sent. It
   * returns no promise if there is nothing to store.
   * @throws (rejects) what `UnitOfWork.commit` throws, or an error if the cookie cannot be made. Answer with an error
   *   then. It never throws at once, because `response.end` may be called where nothing catches
   */
  finish(): ResponseChanges | undefined | Promise<ResponseChanges | undefined> {
    try {
      // The touch finds out whether the token is still good: a parallel request may have replaced it.
      if (this.#setsAgain()) this.work.touch()
      const commit = this.#commit()
      return commit ? commit.then(() => this.#changes()) : this.#changes()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * What `finish` will return if its commit succeeds: for a response whose headers cannot wait for that. It never drops
   * a cookie. If the cookie cannot be made, it is `undefined`, and `finish` rejects.
   */
  get expectedChanges(): ResponseChanges | undefined {
    const { work } = this
    try {
      const isHeld = !work.isNew && work.leadsFrom(work.id)
      if (isHeld ? !this.#setsAgain() : work.isFormer || !work.session) return undefined
      return this.#setting(work.id)
    } catch {
      return undefined
    }
  }

  /**
   * Stores what a handler changed after the headers were sent. Returns `undefined` if there is nothing to store.
   * @throws (rejects) as `finish`; and `ERR_SESSION_HEADERS_SENT` if a cookie would have to be set, which is a warning
   *   if the cookie policy tolerates it
   */
  finishLate(): Promise<void> | undefined {
    const late = this.#commit()
    return this.#context.cookie.toleratesLate ? late?.catch(warnLate) : late
  }

  /** Whether the response needs `Vary: Cookie` (RFC 9110, section 12.5.5): its handler has read the session. */
  get varies(): boolean {
    return this.work.wasOpened && this.#context.cookie.leavesCaching !== true
  }

  /** Whether a commit has failed, and nobody has changed the session since: there is nothing new to store. */
  get isAsRefused(): boolean {
    if (!this.work.wasRefused) return false
    this.#context.beforeCommit?.(this.work)
    return this.work.isAsRefused
  }

  #commit(): Promise<void> | undefined {
    try {
      this.#context.beforeCommit?.(this.work)
      return this.work.commit()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  #setsAgain(): boolean {
    const { cookie } = this.#context
    // With an old token, another response gives the browser the new one. After `leave()`, the handler wants no cookie.
    if (this.work.isFormer || this.work.isLeft) return false
    return this.#renew || cookie.rolling === true || cookie.moves?.(this.work) === true
  }

  #changes(): ResponseChanges | undefined {
    const { work } = this
    const { cookie } = this.#context
    work.closeHeaders()
    // Most responses: the browser has the cookie already, and keeps it.
    if (work.action === 'keep' && !this.#setsAgain()) return undefined
    const { outcome } = work
    if (outcome.action === 'clear') return this.#adding(cookie.clear(this.#request.secure))
    return outcome.token === undefined ? undefined : this.#setting(outcome.token)
  }

  #setting(token: string): ResponseChanges | undefined {
    const { cookie, signer } = this.#context
    const { secure } = this.#request
    if (!cookie.settable(secure)) {
      if (!cookie.warnedOfSecure) warnInsecure()
      return undefined
    }
    const setCookie = cookie.set(signer.sign(token), secure)
    this.#checkDomain()
    return this.#adding(setCookie)
  }

  #adding(setCookie: string): ResponseChanges {
    const leaves = this.#context.cookie.leavesCaching === true
    return {
      setCookie,
      cacheControl: (current) => cacheControlWithCookie(current, leaves),
      drops: (name, value) => overrulesCacheControl(name, value, leaves),
    }
  }

  #checkDomain(): void {
    const { domain } = this.#context.cookie
    if (domain === undefined) return
    warnUnshared(domain)
    const { host } = this.#request
    if (host !== undefined && !isWithin(host, domain)) warnOutside(host, domain)
  }
}

function verifiedTokens({ cookie, signer }: ExchangeContext, request: ExchangeRequest): VerifiedToken[] {
  const header = request.cookieHeader?.slice(0, longestHeader)
  const values = cookieValues(header, cookie.name(request.secure))
  const fromHeader = verifiedOf(values, signer)
  if (fromHeader.length > 0) return fromHeader
  const fromElsewhere = verifiedElsewhere(request, signer)
  if (fromElsewhere.length === 0 && values.some(isSigned)) warnUnknownSecret()
  return fromElsewhere
}

function verifiedElsewhere(request: ExchangeRequest, signer: Signer): VerifiedToken[] {
  if (!request.elsewhere) return []
  const { tokens, signed } = request.elsewhere()
  return [...tokens.map((token) => ({ token, renew: false })), ...verifiedOf(signed, signer)]
}

function verifiedOf(values: readonly string[], signer: Signer): VerifiedToken[] {
  const verified: VerifiedToken[] = []
  for (const value of values) {
    const match = signer.verify(value)
    if (match) verified.push(match)
  }
  return verified
}

/** Whether a value has the form of a signed one: `s:`, a text, a dot and an HMAC-SHA256 in base64 without padding. */
function isSigned(value: string): boolean {
  return /^s:.+\.[A-Za-z0-9+/]{43}$/s.test(value)
}

function warnUnknownSecret(): void {
  warnOnce(
    'COATCHECK_UNKNOWN_SECRET',
    'A request came with a session cookie that none of the secrets of this app has signed, so its visitor is signed out. If users are signed out without reason, give all apps that share sessions the same secrets, and do not make a new one at each start. To replace one, list both in every app first, the new one second: secret: [oldSecret, newSecret]. A forged cookie, or one of another app on this host, causes this warning too.',
  )
}

function warnInsecure(): void {
  warnOnce(
    'COATCHECK_INSECURE_REQUEST',
    'No session cookie was set: cookie.secure is true, and the request did not come by HTTPS as far as this server knows. Behind a proxy of yours, have your framework trust it, or pass { proxy: true }. In development over HTTP, leave cookie.secure out.',
  )
}

function warnLate(error: unknown): void {
  if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_HEADERS_SENT') throw error
  warnOnce(
    'COATCHECK_LATE_SESSION',
    "A session was begun or got a new id after the response's first byte, so its cookie could not be set, and nothing was stored. Change req.session before the first write.",
  )
}
