import type { IncomingHttpHeaders } from 'node:http'

/** A request, as `sessions.exchange` takes it. */
export interface ExchangeRequest {
  /** The `Cookie` header; `undefined` if there is none. Its first 16,384 characters are read. */
  readonly cookieHeader: string | undefined
  /**
   * Returns the header of a name in lower case, for the option `header`; `undefined` if there is none. A repeated one is
   * the values with `, ` between, as `Headers.get` has it.
   */
  readonly header?: ((name: string) => string | undefined) | undefined
  /** Whether the request came by HTTPS. Believe a proxy's `X-Forwarded-Proto` only if that proxy is yours. */
  readonly secure: boolean
  /**
   * The host of the request, in lower case and without the port. It decides about warnings, and about `SameSite` if
   * `cookie.sameSite` is `'auto'`.
   */
  readonly host?: string | undefined
  /** The request of the framework, for an option `cookie` that is a function of it. */
  readonly request?: CookieRequest | undefined
  /**
   * Whether the request gets an empty session that cannot be stored while the store is away. Otherwise, `exchange`
   * rejects.
   * @default false
   */
  readonly anonymousWhenUnavailable?: boolean | undefined
  /**
   * Other places of the token, used if no session cookie is in the header: `tokens` that somebody else has verified,
   * and `signed` values that are verified here.
   */
  readonly elsewhere?: () => { readonly tokens: readonly string[]; readonly signed: readonly string[] }
}

/**
 * What an option `cookie` that is a function gets. With `session(sessions)`, it is the request of Express, connect or
 * `node:http` itself; you may annotate the parameter with the framework's own type.
 */
export interface CookieRequest {
  readonly headers: IncomingHttpHeaders
  readonly url?: string | undefined
  /** Under Express: the host without the port. It honours `trust proxy`. */
  readonly hostname?: string | undefined
  /** Under Express: the path of the request. */
  readonly path?: string | undefined
  /** Under Express: whether the request came by HTTPS. It honours `trust proxy`. */
  readonly secure?: boolean | undefined
}
