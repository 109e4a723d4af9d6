import { randomBytes } from 'node:crypto'
import { assertMayBeStore, isStore } from '../../core/argument.js'
import { SessionEngine } from '../../core/engine.js'
import { kindOf, optionError } from '../../core/errors.js'
import { positiveInteger } from '../../core/argument.js'
import { defaultRotationGrace, type Duration, milliseconds } from '../../core/lifetime.js'
import type { SessionRecord } from '../../core/store/record.js'
import type { Lifetime, SessionStore } from '../../core/store/session-store.js'
import { defaultSweep } from '../../core/store/sweeper.js'
import { type Signer } from '../../core/signer.js'
import { createToken, isOwnToken } from '../../core/token.js'
import { resolveUserOf, type UserOf, type UserRule } from '../../core/users/user-of.js'
import { warnUnshared } from '../../http/cookie-domain.js'
import { kindOfMySQLError } from '../../stores/mysql/errors.js'
import { Cookie, type CookieAttributes, cookieDomain, isMaxAge } from './cookie.js'
import { ExpressStore } from '../bridge/express-store.js'
import {
  type ExpressSessionStore,
  ForeignStore,
  type NativeStore,
  nativeStore,
} from '../foreign/foreign-store.js'
import { MemoryStore } from '../bridge/memory-store.js'
import { faultsOf, faultsOfCookie } from './option-faults.js'
import type { OptionFault } from './option-names.js'
import { refuseOtherForm } from './other-form.js'
import { type HmacKey, resolveSecrets } from './secrets.js'
import { plainJson } from './stored-text.js'
import { warnOnce } from '../../core/warn-once.js'

export type { HmacKey } from './secrets.js'

/** The option `cookie` of `session(options)`: the cookie's attributes, as express-session names them. */
export interface SessionCookieOptions extends Omit<CookieAttributes, 'secure' | 'sameSite'> {
  /**
   * Whether the cookie is `Secure`: the browser sends it over HTTPS only. `'auto'`: if the request came by HTTPS.
   * `true`: always, and a response to an HTTP request sets no cookie.
   * @default false
   */
  secure?: boolean | 'auto' | undefined
  /**
   * The cookie's `SameSite`. `true` is `'strict'`. `'auto'` is `'none'` on HTTPS requests, and `'lax'` on others.
   * Default: the attribute is left out, and the browser decides.
   */
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
}

/**
 * The options of `session(options)`: those of express-session, by the same names, and a few of coatcheck's own.
 *
 * An option that cannot work throws at start-up: `ERR_SESSION_OPTION`, or a `TypeError` where express-session throws
 * one. A value that has no effect or does harm is a warning, such as `COATCHECK_OPTION`. `docs/migrating.md` lists what
 * differs from express-session.
 */
export interface SessionOptions {
  /**
   * Signs the cookie. In a list, the first secret signs and all are accepted. Left out: `req.secret`, as cookie-parser
   * sets it; a request without that fails. A secret of fewer than 16 bytes, or of one repeated character, is a warning.
   */
  secret?: HmacKey | readonly HmacKey[] | undefined
  /**
   * The store: any store of coatcheck, or one that was written for express-session, such as connect-redis. Default: a
   * `MemoryStore`, for development.
   */
  store?: SessionStore | ExpressSessionStore | undefined
  /**
   * The cookie's attributes, or a function of the request that gives them.
   * @default { path: '/', httpOnly: true, secure: false, maxAge: null }
   */
  cookie?: SessionCookieOptions | ((request: never) => SessionCookieOptions) | undefined
  /**
   * Makes the id (the token) of a new session: a text that nobody can guess. It gets the request.
   *
   * Default: on a store of coatcheck's own layout, `coat_` and 48 characters; on others, 32 characters. Both contain 24
   * random bytes in base64url. An id of your own must not have the form of the first (`ERR_SESSION_OPTION`).
   */
  genid?: ((request: never) => string) | undefined
  /**
   * The cookie's name.
   * @default 'connect.sid'
   */
  name?: string | undefined
  /** Another name of `name`. If both are given, `name` counts. */
  key?: string | undefined
  /**
   * How to tell whether a request came by HTTPS. `true`: the first item of the header `X-Forwarded-Proto` says so.
   * `false`: only the connection counts. Default: the connection, or Express's `req.secure`.
   */
  proxy?: boolean | undefined
  /**
   * Whether to store a session at the end of a request that has not changed it.
   * @default false
   */
  resave?: boolean | undefined
  /**
   * Whether every response sets the cookie again.
   * @default false
   */
  rolling?: boolean | undefined
  /**
   * Whether to store a new session into which nothing was put.
   * @default false
   */
  saveUninitialized?: boolean | undefined
  /**
   * What `delete req.session` and `req.session = null` do with the stored session: keep it, or destroy it.
   * @default 'keep'
   */
  unset?: 'destroy' | 'keep' | undefined
  /**
   * How long a session lives. Milliseconds, or a text such as `'30m'`.
   *
   * - `idle`: it expires this long after its last use, if its cookie has no `maxAge`. Default: `'1d'`.
   * - `absolute`: it expires this long after it began, even if it is in use. Default: `false`, no limit, as in
   *   express-session. If the store keeps sessions as express-session does, a session that began in another app counts
   *   from its first change here.
   */
  lifetime?: { readonly idle?: Duration; readonly absolute?: Duration | false } | undefined
  /**
   * A request that only reads a session moves its expiry at most once in this time. Milliseconds, or a text such as
   * `'5m'`.
   *
   * Default: a tenth of the session's idle lifetime, on stores of coatcheck. On stores written for express-session, and
   * with `rolling`, every request moves it.
   */
  touchAfter?: Duration | undefined
  /**
   * Where your data names the signed-in user: a path of names, such as `'passport.user'`, or a function of the data.
   * Then `sessions.user(id)` of `createSessions`, on the same store, finds the user's sessions. Left out: `signIn` sets
   * the user.
   */
  userOf?: UserOf | undefined
  /**
   * The largest encoded data of one session, in bytes. Beyond it, the save fails with `ERR_SESSION_TOO_LARGE`. Default:
   * as large as the store accepts, as in express-session.
   */
  sizeLimit?: number | undefined
  /** Whether a request gets no session: then nothing is read, and `req.session` is `undefined`. */
  skip?: ((request: never) => boolean) | undefined
  /**
   * What happens to a request while the store is away, has not answered for 10 seconds, or has 10,000 calls waiting.
   *
   * - `'error'`: the error, with status 503, goes to `next(error)`.
   * - `'anonymous'`: the request gets an empty session that cannot be stored.
   * @default 'error'
   */
  whenUnavailable?: 'error' | 'anonymous' | undefined
}

/** The checked options, read-only. */
export interface ResolvedOptions {
  readonly engine: SessionEngine
  /** What `req.sessionStore` is. */
  readonly store: ExpressSessionStore
  readonly name: string
  readonly rolling: boolean
  readonly resave: boolean
  readonly saveUninitialized: boolean
  readonly unsetDestroys: boolean
  readonly proxy: boolean | undefined
  /** Whether a record must have a cookie to be a session. */
  readonly requiresCookie: boolean
  readonly lifetime: Lifetime
  readonly userOf: UserRule | undefined
  readonly anonymousWhenUnavailable: boolean
  /** False after the store's event `disconnect`, until its next `connect`. */
  connected(): boolean
  skips(request: object): boolean
  cookieFor(request: object): SessionCookieOptions
  genid(request: object): string
  touchAfter(record: SessionRecord): number
  /**
   * Ends a session that was never stored, as express-session does: a store written for that may count, log or refuse
   * endings. A store of coatcheck is not called.
   */
  endUnstored(token: string): Promise<void>
  /** The signer of a request; `undefined` if there is neither a secret nor a `req.secret`. */
  signerFor(request: object): Signer | undefined
}

/** @throws TypeError with express-session's own words, or ERR_SESSION_OPTION. */
export function resolveOptions(options: SessionOptions): ResolvedOptions {
  refuseOtherForm(options)
  const { genid } = options
  if (genid && typeof genid !== 'function') throw new TypeError('genid option must be a function')
  if (options.unset && options.unset !== 'destroy' && options.unset !== 'keep') {
    throw new TypeError('unset option must be "destroy" or "keep"')
  }
  const signerFor = resolveSecrets(options)
  // As in express-session, false values count as left out: `store: isProduction && new RedisStore(…)`.
  const cookie = options.cookie || {}
  const name = String(options.name || options.key || 'connect.sid')
  if (typeof cookie !== 'function') assertCookie(name, cookie)
  warnOf(faultsOf(options))
  if (options.store) assertMayBeStore(options.store)
  const native = nativeOf(options.store)
  const lifetime = {
    idle: milliseconds('lifetime.idle', options.lifetime?.idle ?? native?.idle ?? '1d'),
    absolute: options.lifetime?.absolute
      ? milliseconds('lifetime.absolute', options.lifetime.absolute)
      : undefined,
  }
  const { engine, store, foreign } = engineOf(options, lifetime, native)
  const { skip } = options
  return {
    engine,
    store,
    name,
    rolling: Boolean(options.rolling),
    resave: Boolean(options.resave),
    saveUninitialized: Boolean(options.saveUninitialized),
    unsetDestroys: options.unset === 'destroy',
    // Other values have no effect, as in express-session.
    proxy: typeof options.proxy === 'boolean' ? options.proxy : undefined,
    requiresCookie: engine.tokensAreKeys,
    lifetime,
    userOf: resolveUserOf(options.userOf),
    anonymousWhenUnavailable: options.whenUnavailable === 'anonymous',
    connected: () => foreign?.connected ?? true,
    skips: (request) => skip?.(request as never) === true,
    cookieFor: resolveCookie(cookie, name),
    genid: genid
      ? (request) => asId(genid(request as never))
      : // A `TokenKeyedStore` gets ids of 32 characters, the length that such stores are used to.
        engine.tokensAreKeys
        ? () => randomBytes(24).toString('base64url')
        : () => createToken(),
    touchAfter: resolveTouchAfter(options, foreign, native),
    async endUnstored(token) {
      if (foreign) await engine.asking('ending a session', () => foreign.endUnstored(token))
    },
    signerFor,
  }
}

function engineOf(options: SessionOptions, lifetime: Lifetime, native: NativeStore | undefined) {
  const store = options.store || new MemoryStore()
  const settings = {
    lifetime,
    touchAfter: 0,
    codec: plainJson,
    sizeLimit: options.sizeLimit === undefined ? Infinity : positiveInteger('sizeLimit', options.sizeLimit),
    rotationGrace: defaultRotationGrace,
  }
  if (isStore(store)) {
    const engine = new SessionEngine({ ...settings, store, sweep: defaultSweep })
    return {
      store: new ExpressStore(store, { ttl: lifetime.idle, sweep: false }),
      engine,
      foreign: undefined,
    }
  }
  if (native) {
    const engine = new SessionEngine({ ...settings, store: native.store, sweep: undefined })
    return { store, engine, foreign: undefined }
  }
  const missing = (['get', 'set', 'destroy'] as const).filter((name) => typeof store[name] !== 'function')
  if (missing.length > 0) {
    throw optionError(
      `store lacks ${missing.join(', ')}: give a store of coatcheck's, or one made for express-session.`,
    )
  }
  const foreign = new ForeignStore(store, kindOfMySQLError, lifetime.absolute)
  // Such a store takes one session at a time, so there is nothing to batch. A slow answer must not hold up others.
  const batching = { lanes: Infinity, largestBatch: 1 }
  return {
    store,
    engine: new SessionEngine({ ...settings, store: foreign, sweep: undefined, batching }),
    foreign,
  }
}

function nativeOf(store: SessionOptions['store']): NativeStore | undefined {
  return !store || isStore(store) ? undefined : store[nativeStore]
}

function resolveTouchAfter(
  options: SessionOptions,
  foreign: ForeignStore | undefined,
  native: NativeStore | undefined,
): (record: SessionRecord) => number {
  if (options.touchAfter !== undefined) {
    const given = milliseconds('touchAfter', options.touchAfter)
    return () => given
  }
  if (native?.touches === false) return () => Infinity
  if (foreign) return () => (foreign.canTouch ? -Infinity : Infinity)
  return ({ seenAt, expiresAt }) => (expiresAt - seenAt) / 10
}

/** Older apps may have had such options for years: so warn of what `createSessions` refuses, and go on. */
function warnOf(faults: readonly OptionFault[]): void {
  for (const { code, message } of faults) warnOnce(code, message)
}

function resolveCookie(
  cookie: NonNullable<SessionOptions['cookie']>,
  name: string,
): (request: object) => SessionCookieOptions {
  if (typeof cookie !== 'function') {
    warnOfDomain(cookie)
    return () => cookie
  }
  let looked = false
  return (request) => {
    const given = cookie(request as never)
    if (!looked && given) warnOf(faultsOfCookie(given, name))
    looked = true
    return given
  }
}

function warnOfDomain(cookie: SessionCookieOptions): void {
  const domain = cookieDomain(cookie.domain)
  if (domain !== undefined) warnUnshared(domain)
}

/** Checks an id. If it is no text, the session is not stored and gets no cookie, as in express-session. */
function asId(id: unknown): string {
  if (typeof id !== 'string') {
    warnOnce(
      'COATCHECK_OPTION',
      `genid gave ${kindOf(id)}, and has to give a text at once: such sessions are not stored.`,
    )
  } else if (isOwnToken(id)) {
    throw optionError(
      'genid gave an id of the form of coatcheck\'s own ("coat_" and 48 characters), which says what the session is stored under. Give ids of another form, or leave genid out.',
    )
  }
  return id as string
}

/** @throws TypeError if no cookie can be made of these attributes: at start-up, not at the first request. */
function assertCookie(name: string, given: SessionCookieOptions): void {
  const { maxAge } = given
  if (typeof maxAge === 'number' && !isMaxAge(maxAge)) {
    throw new TypeError(
      `cookie.maxAge is ${String(maxAge)}, which is no length of time. Is its environment variable set? Leave maxAge out for a cookie that ends with the browser.`,
    )
  }
  const cookie = new Cookie(given as CookieAttributes)
  // As each response does: it turns an `expires` that is a number into a Date.
  if (typeof cookie.originalMaxAge === 'number') cookie.maxAge = cookie.originalMaxAge
  if (given.secure === 'auto') cookie.secure = false
  if (given.sameSite === 'auto') cookie.sameSite = 'lax'
  cookie.serialize(name, 'value')
}
