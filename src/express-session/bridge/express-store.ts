import { checkedStore } from '../../core/argument.js'
import type { Callback } from '../../core/callback.js'
import type { Codec } from '../../core/data/codec.js'
import { refuseUnknownOptions } from '../../core/errors.js'
import { type Duration, milliseconds } from '../../core/lifetime.js'
import { failureOf } from '../../core/store/store-failure.js'
import type { SessionStore } from '../../core/store/session-store.js'
import { defaultSweep, Sweeper } from '../../core/store/sweeper.js'
import { callbackOrPromise } from './callback-or-promise.js'
import type { StoredSession } from './bridge-form.js'
import { StoreBridge } from './store-bridge.js'
import { Store } from './store.js'

/** The options of `ExpressStore`. */
export interface ExpressStoreOptions {
  /**
   * Turns data into bytes. Default: JSON as other stores for express-session write it, which leaves out what it cannot
   * keep.
   */
  readonly codec?: Codec | undefined
  /**
   * How long after its last use a session expires, if its cookie has no `maxAge`. Milliseconds, or a text such as
   * `'1d'`.
   * @default '1d'
   */
  readonly ttl?: Duration | undefined
  /** `false`: this process removes no expired sessions. Default: it does, every 10 minutes, 250 at a time. */
  readonly sweep?: false | undefined
}

/**
 * Makes any coatcheck store a store for the original express-session, for apps that keep that middleware.
 *
 * Unlike other stores for express-session, it loses no concurrent changes: they are merged. An ended session stays
 * ended: to save it late stores nothing, and is no error.
 *
 * All methods return a promise, or take a callback. Expired sessions are removed every 10 minutes, until `close()`.
 *
 * @example
 * const session = require('express-session')
 * const store = new ExpressStore(new SQLiteStore('sessions.db'))
 * app.use(session({ store, secret, resave: false, saveUninitialized: false }))
 */
export class ExpressStore extends Store {
  readonly #bridge: StoreBridge
  readonly #sweeper: Sweeper | undefined

  /**
   * @param store a store such as `new MySQLStore(url)` or `new SQLiteStore(file)`.
   * @throws `ERR_SESSION_OPTION` if it is no coatcheck store, or an option is unknown or malformed.
   */
  constructor(store: SessionStore, options: ExpressStoreOptions = {}) {
    super()
    refuseUnknownOptions('ExpressStore', options, ['codec', 'ttl', 'sweep'])
    checkedStore(store)
    this.#bridge = new StoreBridge(store, milliseconds('ttl', options.ttl ?? '1d'), options.codec)
    if (options.sweep === false) return
    this.#sweeper = new Sweeper(store, defaultSweep, { swept: () => undefined, failed: warnOfSweep })
  }

  /** Reads the data of a session; `undefined` if there is none. */
  override get(sid: string): Promise<StoredSession | undefined>
  override get(sid: string, callback: Callback<StoredSession>): void
  override get(sid: string, callback?: Callback<StoredSession>) {
    return callbackOrPromise(this.#bridge.get(sid), callback)
  }

  /** Stores a session, merged with what others have stored since it was read. */
  override set(sid: string, session: object): Promise<void>
  override set(sid: string, session: object, callback?: Callback): void
  override set(sid: string, session: object, callback?: Callback) {
    return callbackOrPromise(this.#bridge.set(sid, session as StoredSession), callback)
  }

  /** Moves the expiry of a session. */
  override touch(sid: string, session: object): Promise<void>
  override touch(sid: string, session: object, callback?: Callback): void
  override touch(sid: string, session: object, callback?: Callback) {
    return callbackOrPromise(this.#bridge.touch(sid, session as StoredSession), callback)
  }

  /** Deletes a session. */
  override destroy(sid: string): Promise<void>
  override destroy(sid: string, callback?: Callback): void
  override destroy(sid: string, callback?: Callback) {
    return callbackOrPromise(this.#bridge.destroy(sid), callback)
  }

  /** Lists all live sessions, by their publicIds; by their ids, if the store keeps those. */
  override all(): Promise<Record<string, StoredSession>>
  override all(callback: Callback<Record<string, StoredSession>>): void
  override all(callback?: Callback<Record<string, StoredSession>>) {
    return callbackOrPromise(this.#bridge.all(), callback)
  }

  /** Counts the live sessions, one by one. */
  override length(): Promise<number>
  override length(callback: Callback<number>): void
  override length(callback?: Callback<number>) {
    return callbackOrPromise(this.#bridge.length(), callback)
  }

  /** Deletes all live sessions. */
  override clear(): Promise<void>
  override clear(callback?: Callback): void
  override clear(callback?: Callback) {
    return callbackOrPromise(this.#bridge.clear(), callback)
  }

  /** Stops removing expired sessions, and closes the store. */
  close(): Promise<void>
  close(callback?: Callback): void
  close(callback?: Callback) {
    return callbackOrPromise(
      (async () => {
        await this.#sweeper?.stop()
        await this.#bridge.close()
      })(),
      callback,
    )
  }

  /** Makes a session object of stored data, and puts it at `request.session`. */
  override createSession(request: object, data: object): ReturnType<Store['createSession']> {
    const session = super.createSession(request, data)
    this.#bridge.link(data, session)
    return session
  }
}

function warnOfSweep(error: unknown): void {
  process.emitWarning(
    `Expired sessions could not be cleared away. ${failureOf('removing expired sessions', error).message} It is tried again in 10 minutes.`,
    { code: 'COATCHECK_SWEEP' },
  )
}
