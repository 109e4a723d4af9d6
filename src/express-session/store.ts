import { EventEmitter } from 'node:events'
import { assignStored, Cookie, isMaxAge, isMoment } from './cookie.ts'
import { Session } from './session.ts'

type Callback<Value = unknown> = (error?: unknown, value?: Value) => void

/** What a session store is, beside the methods that each store brings: `get`, `set`, `destroy`, and perhaps `touch`, `all`, `length`, `clear`. */
export interface Store extends EventEmitter {
  get(token: string, callback: Callback<object | null>): unknown
  destroy(token: string, callback?: Callback): unknown
  /** Puts a new session at `request.session`. The session middleware assigns it. */
  generate(request: object): void
  /** Ends the session that `request` has and puts a new one in its place. */
  regenerate(request: object, callback?: Callback): void
  /** Reads a session for use without a request, such as in a job; calls back with nothing if there is none. */
  load(token: string, callback?: Callback<Session>): void
  /** Makes a session of data as it was stored, and puts it at `request.session`. */
  createSession(request: object, data: object): Session
}

/** The class that stores extend. */
export interface StoreConstructor {
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
    const cookie = cookieFrom((data as { cookie?: unknown }).cookie)
    const session = new Session(request, { ...data, cookie })
    const owner = request as { session?: Session }
    owner.session = session
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
