import type { Callback } from '../callback.js'
import { SessionError } from '../errors.js'
import { nextTick } from '../scheduling.js'
import { WatchedPromise } from '../watched-promise.js'
import type { UserId } from '../users/user-id.js'

/**
 * The data of your sessions. Declare your properties here once, and `req.session` has their types everywhere. Names of
 * `Session`'s members, such as `userId`, cannot be used.
 *
 * @example
 * import 'coatcheck'
 *
 * declare module 'coatcheck' {
 *   interface SessionData {
 *     name?: string
 *     cart?: string[]
 *   }
 * }
 */
export interface SessionData {}

/**
 * The type of the argument of `session(sessions)`. If `SessionData` declares the name of a member of every session, it
 * is a text, which the compiler shows as its message.
 */
export type WithoutReservedNames<Sessions> = string extends keyof SessionData
  ? Sessions
  : [Extract<keyof Session, keyof SessionData>] extends [never]
    ? Sessions
    : `SessionData declares ${Extract<keyof Session, keyof SessionData>}, which is part of every session: rename your data`

/** The type of `req.session`: your data, and the session's own properties and methods. */
export type RequestSession = Partial<SessionData> & Omit<Session, keyof SessionData>

/**
 * What the function of `update` may return: anything but a promise. For a promise, the type is the compiler's message.
 */
export type Synchronous<Result> =
  Result extends PromiseLike<unknown> ? 'change must not be async: await before update()' : Result

/**
 * The hub's session, as a site sees it at `req.session.root`. It is read with each request, so it shows what the hub has
 * stored last. All times are by the store's clock.
 */
export interface SessionRoot {
  /** Names the hub's session: `sessions.user(id).revoke(publicId)` ends it, and all sessions of sites with it. */
  readonly publicId: string
  /** The user who is signed in at the hub, and therefore here. */
  readonly userId: string
  /** When the hub's session was first stored. */
  readonly createdAt: Date
  /** When the user last signed in at the hub. */
  readonly authenticatedAt: Date | undefined
  /** What the hub shares of its session's data with this site (`share`). It cannot be changed here. */
  readonly data: Readonly<Partial<SessionData>>
}

/** What a session object asks of the request that it belongs to. */
export interface SessionWork {
  readonly id: string
  readonly publicId: string
  readonly userId: string | undefined
  readonly createdAt: Date | undefined
  readonly authenticatedAt: Date | undefined
  readonly root?: SessionRoot | undefined
  /** Throws ERR_SESSION_REPLACED if the request has another session by now. */
  assertCurrent(session: Session): void
  signIn(userId: UserId, options?: SignInOptions): Promise<void>
  signOut(): Promise<void>
  rotate(): Promise<void>
  regenerate(): Promise<void>
  destroy(): Promise<void>
  reload(): Promise<void>
  save(): Promise<void>
  update<Result>(change: (session: RequestSession) => Result): Promise<Result>
  touch(): void
  /**
   * Gives this user's session a new token now, even if another request has rotated it. No older token works any more.
   * @returns false if the session is no longer this request's.
   */
  claim(userId: string): Promise<boolean>
  /**
   * Notes a call that failed, and that no commit does again: unless somebody waits for it, the commit fails with its
   * error.
   */
  noteFailure(call: FailedCall): void
}

/** A call of a session's method that failed. */
export interface FailedCall {
  /** Such as `signIn`. */
  readonly method: string
  readonly error: unknown
  readonly promise: WatchedPromise<unknown>
}

/** The options of `signIn`. */
export interface SignInOptions {
  /**
   * The names of the visitor's data that stays in the session, or `true` for all of it. Default: none.
   *
   * An attacker may have written that data: name only what does no harm then, such as a cart. Never name a CSRF secret
   * (`csrf`), or an address to redirect to (`returnTo`).
   * @example
   * await req.session.signIn(user.id, { keep: ['cart'] })
   */
  readonly keep?: true | readonly string[] | undefined
}

/** The property of a session object that holds its request's work. */
export const sessionWork = Symbol('coatcheck session work')

/**
 * The session object at `req.session`: a plain object of your data, with these members beside it. Changes of the data
 * are saved before the first byte of the response. You never have to call `save()`.
 *
 * `Object.keys(req.session)` gives your data and nothing else: the members are not enumerable. Data cannot take their
 * names; to assign one throws `ERR_SESSION_RESERVED_NAME`.
 *
 * The methods return a promise. Those that express-session has take a callback too. Await them: if `signIn`, `rotate`
 * or `update` fails and nothing awaits it, the save before the response fails with its error.
 *
 * A method of a session object that the request has already destroyed or replaced fails with `ERR_SESSION_REPLACED`.
 * Any method that needs the store can also fail with `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or
 * `ERR_SESSION_STORE_BUSY` (503).
 */
export interface Session {
  /** The session's token, as in `req.sessionID`. It is a secret: never log it. Log `publicId` instead. */
  readonly id: string
  /** A name for the session that is safe to show and to log. It stays the same when the token changes. */
  readonly publicId: string
  /**
   * The user who is signed in; `undefined` if nobody is. Only `signIn` and `signOut` change it, or your data by
   * `userOf`.
   */
  readonly userId: string | undefined
  /** When the session was first stored, by the store's clock; `undefined` before that. */
  readonly createdAt: Date | undefined
  /**
   * When the user last signed in, by the store's clock; `undefined` while nobody is signed in. Compare it where you
   * need a fresh proof of identity (ASVS 5, 7.5.3). A second `signIn` of the same user moves it, once that is stored. At
   * a site, it is the later one of a `signIn` here, and of the hub's at the last hand-off to this browser.
   */
  readonly authenticatedAt: Date | undefined
  /**
   * At a site that signs users in by hand-off (`coatcheck/handoff`): the hub's session. This session is found only while
   * that one is live, and the same user's. `undefined` for all other sessions.
   * @example
   * const { name } = req.session.root?.data ?? {}
   */
  readonly root: SessionRoot | undefined

  /**
   * Binds the session to a user and gives it a new token. `userId` shows the user at once. Both are stored in one step,
   * before the response, so the old token never opens the signed-in session (ASVS 5, 7.2.4).
   *
   * The visitor's data is dropped, except for what `keep` names: somebody else may have planted that session in the
   * visitor's browser. That includes what this request put in before `signIn`, so put new data in afterwards.
   *
   * - The same user again (a step-up): all data stays.
   * - Another user was signed in: their session ends, and this one begins empty, whatever `keep` names.
   * - The request came with an old token, from before a rotation: a new, empty session begins, whatever `keep` names.
   *   With `userOf`, and at a site (`root`), it fails with `ERR_SESSION_ROTATED` (409).
   *
   * If `revokeAll` was called for the user after this request began, or a limit refuses the sign-in, the commit fails.
   * Nobody is signed in then, and the session ends.
   *
   * @param userId the user's id in your app: 1 to 255 bytes of text, or a whole number, which is kept as text.
   * @throws (rejects) `ERR_SESSION_USER_ID` if the id is missing, too long or malformed.
   * @throws (rejects) `ERR_SESSION_OPTION` for an unknown option or a malformed `keep`. With `userOf`, also for another
   *   user than the data names.
   * @throws (rejects) `ERR_SESSION_HEADERS_SENT` after the first byte of the response.
   * @throws (by the commit) `ERR_SESSION_REVOKED` (401), or `ERR_SESSION_LIMIT` (403) with `sessionsPerUser`.
   * @example
   * await req.session.signIn(user.id, { keep: ['cart'] })
   */
  signIn(userId: UserId, options?: SignInOptions): Promise<void>

  /**
   * Deletes this session for all apps before the promise resolves (ASVS 5, 7.4.1). `req.session` is then a new, empty
   * session, which is stored only if you put data into it.
   *
   * With an old token, from before a rotation, nothing is deleted: its holder may be the one whom the rotation was to
   * lock out. The call fails, so that no page says "signed out" by mistake. Send the request again: the browser has the
   * new token by then.
   *
   * @throws (rejects) `ERR_SESSION_ROTATED` (409) if the request came with an old token.
   */
  signOut(): Promise<void>

  /**
   * Gives the session a new token, stored before the response. Data, user and `publicId` stay. Call it when a user gets
   * more rights.
   *
   * For `rotationGrace` (10 seconds by default), the old token still reads and changes the session as it was. It cannot
   * end the session, sign in on it, or get a new token.
   *
   * @throws (rejects) `ERR_SESSION_HEADERS_SENT` after the first byte of the response.
   */
  rotate(): Promise<void>

  /**
   * Deletes this session for all apps, and puts a new, empty one at `req.session`.
   * @throws (rejects) `ERR_SESSION_ROTATED` (409) if the request came with an old token.
   */
  regenerate(): Promise<void>
  regenerate(callback: Callback): void

  /**
   * Deletes this session for all apps. `req.session` is then `undefined`.
   * @throws (rejects) `ERR_SESSION_ROTATED` (409) if the request came with an old token.
   */
  destroy(): Promise<void>
  destroy(callback: Callback): void

  /**
   * Reads the session from the store again, and drops changes that were not saved.
   * @throws (rejects) `ERR_SESSION_GONE` (401) if the session has ended, or was never stored.
   */
  reload(): Promise<void>
  reload(callback: Callback): void

  /**
   * Saves the changes now. Without it, they are saved before the first byte of the response. Call it to handle a
   * failure yourself, or to save changes that come after the response.
   *
   * @throws (rejects) `ERR_SESSION_GONE` (401) if the session has ended.
   * @throws (rejects) `ERR_SESSION_DATA` or `ERR_SESSION_TOO_LARGE` if the data cannot be stored.
   * @throws (rejects) `ERR_SESSION_CONFLICT` (503) if other requests kept changing the session.
   */
  save(): Promise<void>
  save(callback: Callback): void

  /**
   * Changes a draft of the session, and saves it now. If another request was faster, `change` runs again on a draft of
   * what that request stored. So it never works from old data: N increments, in any number of processes, add N.
   * `req.session` then shows what was stored.
   *
   * @param change changes the draft that it is given, and nothing else. It may run several times, and is not async.
   * @returns a frozen copy of what the last run of `change` returned. A request with an old token, from before a
   *   rotation, gets what `change` returned for the session as it was before the rotation.
   * @throws (rejects) what `change` throws. Nothing is stored then.
   * @throws (rejects) a `TypeError` if `change` is async, or changes `req.session` in place of the draft.
   * @throws (rejects) `ERR_SESSION_GONE` (401) if the session has ended, or somebody signed in on it meanwhile.
   * @throws (rejects) `ERR_SESSION_CONFLICT` (503), `ERR_SESSION_DATA` or `ERR_SESSION_TOO_LARGE`, as `save` does.
   * @example
   * const views = await req.session.update((session) => (session.views = (session.views ?? 0) + 1))
   */
  update<Result>(change: (session: RequestSession) => Synchronous<Result>): Promise<Result>

  /** Moves the session's expiry with this request, even if `touchAfter` has not passed. Returns the session. */
  touch(): RequestSession
}

type Data = Record<string, unknown>

let workOf: (session: Session) => SessionWork
let asideOf: (session: Session) => Data | undefined
let setAside: (session: Session, aside: Data | undefined) => void

/** The read-only properties: they say which session it is, and whose. */
const identityNames = ['id', 'publicId', 'userId', 'createdAt', 'authenticatedAt', 'root'] as const

const identity = Object.fromEntries(
  identityNames.map((name): [string, PropertyDescriptor & ThisType<Session>] => [
    name,
    {
      get() {
        return workOf(this)[name]
      },
      set() {
        throw reservedName(name)
      },
      configurable: false,
      enumerable: false,
    },
  ]),
)

/** The class of `req.session`. Its methods are accessors of the prototype, defined below. */
class SessionBag {
  readonly #work: SessionWork
  /**
   * The data as it was read, if some of it has the name of a member. Another app wrote that: it is not shown, but stays
   * stored.
   */
  #aside: Data | undefined

  static {
    workOf = (session) => (session as unknown as SessionBag).#work
    asideOf = (session) => (session as unknown as SessionBag).#aside
    setAside = (session, aside) => void ((session as unknown as SessionBag).#aside = aside)
  }

  constructor(work: SessionWork) {
    this.#work = work
    // Own properties that are not configurable: neither Object.defineProperty nor delete can replace them.
    // One by one is faster than Object.defineProperties.
    for (const name of identityNames) Object.defineProperty(this, name, identity[name]!)
  }
}

/** Makes a session object of data that was read. */
export function openSession(work: SessionWork, data: Data): Session {
  const session = new SessionBag(work) as unknown as Session
  fill(session, data)
  return session
}

const methods: Record<string, (this: Session, ...parameters: never[]) => unknown> = {
  signIn(userId: UserId, options?: SignInOptions) {
    return answerOnce(workOf(this), 'signIn', () => current(this).signIn(userId, options))
  },
  signOut() {
    return answer(() => current(this).signOut())
  },
  rotate() {
    return answerOnce(workOf(this), 'rotate', () => current(this).rotate())
  },
  regenerate(callback?: Callback) {
    return answer(() => current(this).regenerate(), callback)
  },
  destroy(callback?: Callback) {
    return answer(() => current(this).destroy(), callback)
  },
  reload(callback?: Callback) {
    return answer(() => current(this).reload(), callback)
  },
  save(callback?: Callback) {
    return answer(() => current(this).save(), callback)
  },
  update(change: (session: RequestSession) => unknown) {
    return answerOnce(workOf(this), 'update', () => current(this).update(change))
  },
  touch() {
    current(this).touch()
    return this
  },
}

for (const [name, method] of Object.entries(methods)) {
  Object.defineProperty(SessionBag.prototype, name, {
    get: () => method,
    set(this: Session, value: unknown) {
      // Libraries wrap methods, so functions are allowed. Data must not hide a method.
      if (typeof value !== 'function') throw reservedName(name)
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: false })
    },
    configurable: true,
  })
}

// Otherwise, Object.assign(req.session, JSON.parse(body)) could give the session a prototype that the body names.
Object.defineProperty(SessionBag.prototype, '__proto__', {
  get: () => SessionBag.prototype,
  set() {
    throw reservedName('__proto__')
  },
  configurable: true,
})

Object.defineProperty(SessionBag.prototype, 'constructor', {
  get: () => SessionBag,
  set() {
    throw reservedName('constructor')
  },
  configurable: true,
})

Object.defineProperty(SessionBag.prototype, sessionWork, {
  get(this: Session) {
    return workOf(this)
  },
})

/** Names by which data could reach the prototype. */
const prototypeNames = new Set(['__proto__', 'constructor'])
const reservedNames = new Set([...Object.keys(methods), ...identityNames, ...prototypeNames])

/** Whether data cannot have this name, because every session has a member of it. */
export function isReservedName(name: string): boolean {
  return reservedNames.has(name)
}

/** Whether data of this name stays stored without being shown. */
function isAside(name: string): boolean {
  return reservedNames.has(name) && !prototypeNames.has(name)
}

/** Puts data into a session, except under names that would hide a member or reach the prototype. */
function fill(session: Session, data: Data): void {
  for (const name of Object.keys(data)) {
    if (!reservedNames.has(name)) (session as unknown as Data)[name] = data[name]
  }
  fillAside(session, data)
}

/** The part of the data that is stored without being shown: what has the name of a member. */
export function asideIn(data: Data): Data {
  return Object.fromEntries(Object.entries(data).filter(([name]) => isAside(name)))
}

/** Makes a session keep that part of `data`, and forget what it kept before. */
export function fillAside(session: Session, data: Data): void {
  setAside(session, Object.keys(data).some(isAside) ? data : undefined)
}

/**
 * The data of a session as a plain object, with what is stored without being shown.
 * @throws ERR_SESSION_DATA if a getter in it throws.
 */
export function dataOf(session: Session): Data {
  const data = session as unknown as Data
  const aside = asideOf(session)
  try {
    if (!aside) return copyOf(data)
    // In the order in which it was read: otherwise an unchanged session would look changed, and be stored again.
    const names = Object.keys(aside).filter((name) => isAside(name) || Object.hasOwn(data, name))
    return { ...Object.fromEntries(names.map((name) => [name, aside[name]])), ...data }
  } catch (cause) {
    const name = Object.keys(data).find((each) => fails(() => data[each]))
    throw new SessionError(
      'ERR_SESSION_DATA',
      `req.session${name === undefined ? '' : `.${name}`} holds a getter that fails, so what it gives cannot be stored. Store the value itself, or mend the getter.`,
      { cause },
    )
  }
}

/**
 * Spread takes seven times as long as `Object.assign` on an object with accessors, even a few. But `Object.assign`
 * takes an own `__proto__` for the prototype: then the copy is made by spread.
 */
function copyOf(data: Data): Data {
  const copy = Object.assign({}, data)
  return Object.getPrototypeOf(copy) === Object.prototype ? copy : { ...data }
}

function fails(work: () => unknown): boolean {
  try {
    work()
    return false
  } catch {
    return true
  }
}

/** Replaces the data of a session, in the same object. */
export function refill(session: Session, data: Data): void {
  for (const name of Object.keys(session)) delete (session as unknown as Data)[name]
  fill(session, data)
}

/** The data without names that a session never shows. It is what is compared and merged. */
export function visibleData(data: Data): Data {
  const names = Object.keys(data)
  if (!names.some((name) => reservedNames.has(name))) return data
  return Object.fromEntries(
    names.filter((name) => !reservedNames.has(name)).map((name) => [name, data[name]]),
  )
}

function current(session: Session): SessionWork {
  const work = workOf(session)
  work.assertCurrent(session)
  return work
}

export function reservedName(name: string): SessionError {
  return new SessionError(
    'ERR_SESSION_RESERVED_NAME',
    name === 'userId'
      ? 'req.session.userId says who is signed in, and cannot be assigned. Call req.session.signIn(userId) to sign a user in, and signOut() to sign out; store other data under another name.'
      : `req.session.${name} is part of every session; store your data under another name.`,
  )
}

/** As `answer`, for what no commit does again. If it fails and nobody waits for it, the commit fails. */
export function answerOnce<Result>(
  work: SessionWork,
  method: string,
  act: () => Promise<Result>,
): Promise<Result> {
  const promise = new WatchedPromise<Result>((resolve) => resolve(act()))
  promise.whenRejected((error) => work.noteFailure({ method, error, promise }))
  return promise
}

/**
 * A promise; or, with a callback, nothing. The callback runs in a later turn, so that what it throws is not swallowed.
 */
export function answer<Result>(act: () => Promise<Result>, callback?: Callback): Promise<Result> | undefined {
  const promise = (async () => act())()
  // `req.session.destroy()` without await is common. The commit waits for it and meets its failure, which
  // must not end the process besides.
  promise.catch(() => undefined)
  if (typeof callback !== 'function') return promise
  promise.then(
    () => nextTick(callback),
    (error: unknown) => nextTick(callback, error),
  )
  return undefined
}
