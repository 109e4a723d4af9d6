import type { UnitOfWork } from '../core/session/unit-of-work.js'
import type { Signer, VerifiedToken } from '../core/signer.js'
import { warnOnce } from '../core/warn-once.js'
import { cookieValues } from './cookie.js'
import { isWithin, warnOutside, warnUnshared } from './cookie-domain.js'
import type { ExchangeRequest } from './exchange-request.js'
import type { ResponseHeader, Transport } from './transport.js'

/**
 * The session cookie's name and headers, by whether a request is secure and its host: in lower case, without the port.
 * `SessionCookie` is one.
 */
export interface CookiePolicy {
  name(secure: boolean): string
  /** Whether a response may set the cookie, by whether the request is secure. */
  settable(secure: boolean): boolean
  /** The Set-Cookie value that gives the browser a signed token. */
  set(value: string, secure: boolean, host?: string): string
  /** The Set-Cookie value that makes the browser drop the cookie. */
  clear(secure: boolean, host?: string): string
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

/**
 * How many characters of a Cookie header are read: as many as Node accepts of all headers by default. All cookies of
 * the name in them are tried. The reason: an attacker on a sibling subdomain can put any number before the visitor's
 * own.
 */
const longestHeader = 16_384

/** The token in a signed cookie (RFC 6265bis), as browsers keep it. */
export class CookieTransport implements Transport {
  readonly vary: string | undefined
  readonly #cookie: CookiePolicy
  readonly #signer: Signer

  /** @param vary what the response depends on if its handler has read the session (RFC 9110, section 12.5.5) */
  constructor(cookie: CookiePolicy, signer: Signer, vary = 'Cookie') {
    this.#cookie = cookie
    this.#signer = signer
    this.vary = cookie.leavesCaching === true ? undefined : vary
  }

  tokens(request: ExchangeRequest): VerifiedToken[] {
    const header = request.cookieHeader?.slice(0, longestHeader)
    const values = cookieValues(header, this.#cookie.name(request.secure))
    const fromHeader = verifiedOf(values, this.#signer)
    if (fromHeader.length > 0) return fromHeader
    const fromElsewhere = verifiedElsewhere(request, this.#signer)
    if (fromElsewhere.length === 0 && values.some(isSigned)) warnUnknownSecret()
    return fromElsewhere
  }

  giving(token: string, { secure, host }: ExchangeRequest): ResponseHeader | undefined {
    const cookie = this.#cookie
    if (!cookie.settable(secure)) {
      if (!cookie.warnedOfSecure) warnInsecure()
      return undefined
    }
    const value = cookie.set(this.#signer.sign(token), secure, host)
    if (cookie.domain !== undefined) checkDomain(cookie.domain, host)
    return { name: 'Set-Cookie', value }
  }

  clearing({ secure, host }: ExchangeRequest): ResponseHeader {
    return { name: 'Set-Cookie', value: this.#cookie.clear(secure, host) }
  }

  givesAgain(work: UnitOfWork): boolean {
    return this.#cookie.rolling === true || this.#cookie.moves?.(work) === true
  }

  get leavesCaching(): boolean {
    return this.#cookie.leavesCaching === true
  }

  get toleratesLate(): boolean {
    return this.#cookie.toleratesLate === true
  }
}

function checkDomain(domain: string, host: string | undefined): void {
  warnUnshared(domain)
  if (host !== undefined && !isWithin(host, domain)) warnOutside(host, domain)
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
