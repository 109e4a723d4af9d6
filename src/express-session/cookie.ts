import { stringifySetCookie } from 'cookie'

/** `true` is `'strict'`. */
export type SameSite = boolean | 'lax' | 'strict' | 'none'
/** Chromium drops cookies of low priority first. */
export type Priority = 'low' | 'medium' | 'high'

/** The attributes of a session's cookie, as express-session names them. */
export interface CookieAttributes {
  readonly path?: string | undefined
  readonly domain?: string | undefined
  readonly httpOnly?: boolean | undefined
  readonly secure?: boolean | undefined
  readonly sameSite?: SameSite | undefined
  readonly partitioned?: boolean | undefined
  readonly priority?: Priority | undefined
  /** Milliseconds from now, or a moment; `null`: until the browser closes. */
  readonly maxAge?: number | Date | null | undefined
  readonly expires?: Date | boolean | null | undefined
}

/** A session's cookie: its attributes, and how long it still lives. */
export class Cookie {
  path: string = '/'
  httpOnly: boolean = true
  declare domain?: string
  declare secure?: boolean
  declare sameSite?: SameSite
  declare partitioned?: boolean
  declare priority?: Priority
  /** The `maxAge` last assigned, in milliseconds; `null`: until the browser closes. What `touch()` goes back to. */
  originalMaxAge: number | null
  private _expires: Date | boolean | null = null

  /** @throws TypeError if the options are no object, or `maxAge` is neither a number nor a Date */
  constructor(options?: CookieAttributes) {
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw new TypeError('argument options must be a object')
    }
    this.originalMaxAge = null
    for (const [name, value] of Object.entries(options ?? {})) {
      if (name !== 'data') (this as unknown as Record<string, unknown>)[name] = value
    }
    const { originalMaxAge } = (options ?? {}) as { originalMaxAge?: number | null }
    this.originalMaxAge = originalMaxAge ?? remaining(this._expires)
  }

  /** When the cookie ends; `null` or `false`: when the browser closes. */
  get expires(): Date | boolean | null {
    return this._expires
  }

  set expires(moment: Date | boolean | null) {
    this._expires = moment
    this.originalMaxAge = remaining(moment)
  }

  /** Milliseconds that the cookie still lives; `null`: until the browser closes. */
  get maxAge(): number | null {
    return remaining(this._expires)
  }

  set maxAge(length: number | Date | null | undefined) {
    if (length && typeof length !== 'number' && !(length instanceof Date)) {
      throw new TypeError('maxAge must be a number or Date')
    }
    this.expires = typeof length === 'number' ? new Date(Date.now() + length) : (length ?? null)
  }

  /** The attributes, as they are kept with a session. */
  get data() {
    const { partitioned, priority, secure, httpOnly, domain, path, sameSite } = this
    const { originalMaxAge, _expires: expires } = this
    return { originalMaxAge, partitioned, priority, expires, secure, httpOnly, domain, path, sameSite }
  }

  /** The Set-Cookie value that gives `name` this value with these attributes. */
  serialize(name: string, value: string): string {
    const { expires, sameSite, ...others } = this.data
    const given = Object.entries(others).filter(
      ([key, part]) => part !== undefined && key !== 'originalMaxAge',
    )
    return stringifySetCookie({
      name,
      value,
      ...Object.fromEntries(given),
      ...(expires instanceof Date && { expires }),
      ...(sameSite && { sameSite }),
    })
  }

  toJSON() {
    return this.data
  }
}

function remaining(moment: Date | boolean | null): number | null {
  return moment instanceof Date ? moment.valueOf() - Date.now() : (moment as null)
}
