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
import { type Secret, Signer } from './core/token.js'
import { type CookieOptions, SessionCookie } from './http/cookie.js'
import { Exchange, type ExchangeRequest } from './http/exchange.js'
import { resolveSites, type SitePolicy } from './http/sites.js'

/** The options of `createSessions`. Give every app that shares the store the same ones: that is the sharing. */
export interface SessionsOptions {
  /** Where sessions are kept: `new MySQLStore(url)`, `new SQLiteStore(file)`, `new MemoryStore()`, or one of your own. */
  readonly store: SessionStore
  /**
   * Signs the cookies: 32 random bytes that every app has, as `openssl rand -base64 32` prints them. Less than 16 bytes, and
   * one repeated character, are refused. In a list the first signs and all verify, so that a secret can be replaced without signing anybody out: give all apps `[old, new]` first, and then `[new, old]`; unset
   * ones after the first are skipped.
   */
  readonly secret: Secret | undefined | readonly (Secret | undefined)[]
  /** How the cookie is made. The default is the safest that works wherever the request came by. */
  readonly cookie?: CookieOptions | undefined
  /** How long a session lives, enforced by the store's clock. */
  readonly lifetime?: {
    /** Since the last use. Default `'1d'`. */
    readonly idle?: Duration | undefined
    /** Since the session began, however much it is used. Default `'30d'`; `false`: no limit. */
    readonly absolute?: Duration | false | undefined
  }
  /**
   * Reading a session moves its expiry only when this long has passed since that was last stored, so that most
   * requests write nothing. A session therefore lives for `idle` less at most `touchAfter` after its last
   * use. Default: a tenth of `idle`.
   */
  readonly touchAfter?: Duration | undefined
  /**
   * For how long the token from before a rotation still leads to the session, so that requests which the browser sent
   * before it had the new one find it. They see the session as it was before the rotation, and never more; what
   * they change of it is stored in the session. They cannot end it, and a sign-in of theirs begins an empty one. `false`: not at all, also not after a rotation by another app. Default `'10s'`.
   */
  readonly rotationGrace?: Duration | false | undefined
  /**
   * Where your data says who is signed in, for libraries that sign in by the data: `'passport.user'` for Passport, whose
   * `req.login` then binds the user without a line in the app. A path of names, or a function of the data that gives the user's id. The
   * commit that first stores a user gives the session a new token, as `signIn` does; the one that takes the user out leaves it nobody's.
   * A session that was stored without `userOf` is found by its user, and ended by `revokeAll`, only once a request has opened it.
   * Give every app that shares the store the same. Left out: `signIn` says who is signed in.
   * @example userOf: 'passport.user'
   * @example userOf: ({ passport }) => passport?.user?.id
   */
  readonly userOf?: UserOf | undefined
  /**
   * How many sessions one user may have at once. `whenFull` says what a sign-in does that is one too many: `'endOldest'`,
   * the default, ends the session that was signed in to longest ago; `'refuse'` fails with ERR_SESSION_LIMIT (403).
   * `most` is at most 1,000. However many sign in at the same moment in however many apps, no more stay. Sessions from before the option was
   * set are not refused, and not counted by `'refuse'`.
   *
   * Default: about 1,000. Each app process counts a user's sessions once in 100 sign-ins, and ends the oldest of more than 1,000 until 900
   * are left. On a table of express-mysql-session there is no limit by default. `false`: as many as they like.
   */
  readonly sessionsPerUser?:
    { readonly most: number; readonly whenFull?: 'endOldest' | 'refuse' | undefined } | false | undefined
  /**
   * Says what becomes of one place of a session that two requests changed at the same time. Default: the later commit
   * stands. All else is merged without it: what only one changed, key by key. It may be called again for the same commit, so
   * it only works out a value, which `codec` can store; what it throws fails the commit.
   * @example
   * merge: ({ path, base, mine, theirs }) =>
   *   path[0] === 'tags' ? [...new Set([...(theirs as string[]), ...(mine as string[])])] : mine
   */
  readonly merge?: Merge | undefined
  /** How data becomes bytes. Default: JSON that refuses what it cannot keep. */
  readonly codec?: Codec | undefined
  /**
   * Encrypts what sessions hold before a store gets it: with AES-256-GCM, under 32 random bytes that every app has, as
   * `openssl rand -base64 32` prints them. In a list the first key encrypts and all decrypt; unset ones after the first are
   * skipped. `'plain'` in the list stands for data that is not encrypted: first, nothing is encrypted yet; later, what was
   * stored so is still read. The store must be in coatcheck's own layout. Default: nothing is encrypted.
   *
   * Nobody is signed out by a change of keys if each step is in all apps before the next is in any:
   *
   * 1. `[oldKey, newKey]`, so that all can read what will be written;
   * 2. `[newKey, oldKey]`: a session goes over to the new key with its next change;
   * 3. `[newKey]`, once `lifetime.absolute` has passed since. What is still under the old key then is signed out.
   *
   * With `'plain'` for `oldKey` encryption is turned on; with `'plain'` for `newKey` off, and the last step is to leave the
   * option out. Whoever can write to the database can make sessions as long as any app lists `'plain'`, so do not
   * leave it there.
   *
   * Data is good only under its record's id, its user and its token's hash. Swapped, copied to another session's row, or changed, it is
   * reported as ERR_SESSION_CORRUPT and the session is signed out; so it is when one of these is changed. Not hidden are
   * hashes of tokens, publicIds, users, times and sizes. Not prevented, for whoever can write to the database: ending
   * sessions, putting an earlier row back as it was, even an ended session's, changing its times
   * (`authenticatedAt` too), and what `sessions.user(id)` counts, lists and remembers.
   * @example
   * encryption: [process.env.SESSION_ENCRYPTION_KEY, process.env.OLD_SESSION_ENCRYPTION_KEY]
   */
  readonly encryption?: EncryptionKey | undefined | readonly (EncryptionKey | undefined)[]
  /**
   * The most that one session's encoded data may take, in bytes; encryption adds 37 that do not count. Default 65,536. What is larger is
   * ERR_SESSION_TOO_LARGE. JSON also takes at most 10,000 names of properties and 1,000 levels (ERR_SESSION_DATA). The limits are there so
   * that no session holds up other requests for more than 50 ms.
   */
  readonly sizeLimit?: number | undefined
  /**
   * Who is trusted across origins: origins such as `'https://app.example.com'`, or `'https://*.example.com'`. `http:` only on
   * this machine, such as `'http://localhost:3000'`.
   */
  readonly sites?: readonly string[] | undefined
  /** How often expired records are cleared away (default every `'10m'`, `250` a batch, with a rest after each), or `false`: not by this process. */
  readonly sweep?: { readonly every?: Duration; readonly batch?: number } | false
  /** For how long requests wait for the store, and how many: what they are spared when it hangs or cannot keep up. */
  readonly storeLimits?: {
    /**
     * A request that has no answer from the store by then fails with ERR_SESSION_STORE_TIMEOUT (503), a tenth of it later
     * at most; whether a change of it was stored is unknown then. Give less than what stands before the app waits, such
     * as a proxy, so that the app's own error page arrives. Default `'10s'`.
     */
    readonly deadline?: Duration | undefined
    /**
     * So many reads may wait for the store, and so many changes, those counted that came in the same moment; one more fails at once with ERR_SESSION_STORE_BUSY (503). So many changes may also
     * wait for others of the same session, each until the deadline. Give less to turn away early what could not be served in time.
     * Default 10,000.
     */
    readonly queue?: number | undefined
  }
}

const optionNames = [
  'store', 'secret', 'cookie', 'lifetime', 'touchAfter', 'rotationGrace', 'userOf', 'sessionsPerUser', 'merge', 'codec',
  'encryption', 'sizeLimit', 'sites', 'sweep', 'storeLimits',
] as const // prettier-ignore

/** Sessions with the rules by which they meet browsers. Made by `createSessions`. */
export class Sessions extends SessionEngine {
  /** The one list of trusted origins. */
  readonly sites: SitePolicy
  /** @internal */
  readonly cookie: SessionCookie
  /** @internal */
  readonly signer: Signer

  /** @internal Use `createSessions`. */
  constructor(settings: EngineSettings, http: Pick<Sessions, 'sites' | 'cookie' | 'signer'>) {
    super(settings)
    this.sites = http.sites
    this.cookie = http.cookie
    this.signer = http.signer
  }

  /**
   * Begins one request's exchange, for adapters to servers and frameworks of any kind: it takes headers and gives headers.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY
   * @example
   * const exchange = await sessions.exchange({ cookieHeader: request.headers.get('cookie') ?? undefined, secure: true })
   * const response = await handle(request, exchange.work.session)
   * const changes = await exchange.finish()
   * if (changes) {
   *   response.headers.append('Set-Cookie', changes.setCookie)
   *   const caching = changes.cacheControl(response.headers.get('cache-control') ?? '')
   *   if (caching !== undefined) response.headers.set('Cache-Control', caching)
   *   for (const [name, value] of [...response.headers]) if (changes.drops(name, value)) response.headers.delete(name)
   * }
   * if (exchange.varies) response.headers.append('Vary', 'Cookie')
   */
  exchange(request: ExchangeRequest): Exchange | Promise<Exchange> {
    return Exchange.begin({ engine: this, cookie: this.cookie, signer: this.signer }, request)
  }
}

/**
 * Makes the sessions that an app hands to its adapters. Options are checked here, once.
 *
 * @throws {SessionError} ERR_SESSION_OPTION if an option is missing, unknown, malformed, or contradicts another
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
  // All is checked before the engine begins to sweep.
  const http = {
    signer: new Signer(options.secret as Secret),
    cookie: new SessionCookie(options.cookie ?? {}, lifetime.absolute),
    sites: resolveSites(options.sites ?? []),
  }
  const settings = {
    store: checkedStore(options.store),
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
  // Whoever has the old token has what the session was, so this is for seconds.
  if (value > 300_000) throw optionError('rotationGrace is for requests on their way: at most 5m.')
  return value
}

/** More than this would be no limit, and each sign-in reads all of them. */
const mostSessionsPerUser = 1_000

function resolveUserLimit(
  limit: SessionsOptions['sessionsPerUser'],
  lifetime: Lifetime,
  keyedByToken: boolean,
): UserLimit | undefined {
  if (limit === false) return undefined
  // There, a user's sessions are found only by reading the whole table.
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
  // One that is there but empty is an environment variable that was forgotten.
  if (!('encryption' in options)) return undefined
  const encryption = new Encryption(options.encryption)
  if ((options.store as Partial<TokenKeyedStore>).keyedBy === 'token') {
    throw encryptionUnavailable()
  }
  return encryption
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
