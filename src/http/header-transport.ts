import { optionError, refuseUnknownOptions, shown } from '../core/errors.js'
import { headerForm, type Secret, Signer, type VerifiedToken } from '../core/signer.js'
import { warnOnce } from '../core/warn-once.js'
import type { ExchangeRequest } from './exchange-request.js'
import type { ResponseHeader, Transport } from './transport.js'

/** The option `header` of `createSessions`: the token in a header, for native apps and command-line clients. */
export interface HeaderOptions {
  /**
   * The header that brings the token. With `'Authorization'`, it is `Authorization: Bearer <token>` (RFC 6750, section
   * 2.1). Any other header has the token alone, such as `X-Session: <token>`.
   *
   * The name has `session` or `token` in it. Headers that browsers or proxies send by themselves
   * are refused: a request with this header is not checked for forgery.
   * @default 'Authorization'
   */
  readonly name?: string | undefined
  /**
   * The response header that gives the client a token. It is there and empty when the client should drop its token.
   * @default 'Session-Token'
   */
  readonly response?: string | undefined
  /**
   * Whether requests without the header use the cookie. `false`: cookies are neither read nor set.
   * @default true
   */
  readonly cookie?: boolean | undefined
}

/** The option `header`, checked. */
export interface ResolvedHeader {
  readonly name: string
  readonly response: string
  readonly cookie: boolean
}

/** Longer values are no token: as for the name and the value of a cookie. */
const longestValue = 4_096

/** The token in a header of request and response. No page of another site can send it without a preflight. */
export class HeaderTransport implements Transport {
  readonly vary: string
  readonly leavesCaching = false
  readonly toleratesLate = false
  /** The header's name in lower case, as Node has it. */
  readonly key: string
  readonly #response: string
  readonly #signer: Signer

  /** @param secrets as `Signer` takes them */
  constructor({ name, response, cookie }: ResolvedHeader, secrets: Secret | readonly (Secret | undefined)[]) {
    this.key = name.toLowerCase()
    this.vary = cookie ? `${name}, Cookie` : name
    this.#response = response
    this.#signer = new Signer(secrets, headerForm)
  }

  /**
   * Whether a request with this value of the header uses it, valid or not. `Authorization` counts with the scheme
   * Bearer alone, in any case.
   */
  isUsedBy(value: string | readonly string[] | undefined): boolean {
    if (value === undefined) return false
    return this.key !== 'authorization' || /^bearer(?:[ \t]|$)/i.test(String(value))
  }

  tokens(request: ExchangeRequest): VerifiedToken[] {
    const header = request.header?.(this.key)
    // Of a repeated header, the values are joined by a comma, which no token has.
    if (header === undefined || header.length > longestValue || !this.isUsedBy(header)) return []
    const value = this.key === 'authorization' ? header.slice('bearer'.length).replace(/^[ \t]+/, '') : header
    const verified = this.#signer.verify(value)
    if (verified) return [verified]
    if (/^(?:coat_|~)[\w-]+\.[\w-]{43}$/.test(value)) warnUnknownSecret()
    return []
  }

  giving(token: string): ResponseHeader {
    return { name: this.#response, value: this.#signer.sign(token) }
  }

  clearing(): ResponseHeader {
    return { name: this.#response, value: '' }
  }

  givesAgain(): boolean {
    return false
  }
}

/** @throws ERR_SESSION_OPTION for an unknown or unsafe option */
export function resolveHeader(given: true | HeaderOptions | undefined): ResolvedHeader | undefined {
  if (given === undefined) return undefined
  const options = given === true ? {} : given
  refuseUnknownOptions('header', options, ['name', 'response', 'cookie'])
  const { name = 'Authorization', response = 'Session-Token', cookie = true } = options
  if (typeof cookie !== 'boolean')
    throw optionError(`header.cookie must be true or false, not ${shown(cookie)}.`)
  if (!isHeaderName(name) || (!isForTokens(name) && name.toLowerCase() !== 'authorization')) {
    throw optionError(
      `header.name must be 'Authorization', or a header of your own with "session" or "token" in its name, such as 'X-Session', not ${shown(name)}. A request with that header is not checked for forgery, so neither browsers nor proxies may send it by themselves.`,
    )
  }
  if (!isHeaderName(response) || !isForTokens(response)) {
    throw optionError(
      `header.response must be a header of your own with "session" or "token" in its name, such as 'Session-Token', not ${shown(response)}.`,
    )
  }
  return { name, response, cookie }
}

/** Whether a value is a header's name (RFC 9110, section 5.1). */
function isHeaderName(name: unknown): name is string {
  return typeof name === 'string' && /^[\w!#$%&'*+.^`|~-]{1,100}$/.test(name)
}

/**
 * Whether browsers neither send nor act on a header of this name, and proxies do not add it. Without a preflight, pages
 * can send no header that is not safelisted (Fetch standard, "CORS-safelisted request-header"), and none of those has
 * such a name.
 */
function isForTokens(name: string): boolean {
  if (/^(?:sec|secure|proxy|access-control|set)-/i.test(name)) return false
  if (
    /^x-(?:forwarded|real|client|original|envoy|amzn|amz|goog|ms|b3|cloud|request|correlation|accel)/i.test(
      name,
    )
  ) {
    return false
  }
  return /session|token/i.test(name)
}

function warnUnknownSecret(): void {
  warnOnce(
    'COATCHECK_UNKNOWN_SECRET',
    'A request came with a session token in its header that none of the secrets of this app has signed, so its client is signed out. If that is without reason, give all apps that share sessions the same secrets, and do not make a new one at each start. To replace one, list both in every app first, the new one second: secret: [oldSecret, newSecret]. A forged token causes this warning too.',
  )
}
