import { stringifySetCookie } from 'cookie'
import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { unsharedDomain } from './cookie-domain.js'

/** How the session cookie is made. It is made from this alone; nothing of it is ever read from the database. */
export interface CookieOptions {
  /**
   * The cookie's name, used as it is. Default: `sid`, with `__Host-` before it where the cookie is Secure and has no
   * Domain, and `__Secure-` where it is Secure and has one (RFC 6265bis, section 4.1.3).
   */
  readonly name?: string | undefined
  /**
   * `'example.com'` shares the cookie with all its subdomains: every one of them must be trusted. `localhost`, an IP address and a
   * public suffix such as `co.uk` cannot be shared and are refused; in development, `'my.localhost'` can. Default: this host only.
   */
  readonly domain?: string | undefined
  /** Default `/`. */
  readonly path?: string | undefined
  /** Default `'lax'`. `'none'` sends the cookie along from other sites too, and needs `secure: true`. */
  readonly sameSite?: 'lax' | 'strict' | 'none' | undefined
  /** Default `'auto'`: Secure wherever the request came by HTTPS. `true`: on other requests no cookie is set. */
  readonly secure?: boolean | 'auto' | undefined
  /** Default `true`: scripts cannot read it. */
  readonly httpOnly?: boolean | undefined
  /** Default `false`. `true` gives each top-level site its own jar (CHIPS), and needs `secure: true`. */
  readonly partitioned?: boolean | undefined
  /** Left out by default. Chromium drops cookies of low priority first. */
  readonly priority?: 'low' | 'medium' | 'high' | undefined
  /** Default `false`: the cookie goes when the browser closes. `true`: it stays as long as the session can live, at most 400 days. */
  readonly persistent?: boolean | undefined
}

const names = [
  'name', 'domain', 'path', 'sameSite', 'secure', 'httpOnly', 'partitioned', 'priority', 'persistent',
] as const // prettier-ignore

/** The longest life of a cookie in seconds: browsers shorten what is longer (RFC 6265bis, section 5.5). */
export const longestAge = 400 * 86_400
/** The most bytes of a cookie's name and value together: browsers drop what is larger (RFC 6265bis, section 5.6). */
export const mostBytes = 4_096
/** The most bytes of an attribute's value: browsers ignore what is larger (RFC 6265bis, section 5.6). */
export const mostAttributeBytes = 1_024

/** The session cookie of some apps: its name, its attributes, and the headers that set and clear it. */
export class SessionCookie {
  readonly secure: boolean | 'auto'
  readonly #name: string | undefined
  readonly #options: CookieOptions
  readonly #maxAge: number | undefined

  /**
   * @param absolute the longest that a session can live, in milliseconds; `undefined`: no limit
   * @throws ERR_SESSION_OPTION if the attributes are unknown, malformed, or contradict each other
   */
  constructor(options: CookieOptions, absolute: number | undefined) {
    refuseUnknownOptions('cookie', options, names)
    refuseContradictions(options)
    this.secure = options.secure ?? 'auto'
    this.#name = options.name
    // By name: a copy by `...` would leave out what is inherited.
    this.#options = Object.fromEntries(names.map((name) => [name, options[name]]))
    this.#maxAge = options.persistent
      ? Math.min(longestAge, absolute === undefined ? longestAge : Math.floor(absolute / 1000))
      : undefined
    try {
      this.set('token', true) // the cookie library refuses what is malformed: find out now
    } catch (error) {
      throw optionError(`The cookie cannot be made from these options: ${(error as Error).message}.`)
    }
  }

  /** The name that the cookie has on a request that is secure, or not: no other name is read there. */
  name(secure: boolean): string {
    if (this.#name !== undefined) return this.#name
    if (!this.#isSecure(secure)) return 'sid'
    const hostOnly = this.#options.domain === undefined && (this.#options.path ?? '/') === '/'
    return hostOnly ? '__Host-sid' : '__Secure-sid'
  }

  /** Whether a cookie may be set on such a request at all. */
  settable(secure: boolean): boolean {
    return secure || this.secure !== true
  }

  get domain(): string | undefined {
    return this.#options.domain
  }

  /** The Set-Cookie value that hands out a signed token. */
  set(value: string, secure: boolean): string {
    return this.#serialize(value, secure, this.#maxAge)
  }

  /** The Set-Cookie value that makes the browser drop the cookie: the same attributes, no life left. */
  clear(secure: boolean): string {
    return this.#serialize('', secure, 0)
  }

  #isSecure(secure: boolean): boolean {
    return this.secure === true || (this.secure === 'auto' && secure)
  }

  #serialize(value: string, secure: boolean, maxAge: number | undefined): string {
    const {
      domain,
      path = '/',
      sameSite = 'lax',
      httpOnly = true,
      partitioned = false,
      priority,
    } = this.#options
    return stringifySetCookie({
      name: this.name(secure),
      value,
      path,
      sameSite,
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
 * All values that a Cookie header gives one name, in order. Browsers send several when cookies of
 * the same name differ in Domain or Path, and a parser that keeps only one can lock people out. Only SP and HTAB are
 * trimmed, names are compared exactly, and a value that is not percent-encoded right is skipped
 * (RFC 6265bis, section 5.6).
 */
export function cookieValues(header: string | undefined, name: string): string[] {
  // A cheap test first: most requests without a session do not have the name at all.
  if (!header?.includes(name)) return []
  const values: string[] = []
  // Looked for once, and again only behind the last: a header of nothing but semicolons must not be searched for each.
  let equals = header.indexOf('=')
  for (let start = 0; equals >= 0 && start < header.length;) {
    const semicolon = header.indexOf(';', start)
    const end = semicolon < 0 ? header.length : semicolon
    if (equals < start) equals = header.indexOf('=', start)
    if (equals >= 0 && equals < end && isTrimmed(header, start, equals, name)) {
      try {
        values.push(decodeURIComponent(trim(header.slice(equals + 1, end))))
      } catch {
        // Not percent-encoded right.
      }
    }
    start = end + 1
  }
  return values
}

/** Whether the text from `start` to `end`, without the blanks around it, is `name`. */
function isTrimmed(text: string, start: number, end: number, name: string): boolean {
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return end - start === name.length && text.startsWith(name, start)
}

function trim(text: string): string {
  // No regular expression: on a long run of spaces in the middle, /[ \t]+$/ takes time quadratic in it.
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function refuseContradictions(options: CookieOptions): void {
  const { name, domain, path = '/', sameSite = 'lax', secure = 'auto', partitioned, priority } = options
  if (!['lax', 'strict', 'none'].includes(sameSite)) {
    throw optionError(`cookie.sameSite must be 'lax', 'strict' or 'none', not ${JSON.stringify(sameSite)}.`)
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
  for (const name of ['httpOnly', 'partitioned', 'persistent'] as const) {
    if (!['boolean', 'undefined'].includes(typeof options[name]))
      throw optionError(`cookie.${name} must be true or false.`)
  }
  if (name !== undefined && !/^[\w!#$%&'*+.^`|~-]{1,200}$/.test(name)) {
    throw optionError('cookie.name must be 1 to 200 letters, digits or dashes, such as "sid".')
  }
  if (typeof path !== 'string' || !path.startsWith('/')) throw optionError("cookie.path must begin with '/'.")
  if (domain !== undefined && !/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(domain)) {
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
