import { inherits } from 'node:util'
import type { PoolOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import type { Callback as AnyCallback } from '../core/callback.js'
import { optionError } from '../core/errors.js'
import { clearInterval, setInterval } from '../core/scheduling.js'
import { failureOf } from '../core/store/store-failure.js'
import { type NativeStore, nativeStore } from '../express-session/foreign/foreign-store.js'
import type { Store, StoredData } from '../express-session/bridge/store.js'
import { warnOnce } from '../core/warn-once.js'
import type { MySQLTarget } from '../stores/mysql.js'
import { missesTable } from '../stores/mysql/errors.js'
import { toleratedPoolOptions } from '../stores/mysql/options.js'
import { newPool } from '../stores/mysql/target.js'
import {
  clearingInterval,
  defaultOptions,
  driverOptions,
  type MySQLStoreOptions,
  type ResolvedOptions,
  resolveOptions,
  validateOptions,
} from './express-mysql-session-options.js'
import { asking, type QueryResult, SessionTable, withoutMetadata } from './express-mysql-session-table.js'

/** If the call fails, it gets the error alone. The types do not say so, as those of express-mysql-session do not. */
type Callback<Value = unknown> = { call(error: unknown, value: Value): void }['call']

/** The data of a row. It may hold anything. */
type StoredRow = StoredData & Record<string, unknown>

/** A pool or connection of mysql2, with promises or callbacks, or of the package mysql. */
export type MySQLConnection = Exclude<MySQLTarget, string | PoolOptions | undefined> | OldConnection

/** The methods of a pool or connection of the package mysql that the store uses. */
interface OldConnection {
  query(sql: string, callback: (error: null, rows: never) => void): unknown
  escape(value: unknown): string
}

/**
 * The store of express-mysql-session. Its methods return a promise. If the last argument is a callback, it is called
 * too, and the promise resolves to what it returns.
 *
 * Errors have a code of coatcheck, such as `ERR_SESSION_STORE_UNAVAILABLE`. The driver's error is their `cause`.
 */
export interface MySQLStore extends Omit<
  Store,
  'get' | 'set' | 'touch' | 'destroy' | 'all' | 'length' | 'clear'
> {
  /** The defaults of all options. */
  readonly defaultOptions: typeof defaultOptions
  /** `'INITIALIZING'`, `'INITIALIZED'`, `'CLOSING'` or `'CLOSED'`. */
  state: string
  /** The options that were given, with the defaults filled in. */
  options: ResolvedOptions
  /** The pool or connection that was passed in, or the mysql2 pool that the store made. */
  readonly connection: MySQLConnection
  /** Resolves when the table is there. Rejects if it could not be made. */
  onReady(): Promise<void>
  /** Reads the data of a session; `null` if there is no live row, or its text is no JSON. */
  get(id: string, callback?: Callback<StoredRow | null>): Promise<StoredRow | null>
  /**
   * Stores data until its `cookie.expires`, and overwrites what is there.
   *
   * The session of a request is treated differently: it is merged with what others have stored since it was read, and
   * is not stored if it has ended.
   */
  set(id: string, data: unknown, callback?: Callback): Promise<unknown>
  /** Moves the expiry to `cookie.expires`. For the session of a request, it never becomes earlier. */
  touch(id: string, data: unknown, callback?: Callback): Promise<unknown>
  /** Deletes a session. */
  destroy(id: string, callback?: Callback): Promise<unknown>
  /** Lists all live sessions, by their ids. */
  all(callback?: Callback<Record<string, StoredRow>>): Promise<Record<string, StoredRow>>
  /** Counts the live sessions. */
  length(callback?: Callback<number>): Promise<number>
  /** Deletes all sessions. */
  clear(callback?: Callback): Promise<unknown>
  /** Stops the timer that removes expired sessions. With `endConnectionOnClose`, it also ends the connection. */
  close(callback?: Callback): Promise<void>
  /** Removes all expired sessions, 1,000 at a time. */
  clearExpiredSessions(): Promise<void>
  /**
   * Removes expired sessions every `interval` milliseconds from now on. If it fails, that is a warning
   * (`COATCHECK_SWEEP`), and it is tried again at the next interval. Default: the option `checkExpirationInterval`.
   */
  setExpirationInterval(interval?: number): void
  /** Stops the timer of `setExpirationInterval`. */
  clearExpirationInterval(): void
  /** Makes the table if it is missing. */
  createDatabaseTable(): Promise<void>
  /**
   * Sends a statement over the connection.
   * @returns rows and fields.
   */
  query(sql: string, parameters?: readonly unknown[]): Promise<QueryResult>
  /** Makes the pool that the store uses if no connection is passed in. */
  createPool(options: MySQLStoreOptions): Pool
  /** Returns the options for the driver: all but the store's own. */
  prepareOptionsForMySQL2(options: MySQLStoreOptions): PoolOptions
  /** Fills in the defaults, and sets `options`. */
  setOptions(options?: MySQLStoreOptions): void
  /**
   * Checks the names in `schema.columnNames`.
   * @throws `ERR_SESSION_OPTION` for an unknown name, and for `encryption`.
   */
  validateOptions(options: MySQLStoreOptions): void
}

/** The constructor that `expressMySQLSession(session)` returns. */
export interface MySQLStoreConstructor {
  /**
   * @param options the database and the store's options.
   * @param connection a pool or connection of yours. Left out: the store makes a pool.
   * @throws `ERR_SESSION_OPTION` for an unknown column, `encryption`, or an option that asks for TLS by a wrong name.
   */
  new (options?: MySQLStoreOptions | null, connection?: MySQLConnection | null): MySQLStore
  /** Without `new`, for stores made with `util.inherits`. */
  (this: unknown, options?: MySQLStoreOptions | null, connection?: MySQLConnection | null): void
  readonly prototype: MySQLStore
  /** Runs functions that return promises, one after the other. */
  promiseAllSeries(factories: readonly (() => unknown)[]): Promise<unknown>
}

/** A store as its own methods see it. */
interface StoreInside extends MySQLStore {
  connection: MySQLConnection
  _expirationInterval: NodeJS.Timeout | null
}

/** The inner part of each store, hidden from apps. */
const tables = new WeakMap<object, SessionTable>()

function tableOf(store: object): SessionTable {
  const table = tables.get(store)
  if (!table) throw new TypeError('This is no store: its constructor did not run.')
  return table
}

/**
 * Makes the store class of express-mysql-session, for `coatcheck/express` or the original express-session. Options,
 * methods and table are the same, so apps on that package and apps on this one share live sessions.
 *
 * Unlike that package, sessions of requests lose no concurrent changes, and ended sessions do not come back. All
 * options of the driver are passed on, a failed removal of expired sessions does not end the process, and the
 * database's clock counts. `docs/migrating.md`, "From express-mysql-session", has the whole list.
 *
 * @param session the session middleware that the store is for. The class extends its `Store`.
 * @throws `ERR_SESSION_OPTION` if `session` has no `Store`.
 * @example
 * const session = require('coatcheck/express')
 * const MySQLStore = require('coatcheck/express-mysql-session')(session)
 * const store = new MySQLStore({ host: 'localhost', user: 'shop', password, database: 'shop' })
 * app.use(session({ store, secret, resave: false, saveUninitialized: false }))
 */
function expressMySQLSession(session: { readonly Store: unknown }): MySQLStoreConstructor {
  const Base = (session as Partial<typeof session> | undefined)?.Store
  if (typeof Base !== 'function') {
    throw optionError(
      'The session middleware is missing. Write const MySQLStore = expressMySQLSession(session), with session of coatcheck/express or express-session, and then new MySQLStore(options).',
    )
  }
  // A plain function, because classes cannot be called.
  function MySQLStore(this: StoreInside, options?: MySQLStoreOptions, connection?: MySQLConnection): void {
    this.state = 'INITIALIZING'
    this.connection = connection!
    this.setOptions(options)
    if (!connection) this.connection = this.createPool(this.options)
    tables.set(this, new SessionTable(this as StoreInside & { connection: MySQLTarget }, () => start(this)))
  }
  inherits(MySQLStore, Base as never)
  const base = Base.prototype as Store
  Object.assign(MySQLStore.prototype, { state: 'UNINITIALIZED', defaultOptions }, plainMethods, methods, {
    createSession(this: StoreInside, request: object, data: object) {
      const made = base.createSession.call(this, request, withoutMetadata(data))
      tableOf(this).link(data, made)
      return made
    },
  })
  Object.defineProperty(MySQLStore.prototype, nativeStore, { get: nativeOf })
  return Object.assign(MySQLStore, { promiseAllSeries }) as unknown as MySQLStoreConstructor
}

/** The types of the store, by the names of @types/express-mysql-session, and by coatcheck's own. */
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

// Some tools look for an ES module's `default` on a CommonJS module.
Object.assign(expressMySQLSession, { default: expressMySQLSession })

export { expressMySQLSession }

/** The methods that take a callback. */
const methods = withCallbacks({
  get: (store, id) => tableOf(store).get(id),
  set: (store, id, data) => tableOf(store).set(id, data),
  touch: (store, id, data) => tableOf(store).touch(id, data),
  destroy: (store, id) => tableOf(store).destroy(id),
  all: (store) => tableOf(store).all(),
  length: (store) => tableOf(store).length(),
  clear: (store) => tableOf(store).clear(),
  close,
})

const plainMethods: Partial<StoreInside> & ThisType<StoreInside> = {
  onReady() {
    return tableOf(this).ready
  },
  clearExpiredSessions() {
    return heard(clearExpired(tableOf(this)))
  },
  setExpirationInterval(interval) {
    this.clearExpirationInterval()
    // An app may have replaced the method by one that throws, or returns nothing.
    const clear = async () => this.clearExpiredSessions()
    const length = clearingInterval(interval || this.options.checkExpirationInterval)
    this._expirationInterval = setInterval(() => void clear().catch(warnOfClearing), length).unref()
  },
  clearExpirationInterval() {
    clearInterval(this._expirationInterval ?? undefined)
    this._expirationInterval = null
  },
  createDatabaseTable() {
    return heard(createTable(this))
  },
  query(sql, parameters) {
    return heard(query(this.connection, sql, parameters))
  },
  createPool(options) {
    const given = this.prepareOptionsForMySQL2(options)
    const warn = (message: string): void => warnOnce('COATCHECK_UNKNOWN_OPTION', message)
    return newPool(toleratedPoolOptions(given, warn)).promise()
  },
  prepareOptionsForMySQL2: driverOptions,
  setOptions(options) {
    this.options = resolveOptions(options, Boolean(this.connection))
    this.validateOptions(this.options)
  },
  validateOptions,
}

/**
 * The coatcheck store inside. `undefined` if the app has replaced a method, for example to measure: that must be
 * called.
 */
function nativeOf(this: StoreInside): NativeStore | undefined {
  const replaced = (['get', 'set', 'touch', 'destroy'] as const).some((name) => this[name] !== methods[name])
  return replaced ? undefined : tables.get(this)?.native
}

type Method = (store: StoreInside, ...given: unknown[]) => Promise<unknown>

/**
 * Methods that call the last argument back if it is a function. If that throws, it is called again with the error, as
 * in the original. The promise resolves to what it returns.
 */
function withCallbacks(plain: Readonly<Record<string, Method>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(plain).map(([name, method]) => [
      name,
      function (this: StoreInside, ...given: unknown[]): Promise<unknown> {
        const callback = typeof given.at(-1) === 'function' ? (given.pop() as AnyCallback) : undefined
        const done = Promise.resolve().then(() => method(this, ...given))
        return callback ? done.then((value) => callback(null, value)).catch(callback) : heard(done)
      },
    ]),
  )
}

/** Makes sure that a failure which nobody awaits does not end the process. */
function heard<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined)
  return promise
}

async function start(store: StoreInside): Promise<void> {
  if (store.options.createDatabaseTable) await asking('making the table', () => store.createDatabaseTable())
  if (store.state !== 'INITIALIZING') return
  store.state = 'INITIALIZED'
  if (store.options.clearExpired) store.setExpirationInterval()
}

async function createTable(store: StoreInside): Promise<void> {
  const { tableName, columnNames } = store.options.schema
  const { session_id, expires, data } = columnNames
  try {
    await store.query('SELECT 1 FROM ?? LIMIT 0', [tableName])
  } catch (error) {
    if (!missesTable(error, [tableName.slice(tableName.lastIndexOf('.') + 1)])) throw error
    await store.query(
      'CREATE TABLE IF NOT EXISTS ?? (?? varchar(128) COLLATE utf8mb4_bin NOT NULL, ?? int(11) unsigned NOT NULL, ?? mediumtext COLLATE utf8mb4_bin, PRIMARY KEY (??)) ENGINE=InnoDB',
      [tableName, session_id, expires, data, session_id],
    )
  }
}

async function clearExpired({ native }: SessionTable): Promise<void> {
  const batch = 1_000
  while ((await native.store.removeExpired(batch)) === batch);
}

/** Closes the store. If the connection stays open, only the timer stops, and the store can still be used. */
async function close(store: StoreInside): Promise<void> {
  store.clearExpirationInterval()
  if (!store.options.endConnectionOnClose || store.state === 'CLOSED' || store.state === 'CLOSING') return
  store.state = 'CLOSING'
  try {
    await tableOf(store).close()
    await end(store.connection)
  } finally {
    store.state = 'CLOSED'
  }
}

/** Sends a statement by a driver with callbacks or with promises. The latter never call back. */
function query(
  connection: unknown,
  sql: string,
  parameters: readonly unknown[] | undefined,
): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    const driver = connection as { query(sql: string, parameters: unknown, callback: unknown): unknown }
    const result = driver.query(sql, parameters, (error: unknown, rows: unknown, fields: unknown) =>
      error ? reject(error as Error) : resolve([rows, fields]),
    )
    if (result instanceof Promise) (result as Promise<QueryResult>).then(resolve, reject)
  })
}

function end(connection: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const driver = connection as { end(callback: (error?: unknown) => void): unknown }
    const ended = driver.end((error) => (error ? reject(error as Error) : resolve()))
    if (ended instanceof Promise) ended.then(() => resolve(), reject)
  })
}

function promiseAllSeries(factories: readonly (() => unknown)[]): Promise<unknown> {
  return factories.reduce<Promise<unknown>>((before, next) => before.then(next), Promise.resolve())
}

function warnOfClearing(error: unknown): void {
  process.emitWarning(
    `Expired sessions could not be cleared away. ${failureOf('removing expired sessions', error).message} It is tried again at the next interval.`,
    { code: 'COATCHECK_SWEEP' },
  )
}
