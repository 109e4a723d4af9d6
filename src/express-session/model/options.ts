import { randomBytes } from 'node:crypto'
import { assertMayBeStore, isStore } from '../../core/argument.js'
import { encryptionUnavailable } from '../../core/data/encryption.js'
import { SessionEngine } from '../../core/engine.js'
import { kindOf, optionError } from '../../core/errors.js'
import { positiveInteger } from '../../core/argument.js'
import { defaultRotationGrace, type Duration, milliseconds } from '../../core/lifetime.js'
import type { SessionRecord } from '../../core/store/record.js'
import type { Lifetime, SessionStore } from '../../core/store/session-store.js'
import { defaultSweep } from '../../core/store/sweeper.js'
import { createToken, isOwnToken, type Signer } from '../../core/token.js'
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
import { type HmacKey, resolveSecrets } from './secrets.js'
import { plainJson } from './stored-text.js'
import { warnOnce } from './warn-once.js'

export type { HmacKey } from './secrets.js'

/** The cookie in express-session's form. */
export interface SessionCookieOptions extends Omit<CookieAttributes, 'secure' | 'sameSite'> {
  /** `'auto'`: as the request is. `true`: on an insecure request no cookie is set. Default `false`. */
  secure?: boolean | 'auto' | undefined
  /** `'auto'`: `'none'` on secure requests, else `'lax'`. Default: not said. */
  sameSite?: boolean | 'lax' | 'strict' | 'none' | 'auto' | undefined
}

/** The options of `session(options)`: those of express-session, by the same names, and a few of coatcheck's. */
export interface SessionOptions {
  /** Signs the cookie. In a list the first signs and all verify. Left out: `req.secret`, as cookie-parser sets it. */
  secret?: HmacKey | readonly HmacKey[] | undefined
  /** Any store of coatcheck's or of express-session's kind. Default: a `MemoryStore`, for development. */
  store?: SessionStore | ExpressSessionStore | undefined
  /** The cookie's attributes, or a function of the request that gives them. Default `{ path: '/', httpOnly: true, secure: false, maxAge: null }`. */
  cookie?: SessionCookieOptions | ((request: never) => SessionCookieOptions) | undefined
  /** Makes a new session's id. Default: 36 characters of base64url, 24 bytes of which are random. */
  genid?: ((request: never) => string) | undefined
  /** The cookie's name. Default `connect.sid`. */
  name?: string | undefined
  /** Another name of `name`, which wins. */
  key?: string | undefined
  /** `true`: the first item of X-Forwarded-Proto says whether a request is secure. `false`: only the connection does. Default: `req.secure` as well. */
  proxy?: boolean | undefined
  /** Store sessions that nobody changed. Default `false`. */
  resave?: boolean | undefined
  /** Set the cookie on every response. Default `false`. */
  rolling?: boolean | undefined
  /** Store sessions that nothing was put into. Default `false`. */
  saveUninitialized?: boolean | undefined
  /** What `delete req.session` and `req.session = null` do: `'keep'` the stored session, or `'destroy'` it. Default `'keep'`. */
  unset?: 'destroy' | 'keep' | undefined
  /**
   * `idle`: how long a session lives since its last use, where its cookie has no `maxAge`. Default `'1d'`. `absolute`: how long it lives
   * since it began, however much it is used. Default `false`: no limit, as in express-session. Where the store keeps sessions as
   * express-session does, that of a session which began in an app that has not moved counts from its first change here.
   */
  lifetime?: { readonly idle?: Duration; readonly absolute?: Duration | false } | undefined
  /**
   * Reading a session moves its expiry only when this long has passed since that was last stored. Default: a tenth of
   * its idle lifetime on stores of coatcheck's; on stores of express-session's kind, or if `rolling`, every request moves it.
   */
  touchAfter?: Duration | undefined
  /**
   * Where your data says who is signed in, such as `'passport.user'`: a path of names, or a function of the data. The sessions of a user are
   * then found by `sessions.user(id)` of `createSessions` on the same store. Left out: `signIn` says who is signed in.
   */
  userOf?: UserOf | undefined
  /** The largest session in bytes: what is larger is refused with ERR_SESSION_TOO_LARGE. Left out: as large as the store takes, as in express-session. */
  sizeLimit?: number | undefined
  /** Requests that get no session at all. */
  skip?: ((request: never) => boolean) | undefined
  /**
   * What a request gets while the store is down, has not answered for 10 seconds, or has 10,000 waiting for it: an
   * `'error'` of status 503, the default, or an `'anonymous'` session that cannot be stored.
   */
  whenUnavailable?: 'error' | 'anonymous' | undefined
}

/** The options checked, read-only. */
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
  /** Whether a record without a cookie is no session. */
  readonly requiresCookie: boolean
  readonly lifetime: Lifetime
  readonly userOf: UserRule | undefined
  readonly anonymousWhenUnavailable: boolean
  /** Whether the store is there at all. */
  connected(): boolean
  skips(request: object): boolean
  cookieFor(request: object): SessionCookieOptions
  genid(request: object): string
  touchAfter(record: SessionRecord): number
  /** As express-session does: a store made for it may count, log or refuse what ends. Stores of coatcheck's are not asked. */
  endUnstored(token: string): Promise<void>
  /** `undefined`: there is no secret, nor a `req.secret`. */
  signerFor(request: object): Signer | undefined
}

/** What `createSessions` alone has: an app that gives one of these here counts on what it would not get. */
const optionsOfCreateSessions = [
  'sites', 'sessionsPerUser', 'rotationGrace', 'merge', 'codec', 'sweep', 'storeLimits',
] as const // prettier-ignore

/** @throws TypeError with express-session's own words, or ERR_SESSION_OPTION */
export function resolveOptions(options: SessionOptions): ResolvedOptions {
  if ('encryption' in options) throw encryptionUnavailable()
  const other = optionsOfCreateSessions.find(
    (name) => (options as Record<string, unknown>)[name] !== undefined,
  )
  if (other !== undefined) {
    throw optionError(
      `session(options) has no option ${other}; createSessions has. Write session(createSessions({ store, secret, ${other} })), or leave it out.`,
    )
  }
  const { genid } = options
  if (genid && typeof genid !== 'function') throw new TypeError('genid option must be a function')
  if (options.unset && options.unset !== 'destroy' && options.unset !== 'keep') {
    throw new TypeError('unset option must be "destroy" or "keep"')
  }
  const signerFor = resolveSecrets(options)
  // As there, whatever counts as false is left out: `store: isProduction && new RedisStore(…)`.
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
    // Anything else has no effect, as under express-session.
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
      : // Stores that know sessions by their tokens get ids of the length that they are used to.
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
  // Such a store answers one at a time, so that there is nothing to gather, and a slow answer must not hold up others.
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

/** What createSessions refuses, older apps may have had for years: they are told, and go on. */
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

/** Without an id that is text, express-session stores nothing of the session and sets no cookie. */
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

/** @throws TypeError if no cookie can be made of these: better now than at the first request */
function assertCookie(name: string, given: SessionCookieOptions): void {
  const { maxAge } = given
  if (typeof maxAge === 'number' && !isMaxAge(maxAge)) {
    throw new TypeError(
      `cookie.maxAge is ${String(maxAge)}, which is no length of time. Is its environment variable set? Leave maxAge out for a cookie that ends with the browser.`,
    )
  }
  const cookie = new Cookie(given as CookieAttributes)
  // As each response does. It makes a moment of an `expires` that is a number.
  if (typeof cookie.originalMaxAge === 'number') cookie.maxAge = cookie.originalMaxAge
  if (given.secure === 'auto') cookie.secure = false
  if (given.sameSite === 'auto') cookie.sameSite = 'lax'
  cookie.serialize(name, 'value')
}
