import type { Signer } from '../core/signer.js'
import type { CookiesByRequest } from './cookie-function.js'
import type { SessionCookie } from './cookie.js'
import { CookieTransport } from './cookie-transport.js'
import type { ExplainedCookie } from './explain.js'
import type { ExchangeRequest } from './exchange-request.js'
import type { HeaderTransport } from './header-transport.js'
import type { Transport } from './transport.js'

/** Finds out how the token of a request travels, by the options of `createSessions`. */
export class Transports {
  /** Set if clients may send the token in a header. */
  readonly header: HeaderTransport | undefined
  /** The app's cookie; by the request, if the option is a function. `undefined`: cookies are not used. */
  readonly #given: SessionCookie | CookiesByRequest | undefined
  readonly #signer: Signer
  /** The same for every request, unless the attributes depend on the request. `undefined`: cookies are not used. */
  readonly #cookie: CookieTransport | CookiesByRequest | undefined

  /** @param cookie `undefined`: every request uses the header */
  constructor(
    signer: Signer,
    cookie: SessionCookie | CookiesByRequest | undefined,
    header: HeaderTransport | undefined,
  ) {
    this.#signer = signer
    this.header = header
    this.#given = cookie
    this.#cookie = !cookie || 'of' in cookie ? cookie : new CookieTransport(cookie, signer, header?.vary)
  }

  /** @throws what `CookiesByRequest.of` throws */
  of(request: ExchangeRequest): Transport {
    const { header } = this
    const cookie = this.#cookie
    if (header && (!cookie || this.isByHeader(request))) return header
    if (!cookie || !('of' in cookie)) return cookie!
    return new CookieTransport(cookie.of(request), this.#signer, header?.vary)
  }

  /** Whether the request has the header that brings a token, with a valid token or without. */
  isByHeader(request: Pick<ExchangeRequest, 'header'>): boolean {
    const { header } = this
    return header !== undefined && header.isUsedBy(request.header?.(header.key))
  }

  /** What `explain` tells of the cookie that a response to this request sets. */
  explainedCookie({
    secure = true,
    host,
  }: {
    secure?: boolean | undefined
    host?: string | undefined
  }): ExplainedCookie {
    const cookie = this.#given
    if (!cookie) return 'unused'
    if ('of' in cookie) return 'byRequest'
    if (!cookie.settable(secure)) return 'insecure'
    return cookie.sameSite(secure, host?.replace(/:\d+$/, '').toLowerCase())
  }
}
