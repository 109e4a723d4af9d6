import type { Data } from '../../core/data/merge.js'
import { SessionError } from '../../core/errors.js'
import type { SessionForm } from '../../core/session/session-form.js'
import type { Session as CoreSession, SessionWork } from '../../core/session/session.js'
import type { Lifetime } from '../../core/store/session-store.js'
import { type Cookie, mergeCookie, mergedCookie } from '../model/cookie.js'
import { fillOwnData, ownData } from '../model/session.js'

/** A session as `ExpressStore` returns it: the data, with the `cookie` as it was stored. */
export interface StoredSession {
  /** The cookie's attributes, as express-session stores them. */
  cookie?: unknown
  [name: string]: unknown
}

/**
 * A session that express-session, or an app, gives to the store: any object. It holds only what the session is to be,
 * not what has changed, so each `set` stores it.
 */
export class BridgeForm implements SessionForm {
  readonly keepsUnchanged = true
  readonly #sid: string
  readonly #idle: number
  #session: StoredSession | undefined
  #hasGivenToken = false

  /** @param idle the lifetime after the last use of a session whose cookie has no `maxAge`, in milliseconds. */
  constructor(sid: string, idle: number) {
    this.#sid = sid
    this.#idle = idle
  }

  /** Sets what is to be stored. */
  take(session: StoredSession): void {
    this.#session = session
  }

  open(_work: SessionWork, data: Data): CoreSession {
    return data as unknown as CoreSession
  }

  refill(session: CoreSession, data: Data): void {
    const bag = session as unknown as Data
    for (const name of Object.keys(bag)) if (name !== 'cookie') delete bag[name]
    fillOwnData(bag, data)
  }

  dataOf(session: CoreSession): Data {
    return plainOf(session as unknown as StoredSession)
  }

  visible(data: Data): Data {
    return ownData(data)
  }

  mergedRest(before: Data, mine: Data, theirs: Data): Data {
    return { cookie: mergedCookie(before['cookie'], mine['cookie'], theirs['cookie']) }
  }

  patchRest(session: CoreSession, from: Data, to: Data): void {
    mergeCookie(session as unknown as StoredSession, from, to)
  }

  draft(): never {
    throw new Error('no draft is made of what is stored as it is')
  }

  accepts(): boolean {
    return true
  }

  differs(): boolean {
    return true
  }

  keepsEmpty(): boolean {
    return true
  }

  /**
   * The id that was asked for, once. If another token opens the session by now, as after a rotation, there is no other.
   */
  createToken(): string {
    if (this.#hasGivenToken) {
      throw new SessionError('ERR_SESSION_GONE', 'Another token leads to this session by now.', {
        status: 401,
      })
    }
    this.#hasGivenToken = true
    return this.#sid
  }

  lifetime(merged?: Data): Lifetime {
    return lifetimeOf(merged ?? this.#session ?? {}, this.#idle)
  }

  touchAfter(): number {
    return Infinity
  }
}

/** The data to encode. The cookie becomes a plain object, because codecs other than JSON do not call its `toJSON`. */
export function plainOf(session: StoredSession): Data {
  const data = { ...session }
  const { toJSON } = (data.cookie ?? {}) as Partial<Cookie>
  if (typeof toJSON === 'function') data.cookie = toJSON.call(data.cookie as Cookie)
  return data
}

/** The lifetime of a session, by its cookie. */
export function lifetimeOf(session: StoredSession, idle: number): Lifetime {
  const { expires, originalMaxAge } = (session.cookie ?? {}) as Partial<Cookie> & { expires?: unknown }
  if (typeof expires === 'number') return lasting(expires - Date.now())
  if (typeof originalMaxAge === 'number' && Number.isFinite(originalMaxAge)) return lasting(originalMaxAge)
  const end = typeof expires === 'string' || expires instanceof Date ? new Date(expires).getTime() : NaN
  return lasting(Number.isNaN(end) ? idle : end - Date.now())
}

function lasting(idle: number): Lifetime {
  return { idle: Math.ceil(idle), absolute: undefined }
}
