import type { PoolOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import { optionError } from '../core/errors.js'
import { clearInterval, setInterval } from '../core/scheduling.js'
import { failureOf } from '../core/store-failure.js'
import { type NativeStore, nativeStore } from '../express-session/foreign-store.js'
import { settle } from '../express-session/settle.js'
import { StoreBridge, type StoredSession } from '../express-session/store-bridge.js'
import type { Store } from '../express-session/store.js'
import { warnOnce } from '../express-session/warn-once.js'
import { MySQLStore as CoatcheckStore, type MySQLTarget } from '../stores/mysql.js'
import { mysqlFailure } from '../stores/sql/mysql-errors.js'
import { toleratedPoolOptions } from '../stores/sql/mysql-options.js'
import { newPool } from '../stores/sql/mysql-target.js'
import {
  clearingInterval,
  defaultOptions,
  driverOptions,
  type MySQLStoreOptions,
  type ResolvedOptions,
  resolveOptions,
  validateOptions,
} from './express-mysql-session-options.js'

type Callback<Value = unknown> = (error?: unknown, value?: Value) => void
type StoreClass = new () => { createSession(request: object, data: object): object }

/** A mysql2 pool or connection, with promises or with callbacks. */
export type MySQLConnection = Exclude<MySQLTarget, string | PoolOptions | undefined>

/** The store. Its methods return a promise, and call back besides if they are given a callback. */
export interface MySQLStore extends Omit<
  Store,
  'get' | 'set' | 'touch' | 'destroy' | 'all' | 'length' | 'clear'
> {
  readonly defaultOptions: typeof defaultOptions
  /** `INITIALIZING`, `INITIALIZED`, `CLOSING`, `CLOSED`. */
  state: string
  /** As given, filled up with the defaults. */
  options: ResolvedOptions
  /** What was passed in, or the mysql2 pool that was made. */
  readonly connection: MySQLConnection
  /** Fulfilled when the table is there; rejected if it could not be made. */
  onReady(): Promise<void>
  get(id: string, callback?: Callback<object | null>): Promise<object | null>
  set(id: string, data: object, callback?: Callback): Promise<void>
  touch(id: string, data: object, callback?: Callback): Promise<void>
  destroy(id: string, callback?: Callback): Promise<void>
  /** All live sessions, by their ids. */
  all(callback?: Callback<Record<string, object>>): Promise<Record<string, object>>
  /** How many sessions are live. */
  length(callback?: Callback<number>): Promise<number>
  /** Removes all sessions. */
  clear(callback?: Callback): Promise<void>
  /** Stops the clearing, and ends the connection if `endConnectionOnClose` says so. */
  close(callback?: Callback): Promise<void>
  /** Removes what is expired, 1,000 at a time. */
  clearExpiredSessions(): Promise<void>
  /** Clears expired sessions away every `interval` milliseconds from now on. A clearing that fails is a warning; the next is tried. */
  setExpirationInterval(interval?: number): void
  clearExpirationInterval(): void
  /** Makes the table, unless it is there. */
  createDatabaseTable(): Promise<void>
  /** Sends a statement by the connection, whatever its kind. @returns rows and fields */
  query(sql: string, parameters?: readonly unknown[]): Promise<[rows: unknown, fields: unknown]>
  /** Makes the pool that the store uses if it is given none. */
  createPool(options: MySQLStoreOptions): Pool
  /** What of the options is for the driver: all that is not the store's own. */
  prepareOptionsForMySQL2(options: MySQLStoreOptions): PoolOptions
  /** Fills what is left out of the options with the defaults, and puts them at `options`. */
  setOptions(options?: MySQLStoreOptions): void
  /** @throws Error that names an unknown column */
  validateOptions(options: MySQLStoreOptions): void
}

/** What `expressMySQLSession(session)` gives. */
export interface MySQLStoreConstructor {
  /**
   * @param connection a mysql2 pool or connection, with promises or with callbacks. Left out: a pool is made
   * @throws ERR_SESSION_OPTION
   */
  new (options?: MySQLStoreOptions, connection?: MySQLConnection): MySQLStore
  readonly prototype: MySQLStore
  /** Runs functions that return promises one after the other. */
  promiseAllSeries(factories: readonly (() => unknown)[]): Promise<unknown>
}

/**
 * express-mysql-session's store, for coatcheck/express and for express-session: the same options, methods and table, so that
 * apps which still use that package share live sessions with those that use this one. Methods return a promise,
 * and call back besides if they are given a callback.
 *
 * Unlike that package, it loses no concurrent changes, does not bring ended sessions back, passes every option of the
 * driver on, survives failed clean-ups, and goes by the database's clock.
 *
 * @param session the session middleware that the store is for: its `Store` is what the class extends
 * @throws ERR_SESSION_OPTION if it is something else
 * @example
 * const session = require('coatcheck/express')
 * const MySQLStore = require('coatcheck/express-mysql-session')(session)
 * const store = new MySQLStore({ host: 'localhost', user: 'shop', password, database: 'shop' })
 * app.use(session({ store, secret, resave: false, saveUninitialized: false }))
 */
function expressMySQLSession(session: { readonly Store: unknown }): MySQLStoreConstructor {
  if (typeof (session as Partial<typeof session> | undefined)?.Store !== 'function') {
    throw optionError(
      'The session middleware is missing. Write const MySQLStore = expressMySQLSession(session), with session of coatcheck/express or express-session, and then new MySQLStore(options).',
    )
  }
  class MySQLStore extends (session.Store as StoreClass) {
    static promiseAllSeries(factories: readonly (() => unknown)[]): Promise<unknown> {
      return factories.reduce<Promise<unknown>>((before, next) => before.then(next), Promise.resolve())
    }

    declare readonly defaultOptions: typeof defaultOptions
    declare state: string
    declare options: ResolvedOptions
    readonly connection: MySQLConnection
    readonly #native: NativeStore
    readonly #bridge: StoreBridge
    readonly #ready: Promise<void>
    #interval: NodeJS.Timeout | undefined

    constructor(options?: MySQLStoreOptions, connection?: MySQLConnection) {
      super()
      this.state = 'INITIALIZING'
      this.options = resolveOptions(options, connection !== undefined)
      this.validateOptions(this.options)
      this.connection = connection ?? this.createPool(this.options)
      const { schema, createDatabaseTable, expiration, disableTouch } = this.options
      const store = new CoatcheckStore(this.connection, {
        layout: 'express-mysql-session',
        table: schema.tableName,
        columns: schema.columnNames,
        createTable: createDatabaseTable === true,
      })
      this.#native = { store, idle: expiration, touches: disableTouch !== true }
      this.#bridge = new StoreBridge(store, expiration)
      this.#ready = this.#start()
      // Whoever wants to know asks onReady(); a database that is down at the start must not end the process.
      this.#ready.catch(() => undefined)
    }

    /** Not where the app has put methods in place of these, such as ones that measure: those want to be called. */
    get [nativeStore](): NativeStore | undefined {
      const replaced = (['get', 'set', 'touch', 'destroy'] as const).some(
        (name) => Reflect.get(this, name) !== own[name].value,
      )
      return replaced ? undefined : this.#native
    }

    onReady(): Promise<void> {
      return this.#ready
    }

    get(id: string, callback?: Callback<object | null>): Promise<object | null> {
      return answer(
        this.#bridge.get(id).then((data) => data ?? null),
        callback,
      )
    }

    set(id: string, data: object, callback?: Callback): Promise<void> {
      return answer(this.#bridge.set(id, data as StoredSession), callback)
    }

    touch(id: string, data: object, callback?: Callback): Promise<void> {
      const touched = this.options.disableTouch
        ? Promise.resolve()
        : this.#bridge.touch(id, data as StoredSession)
      return answer(touched, callback)
    }

    destroy(id: string, callback?: Callback): Promise<void> {
      return answer(this.#bridge.destroy(id), callback)
    }

    all(callback?: Callback<Record<string, object>>): Promise<Record<string, object>> {
      return answer(this.#bridge.all() as Promise<Record<string, object>>, callback)
    }

    length(callback?: Callback<number>): Promise<number> {
      const { tableName, columnNames } = this.options.schema
      const counted = this.#ask(
        'counting sessions',
        'SELECT COUNT(*) AS live FROM ?? WHERE ?? > UNIX_TIMESTAMP()',
        [tableName, columnNames.expires],
      )
      return answer(
        counted.then(([rows]) => (rows as { live: number }[])[0]!.live),
        callback,
      )
    }

    clear(callback?: Callback): Promise<void> {
      const cleared = this.#ask('removing all sessions', 'DELETE FROM ??', [this.options.schema.tableName])
      return answer(
        cleared.then(() => undefined),
        callback,
      )
    }

    close(callback?: Callback): Promise<void> {
      return answer(this.#close(), callback)
    }

    clearExpiredSessions(): Promise<void> {
      return answer(this.#clearExpired())
    }

    setExpirationInterval(interval?: number): void {
      this.clearExpirationInterval()
      this.#interval = setInterval(
        () => {
          this.clearExpiredSessions().catch(warnOfClearing)
        },
        clearingInterval(interval || this.options.checkExpirationInterval),
      )
      this.#interval.unref()
    }

    clearExpirationInterval(): void {
      clearInterval(this.#interval)
      this.#interval = undefined
    }

    createDatabaseTable(): Promise<void> {
      return answer(this.#createTable())
    }

    query(sql: string, parameters?: readonly unknown[]): Promise<[rows: unknown, fields: unknown]> {
      const sent = new Promise<[unknown, unknown]>((resolve, reject) => {
        const { connection } = this as unknown as {
          connection: { query(sql: string, parameters: unknown, callback: unknown): unknown }
        }
        const result = connection.query(sql, parameters, (error: unknown, rows: unknown, fields: unknown) =>
          error ? reject(error as Error) : resolve([rows, fields]),
        )
        // Those with promises never call back.
        if (result instanceof Promise) result.then(resolve, reject)
      })
      return answer(sent)
    }

    /** As `query`, with errors of ours: those of the driver name the host and the user. */
    #ask(doing: string, sql: string, parameters: readonly unknown[]) {
      return asking(doing, () => this.query(sql, parameters))
    }

    createPool(options: MySQLStoreOptions): Pool {
      const given = this.prepareOptionsForMySQL2(options)
      const warn = (message: string): void => warnOnce('COATCHECK_UNKNOWN_OPTION', message)
      return newPool(toleratedPoolOptions(given, warn)).promise()
    }

    prepareOptionsForMySQL2(options: MySQLStoreOptions): PoolOptions {
      return driverOptions(options)
    }

    setOptions(options?: MySQLStoreOptions): void {
      this.options = resolveOptions(options, Boolean(this.connection))
      this.validateOptions(this.options)
    }

    validateOptions(options: MySQLStoreOptions): void {
      validateOptions(options)
    }

    override createSession(request: object, data: object) {
      const made = super.createSession(request, data)
      this.#bridge.link(data, made)
      return made
    }

    async #start(): Promise<void> {
      // In a turn of its own, so that methods which an app puts in place of these are called.
      await Promise.resolve()
      if (this.options.createDatabaseTable) await asking('making the table', () => this.createDatabaseTable())
      if (this.state !== 'INITIALIZING') return
      this.state = 'INITIALIZED'
      if (this.options.clearExpired) this.setExpirationInterval()
    }

    async #createTable(): Promise<void> {
      const { tableName, columnNames } = this.options.schema
      const { session_id, expires, data } = columnNames
      try {
        await this.query('SELECT 1 FROM ?? LIMIT 0', [tableName])
      } catch {
        const names = [tableName, session_id, expires, data, session_id]
        await this.query(
          'CREATE TABLE IF NOT EXISTS ?? (?? varchar(128) COLLATE utf8mb4_bin NOT NULL, ?? int(11) unsigned NOT NULL, ?? mediumtext COLLATE utf8mb4_bin, PRIMARY KEY (??)) ENGINE=InnoDB',
          names,
        )
      }
    }

    async #clearExpired(): Promise<void> {
      const batch = 1_000
      while ((await this.#native.store.removeExpired(batch)) === batch);
    }

    async #close(): Promise<void> {
      this.clearExpirationInterval()
      if (this.state === 'CLOSED' || this.state === 'CLOSING') return
      this.state = 'CLOSING'
      try {
        await this.#ready.catch(() => undefined)
        await this.#bridge.close()
        if (this.options.endConnectionOnClose) await end(this.connection)
      } finally {
        this.state = 'CLOSED'
      }
    }
  }
  const own = Object.getOwnPropertyDescriptors(MySQLStore.prototype)
  Object.assign(MySQLStore.prototype, { state: 'UNINITIALIZED', defaultOptions })
  return MySQLStore as unknown as MySQLStoreConstructor
}

/** Its types, by the names that @types/express-mysql-session gives them, and by ours. */
declare namespace expressMySQLSession {
  export type {
    MySQLConnection,
    MySQLStore,
    MySQLStoreConstructor,
    MySQLStoreOptions,
    MySQLStoreOptions as Options,
    ResolvedOptions,
  }
}

// Tools that take an ES module's `default` out of a CommonJS module look for it.
Object.assign(expressMySQLSession, { default: expressMySQLSession })

export { expressMySQLSession }

/** With a callback the promise always resolves. Without one, a failure nobody awaits must not end the process. */
function answer<Value>(promise: Promise<Value>, callback?: Callback<Value>): Promise<Value> {
  return settle(promise, callback) ?? promise.catch(() => undefined as Value)
}

async function asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    throw mysqlFailure(doing, error)
  }
}

function end(connection: MySQLConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = connection as unknown as { end(callback: (error?: unknown) => void): unknown }
    const ended = client.end((error) => (error ? reject(error as Error) : resolve()))
    if (ended instanceof Promise) ended.then(() => resolve(), reject)
  })
}

function warnOfClearing(error: unknown): void {
  process.emitWarning(
    `Expired sessions could not be cleared away. ${failureOf('removing expired sessions', error).message} It is tried again at the next interval.`,
    { code: 'COATCHECK_SWEEP' },
  )
}
