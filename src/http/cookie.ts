import { stringifySetCookie } from 'cookie'
import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { sameSiteHint } from '../core/option-hints.js'
import { unsharedDomain } from './cookie-domain.js'
import type { SameSiteRules } from './same-site.js'

/**
 * The attributes of the session cookie. They come from these options alone, never from the database.
 *
 * Attributes that are malformed, or that browsers would not accept together, throw `ERR_SESSION_OPTION` at start-up.
 */
export interface CookieOptions {
  /**
   * The cookie's name: 1 to 200 letters, digits or other token characters, used as it is. A name that begins with
   * `__Host-` or `__Secure-` needs `secure: true`; with `__Host-`, no `domain` and the path `/` as well (RFC 6265bis,
   * section 4.1.3).
   *
   * Default: `sid` over HTTP. Over HTTPS, where the cookie is Secure, `__Host-sid`, or `__Secure-sid` with a `domain`
   * or a `path`.
   */
  readonly name?: string | undefined
  /**
   * The domain whose hosts share the cookie (RFC 6265bis, section 4.1.2.3). `'example.com'` is that host and all its
   * subdomains: each of them gets the cookie, so you must trust them all. Default: only the host that set it.
   *
   * `localhost`, IP addresses and public suffixes such as `co.uk` are refused, because browsers do not share such a
   * cookie. In development, use `'my.localhost'`.
   */
  readonly domain?: string | undefined
  /**
   * The path that the cookie is sent to, and all paths below it (RFC 6265bis, section 4.1.2.4). It begins with `/`, and
   * has at most 1,024 bytes. It does not protect one app from another on the same host.
   * @default '/'
   */
  readonly path?: string | undefined
  /**
   * Whether the browser sends the cookie with requests from other sites (RFC 6265bis, section 4.1.2.7). A site is a
   * scheme and a registrable domain, such as `https` and `example.com`.
   *
   * - `'auto'`: `'none'` or `'lax'`, see below.
   * - `'lax'`: only with links and other top-level `GET` requests.
   * - `'strict'`: never. It contradicts `sites` of several sites.
   * - `'none'`: always, where the browser allows it. This needs `secure: true`, and `csrf` must not be `false`.
   *
   * `'auto'` is `'none'` if the option `sites` names an `https` origin or wildcard of another site than `domain`, or than
   * the request's host if there is no `domain`. Pages there could not use the session otherwise. Functions of `sites` do
   * not count. It stays `'lax'`
   *
   * - on HTTP, and with `secure: false`
   * - on a host without a registrable domain, such as an IP address
   * - while the check against forged requests is off, only reports, or accepts strangers (`csrf.accept`).
   * @default 'auto'
   */
  readonly sameSite?: 'auto' | 'lax' | 'strict' | 'none' | undefined
  /**
   * Whether the cookie is `Secure`: the browser sends it over HTTPS only (RFC 6265bis, section 4.1.2.5).
   *
   * - `'auto'`: if the request came by HTTPS.
   * - `true`: always. A response to an HTTP request sets no cookie.
   * - `false`: never.
   * @default 'auto'
   */
  readonly secure?: boolean | 'auto' | undefined
  /**
   * Whether the cookie is `HttpOnly`: scripts of the page cannot read it (RFC 6265bis, section 4.1.2.6).
   * @default true
   */
  readonly httpOnly?: boolean | undefined
  /**
   * Whether the cookie is `Partitioned` (CHIPS): the browser keeps one for each top-level site that embeds yours. So a
   * visitor has a session of its own under each of them, and a login is not shared between them: never use it to share
   * one. It needs `secure: true` and `sameSite: 'none'`.
   * @default false
   */
  readonly partitioned?: boolean | undefined
  /** The cookie's `Priority`: Chromium drops cookies of low priority first. By default, the attribute is left out. */
  readonly priority?: 'low' | 'medium' | 'high' | undefined
  /**
   * Whether the cookie stays when the browser closes. `true`: it stays for `lifetime.absolute`, at most 400 days
   * (RFC 6265bis, section 5.5). `false`: the browser drops it when it closes.
   * @default false
   */
  readonly persistent?: boolean | undefined
}

/** The names of all `CookieOptions`. */
export const cookieOptionNames = [
  'name', 'domain', 'path', 'sameSite', 'secure', 'httpOnly', 'partitioned', 'priority', 'persistent',
] as const // prettier-ignore

/** The longest lifetime of a cookie, in seconds. Browsers shorten a longer one (RFC 6265bis, section 5.5). */
export const longestAge = 400 * 86_400
/** The most bytes of a cookie's name and value together. Browsers drop a larger one (RFC 6265bis, section 5.6). */
export const mostBytes = 4_096
/** The most bytes of an attribute's value. Browsers ignore a longer one (RFC 6265bis, section 5.6). */
export const mostAttributeBytes = 1_024

/** The session cookie: its name, its attributes, and the headers that set and clear it. */
export class SessionCookie {
  readonly secure: boolean | 'auto'
  readonly #name: string | undefined
  readonly #options: CookieOptions
  readonly #maxAge: number | undefined
  readonly #rules: SameSiteRules | undefined

  /**
   * @param absolute the longest lifetime of a session, in milliseconds; `undefined`: no limit
   * @param rules decide about `sameSite: 'auto'`; left out: it is `'lax'`
   * @throws ERR_SESSION_OPTION if the attributes are unknown, malformed, or contradict each other
   */
  constructor(options: CookieOptions, absolute: number | undefined, rules?: SameSiteRules) {
    refuseUnknownOptions('cookie', options, cookieOptionNames)
    refuseContradictions(options)
    rules?.refuseContradictions(options)
    this.#rules = rules
    this.secure = options.secure ?? 'auto'
    this.#name = options.name
    // By name: a spread would leave out inherited options.
    this.#options = Object.fromEntries(cookieOptionNames.map((name) => [name, options[name]]))
    this.#maxAge = options.persistent
      ? Math.min(longestAge, absolute === undefined ? longestAge : Math.floor(absolute / 1000))
      : undefined
    try {
      this.set('token', true) // lets the cookie library refuse malformed attributes at start-up
    } catch (error) {
      throw optionError(`The cookie cannot be made from these options: ${(error as Error).message}.`)
    }
  }

  /** The cookie's name on a request, by whether that is secure. No other name is read there. */
  name(secure: boolean): string {
    if (this.#name !== undefined) return this.#name
    if (!this.#isSecure(secure)) return 'sid'
    const hostOnly = this.#options.domain === undefined && (this.#options.path ?? '/') === '/'
    return hostOnly ? '__Host-sid' : '__Secure-sid'
  }

  /** Whether a response may set the cookie, by whether the request is secure. */
  settable(secure: boolean): boolean {
    return secure || this.secure !== true
  }

  get domain(): string | undefined {
    return this.#options.domain
  }

  /** The Set-Cookie value that gives the browser a signed token. */
  set(value: string, secure: boolean, host?: string): string {
    return this.#serialize(value, this.#maxAge, secure, host)
  }

  /** The Set-Cookie value that makes the browser drop the cookie: the same attributes, already expired. */
  clear(secure: boolean, host?: string): string {
    return this.#serialize('', 0, secure, host)
  }

  #isSecure(secure: boolean): boolean {
    return this.secure === true || (this.secure === 'auto' && secure)
  }

  /** The SameSite of the cookie that a response sets, by whether the request is secure and its host. */
  sameSite(secure: boolean, host: string | undefined): 'lax' | 'strict' | 'none' {
    const { sameSite = 'auto', domain } = this.#options
    if (sameSite !== 'auto') return sameSite
    return this.#rules?.derive(domain ?? host, secure && this.#isSecure(secure)) ?? 'lax'
  }

  #serialize(value: string, maxAge: number | undefined, secure: boolean, host: string | undefined): string {
    const { domain, path = '/', httpOnly = true, partitioned = false, priority } = this.#options
    return stringifySetCookie({
      name: this.name(secure),
      value,
      path,
      sameSite: this.sameSite(secure, host),
      httpOnly,
      partitioned,
      secure: this.#isSecure(secure),
      ...(domain !== undefined && { domain }),
      ...(priority !== undefined && { priority }),
      ...(maxAge !== undefined && { maxAge }),
      ...(maxAge === 0 && { expires: new Date(0) }),
    })
  }
}

/**
 * All values that a Cookie header has for one name, in order. Browsers send several cookies of one name if they differ
 * in Domain or Path. A parser that kept only one of them could lock people out.
 *
 * Only SP and HTAB are trimmed, and names are compared exactly (RFC 6265bis, section 5.6). A value with wrong percent
 * encoding is skipped.
 */
export function cookieValues(header: string | undefined, name: string): string[] {
  // Fast path: most requests without a session do not have the name at all.
  if (!header?.includes(name)) return []
  const values: string[] = []
  // Search for the next `=` only once the last one was passed: a header of many semicolons must not be searched for
  // each.
  let equals = header.indexOf('=')
  for (let start = 0; equals >= 0 && start < header.length;) {
    const semicolon = header.indexOf(';', start)
    const end = semicolon < 0 ? header.length : semicolon
    if (equals < start) equals = header.indexOf('=', start)
    if (equals >= 0 && equals < end && isTrimmed(header, start, equals, name)) {
      try {
        values.push(decodeURIComponent(trim(header.slice(equals + 1, end))))
      } catch {
        // Wrong percent encoding.
      }
    }
    start = end + 1
  }
  return values
}

/** Whether the text from `start` to `end`, without blanks at its ends, is `name`. */
function isTrimmed(text: string, start: number, end: number, name: string): boolean {
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return end - start === name.length && text.startsWith(name, start)
}

function trim(text: string): string {
  // No regular expression: /[ \t]+$/ takes quadratic time on a long run of spaces in the middle.
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function refuseContradictions(options: CookieOptions): void {
  const { name, domain, path = '/', sameSite = 'auto', secure = 'auto', partitioned, priority } = options
  if (!['auto', 'lax', 'strict', 'none'].includes(sameSite)) {
    throw optionError(
      `cookie.sameSite must be 'auto', 'lax', 'strict' or 'none', not ${JSON.stringify(sameSite)}.${sameSiteHint(sameSite)}`,
    )
  }
  if (secure !== true && secure !== false && secure !== 'auto') {
    throw optionError(`cookie.secure must be true, false or 'auto', not ${JSON.stringify(secure)}.`)
  }
  if (priority !== undefined && !['low', 'medium', 'high'].includes(priority)) {
    throw optionError(`cookie.priority must be 'low', 'medium' or 'high', not ${JSON.stringify(priority)}.`)
  }
  if (sameSite === 'none' && secure !== true) {
    throw optionError("cookie.sameSite 'none' needs cookie.secure true: browsers drop the cookie otherwise.")
  }
  if (partitioned && secure !== true) {
    throw optionError('cookie.partitioned needs cookie.secure true: browsers drop the cookie otherwise.')
  }
  if (partitioned && sameSite !== 'none') {
    throw optionError(
      "cookie.partitioned is for pages that other sites embed, where browsers send SameSite=None cookies only: write cookie.sameSite 'none' too, or leave partitioned out.",
    )
  }
  for (const name of ['httpOnly', 'partitioned', 'persistent'] as const) {
    if (!['boolean', 'undefined'].includes(typeof options[name]))
      throw optionError(`cookie.${name} must be true or false.`)
  }
  if (name !== undefined && !(typeof name === 'string' && /^[\w!#$%&'*+.^`|~-]{1,200}$/.test(name))) {
    throw optionError('cookie.name must be 1 to 200 letters, digits or dashes, such as "sid".')
  }
  if (typeof path !== 'string' || !path.startsWith('/')) throw optionError("cookie.path must begin with '/'.")
  const isHost = typeof domain === 'string' && /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(domain)
  if (domain !== undefined && !isHost) {
    throw optionError(
      `cookie.domain must be a host name in lower case such as 'example.com', without scheme, port or leading dot, not ${JSON.stringify(domain)}.`,
    )
  }
  if (Buffer.byteLength(path) > mostAttributeBytes)
    throw optionError(
      `cookie.path is longer than ${mostAttributeBytes} bytes, so browsers would ignore it: give a shorter one.`,
    )
  const unshared = domain === undefined ? undefined : unsharedDomain(domain)
  if (unshared !== undefined) throw optionError(unshared)
  if (name === undefined) return
  const prefix = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase()
  if (prefix && secure !== true)
    throw optionError(
      `A cookie named ${name} needs cookie.secure true. Leave the name out to have the prefix added wherever it fits.`,
    )
  if (prefix === 'host' && (domain !== undefined || path !== '/')) {
    throw optionError(
      `A cookie named ${name} can have no Domain and only the path '/'. Use the prefix __Secure- instead, or leave the name out.`,
    )
  }
}

/** Whether a browser sends a cookie of this path along with a request for that path (RFC 6265, section 5.1.4). */
export function pathMatches(cookiePath: string, requestPath: string): boolean {
  if (!requestPath.startsWith(cookiePath)) return false
  return cookiePath.endsWith('/') || ['', '/'].includes(requestPath.charAt(cookiePath.length))
}
