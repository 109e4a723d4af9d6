import type { Callback } from '../callback.js'
import { SessionError } from '../errors.js'
import { nextTick } from '../scheduling.js'
import type { UserId } from '../users/user-id.js'

/**
 * The data of your sessions. Augment it once and `req.session` is typed everywhere:
 *
 * @example
 * declare module 'coatcheck' {
 *   interface SessionData {
 *     name?: string
 *     cart?: string[]
 *   }
 * }
 */
export interface SessionData {}

/**
 * The argument of `session(sessions)`, unless `SessionData` declares a name that is part of every such session: then a text, because the
 * compiler's message shows it.
 */
export type WithoutReservedNames<Sessions> = string extends keyof SessionData
  ? Sessions
  : [Extract<keyof Session, keyof SessionData>] extends [never]
    ? Sessions
    : `SessionData declares ${Extract<keyof Session, keyof SessionData>}, which is part of every session: rename your data`

/** What `req.session` is: your data, with the session's own methods and properties beside it. */
export type RequestSession = Partial<SessionData> & Omit<Session, keyof SessionData>

/** What `change` of `update` may return: no promise. In place of one stands a text, because the compiler's message shows it. */
export type Synchronous<Result> =
  Result extends PromiseLike<unknown> ? 'change must not be async: await before update()' : Result

/** What a session in hand asks of the request that it belongs to. */
export interface SessionWork {
  readonly id: string
  readonly publicId: string
  readonly userId: string | undefined
  readonly createdAt: Date | undefined
  readonly authenticatedAt: Date | undefined
  /** Throws if the work has gone on with another session. */
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
   * Gives this user's session a new token now, whatever others have done to it: no token from before leads on.
   * @returns false if the session is not this request's any more
   */
  claim(userId: string): Promise<boolean>
}

/** What `signIn` takes besides the user. */
export interface SignInOptions {
  /**
   * The names of what stays of the visitor's data; `true`: everything. Default: nothing. Name only what does no harm if somebody else has put
   * it there, such as a cart: never a secret of forms (`csrf`) nor an address to go on to (`returnTo`).
   */
  readonly keep?: true | readonly string[] | undefined
}

/** By this a session in hand tells the work that it belongs to. */
export const sessionWork = Symbol('coatcheck session work')

/**
 * A session in hand: a plain object of your data. `Object.keys(req.session)` is your data and nothing else;
 * these members are not enumerable, and nothing hides them: no data, stored or assigned. Assigning one throws
 * ERR_SESSION_RESERVED_NAME. Methods return a promise, or take a callback as in express-session.
 */
export interface Session {
  /** The token, as in `req.sessionID`. A secret: never log it; `publicId` is for that. */
  readonly id: string
  /** Names this session for people: stable over rotation, safe to show and to log. */
  readonly publicId: string
  /** Who signed in, by `signIn`. Only `signIn` and `signOut` change it. */
  readonly userId: string | undefined
  /** When the session began; `undefined` until it is stored. */
  readonly createdAt: Date | undefined
  /**
   * When the user last proved who they are, by the store's clock; `undefined` while nobody is signed in. For steps that
   * ask for a fresh proof (ASVS 5, 7.5.3): `signIn` with the same user moves it, and gives a new token.
   */
  readonly authenticatedAt: Date | undefined

  /**
   * Binds the session to a user and gives it a new token. Takes effect with the commit, in one step: the token from before never leads to a
   * signed-in session (ASVS 5, 7.2.4).
   *
   * What the visitor's session held is gone, but for what `keep` names: somebody else may have planted that session in the visitor's browser,
   * with data in it. What this request put there before it called `signIn` is the visitor's too, so put things in afterwards. A user who
   * proves again who they are (a step-up) keeps everything. If another user was signed in, their session ends and this one begins empty,
   * whatever `keep` names.
   *
   * A request that came with the token from before a rotation signs in on a new session. That begins empty, whatever `keep` names. With
   * `userOf` it fails with ERR_SESSION_ROTATED (409).
   *
   * A sign-in does not outlive `revokeAll`: if that came after this request began, the commit fails and nothing is
   * signed in. The session that it was made on ends with that, as it does where a limit refuses it.
   *
   * @param userId your id of the user; a number is kept as its decimal text, at most 255 bytes
   * @throws ERR_SESSION_USER_ID if it is empty or too long; ERR_SESSION_OPTION for an unknown option, or a `keep` that is no list of names;
   *   by the commit, ERR_SESSION_REVOKED (401), and ERR_SESSION_LIMIT (403) where `sessionsPerUser` refuses
   */
  signIn(userId: UserId, options?: SignInOptions): Promise<void>

  /**
   * Ends this session, in every app, before the promise resolves. `req.session` is then a new, empty one,
   * which is stored only if you put something into it.
   *
   * A request that came with the token from before a rotation ends nothing, for whoever has that token may be whom the rotation was to shut
   * out. It fails, so that no page tells a user who is still signed in that they are not; sent again, it comes with the new token.
   *
   * @throws (by the promise) ERR_SESSION_ROTATED (409) by a token from before a rotation
   */
  signOut(): Promise<void>

  /**
   * Gives the session a new token with the commit; data, user and publicId stay. For changes of privilege. For `rotationGrace` the token from
   * before still reads and changes the session, as it was. It ends nothing, signs in nowhere, and gets no new token.
   */
  rotate(): Promise<void>

  /** Ends this session and puts a new, empty one at `req.session`. Rejects as `signOut`. */
  regenerate(): Promise<void>
  regenerate(callback: Callback): void

  /** Ends this session in every app and takes it off `req.session`. Rejects as `signOut`. */
  destroy(): Promise<void>
  destroy(callback: Callback): void

  /** Reads the session afresh, dropping changes that were not saved. Rejects with ERR_SESSION_GONE if it has ended. */
  reload(): Promise<void>
  reload(callback: Callback): void

  /** Stores the changes so far, now. They would be stored anyway before the response's first byte. */
  save(): Promise<void>
  save(callback: Callback): void

  /**
   * Changes a draft of the session and stores that, now. Where another request stored something meanwhile, `change` runs
   * again on a draft of what that left: so that what it works out from the session is never worked out from old data. N
   * increments, in however many processes, give N. The session in hand takes over what was stored.
   *
   * @param change may run several times, so it does nothing but change the session it is given; not async
   * @returns a frozen copy of what the last run of `change` returned; where the request came with a token from before a rotation, what the last
   *   one on the session as it was before that returned
   * @throws what `change` throws, the session then being as before; a TypeError if it is async, or changes `req.session` in place of the
   *   draft; ERR_SESSION_GONE, ERR_SESSION_CONFLICT, and as `save`
   * @example
   * const views = await req.session.update((session) => (session.views = (session.views ?? 0) + 1))
   */
  update<Result>(change: (session: RequestSession) => Synchronous<Result>): Promise<Result>

  /** Moves the expiry with the commit, even if it is not yet due. */
  touch(): RequestSession
}

type Data = Record<string, unknown>

let workOf: (session: Session) => SessionWork
let asideOf: (session: Session) => Data | undefined
let setAside: (session: Session, aside: Data | undefined) => void

/** What says which session it is, and whose. */
const identityNames = ['id', 'publicId', 'userId', 'createdAt', 'authenticatedAt'] as const

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

/** What `req.session` really is. Its methods are accessors of the prototype, defined below. */
class SessionBag {
  readonly #work: SessionWork
  /** The data as it was read, where some has the name of a member. Such data is not shown, but another app's, so it stays in the store. */
  #aside: Data | undefined

  static {
    workOf = (session) => (session as unknown as SessionBag).#work
    asideOf = (session) => (session as unknown as SessionBag).#aside
    setAside = (session, aside) => void ((session as unknown as SessionBag).#aside = aside)
  }

  constructor(work: SessionWork) {
    this.#work = work
    // Its own and fixed, so that neither Object.defineProperty nor delete makes them say something else.
    // One by one, which takes less time than all at once.
    for (const name of identityNames) Object.defineProperty(this, name, identity[name]!)
  }
}

/** A session in hand, with data that was read. */
export function openSession(work: SessionWork, data: Data): Session {
  const session = new SessionBag(work) as unknown as Session
  fill(session, data)
  return session
}

const methods: Record<string, (this: Session, ...parameters: never[]) => unknown> = {
  signIn(userId: UserId, options?: SignInOptions) {
    return answer(() => current(this).signIn(userId, options))
  },
  signOut() {
    return answer(() => current(this).signOut())
  },
  rotate() {
    return answer(() => current(this).rotate())
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
    return answer(() => current(this).update(change))
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
      // Libraries wrap methods; data must not hide them.
      if (typeof value !== 'function') throw reservedName(name)
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: false })
    },
    configurable: true,
  })
}

// Object.assign(req.session, JSON.parse(body)) would give the session whatever prototype the body names.
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

/** Names of the prototype that data must not reach. */
const prototypeNames = new Set(['__proto__', 'constructor'])
const reservedNames = new Set([...Object.keys(methods), ...identityNames, ...prototypeNames])

/** Whether data of this name is stored, but not shown. */
function isAside(name: string): boolean {
  return reservedNames.has(name) && !prototypeNames.has(name)
}

/** Puts data into a session, but for names that would hide a member or reach the prototype. */
function fill(session: Session, data: Data): void {
  for (const name of Object.keys(data)) {
    if (!reservedNames.has(name)) (session as unknown as Data)[name] = data[name]
  }
  fillAside(session, data)
}

/** Of data, what a session keeps aside. */
export function asideIn(data: Data): Data {
  return Object.fromEntries(Object.entries(data).filter(([name]) => isAside(name)))
}

/** Lets a session keep aside what other data has under the names of its members. */
export function fillAside(session: Session, data: Data): void {
  setAside(session, Object.keys(data).some(isAside) ? data : undefined)
}

/**
 * The data of a session as a plain object, with what it keeps aside.
 * @throws ERR_SESSION_DATA if a getter among it fails
 */
export function dataOf(session: Session): Data {
  const data = session as unknown as Data
  const aside = asideOf(session)
  try {
    if (!aside) return copyOf(data)
    // In the order in which it was read, so that a session that nobody changed is not stored again.
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

/** Of an object with accessors, however few, spread takes seven times as long as `assign`, which takes an own `__proto__` for the prototype. */
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

/** Puts other data into a session, in place. */
export function refill(session: Session, data: Data): void {
  for (const name of Object.keys(session)) delete (session as unknown as Data)[name]
  fill(session, data)
}

/** The data without the names that a session never shows, as it is compared and merged. */
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

/** A promise, or the callback called after it in a turn of its own, so that what it throws is not swallowed. */
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
