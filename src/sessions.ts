import { defaultBatching } from './core/store/batcher.js'
import { type Codec, jsonCodec } from './core/data/codec.js'
import { Encryption, type EncryptionKey, encryptionUnavailable } from './core/data/encryption.js'
import { type EngineSettings, SessionEngine } from './core/engine.js'
import { checkedStore, mistakenFor, positiveInteger } from './core/argument.js'
import { optionError, refuseUnknownOptions } from './core/errors.js'
import { defaultRotationGrace, type Duration, milliseconds, timerMilliseconds } from './core/lifetime.js'
import type { Merge } from './core/data/merge.js'
import type { UserLimit } from './core/users/sign-in.js'
import { resolveUserOf, type UserOf } from './core/users/user-of.js'
import type { Lifetime, SessionStore, TokenKeyedStore } from './core/store/session-store.js'
import { defaultSweep } from './core/store/sweeper.js'
import { flowFormOf, type Secret, Signer } from './core/signer.js'
import { type CookieOptions, SessionCookie } from './http/cookie.js'
import { type CsrfOptions, CsrfPolicy } from './http/csrf.js'
import { type CookieFunction, CookiesByRequest } from './http/cookie-function.js'
import { Exchange } from './http/exchange.js'
import { isClientId } from './http/handoff/client-id.js'
import type { ExchangeRequest } from './http/exchange-request.js'
import { explain, type ExplainedRequest, type Explanation } from './http/explain.js'
import { type HeaderOptions, HeaderTransport, resolveHeader } from './http/header-transport.js'
import { type SameSiteFacts, SameSiteRules } from './http/same-site.js'
import { resolveSites, type Site, type SiteFunction, type SitePolicy } from './http/sites.js'
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
export interface SessionsOptions extends AdvancedSessionsOptions {
  /**
   * Where sessions are kept: `new MySQLStore(url)`, `new SQLiteStore(file)`, `new MemoryStore()`, or a store of your
   * own. `docs/stores.md` compares them.
   */
  readonly store: SessionStore
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
   * How long a session lives, by the store's clock.
   * @example
   * lifetime: { idle: '30m', absolute: '12h' }
   */
  readonly lifetime?: {
    /**
     * A session expires this long after its last use (ASVS 5, 7.3.1). Milliseconds, or a text such as `'30m'`.
     * @default '1d'
     */
    readonly idle?: Duration | undefined
    /**
     * A session expires this long after it was first stored, even if it is in use (ASVS 5, 7.3.2). Milliseconds, or a
     * text such as `'7d'`; not shorter than `idle`. `false`: no limit.
     * @default '30d'
     */
    readonly absolute?: Duration | false | undefined
  }
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
  readonly sites?: readonly Site[] | SiteFunction | undefined
  /**
   * Where your data names the signed-in user, for libraries such as Passport that put the user into the session's data.
   * It is a path of names, or a function of the data that returns the user's id. Left out: `signIn` sets the user.
   *
   * The commit that first stores a user gives the session a new token, as `signIn` does. The commit that removes the
   * user from the data unbinds the session.
   *
   * A session that was stored without `userOf` is bound when a request next opens it. Until then, `sessions.user(id)`
   * neither lists nor ends it.
   * @example userOf: 'passport.user'
   * @example userOf: ({ passport }) => passport?.user?.id
   */
  readonly userOf?: UserOf | undefined
}

/** The options of `createSessions` that most apps leave out. Part of `SessionsOptions`. */
export interface AdvancedSessionsOptions {
  /**
   * How many sessions one user may have at once, in all apps. `most` is 1 to 1,000. `whenFull` says what happens to a
   * sign-in beyond it:
   *
   * - `'endOldest'` (default): it ends the session that was signed in to longest ago.
   * - `'refuse'`: it fails with `ERR_SESSION_LIMIT` (403). This needs `lifetime.absolute`. Sessions that were stored
   *   before this option was set are not counted.
   *
   * The limit holds however many sign-ins arrive at once.
   *
   * By default, a user has about 1,000 sessions at most. Each app process counts them once in 100 sign-ins. If there
   * are more than 1,000, it ends the oldest until 900 are left. On a table of express-mysql-session there is no limit
   * by default. `false`: no limit.
   * @example
   * sessionsPerUser: { most: 3, whenFull: 'refuse' }
   */
  readonly sessionsPerUser?:
    { readonly most: number; readonly whenFull?: 'endOldest' | 'refuse' | undefined } | false | undefined
  /**
   * A request that only reads a session moves its expiry at most once in this time, so that most requests write
   * nothing. Therefore a session lives for `lifetime.idle`, less at most `touchAfter`, after its last use.
   * Milliseconds, or a text such as `'5m'`; shorter than `lifetime.idle`. Default: a tenth of `lifetime.idle`.
   */
  readonly touchAfter?: Duration | undefined
  /**
   * How long the old token still works after a rotation, for requests that are already on their way. Milliseconds, or a
   * text such as `'10s'`; at most `'5m'`.
   *
   * A request with the old token sees the session as it was before the rotation. What it changes is saved, unless the
   * rotation was a sign-in. It cannot end the session, and its `signIn` begins a new, empty one: see `docs/sign-in.md`.
   *
   * `false`: this app never accepts an old token, not even after a rotation by another app.
   * @default '10s'
   */
  readonly rotationGrace?: Duration | false | undefined
  /**
   * Returns the value to store where two requests changed the same place of a session at the same time. By default,
   * the later commit wins. Changes of different places are merged without it, key by key.
   *
   * The function may run several times for one commit, so it should only compute a value. `undefined` removes the
   * place. If it throws, the commit fails with that error.
   * @example
   * merge: ({ path, base, mine, theirs }) =>
   *   path[0] === 'tags' ? [...new Set([...(theirs as string[]), ...(mine as string[])])] : mine
   */
  readonly merge?: Merge | undefined
  /**
   * The name of this site at the hub that signs its users in: see `coatcheck/handoff`. 1 to 64 letters, digits, dots,
   * hyphens or underscores. The hash of every token covers it, so a cookie of this site finds nothing at the hub or
   * another site, and the other way round. Apps on the same domain have the same. To set, change or remove it ends all
   * sessions of the site.
   *
   * The store must use coatcheck's own layout; others are refused with `ERR_SESSION_OPTION`.
   * @example
   * clientId: 'blog'
   */
  readonly clientId?: string | undefined
  /**
   * Turns a session's data into bytes and back. The default, `jsonCodec`, is JSON that refuses what it would lose
   * (`ERR_SESSION_DATA`).
   */
  readonly codec?: Codec | undefined
  /**
   * Encrypts session data before it reaches the store (AES-256-GCM), and binds it to its row, its user and its token's
   * hash. A key is 32 random bytes, the same in every app: `openssl rand -base64 32` prints them. Default: no
   * encryption.
   *
   * In a list, the first key encrypts and all decrypt. Unset keys after the first are skipped. `'plain'` in the list
   * stands for data that is not encrypted. Do not leave it there: as long as one app lists it, whoever can write to the
   * database can make sessions. The steps to turn encryption on or off, or to replace a key, are in `docs/stores.md`,
   * "Encryption at rest".
   *
   * Data is reported as `ERR_SESSION_CORRUPT`, and its holder is signed out, if somebody changed it or moved it to
   * another row, user or token. The same happens if its key is not in the list. Ids, hashes of tokens, user ids, times
   * and sizes stay readable. `SECURITY.md` says what encryption does not prevent.
   *
   * The store must use coatcheck's own layout; others are refused with `ERR_SESSION_OPTION`.
   * @example
   * encryption: [process.env.SESSION_ENCRYPTION_KEY, process.env.OLD_SESSION_ENCRYPTION_KEY]
   */
  readonly encryption?: EncryptionKey | undefined | readonly (EncryptionKey | undefined)[]
  /**
   * The largest encoded data of one session, in bytes. Encryption adds 37 bytes that do not count. Beyond it, the
   * commit fails with `ERR_SESSION_TOO_LARGE`.
   *
   * JSON is also limited to 10,000 property names and 1,000 levels (`ERR_SESSION_DATA`). With these limits, no stored
   * session holds up other requests for more than 50 ms.
   * @default 65_536
   */
  readonly sizeLimit?: number | undefined
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
  /**
   * How this process removes expired sessions from the store. Reads never depend on it: an expired session is not
   * found. `every` is the time between two sweeps, as milliseconds or a text. `batch` is how many are removed at a
   * time, with a rest after each batch. `false`: this process removes none.
   * @default { every: '10m', batch: 250 }
   */
  readonly sweep?: { readonly every?: Duration; readonly batch?: number } | false
  /**
   * How long requests wait for the store, and how many may wait. It protects the app when the store hangs or is too
   * slow.
   */
  readonly storeLimits?: {
    /**
     * How long one call waits for the store. Then it fails with `ERR_SESSION_STORE_TIMEOUT` (503), up to a tenth later,
     * and it is unknown whether a change was stored. Milliseconds, or a text such as `'3s'`.
     *
     * Give less than the timeout of a proxy in front of the app, so that users see the app's own error page.
     * @default '10s'
     */
    readonly deadline?: Duration | undefined
    /**
     * The most calls that may wait for the store, counted separately for reads and for changes. One more fails at once
     * with `ERR_SESSION_STORE_BUSY` (503), and nothing of it was sent. As many changes may wait for other changes of
     * the same session, each until `deadline`.
     *
     * Give less to turn away early what could not be served in time.
     * @default 10_000
     */
    readonly queue?: number | undefined
  }
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
  const lifetime = resolveLifetime(options.lifetime ?? {})
  // Check everything first: the engine starts its sweep timer when it is made.
  const sites = resolveSites(options.sites ?? [])
  const csrf = options.csrf === false ? undefined : new CsrfPolicy(options.csrf ?? {}, sites)
  const rules = new SameSiteRules({
    origins: namedBy(sites),
    check: strengthOf(csrf),
    byHeader: options.header !== undefined,
  })
  const clientId = resolveClientId(options)
  const flowSigner =
    clientId === undefined ? undefined : new Signer(options.secret as Secret, flowFormOf(clientId))
  const http = { transports: resolveTransports(options, lifetime.absolute, rules), sites, csrf, flowSigner }
  const settings = {
    store: checkedStore(options.store),
    clientId,
    lifetime,
    touchAfter: resolveTouchAfter(options.touchAfter, lifetime.idle),
    rotationGrace: resolveRotationGrace(options.rotationGrace, lifetime.idle),
    userOf: resolveUserOf(options.userOf),
    sessionsPerUser: resolveUserLimit(
      options.sessionsPerUser,
      lifetime,
      (options.store as Partial<TokenKeyedStore>).keyedBy === 'token',
    ),
    merge: resolveMerge(options.merge),
    codec: resolveCodec(options.codec),
    encryption: resolveEncryption(options),
    sizeLimit: positiveInteger('sizeLimit', options.sizeLimit ?? 65_536),
    sweep: resolveSweep(options.sweep ?? {}),
    batching: resolveStoreLimits(options.storeLimits ?? {}),
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

function resolveLifetime(lifetime: NonNullable<SessionsOptions['lifetime']>): Lifetime {
  refuseUnknownOptions('lifetime', lifetime, ['idle', 'absolute'])
  const idle = milliseconds('lifetime.idle', lifetime.idle ?? '1d')
  const longest = lifetime.absolute ?? '30d'
  const absolute = longest === false ? undefined : milliseconds('lifetime.absolute', longest)
  if (absolute !== undefined && absolute < idle) {
    throw optionError(
      'lifetime.absolute (30d if left out) is shorter than lifetime.idle: give a longer absolute, or false for no limit.',
    )
  }
  return Object.freeze({ idle, absolute })
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

function resolveTouchAfter(touchAfter: Duration | undefined, idle: number): number {
  if (touchAfter === undefined) return Math.floor(idle / 10)
  const value = milliseconds('touchAfter', touchAfter)
  if (value >= idle)
    throw optionError('touchAfter must be shorter than lifetime.idle, or sessions in use would expire.')
  return value
}

function resolveRotationGrace(grace: Duration | false | undefined, idle: number): number {
  if (grace === false) return 0
  if (grace === undefined) return Math.min(defaultRotationGrace, idle)
  if (grace === 0) throw optionError('rotationGrace: false is no grace at all.')
  const value = milliseconds('rotationGrace', grace)
  // A stolen old token can still read the session, so the grace is short.
  if (value > 300_000) throw optionError('rotationGrace is for requests on their way: at most 5m.')
  return value
}

/** The highest `most`. Each sign-in reads all sessions of its user, so a higher limit would be too slow. */
const mostSessionsPerUser = 1_000

function resolveUserLimit(
  limit: SessionsOptions['sessionsPerUser'],
  lifetime: Lifetime,
  keyedByToken: boolean,
): UserLimit | undefined {
  if (limit === false) return undefined
  // Such a store finds a user's sessions only by reading the whole table.
  if (limit === undefined && keyedByToken) return undefined
  const longestLife = lifetime.absolute ?? Infinity
  if (limit === undefined)
    return { most: mostSessionsPerUser, whenFull: 'endOldest', longestLife, slack: 100 }
  refuseUnknownOptions('sessionsPerUser', limit, ['most', 'whenFull'])
  const { whenFull = 'endOldest' } = limit
  const most = positiveInteger('sessionsPerUser.most', limit.most)
  if (most > mostSessionsPerUser)
    throw optionError(`sessionsPerUser.most must be at most ${mostSessionsPerUser}.`)
  if (whenFull !== 'endOldest' && whenFull !== 'refuse')
    throw optionError("sessionsPerUser.whenFull must be 'endOldest' or 'refuse'.")
  if (whenFull === 'refuse' && lifetime.absolute === undefined) {
    throw optionError(
      "sessionsPerUser.whenFull 'refuse' needs lifetime.absolute: a session without an end would keep its place for ever.",
    )
  }
  return { most, whenFull, longestLife, slack: 0 }
}

function resolveMerge(merge: Merge | undefined): Merge | undefined {
  if (merge !== undefined && typeof merge !== 'function')
    throw optionError('merge must be a function of what two requests changed.')
  return merge
}

function resolveCodec(codec: Partial<Codec> | null = jsonCodec): Codec {
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw optionError('codec must have the functions encode and decode.')
  }
  return codec as Codec
}

function resolveEncryption(options: SessionsOptions): Encryption | undefined {
  // An option that is there but undefined is a forgotten environment variable: `Encryption` refuses it.
  if (!('encryption' in options)) return undefined
  const encryption = new Encryption(options.encryption)
  if ((options.store as Partial<TokenKeyedStore>).keyedBy === 'token') {
    throw encryptionUnavailable()
  }
  return encryption
}

function resolveClientId({ clientId, store }: SessionsOptions): string | undefined {
  if (clientId === undefined) return undefined
  if (!isClientId(clientId)) {
    throw optionError(
      "clientId must be 1 to 64 letters, digits, dots, hyphens or underscores, such as 'blog': the name that the hub lists this site by.",
    )
  }
  if ((store as Partial<TokenKeyedStore>).keyedBy === 'token') {
    throw optionError(
      "clientId needs a store of coatcheck's own layout: a table of express-mysql-session, and stores of express-session, cannot keep sessions that end with another.",
    )
  }
  return clientId
}

function resolveSweep(sweep: NonNullable<SessionsOptions['sweep']>) {
  if (sweep === false) return undefined
  refuseUnknownOptions('sweep', sweep, ['every', 'batch'])
  const every = timerMilliseconds('sweep.every', sweep.every ?? defaultSweep.every)
  return { every, batch: positiveInteger('sweep.batch', sweep.batch ?? defaultSweep.batch) }
}

function resolveStoreLimits(limits: NonNullable<SessionsOptions['storeLimits']>) {
  refuseUnknownOptions('storeLimits', limits, ['deadline', 'queue'])
  const deadline = timerMilliseconds('storeLimits.deadline', limits.deadline ?? defaultBatching.deadline)
  const longestQueue = positiveInteger('storeLimits.queue', limits.queue ?? defaultBatching.longestQueue)
  return { deadline, longestQueue }
}
