import { EventEmitter } from 'node:events'
import { assignStored, Cookie, isMaxAge, isMoment } from '../model/cookie.js'
import type { Callback } from '../../core/callback.js'
import type { SessionData } from '../../core/session/session.js'
import type { OldData, WithOldTypes } from '../model/old-types.js'
import { Session } from '../model/session.js'

/** The data of a session in a store for express-session: your data, and the `cookie`. Exported as `SessionData`. */
export type StoredData = WithOldTypes<OldData, SessionData & { cookie: Cookie }>

/**
 * A store of express-session. A class that extends it implements `get`, `set` and `destroy`, and may implement `touch`,
 * `all`, `length` and `clear`.
 */
export interface Store extends EventEmitter {
  /** Reads the data of a session; calls back with nothing if there is none. */
  get(token: string, callback: Callback<StoredData | null>): unknown
  /** Stores a session. */
  set(token: string, session: object, callback?: Callback): unknown
  /** Deletes a session. */
  destroy(token: string, callback?: Callback): unknown
  /** Moves the expiry of a session. */
  touch?(token: string, session: object, callback?: Callback): unknown
  /** Lists all sessions. */
  all?(callback: Callback<StoredData[] | Record<string, StoredData> | null>): unknown
  /** Counts all sessions. */
  length?(callback: Callback<number>): unknown
  /** Deletes all sessions. */
  clear?(callback?: Callback): unknown
  /** Puts a new session at `request.session`. The session middleware assigns this method. */
  generate(request: object): void
  /** Deletes the session of `request`, and puts a new one in its place. */
  regenerate(request: object, callback?: Callback): void
  /** Reads a session without a request, such as in a job. It calls back with nothing if there is none. */
  load(token: string, callback?: Callback<Session & StoredData>): void
  /** Makes a session object of stored data, and puts it at `request.session`. */
  createSession(request: object, data: object): Session & StoredData
}

/** The constructor of `Store`. Its static members are those of `EventEmitter`. */
export interface StoreConstructor extends Omit<typeof EventEmitter, 'prototype'> {
  new (options?: object): Store
  /** Without `new`, for stores made with `util.inherits`. */
  (this: unknown, options?: object): void
  readonly prototype: Store
}

/**
 * The class that stores for express-session extend: by `class … extends Store`, or by `util.inherits` and
 * `Store.call(this)`. It is a plain function, because classes cannot be called.
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
    // Read it again: a request with a session copies what is assigned.
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

/** The cookie of a stored session; a new one, if the stored one is missing or malformed. */
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
