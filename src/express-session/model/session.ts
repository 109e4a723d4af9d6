import type { Callback } from '../../core/callback.js'
import {
  answer as answerCore,
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
 * What `req.session` has besides with `session(options)`. With `session(sessions)` these are not there, so the types of `req.session` have
 * them as optional. An app of the former kind that does without @types/express-session declares that they are there:
 *
 * @example
 * import session, { type OldMembers } from 'coatcheck/express'
 * declare module 'coatcheck' {
 *   interface Session extends OldMembers {}
 * }
 */
export interface OldMembers {
  /** The cookie of this session. Assigning its `maxAge`, in milliseconds, sets how long both live. */
  cookie: Cookie
  /** Lets the cookie live for its `originalMaxAge` from now. */
  resetMaxAge(): RequestSession
  /** Who is bound to the session. There, `userId` is data of yours, as under express-session. */
  readonly boundUserId: string | undefined
}

/**
 * A session in hand as express-session has it: your data and its `cookie`, with methods that are not enumerable and that
 * no stored key can hide. Methods take a callback, or return a promise. Of coatcheck's own members (`signIn`, `publicId`, …)
 * data of yours may take the names. `userId` is data of yours only, as under express-session.
 */
export type Session = WithOldTypes<OldSession, RequestSession & Omit<OldMembers, keyof SessionData>>

/** The class of `req.session`. */
export interface SessionConstructor {
  /** @param work what the session asks when it is the session of a request in hand; left out, it acts on `request.sessionStore` */
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

  /** A session that was destroyed or regenerated keeps the id that it had. */
  #currentId(): string {
    try {
      this.#work.assertCurrent(this as unknown as CoreSession)
      this.#id = this.#work.id
    } catch {
      // It is not the one in hand any more.
    }
    return this.#id
  }
}

/** The class of `req.session`, as express-session's `Session`. */
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
      // Libraries wrap methods; data must not hide them.
      if (typeof value !== 'function') throw reservedName(name)
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: false })
    },
    configurable: true,
  })
}

// Without a setter: older code that assigns it goes on, without effect, as under express-session.
Object.defineProperty(ExpressSession.prototype, 'id', {
  get(this: Session) {
    return idOf(this)
  },
  configurable: true,
})

/**
 * Ours, beside express-session's: an app that has long kept data by these names sees its own. There is no `userId`: an app that
 * signs out by `delete req.session.userId` must not find somebody there.
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
    return (change: (session: RequestSession) => unknown) => answerCore(() => current(this).update(change))
  },
  signIn() {
    return (userId: UserId, options?: SignInOptions) =>
      answer(this, () => current(this).signIn(userId, options))
  },
  signOut() {
    return () => answer(this, () => current(this).signOut())
  },
  rotate() {
    return () => answer(this, () => current(this).rotate())
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

/** Puts data into a session, but for names that would hide a method or reach the prototype. */
export function fillSession(session: object, data: Data): void {
  for (const name of Object.keys(data)) {
    if (!isReserved(name)) (session as Data)[name] = data[name]
  }
}

/** Puts the app's own data into a session: without the cookie, and without the names that a session never shows. */
export function fillOwnData<Target extends object>(target: Target, data: Data): Target {
  for (const name of Object.keys(data)) {
    if (name !== 'cookie' && !isReserved(name)) (target as Data)[name] = data[name]
  }
  return target
}

/** That data alone, without what JSON has no word for. */
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

/** What ends a session that another has replaced, or that has ended already: the store, by the id that it had. */
function inUse(session: Session): SessionWork {
  try {
    return current(session)
  } catch {
    const { req } = session as unknown as { req: StoreRequest }
    return new StoreWork(session, req, session.id)
  }
}

/** A promise; or, for chaining, the session, and the callback called later. */
function answer(session: Session, act: () => Promise<void>, callback?: Callback): Promise<void> | Session {
  return answerCore(act, callback) ?? session
}
