import { stringifySetCookie } from 'cookie'

/** A cookie's `SameSite`. `true` is `'strict'`; `false` leaves it out. */
export type SameSite = boolean | 'lax' | 'strict' | 'none'
/** A cookie's `Priority`. Chromium drops cookies of low priority first. */
export type Priority = 'low' | 'medium' | 'high'

/** The attributes of a session's cookie, as express-session names them. */
export interface CookieAttributes {
  /**
   * The path that the cookie is sent to, and all paths below it. Requests elsewhere get no session.
   * @default '/'
   */
  path?: string | undefined
  /** The domain whose hosts share the cookie, such as `'example.com'`. Default: only the host that set it. */
  domain?: string | undefined
  /**
   * Whether scripts of the page cannot read the cookie.
   * @default true
   */
  httpOnly?: boolean | undefined
  /** Whether the browser sends the cookie over HTTPS only. */
  secure?: boolean | undefined
  /** Whether the browser sends the cookie with requests from other sites. */
  sameSite?: SameSite | undefined
  /** Whether the browser keeps a cookie of its own for each top-level site (CHIPS). It needs `secure`. */
  partitioned?: boolean | undefined
  /** Chromium drops cookies of low priority first. */
  priority?: Priority | undefined
  /**
   * How long the cookie and the session live, in milliseconds; or until when, as a Date. `null`: the cookie ends when
   * the browser closes.
   * @default null
   */
  maxAge?: number | Date | null | undefined
  /** Until when the cookie lives. Use `maxAge` instead: a fixed date is the same for all sessions. */
  expires?: Date | boolean | null | undefined
}

/** Names of the class's own members, which no option and no stored row may replace. */
const ownNames = new Set(['data', 'serialize', 'toJSON', 'constructor', '__proto__'])

/** The cookie of a session, at `req.session.cookie`: its attributes, and how long it still lives. */
export class Cookie {
  /** The path that the cookie is sent to. */
  declare path: string
  /** The value of `expires`. Stores that were written for express-session read it by this name. */
  declare private _expires: Date | boolean | null | undefined
  /** The `maxAge` that was last set, in milliseconds. `null`: until the browser closes. `touch()` restores it. */
  declare originalMaxAge: number | null
  declare httpOnly: boolean
  declare domain?: string
  declare secure?: boolean
  declare sameSite?: SameSite
  declare partitioned?: boolean
  declare priority?: Priority

  /** @throws TypeError if `options` is no object, or `maxAge` is neither a number nor a Date. */
  constructor(options?: CookieAttributes) {
    // In this order: it is the order in which the fields are printed and copied later.
    this.path = '/'
    this.maxAge = null
    this.httpOnly = true
    if (options) {
      if (typeof options !== 'object') throw new TypeError('argument options must be a object')
      assign(this, options)
    }
    this.originalMaxAge ??= remaining(this._expires)
  }

  /**
   * When the cookie ends. `null` or `false`: when the browser closes. Reading gives `null` then.
   *
   * The types of `expires` and `maxAge` are those of `@types/express-session`, for code that was compiled with them.
   */
  get expires(): Date | null | undefined {
    return this._expires as Date | null
  }

  set expires(moment: Date | boolean | null | undefined) {
    this._expires = moment
    this.originalMaxAge = remaining(moment)
  }

  /** How many milliseconds the cookie still lives. `null`: until the browser closes. */
  get maxAge(): number | undefined {
    return remaining(this._expires) as number | undefined
  }

  set maxAge(length: number | Date | null | undefined) {
    if (length && typeof length !== 'number' && !(length instanceof Date)) {
      throw new TypeError('maxAge must be a number or Date')
    }
    if (typeof length !== 'number') {
      this.expires = length as Date | null
      return
    }
    const now = Date.now()
    const end = new Date(now + length)
    this.expires = end
    // The length that was given, in whole milliseconds, not what is left of it a moment later.
    this.originalMaxAge = end.getTime() - now
  }

  /** The attributes, as they are stored with a session. */
  get data() {
    const { partitioned, priority, secure, httpOnly, domain, path, sameSite } = this
    const { originalMaxAge, _expires: expires } = this
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite }
  }

  /**
   * Makes the `Set-Cookie` value for a cookie of this name and value, with these attributes.
   * @throws TypeError if an attribute is malformed.
   */
  serialize(name: string, value: string): string {
    const { originalMaxAge: _, ...attributes } = this.data
    return stringifySetCookie({ ...(attributes as object), name, value })
  }

  /** The same as `data`. */
  toJSON() {
    return this.data
  }
}

// Enumerable, as in express-session: copies by `for … in`, as by Underscore's and jQuery's `extend`, include these.
for (const name of ['expires', 'maxAge', 'data', 'serialize', 'toJSON']) {
  Object.defineProperty(Cookie.prototype, name, { enumerable: true })
}

function assign(cookie: Cookie, attributes: object): void {
  // Inherited ones too: options are often made with Object.create(defaults).
  for (const name in attributes) {
    if (!ownNames.has(name)) (cookie as object as Record<string, unknown>)[name] = attributes[name as never]
  }
}

/**
 * Gives a cookie the attributes of a session's JSON. There, `expires` is text, and `originalMaxAge` is the whole
 * lifetime.
 * @throws TypeError if `maxAge` is neither a number nor a Date.
 */
export function assignStored(cookie: Cookie, stored: object): Cookie {
  assign(cookie, stored)
  const { expires, originalMaxAge } = stored as { expires?: unknown; originalMaxAge?: number | null }
  if (typeof expires === 'string') cookie.expires = new Date(expires)
  // The stored length, not the part of it that is left.
  if (originalMaxAge !== undefined) cookie.originalMaxAge = originalMaxAge
  return cookie
}

/**
 * Whether a value can be a cookie's `maxAge`; `false` counts as `null`. Others in a row would fail all its holder's
 * requests.
 */
export function isMaxAge(length: unknown): length is number | null {
  return (
    length === null ||
    length === false ||
    (typeof length === 'number' && isMoment(new Date(Date.now() + length)))
  )
}

export function isMoment(date: Date): boolean {
  return !Number.isNaN(date.getTime())
}

function remaining(moment: Date | boolean | null | undefined): number | null {
  return moment instanceof Date ? moment.valueOf() - Date.now() : (moment as null)
}

/** The Domain as browsers read it. `undefined`: the cookie is for one host. */
export function cookieDomain(domain: string | undefined): string | undefined {
  return typeof domain === 'string' && domain !== '' ? domain.toLowerCase().replace(/^\./, '') : undefined
}

/** The fields of a stored cookie that other requests may change. */
interface StoredMaxAge {
  readonly originalMaxAge?: unknown
  readonly expires?: unknown
}

/**
 * My stored cookie, with the `maxAge` that others gave it between `before` and `theirs`, unless mine has a new one too.
 */
export function mergedCookie(before: unknown, mine: unknown, theirs: unknown): unknown {
  const [base, ours, now] = [before, mine, theirs].map((cookie) => (cookie ?? {}) as StoredMaxAge) as [
    StoredMaxAge,
    StoredMaxAge,
    StoredMaxAge,
  ]
  const isTheirs = ours.originalMaxAge === base.originalMaxAge && now.originalMaxAge !== base.originalMaxAge
  return isTheirs ? { ...ours, originalMaxAge: now.originalMaxAge, expires: now.expires } : mine
}

/** The `maxAge` of a stored cookie, as a cookie takes it. */
export function maxAgeIn({ originalMaxAge }: StoredMaxAge): number | null {
  return isMaxAge(originalMaxAge) ? originalMaxAge : null
}

interface HasCookie {
  readonly cookie?: unknown
}

/** Gives a session the `maxAge` that others gave it, unless this request gave it one too. */
export function mergeCookie(session: HasCookie, base: HasCookie, theirs: HasCookie): void {
  const [mine, before, now] = [session.cookie, base.cookie, theirs.cookie] as (Partial<Cookie> | undefined)[]
  if (!mine || !now || mine.originalMaxAge !== before?.originalMaxAge) return
  if (now.originalMaxAge === before?.originalMaxAge) return
  ;(mine as Cookie).maxAge = now.originalMaxAge ?? null
}
