import { EventEmitter } from 'node:events'
import { assignStored, Cookie, isMaxAge, isMoment } from '../model/cookie.js'
import type { Callback } from '../../core/callback.js'
import type { SessionData } from '../../core/session/session.js'
import type { OldData, WithOldTypes } from '../model/old-types.js'
import { Session } from '../model/session.js'

/** A session as stores of express-session's kind keep it, and as its types name it: your data, and the `cookie`. */
export type StoredData = WithOldTypes<OldData, SessionData & { cookie: Cookie }>

/**
 * What a session store is. A store that extends the class brings `get`, `set` and `destroy`, and perhaps `touch`, `all`, `length` and
 * `clear`.
 */
export interface Store extends EventEmitter {
  get(token: string, callback: Callback<StoredData | null>): unknown
  set(token: string, session: object, callback?: Callback): unknown
  destroy(token: string, callback?: Callback): unknown
  touch?(token: string, session: object, callback?: Callback): unknown
  all?(callback: Callback<StoredData[] | Record<string, StoredData> | null>): unknown
  length?(callback: Callback<number>): unknown
  clear?(callback?: Callback): unknown
  /** Puts a new session at `request.session`. The session middleware assigns it. */
  generate(request: object): void
  /** Ends the session that `request` has and puts a new one in its place. */
  regenerate(request: object, callback?: Callback): void
  /** Reads a session for use without a request, such as in a job; calls back with nothing if there is none. */
  load(token: string, callback?: Callback<Session & StoredData>): void
  /** Makes a session of data as it was stored, and puts it at `request.session`. */
  createSession(request: object, data: object): Session & StoredData
}

/** The class that stores extend. Its static members are those of `EventEmitter`. */
export interface StoreConstructor extends Omit<typeof EventEmitter, 'prototype'> {
  new (options?: object): Store
  /** Without `new`, for stores made with `util.inherits`. */
  (this: unknown, options?: object): void
  readonly prototype: Store
}

/**
 * The class that stores of express-session's kind are made from: by `class … extends Store`, or by `util.inherits`
 * and `Store.call(this)`. A plain function, because classes cannot be called.
 */
export const Store = function (this: EventEmitter) {
  EventEmitter.call(this as never)
} as unknown as StoreConstructor

Object.setPrototypeOf(Store, EventEmitter)
Object.setPrototypeOf(Store.prototype, EventEmitter.prototype)

const members: Pick<Store, 'regenerate' | 'load' | 'createSession'> & ThisType<Store> = {
  regenerate(request, callback) {
    this.destroy((request as { sessionID: string }).sessionID, (error) => {
      this.generate(request)
      callback?.(error)
    })
  },
  load(token, callback) {
    this.get(token, (error, data) => {
      if (error) return callback?.(error)
      if (!data) return callback?.()
      callback?.(null, this.createSession({ sessionID: token, sessionStore: this }, data))
    })
  },
  createSession(request, data) {
    const stored = data as { cookie?: unknown }
    stored.cookie = cookieFrom(stored.cookie)
    const owner = request as { session?: Session }
    owner.session = new Session(request, data)
    // A request in hand takes in what it is given.
    return owner.session
  },
}

for (const [name, value] of Object.entries(members)) {
  Object.defineProperty(Store.prototype, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  })
}

/** The cookie of a session that was stored. One that is missing or malformed is as good as new. */
function cookieFrom(stored: unknown): Cookie {
  if (typeof stored !== 'object' || stored === null) return new Cookie()
  try {
    const cookie = assignStored(new Cookie(), stored)
    return isSound(cookie) ? cookie : new Cookie()
  } catch {
    return new Cookie()
  }
}

function isSound({ originalMaxAge, expires }: Cookie): boolean {
  return isMaxAge(originalMaxAge) && (expires instanceof Date ? isMoment(expires) : !expires)
}
