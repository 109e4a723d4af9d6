import type { Callback } from '../../core/callback.js'
import {
  answer as answerCore,
  answerOnce,
  type RequestSession,
  reservedName,
  type SessionData,
  type Session as CoreSession,
  sessionWork,
  type SessionWork,
  type SignInOptions,
} from '../../core/session/session.js'
import type { UserId } from '../../core/users/user-id.js'
import type { Cookie } from './cookie.js'
import type { OldSession, WithOldTypes } from './old-types.js'
import { StoreWork, type StoreRequest } from '../bridge/store-work.js'

type Data = Record<string, unknown>

/**
 * The members that `req.session` has with `session(options)` only. With `session(sessions)` it does not have them, so
 * they are optional in the type of `req.session`. An app that uses `session(options)` without `@types/express-session`
 * declares that they are there:
 *
 * @example
 * import session, { type OldMembers } from 'coatcheck/express'
 * declare module 'coatcheck' {
 *   interface Session extends OldMembers {}
 * }
 */
export interface OldMembers {
  /**
   * The cookie of this session. Assign its `maxAge`, in milliseconds, to set how long the cookie and the session live.
   */
  cookie: Cookie
  /** Makes the cookie live for its `originalMaxAge` from now. */
  resetMaxAge(): RequestSession
  /** The user who is signed in, by `signIn` or `userOf`. With `session(options)`, `userId` is data of yours. */
  readonly boundUserId: string | undefined
}

/**
 * The session object of `session(options)`, as in express-session: your data and its `cookie`. The methods are not
 * enumerable, and stored data cannot hide them. They take a callback, or return a promise.
 *
 * Data of yours may have the names of coatcheck's own members, such as `signIn` and `publicId`, and hides them then.
 * `userId` is data of yours, as in express-session; the signed-in user is `boundUserId`.
 */
export type Session = WithOldTypes<OldSession, RequestSession & Omit<OldMembers, keyof SessionData>>

/** The constructor of `Session`. */
export interface SessionConstructor {
  /** @param work for internal use. Left out: the session acts on `request.sessionStore`. */
  new (request: object, data?: object | null, work?: SessionWork): Session
  readonly prototype: Session
}

let workOf: (session: object) => SessionWork
let idOf: (session: object) => string

class ExpressSession {
  readonly #work: SessionWork
  #id: string

  static {
    workOf = (session) => (session as ExpressSession).#work
    idOf = (session) => (session as ExpressSession).#currentId()
  }

  constructor(request: object, data?: object | null, work?: SessionWork) {
    Object.defineProperty(this, 'req', { value: request })
    this.#work = work ?? new StoreWork(this, request as StoreRequest)
    this.#id = this.#work.id
    if (typeof data === 'object' && data !== null) fillSession(this, data as Data)
  }

  /** After the session was destroyed or regenerated, this object keeps the id that it had. */
  #currentId(): string {
    try {
      this.#work.assertCurrent(this as unknown as CoreSession)
      this.#id = this.#work.id
    } catch {
      // It is no longer the request's session.
    }
    return this.#id
  }
}

/** The class of `req.session` with `session(options)`: express-session's `Session`. */
export const Session = ExpressSession as unknown as SessionConstructor

const methods: Record<string, (this: Session, ...parameters: never[]) => unknown> = {
  touch() {
    workOf(this).touch()
    return this.resetMaxAge()
  },
  resetMaxAge() {
    this.cookie.maxAge = this.cookie.originalMaxAge
    return this
  },
  save(callback?: Callback) {
    return answer(this, () => current(this).save(), callback)
  },
  reload(callback?: Callback) {
    return answer(this, () => current(this).reload(), callback)
  },
  destroy(callback?: Callback) {
    return answer(this, () => inUse(this).destroy(), callback)
  },
  regenerate(callback?: Callback) {
    return answer(this, () => inUse(this).regenerate(), callback)
  },
}

for (const [name, method] of Object.entries(methods)) {
  Object.defineProperty(ExpressSession.prototype, name, {
    get: () => method,
    set(this: Session, value: unknown) {
      // Libraries wrap methods, so functions are allowed. Data must not hide a method.
      if (typeof value !== 'function') throw reservedName(name)
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: false })
    },
    configurable: true,
  })
}

// Without a setter, as in express-session: in sloppy code, assigning it has no effect.
Object.defineProperty(ExpressSession.prototype, 'id', {
  get(this: Session) {
    return idOf(this)
  },
  configurable: true,
})

/**
 * The members that coatcheck adds to those of express-session. An app that already has data by these names sees its
 * data. There is no `userId`: an app that signs out by `delete req.session.userId` must not find a user there.
 */
const ours: Record<string, (this: Session) => unknown> = {
  publicId() {
    return workOf(this).publicId
  },
  boundUserId() {
    return workOf(this).userId
  },
  createdAt() {
    return workOf(this).createdAt
  },
  authenticatedAt() {
    return workOf(this).authenticatedAt
  },
  update() {
    return (change: (session: RequestSession) => unknown) =>
      answerOnce(workOf(this), 'update', () => current(this).update(change))
  },
  signIn() {
    return (userId: UserId, options?: SignInOptions) =>
      answerOnce(workOf(this), 'signIn', () => current(this).signIn(userId, options))
  },
  signOut() {
    return () => answer(this, () => current(this).signOut())
  },
  rotate() {
    return () => answerOnce(workOf(this), 'rotate', () => current(this).rotate())
  },
}

for (const [name, get] of Object.entries(ours)) {
  Object.defineProperty(ExpressSession.prototype, name, {
    get,
    set(this: Session, value: unknown) {
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true })
    },
    configurable: true,
  })
}

Object.defineProperty(ExpressSession.prototype, sessionWork, {
  get(this: Session) {
    return workOf(this)
  },
})

const reservedNames = new Set([...Object.keys(methods), 'id', 'req'])

function isReserved(name: string): boolean {
  return reservedNames.has(name) || name in Object.prototype
}

/** Puts data into a session, except under names that would hide a method or reach the prototype. */
export function fillSession(session: object, data: Data): void {
  for (const name of Object.keys(data)) {
    if (!isReserved(name)) (session as Data)[name] = data[name]
  }
}

/** Puts the app's own data into a session: without the cookie, and without names that a session never shows. */
export function fillOwnData<Target extends object>(target: Target, data: Data): Target {
  for (const name of Object.keys(data)) {
    if (name !== 'cookie' && !isReserved(name)) (target as Data)[name] = data[name]
  }
  return target
}

/** The app's own data, without values that JSON leaves out. */
export function ownData(data: Data): Data {
  const own = fillOwnData<Data>({}, data)
  for (const name of Object.keys(own)) if (wordless.has(typeof own[name])) delete own[name]
  return own
}

const wordless = new Set(['undefined', 'function', 'symbol'])

function current(session: Session): SessionWork {
  const work = workOf(session)
  work.assertCurrent(session as unknown as CoreSession)
  return work
}

/**
 * The work that ends a session. If this object is no longer the request's session, that is the store, by the object's
 * id.
 */
function inUse(session: Session): SessionWork {
  try {
    return current(session)
  } catch {
    const { req } = session as unknown as { req: StoreRequest }
    return new StoreWork(session, req, session.id)
  }
}

/** A promise; or, with a callback, the session for chaining. The callback is called later. */
function answer(session: Session, act: () => Promise<void>, callback?: Callback): Promise<void> | Session {
  return answerCore(act, callback) ?? session
}
