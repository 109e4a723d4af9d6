import { isError, kindOf, optionError, refuseUnknownOptions } from '../core/errors.js'
import { RecentValues } from '../core/recent-values.js'
import { type CookieOptions, cookieOptionNames, SessionCookie } from './cookie.js'
import type { CookieRequest, ExchangeRequest } from './exchange-request.js'
import type { SameSiteRules } from './same-site.js'

/** The attributes of the session cookie, by the request. As a method, so that it may name a framework's own request. */
export type CookieFunction = { of(request: CookieRequest): CookieOptions }['of']

/** The session cookies of an app whose option `cookie` is a function. */
export class CookiesByRequest {
  readonly #attributesOf: CookieFunction
  readonly #absolute: number | undefined
  readonly #rules: SameSiteRules | undefined
  /** Most apps have a few hosts, and each has the same attributes every time. */
  readonly #made = new RecentValues<SessionCookie>()

  /** @param absolute and `rules` as `SessionCookie` takes them */
  constructor(attributesOf: CookieFunction, absolute: number | undefined, rules?: SameSiteRules) {
    this.#attributesOf = attributesOf
    this.#absolute = absolute
    this.#rules = rules
  }

  /**
   * Asks the function, and checks what it returns as `createSessions` checks an object. Ask once a request.
   * @throws what the function throws; ERR_SESSION_OPTION if it throws no error, or returns what is no valid cookie
   */
  of({ request }: ExchangeRequest): SessionCookie {
    if (request === undefined) {
      throw optionError(
        'The option cookie is a function of the request, so sessions.exchange() needs the request too: sessions.exchange({ request, … }).',
      )
    }
    const options = this.#ask(request)
    refuseUnknownOptions('The result of the function cookie', options, cookieOptionNames)
    const key = keyOf(options)
    const known = key === undefined ? undefined : this.#made.get(key)
    if (known) return known
    const cookie = new SessionCookie(options, this.#absolute, this.#rules)
    if (key !== undefined) this.#made.set(key, cookie)
    return cookie
  }

  #ask(request: CookieRequest): CookieOptions {
    const attributesOf = this.#attributesOf
    let options: unknown
    try {
      options = attributesOf(request)
    } catch (error) {
      if (isError(error)) throw error
      // Express would take `undefined` or 'route' for a wish to go on.
      throw optionError(`The function cookie threw ${kindOf(error)}, which is no Error.`)
    }
    if (isPromise(options)) {
      // What it is rejected with must not end the process.
      Promise.resolve(options).catch(() => undefined)
      throw optionError(
        'The function cookie returned a promise, and has to return the attributes at once. Look up what it needs in middleware before session(), and put that on the request.',
      )
    }
    return options as CookieOptions
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** A text that only equal options have; `undefined` if a value is of a wrong type. */
function keyOf(options: CookieOptions): string | undefined {
  let key = ''
  for (const name of cookieOptionNames) {
    const value: unknown = options[name]
    if (typeof value === 'string') key += `${JSON.stringify(value)},`
    else if (typeof value === 'boolean' || value === undefined) key += `${value},`
    else return undefined
  }
  return key
}
