import type { SessionRecord } from '../../core/store/record.js'
import type { SessionForm } from '../../core/session/session-form.js'
import type { Session as CoreSession, SessionWork } from '../../core/session/session.js'
import type { Lifetime } from '../../core/store/session-store.js'
import type { UnitOfWork } from '../../core/session/unit-of-work.js'
import type { UserRule } from '../../core/users/user-of.js'
import { longestAge, mostBytes } from '../../http/cookie.js'
import type { CookiePolicy } from '../../http/cookie-transport.js'
import {
  assignStored,
  Cookie,
  type CookieAttributes,
  cookieDomain,
  isMaxAge,
  isMoment,
  maxAgeIn,
  mergedCookie,
} from './cookie.js'
import { isFalseText } from './option-faults.js'
import type { ResolvedOptions, SessionCookieOptions } from './options.js'
import { fillOwnData, ownData, Session } from './session.js'
import { plainJson, sameButForCookie } from './stored-text.js'
import { warnOnce } from '../../core/warn-once.js'

type Data = Record<string, unknown>
interface StoredCookie {
  readonly expires?: unknown
  readonly originalMaxAge?: unknown
}

/** express-session's ways for one request: its session's form, and its cookie. */
export class RequestForm implements SessionForm, CookiePolicy {
  readonly ownNames = ['cookie']
  readonly rolling: boolean
  readonly leavesCaching = true
  readonly toleratesLate = true
  readonly takesFirst = true
  readonly #options: ResolvedOptions
  readonly #request: object
  readonly #secure: boolean
  #baseline: Baseline | undefined
  /** The record that the request began from. */
  #original: SessionRecord | undefined
  #modified = false
  #cookieMoved = false
  #session: Session | undefined

  constructor(options: ResolvedOptions, request: object, secure: boolean) {
    this.#options = options
    this.#request = request
    this.#secure = secure
    this.rolling = options.rolling
  }

  open(work: SessionWork, data: Data): CoreSession {
    this.#session = new Session(this.#request, { cookie: this.#cookieFor(data) }, work)
    fillOwnData(this.#session, data)
    return this.#session as unknown as CoreSession
  }

  refill(session: CoreSession, data: Data): void {
    const bag = session as unknown as Data
    for (const name of Object.keys(bag)) delete bag[name]
    bag.cookie = this.#cookieFor(data)
    fillOwnData(session, data)
    this.#cookieMoved = false
  }

  dataOf(session: CoreSession): Data {
    this.#adoptCookie()
    return session as unknown as Data
  }

  visible(data: Data): Data {
    return ownData(data)
  }

  mergedRest(before: Data, mine: Data, theirs: Data): Data {
    return { cookie: mergedCookie(before.cookie, mine.cookie, theirs.cookie) }
  }

  patchRest(session: CoreSession, from: Data, to: Data): void {
    const [before, after] = [from.cookie, to.cookie] as (StoredCookie | undefined)[]
    const { cookie } = session as unknown as Session
    if (after && after.originalMaxAge !== before?.originalMaxAge) cookie.maxAge = maxAgeIn(after)
  }

  draft(session: CoreSession, work: SessionWork, data: Data): CoreSession {
    const { cookie } = session as unknown as Session
    const draft = new Session(this.#request, { cookie: copyOf(cookie) }, work)
    return fillOwnData(draft, data) as unknown as CoreSession
  }

  accepts(data: Data): boolean {
    return !this.#options.requiresCookie || (typeof data.cookie === 'object' && data.cookie !== null)
  }

  differs(session: CoreSession, encoded: Uint8Array, record: SessionRecord): boolean {
    this.#original ??= record
    const differing = this.#differing(session, encoded, record)
    const modified = record === this.#original ? differing : this.#differing(session, encoded, this.#original)
    this.#modified = modified === 'data'
    return differing !== undefined
  }

  #differing(
    session: CoreSession,
    encoded: Uint8Array,
    record: SessionRecord,
  ): 'data' | 'maxAge' | undefined {
    // As nearly all requests leave it. Only where the bytes differ must the texts be read: others may write the same otherwise.
    if (sameButForCookie(encoded, record.data)) return undefined
    if (this.#baseline?.record !== record) this.#baseline = baselineOf(record)
    const { text, maxAge } = this.#baseline
    if (JSON.stringify(ownData(session as unknown as Data)) !== text) return 'data'
    const { cookie } = session as unknown as Session
    const isMoved = maxAge !== undefined && maxAge !== cookie.originalMaxAge
    return isMoved ? 'maxAge' : undefined
  }

  get userOf(): UserRule | undefined {
    return this.#options.userOf
  }

  keepsEmpty(regenerated: boolean): boolean {
    return regenerated || this.#options.saveUninitialized
  }

  get keepsUnchanged(): boolean {
    return this.#options.resave
  }

  endUnstored(token: string): Promise<void> {
    return this.#options.endUnstored(token)
  }

  createToken(): string {
    return this.#options.genid(this.#request)
  }

  lifetime(merged?: Data): Lifetime {
    const cookie = merged ? (merged.cookie as StoredCookie | undefined) : this.#session?.cookie
    const maxAge = cookie?.originalMaxAge
    const { lifetime } = this.#options
    return typeof maxAge === 'number' && Number.isFinite(maxAge)
      ? { ...lifetime, idle: Math.max(0, Math.round(maxAge)) }
      : lifetime
  }

  touchAfter(record: SessionRecord): number {
    return this.#options.touchAfter(record)
  }

  /** Lets the cookie live anew from now on, once a request: right before the headers go, however slow the response was. */
  moveCookie(work: UnitOfWork): void {
    if (this.#cookieMoved || !work.session) return
    this.#cookieMoved = true
    this.#adoptCookie()
    this.#session?.resetMaxAge()
  }

  name(): string {
    return this.#options.name
  }

  settable(secure: boolean): boolean {
    return secure || !this.#session?.cookie.secure
  }

  get warnedOfSecure(): boolean {
    return isFalseText(this.#session?.cookie.secure)
  }

  get domain(): string | undefined {
    return cookieDomain(this.#session?.cookie.domain)
  }

  set(value: string): string {
    const cookie = this.#session?.cookie ?? this.#newCookie()
    const setCookie = withinAge(cookie).serialize(this.#options.name, value)
    warnOfSize(setCookie)
    return setCookie
  }

  clear(): string {
    const cookie = this.#newCookie()
    cookie.expires = new Date(0)
    return cookie.serialize(this.#options.name, '')
  }

  moves(): boolean {
    // `false` counts, as there: so the browser drops the Expires of a session that was made longer.
    return this.#modified && (this.#session?.cookie.expires ?? null) !== null
  }

  /** @param assigned attributes that go over those of the configuration. */
  #newCookie(assigned?: object): Cookie {
    const cookie = new Cookie(this.#options.cookieFor(this.#request) as CookieAttributes)
    if (assigned) assignStored(cookie, assigned)
    const { secure, sameSite } = cookie as SessionCookieOptions
    if (secure === 'auto') cookie.secure = this.#secure
    if (sameSite === 'auto') cookie.sameSite = this.#secure ? 'none' : 'lax'
    return cookie
  }

  /** Apps put a plain object in its place: attributes, or the cookie of a row as it was stored. */
  #adoptCookie(): void {
    const session = this.#session
    const cookie: Partial<Cookie> | null | undefined = session?.cookie
    if (typeof cookie !== 'object' || cookie === null || cookie.serialize) return
    session!.cookie = this.#newCookie(cookie)
  }

  /** The attributes come from the configuration, never from the store: a row must not choose a Domain, or drop HttpOnly. */
  #cookieFor(data: Data): Cookie {
    const cookie = this.#newCookie()
    const { originalMaxAge, expires } = (data.cookie ?? {}) as StoredCookie
    if (!isMaxAge(originalMaxAge)) return cookie
    cookie.expires = momentOf(expires)
    cookie.originalMaxAge = originalMaxAge
    return cookie
  }
}

/** The cookie as browsers take it, none of which keeps one for longer than 400 days. */
function withinAge(cookie: Cookie): Cookie {
  const latest = Date.now() + longestAge * 1_000
  const { expires } = cookie
  if (!(expires instanceof Date) || expires.getTime() <= latest) return cookie
  const shorter = copyOf(cookie)
  shorter.expires = new Date(latest)
  return shorter
}

function copyOf(cookie: Cookie): Cookie {
  return Object.assign(Object.create(Object.getPrototypeOf(cookie) as object) as Cookie, cookie)
}

/** Name and value are visible ASCII, so a character is a byte. */
function warnOfSize(setCookie: string): void {
  const end = setCookie.indexOf(';')
  const bytes = (end < 0 ? setCookie.length : end) - '='.length
  if (bytes <= mostBytes) return
  warnOnce(
    'COATCHECK_COOKIE',
    `The name and the value of the session cookie take more than ${mostBytes} bytes, so browsers drop it, and each request begins a new session. Give session() a shorter name, or have genid give shorter ids.`,
  )
}

/** What a record holds, to compare with. */
interface Baseline {
  readonly record: SessionRecord
  readonly text: string
  readonly maxAge: unknown
}

function baselineOf(record: SessionRecord): Baseline {
  const data = plainJson.decode(record.data)
  const stored = data.cookie as StoredCookie | undefined
  return { record, text: JSON.stringify({ ...data, cookie: undefined }), maxAge: stored?.originalMaxAge }
}

function momentOf(expires: unknown): Date | boolean | null {
  if (typeof expires === 'boolean') return expires
  const moment = typeof expires === 'string' ? new Date(expires) : undefined
  return moment && isMoment(moment) ? moment : null
}
