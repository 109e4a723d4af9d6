import { mistakenFor } from './core/argument.js'
import { type EngineSettings, SessionEngine } from './core/engine.js'
import { type AdvancedEngineOptions, type EngineOptions, resolveEngine } from './core/engine-options.js'
import { optionError, refuseUnknownOptions } from './core/errors.js'
import { flowFormOf, type Secret, Signer } from './core/signer.js'
import { type CookieOptions, SessionCookie } from './http/cookie.js'
import { type CsrfOptions, CsrfPolicy } from './http/csrf.js'
import { type CookieFunction, CookiesByRequest } from './http/cookie-function.js'
import { Exchange } from './http/exchange.js'
import type { ExchangeRequest } from './http/exchange-request.js'
import { explain, type ExplainedRequest, type Explanation } from './http/explain.js'
import { type HeaderOptions, HeaderTransport, resolveHeader } from './http/header-transport.js'
import { type SameSiteFacts, SameSiteRules } from './http/same-site.js'
import { resolveSites, type SiteFunction, type SitePolicy, type TrustedSite } from './http/sites.js'
import { Transports } from './http/transports.js'

/**
 * The options of `createSessions`. Only `store` and `secret` are required. Apps that share the store need the same
 * options; `sites`, `csrf`, `sweep` and `storeLimits` may differ.
 *
 * A length of time is a number of milliseconds, or a text such as `'30m'`. An option that is unknown, malformed or
 * contradicts another throws `ERR_SESSION_OPTION` at start-up.
 *
 * The options that most apps leave out are in `AdvancedSessionsOptions`.
 */
export interface SessionsOptions extends AdvancedSessionsOptions, EngineOptions {
  /**
   * Signs the session cookies (HMAC-SHA256). Give 32 random bytes, the same in every app: `openssl rand -base64 32`
   * prints them. Fewer than 16 bytes, and one repeated character, are refused.
   *
   * In a list, the first secret signs and all are accepted. Unset secrets after the first are skipped. To replace a
   * secret without signing anybody out, deploy `[old, new]` to all apps, then `[new, old]`, and later `[new]`: see
   * `docs/deploy.md`, "Secrets".
   * @example
   * secret: [process.env.SESSION_SECRET, process.env.OLD_SESSION_SECRET]
   */
  readonly secret: Secret | undefined | readonly (Secret | undefined)[]
  /**
   * The attributes of the session cookie. By default it is for one host, `HttpOnly`, `Secure` on HTTPS, and
   * `SameSite=Lax`, or `None` if `sites` names another site.
   *
   * It may be a function of the framework's request, for example for a tenant's own domain. It runs once for each
   * request, and has to return the attributes at once. What it returns is checked as the object is. What it throws, and
   * `ERR_SESSION_OPTION` if the attributes are not valid, goes to `next(error)`. The request then has an empty session
   * that cannot be stored.
   * @example
   * cookie: { domain: 'example.com' } // shared by all subdomains
   * @example
   * cookie: (request) => ({ domain: tenants.get(request.hostname)?.domain })
   */
  readonly cookie?: CookieOptions | CookieFunction | undefined
  /**
   * The trusted origins. `cors(sessions)` lets their pages read responses. `session(sessions)` lets pages of exact
   * origins change data too. Wildcards and functions count for reading only, unless `csrf.allSites` is `true`.
   *
   * Write an origin as browsers send it (RFC 6454, section 6.2): scheme, host, and the port unless it is the default.
   * `'https://*.example.com'` is every host one label below, `'https://**.example.com'` every host at any depth; neither
   * is `https://example.com` itself. `{ origin, paths }` limits an entry to some paths. A function decides about all
   * other origins. `http:` is accepted for this machine only, such as `'http://localhost:3000'`.
   * @default []
   * @example
   * sites: ['https://app.example.com', 'https://*.example.com', { origin: 'https://partner.test', paths: ['/api/*'] }]
   */
  readonly sites?: readonly TrustedSite[] | SiteFunction | undefined
}

/** The options of `createSessions` that most apps leave out. Part of `SessionsOptions`. */
export interface AdvancedSessionsOptions extends AdvancedEngineOptions {
  /**
   * The check against forged requests (CSRF): `session(sessions)` refuses a request that changes something (403,
   * `ERR_SESSION_FORGED`) if a page of another origin sent it, unless `sites` lists that origin. It runs before your
   * handler, with and without a cookie. `false`: no check.
   * @default {}
   * @example
   * csrf: { accept: { '/login/apple': ['https://appleid.apple.com'] } }
   */
  readonly csrf?: CsrfOptions | false | undefined
  /**
   * Takes the token from a header too, for native apps and command-line clients: see `docs/native-apps.md`. `true`:
   * `Authorization: Bearer <token>`; a new token comes in the response header `Session-Token`.
   *
   * A request with the header gets no cookie, its cookies are ignored, and it is not checked for forgery. Default: no
   * header is read.
   * @example
   * header: true
   * @example
   * header: { name: 'X-Session', cookie: false } // this header only, and no cookies
   */
  readonly header?: true | HeaderOptions | undefined
}

const optionNames = [
  'store', 'secret', 'cookie', 'header', 'lifetime', 'touchAfter', 'rotationGrace', 'userOf', 'sessionsPerUser', 'merge', 'codec',
  'encryption', 'sizeLimit', 'sites', 'csrf', 'clientId', 'sweep', 'storeLimits',
] as const // prettier-ignore

/**
 * The sessions of one or more apps: what `session(sessions)` and `cors(sessions)` take. Made by `createSessions`.
 *
 * It is an `EventEmitter`: `sessions.on(name, listener)` listens to the events of `SessionEvents`.
 */
export class Sessions extends SessionEngine {
  /** The trusted origins, as given by `sites`. */
  readonly sites: SitePolicy
  /** The check against forged requests; `undefined` if the option `csrf` turned it off. */
  readonly csrf: CsrfPolicy | undefined
  /** @internal */
  readonly transports: Transports
  /** @internal */
  readonly flowSigner: Signer | undefined

  /** @internal Use `createSessions`. */
  constructor(
    settings: EngineSettings,
    http: Pick<Sessions, 'sites' | 'csrf' | 'transports' | 'flowSigner'>,
  ) {
    super(settings)
    this.sites = http.sites
    this.csrf = http.csrf
    this.transports = http.transports
    this.flowSigner = http.flowSigner
  }

  /**
   * Whether a request brings its token in a header, by the option `header`; valid or not. Such a request needs no check
   * for forgery: no page of another site can send it, and its cookies are ignored.
   * @example
   * const isByHeader = sessions.usesHeader({ header: (name) => request.headers.get(name) ?? undefined })
   */
  usesHeader(request: Pick<ExchangeRequest, 'header'>): boolean {
    return this.transports.isByHeader(request)
  }

  /**
   * Begins the work on one request's session, for adapters to any server or framework. It takes request headers, and
   * `finish` returns the response headers to set. It returns no promise if the store need not be asked. It does not check
   * for forged requests: ask `sessions.csrf.judge()` before, unless `sessions.usesHeader()`.
   *
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503):
   *   the session may well exist, so do not treat the visitor as signed out. If `cookie` is a function: what it throws,
   *   or `ERR_SESSION_OPTION`.
   * @example
   * const cookieHeader = request.headers.get('cookie') ?? undefined
   * const header = (name: string) => request.headers.get(name) ?? undefined // for the option `header`
   * const exchange = await sessions.exchange({ cookieHeader, header, secure: true })
   * const response = await handle(request, exchange.work.session)
   * const changes = await exchange.finish()
   * if (changes) {
   *   response.headers.append(changes.name, changes.value)
   *   const caching = changes.cacheControl(response.headers.get('cache-control') ?? '')
   *   if (caching !== undefined) response.headers.set('Cache-Control', caching)
   *   for (const [name, value] of [...response.headers]) if (changes.drops(name, value)) response.headers.delete(name)
   * }
   * if (exchange.vary !== undefined) response.headers.append('Vary', exchange.vary)
   */
  exchange(request: ExchangeRequest): Exchange | Promise<Exchange> {
    return Exchange.begin({ engine: this, transportOf: (given) => this.transports.of(given) }, request)
  }

  /**
   * Tells what would happen to a request, and why: whether the page may read the answer (CORS), whether the browser sends
   * the cookie, and whether the check against forged requests lets it pass. `npx coatcheck explain` prints the same.
   *
   * @example
   * const { lines } = await sessions.explain({
   *   origin: 'https://shop.example.com',
   *   method: 'POST',
   *   path: '/cart',
   *   host: 'api.example.com',
   * })
   * console.log(lines.join('\n'))
   */
  explain(request: ExplainedRequest): Promise<Explanation> {
    const { sites, csrf, transports } = this
    return explain({ sites, csrf, cookie: transports.explainedCookie(request) }, request)
  }
}

/**
 * Makes the sessions that an app gives to `session(sessions)` and `cors(sessions)`. All options are checked here, once.
 *
 * @throws {SessionError} `ERR_SESSION_OPTION` if an option is missing, unknown, malformed, or contradicts another.
 * @example
 * const sessions = createSessions({
 *   store: new MySQLStore(process.env.DATABASE_URL),
 *   secret: [process.env.SESSION_SECRET, process.env.OLD_SECRET],
 *   cookie: { domain: 'example.com' },
 *   lifetime: { idle: '30m', absolute: '7d' },
 * })
 */
export function createSessions(options: SessionsOptions): Sessions {
  const mistake = mistakenFor(options, optionNames)
  if (mistake !== undefined) {
    throw optionError(`createSessions() was given ${mistake}. Write createSessions({ store, secret }).`)
  }
  refuseUnknownOptions('createSessions', options, optionNames)
  // Check everything first: the engine starts its sweep timer when it is made.
  const settings = resolveEngine(options)
  const sites = resolveSites(options.sites ?? [])
  const csrf = options.csrf === false ? undefined : new CsrfPolicy(options.csrf ?? {}, sites)
  const rules = new SameSiteRules({
    origins: namedBy(sites),
    check: strengthOf(csrf),
    byHeader: options.header !== undefined,
  })
  const { clientId } = settings
  const flowSigner =
    clientId === undefined ? undefined : new Signer(options.secret as Secret, flowFormOf(clientId))
  const http = {
    transports: resolveTransports(options, settings.lifetime.absolute, rules),
    sites,
    csrf,
    flowSigner,
  }
  return new Sessions(settings, http)
}

function strengthOf(csrf: CsrfPolicy | undefined): SameSiteFacts['check'] {
  if (csrf === undefined) return 'off'
  if (csrf.reportsOnly) return 'reports'
  return csrf.acceptsStrangers ? 'accepts' : 'refuses'
}

/** The origins and wildcards that a list of sites names. What its functions trust is known only with a request. */
function namedBy({ entries }: SitePolicy): string[] {
  return entries.flatMap((entry) =>
    typeof entry === 'function' ? [] : typeof entry === 'string' ? entry : entry.origin,
  )
}

function resolveTransports(
  options: SessionsOptions,
  absolute: number | undefined,
  rules: SameSiteRules,
): Transports {
  const secret = options.secret as Secret
  const signer = new Signer(secret)
  const header = resolveHeader(options.header)
  if (header?.cookie === false && options.cookie !== undefined) {
    throw optionError(
      'header.cookie is false, so no cookie is ever set: leave the option cookie out, or header.cookie.',
    )
  }
  const { cookie = {} } = options
  const cookies =
    typeof cookie === 'function'
      ? new CookiesByRequest(cookie, absolute, rules)
      : new SessionCookie(cookie, absolute, rules)
  return new Transports(
    signer,
    header?.cookie === false ? undefined : cookies,
    header && new HeaderTransport(header, secret),
  )
}
