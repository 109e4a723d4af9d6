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

/** What `ExpressStore` takes beside the store. */
export interface ExpressStoreOptions {
  /** How data becomes bytes. Default: JSON as express-session's own stores write it, leaving out what it cannot keep. */
  readonly codec?: Codec | undefined
  /** How long a session lives, since its last use, whose cookie has no `maxAge`. Default `'1d'`. */
  readonly ttl?: Duration | undefined
  /** `false`: expired sessions are cleared away by others. */
  readonly sweep?: false | undefined
}

/**
 * Any coatcheck store as a store for express-session, for apps that keep that middleware. Unlike stores made for
 * it, this one loses no concurrent changes (they are merged), and a session that has ended stays so: saving it late
 * stores nothing, and is no error. Expired sessions are cleared away every 10 minutes, until `close()`.
 *
 * All methods return a promise, or take a callback.
 *
 * @example
 * const session = require('express-session')
 * app.use(session({ store: new ExpressStore(new SQLiteStore('sessions.db')), secret, resave: false, saveUninitialized: false }))
 */
export class ExpressStore extends Store {
  readonly #bridge: StoreBridge
  readonly #sweeper: Sweeper | undefined

  /** @throws ERR_SESSION_OPTION */
  constructor(store: SessionStore, options: ExpressStoreOptions = {}) {
    super()
    refuseUnknownOptions('ExpressStore', options, ['codec', 'ttl', 'sweep'])
    checkedStore(store)
    this.#bridge = new StoreBridge(store, milliseconds('ttl', options.ttl ?? '1d'), options.codec)
    if (options.sweep === false) return
    this.#sweeper = new Sweeper(store, defaultSweep, { swept: () => undefined, failed: warnOfSweep })
  }

  override get(sid: string): Promise<StoredSession | undefined>
  override get(sid: string, callback: Callback<StoredSession>): void
  override get(sid: string, callback?: Callback<StoredSession>) {
    return callbackOrPromise(this.#bridge.get(sid), callback)
  }

  override set(sid: string, session: object): Promise<void>
  override set(sid: string, session: object, callback?: Callback): void
  override set(sid: string, session: object, callback?: Callback) {
    return callbackOrPromise(this.#bridge.set(sid, session as StoredSession), callback)
  }

  override touch(sid: string, session: object): Promise<void>
  override touch(sid: string, session: object, callback?: Callback): void
  override touch(sid: string, session: object, callback?: Callback) {
    return callbackOrPromise(this.#bridge.touch(sid, session as StoredSession), callback)
  }

  override destroy(sid: string): Promise<void>
  override destroy(sid: string, callback?: Callback): void
  override destroy(sid: string, callback?: Callback) {
    return callbackOrPromise(this.#bridge.destroy(sid), callback)
  }

  /** All live sessions, by their publicIds; by their ids, if the store keeps those. */
  override all(): Promise<Record<string, StoredSession>>
  override all(callback: Callback<Record<string, StoredSession>>): void
  override all(callback?: Callback<Record<string, StoredSession>>) {
    return callbackOrPromise(this.#bridge.all(), callback)
  }

  /** How many sessions are live. They are counted one by one. */
  override length(): Promise<number>
  override length(callback: Callback<number>): void
  override length(callback?: Callback<number>) {
    return callbackOrPromise(this.#bridge.length(), callback)
  }

  /** Removes all live sessions. */
  override clear(): Promise<void>
  override clear(callback?: Callback): void
  override clear(callback?: Callback) {
    return callbackOrPromise(this.#bridge.clear(), callback)
  }

  /** Stops the clearing and closes the store. */
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
