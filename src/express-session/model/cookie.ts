import { stringifySetCookie } from 'cookie'

/** `true` is `'strict'`. */
export type SameSite = boolean | 'lax' | 'strict' | 'none'
/** Chromium drops cookies of low priority first. */
export type Priority = 'low' | 'medium' | 'high'

/** The attributes of a session's cookie, as express-session names them. */
export interface CookieAttributes {
  path?: string | undefined
  domain?: string | undefined
  httpOnly?: boolean | undefined
  secure?: boolean | undefined
  sameSite?: SameSite | undefined
  partitioned?: boolean | undefined
  priority?: Priority | undefined
  /** Milliseconds from now, or a moment; `null`: until the browser closes. */
  maxAge?: number | Date | null | undefined
  expires?: Date | boolean | null | undefined
}

/** Names that are a cookie's own, which no option and no stored row can take. */
const ownNames = new Set(['data', 'serialize', 'toJSON', 'constructor', '__proto__'])

/** A session's cookie: its attributes, and how long it still lives. */
export class Cookie {
  declare path: string
  /** Where `expires` is kept. Stores that were written for express-session read it under this name. */
  declare private _expires: Date | boolean | null | undefined
  /** The `maxAge` last assigned, in milliseconds; `null`: until the browser closes. What `touch()` goes back to. */
  declare originalMaxAge: number | null
  declare httpOnly: boolean
  declare domain?: string
  declare secure?: boolean
  declare sameSite?: SameSite
  declare partitioned?: boolean
  declare priority?: Priority

  /** @throws TypeError if the options are no object, or `maxAge` is neither a number nor a Date */
  constructor(options?: CookieAttributes) {
    // In this order: it is the order in which the fields are printed and copied.
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
   * When the cookie ends; `null` or `false`: when the browser closes. The types of this and of `maxAge` are those of
   * @types/express-session, for code that was compiled with them. What is read without an end is `null`.
   */
  get expires(): Date | null | undefined {
    return this._expires as Date | null
  }

  set expires(moment: Date | boolean | null | undefined) {
    this._expires = moment
    this.originalMaxAge = remaining(moment)
  }

  /** Milliseconds that the cookie still lives; `null`: until the browser closes. */
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
    // What was said, in whole milliseconds, and not what is left of it a moment later.
    this.originalMaxAge = end.getTime() - now
  }

  /** The attributes, as they are kept with a session. */
  get data() {
    const { partitioned, priority, secure, httpOnly, domain, path, sameSite } = this
    const { originalMaxAge, _expires: expires } = this
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite }
  }

  /**
   * The Set-Cookie value that gives `name` this value with these attributes.
   * @throws TypeError if an attribute is malformed
   */
  serialize(name: string, value: string): string {
    const { originalMaxAge: _, ...attributes } = this.data
    return stringifySetCookie({ ...(attributes as object), name, value })
  }

  toJSON() {
    return this.data
  }
}

// Copying by `for … in`, as Underscore's and jQuery's `extend` do, takes these along, as under express-session.
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
 * Gives a cookie attributes as a session's JSON has them: `expires` is text, and `originalMaxAge` the whole length of life.
 * @throws TypeError if `maxAge` is neither a number nor a Date
 */
export function assignStored(cookie: Cookie, stored: object): Cookie {
  assign(cookie, stored)
  const { expires, originalMaxAge } = stored as { expires?: unknown; originalMaxAge?: number | null }
  if (typeof expires === 'string') cookie.expires = new Date(expires)
  // As it was, not the part of it that is left.
  if (originalMaxAge !== undefined) cookie.originalMaxAge = originalMaxAge
  return cookie
}

/** Whether a cookie can live for so long; `false` as `null`. Anything else in a row would fail every response to its holder. */
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

/** The Domain as browsers read it; `undefined`: the cookie is for one host. */
export function cookieDomain(domain: string | undefined): string | undefined {
  return typeof domain === 'string' && domain !== '' ? domain.toLowerCase().replace(/^\./, '') : undefined
}

/** What of a stored cookie others may change. */
interface StoredMaxAge {
  readonly originalMaxAge?: unknown
  readonly expires?: unknown
}

/** A stored cookie with the `maxAge` that others gave it from `before` to `theirs`, unless `mine` has a new one too. */
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

/** Takes over a `maxAge` that others gave the session, unless this request gave it one too. */
export function mergeCookie(session: HasCookie, base: HasCookie, theirs: HasCookie): void {
  const [mine, before, now] = [session.cookie, base.cookie, theirs.cookie] as (Partial<Cookie> | undefined)[]
  if (!mine || !now || mine.originalMaxAge !== before?.originalMaxAge) return
  if (now.originalMaxAge === before?.originalMaxAge) return
  ;(mine as Cookie).maxAge = now.originalMaxAge ?? null
}
