import { SessionError } from '../core/errors.js'
import type { SessionForm } from '../core/session/session-form.js'
import type { Signer, VerifiedToken } from '../core/token.js'
import type { UnitOfWork } from '../core/session/unit-of-work.js'
import { cacheControlWithCookie, overrulesCacheControl } from './caching.js'
import { cookieValues } from './cookie.js'
import { isWithin, warnOutside, warnUnshared } from './cookie-domain.js'

/** What an exchange needs of the sessions that the app made. */
export interface ExchangeContext {
  readonly engine: ExchangeEngine
  readonly cookie: CookiePolicy
  readonly signer: Signer
  /** How the app sees the session. Left out: as the engine does. */
  readonly form?: SessionForm
  /** What is still to be done to the session right before each commit. */
  readonly beforeCommit?: (work: UnitOfWork) => void
}

/** What gives an exchange its unit of work. `SessionEngine` is one. */
export interface ExchangeEngine {
  beginAs(form: SessionForm | undefined, unavailable?: SessionError): UnitOfWork
  loadAs(form: SessionForm | undefined, tokens: readonly string[]): Promise<UnitOfWork>
}

/** The session cookie's name and headers, on a request that is secure or not. `SessionCookie` is one. */
export interface CookiePolicy {
  name(secure: boolean): string
  /** Whether a cookie may be set on such a request at all. */
  settable(secure: boolean): boolean
  /** The Set-Cookie value that hands out a signed token. */
  set(value: string, secure: boolean): string
  /** The Set-Cookie value that makes the browser drop the cookie. */
  clear(secure: boolean): string
  /** The Domain that the cookie is set with, in lower case and without a leading dot. */
  readonly domain?: string | undefined
  /** Whether every response sets the cookie again. */
  readonly rolling?: boolean
  /** Whether the app's own Cache-Control stays, even one that lets shared caches keep the cookie. */
  readonly leavesCaching?: boolean
  /** Whether a session that begins too late for its cookie is a warning, not an error. */
  readonly toleratesLate?: boolean
  /** Whether a warning has told already that the cookie is Secure by mistake. */
  readonly warnedOfSecure?: boolean
  /** Whether a cookie that the browser has is set again because of what was stored. */
  moves?(work: UnitOfWork): boolean
}

/** What an exchange needs of a request. */
export interface ExchangeRequest {
  /** The Cookie header as it came. */
  readonly cookieHeader: string | undefined
  /** Whether the request came by HTTPS, as far as the server can trust what it is told. */
  readonly secure: boolean
  /** The host that the browser asked, in lower case and without the port, as far as the server is told. */
  readonly host?: string | undefined
  /** Whether a store that is down leaves the request with an empty session that cannot be stored, instead of an error. */
  readonly anonymousWhenUnavailable?: boolean | undefined
  /** Tokens that others have read from this request and verified, and signed values: tried if the header gives none. */
  readonly elsewhere?: () => { readonly tokens: readonly string[]; readonly signed: readonly string[] }
}

/** What a finished exchange changes in the response. */
export interface ResponseChanges {
  /** A Set-Cookie, beside those that are there. */
  readonly setCookie: string
  /** The Cache-Control that the response gets, by the one that it has ('' if none); `undefined`: it stays as it is. */
  readonly cacheControl: (current: string) => string | undefined
  /** Whether a header of the response has to go, such as `CDN-Cache-Control`, which some caches heed in place of Cache-Control. */
  readonly drops: (name: string, value: string) => boolean
}

/**
 * Of a Cookie header, so many characters are read, which is what Node lets through of all headers by default. All cookies of our name in
 * there are tried: an attacker who can set cookies for the host, as from a sibling subdomain, puts any number before the visitor's own.
 */
const longestHeader = 16_384

/**
 * One request and its response: begins by finding the session that the cookie leads to, finishes by
 * storing what changed and saying which header tells the browser.
 */
export class Exchange {
  readonly work: UnitOfWork
  readonly #context: ExchangeContext
  readonly #request: ExchangeRequest
  /** The browser's token carries the signature of an older secret. */
  readonly #renew: boolean

  private constructor(context: ExchangeContext, request: ExchangeRequest, work: UnitOfWork, renew: boolean) {
    this.#context = context
    this.#request = request
    this.work = work
    this.#renew = renew
  }

  /**
   * Begins an exchange. Answers at once, without a promise, where the store need not be asked.
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE: the session may well exist, so this is not "no session"
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
   * Stores what changed and says what to add to the response. Call it right before the headers go. Answers at
   * once, without a promise, if there is nothing to store.
   * @throws (by the promise, never at once: `response.end` may be called where nothing catches) what `UnitOfWork.commit` throws, or
   *   that the cookie cannot be made; the response must then be an error
   */
  finish(): ResponseChanges | undefined | Promise<ResponseChanges | undefined> {
    try {
      // Finds out whether the token that is to be set again still leads to the session: a parallel request may have replaced it.
      if (this.#setsAgain()) this.work.touch()
      const commit = this.#commit()
      return commit ? commit.then(() => this.#changes()) : this.#changes()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * What `finish` is going to say if the commit that it began goes well. For a response whose headers cannot wait for that.
   * It never drops a cookie. Nothing, if the cookie cannot be made: `finish` fails with that.
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
   * Stores what a handler changed after the headers went; `undefined` if nothing did.
   * @throws (by the promise) as `finish`, and ERR_SESSION_HEADERS_SENT if a cookie would have to be set for it; where the policy tolerates
   *   that, it is a warning
   */
  finishLate(): Promise<void> | undefined {
    const late = this.#commit()
    return this.#context.cookie.toleratesLate ? late?.catch(warnLate) : late
  }

  /** Whether the response needs `Vary: Cookie`: its handler has looked at the session, so that it may be another for each visitor. */
  get varies(): boolean {
    return this.work.wasOpened && this.#context.cookie.leavesCaching !== true
  }

  /** Whether a commit has failed, and nobody has changed the session since: then there is nothing new to store. */
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
    // Another response brings the browser the token that came after this one; or the handler wants none of this session.
    if (this.work.isFormer || this.work.isLeft) return false
    return this.#renew || cookie.rolling === true || cookie.moves?.(this.work) === true
  }

  #changes(): ResponseChanges | undefined {
    const { work } = this
    const { cookie } = this.#context
    work.closeHeaders()
    // Most responses: the browser has the cookie already, and it is to stay as it is.
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
  const fromHeader = verifiedOf(cookieValues(header, cookie.name(request.secure)), signer)
  if (fromHeader.length > 0 || !request.elsewhere) return fromHeader
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

let warned = false

function warnInsecure(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    'No session cookie was set: cookie.secure is true, and the request did not come by HTTPS as far as this server knows. Behind a proxy of yours, have your framework trust it, or pass { proxy: true }.',
    { code: 'COATCHECK_INSECURE_REQUEST' },
  )
}

let warnedLate = false

function warnLate(error: unknown): void {
  if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_HEADERS_SENT') throw error
  if (warnedLate) return
  warnedLate = true
  process.emitWarning(
    "A session was begun or got a new id after the response's first byte, so its cookie could not be set, and nothing was stored. Change req.session before the first write.",
    { code: 'COATCHECK_LATE_SESSION' },
  )
}
