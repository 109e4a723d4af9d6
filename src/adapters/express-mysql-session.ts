import { inherits } from 'node:util'
import type { PoolOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import type { Callback as AnyCallback } from '../core/callback.js'
import { optionError } from '../core/errors.js'
import { clearInterval, setInterval } from '../core/scheduling.js'
import { failureOf } from '../core/store/store-failure.js'
import { type NativeStore, nativeStore } from '../express-session/foreign/foreign-store.js'
import type { Store, StoredData } from '../express-session/bridge/store.js'
import { warnOnce } from '../express-session/model/warn-once.js'
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

/** Of a failure it gets the error alone. Its types leave that out, as those of express-mysql-session do. */
type Callback<Value = unknown> = { call(error: unknown, value: Value): void }['call']

/** A session of a row, which may hold anything. */
type StoredRow = StoredData & Record<string, unknown>

/** A pool or connection: of mysql2, with promises or with callbacks, or of the package mysql. */
export type MySQLConnection = Exclude<MySQLTarget, string | PoolOptions | undefined> | OldConnection

/** What the store uses of a pool or connection of the package mysql. */
interface OldConnection {
  query(sql: string, callback: (error: null, rows: never) => void): unknown
  escape(value: unknown): string
}

/** The store. Its methods return a promise; if the last argument is a callback, of what that gives. */
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
  get(id: string, callback?: Callback<StoredRow | null>): Promise<StoredRow | null>
  /**
   * Stores anything that JSON has a word for, blindly, until `cookie.expires`. The session of a request is merged instead with what others
   * have stored since it was read, and is not stored if it has ended.
   */
  set(id: string, data: unknown, callback?: Callback): Promise<unknown>
  /** Moves the expiry to `cookie.expires`. That of a request's session only becomes later. */
  touch(id: string, data: unknown, callback?: Callback): Promise<unknown>
  destroy(id: string, callback?: Callback): Promise<unknown>
  /** All live sessions, by their ids. */
  all(callback?: Callback<Record<string, StoredRow>>): Promise<Record<string, StoredRow>>
  /** How many sessions are live. */
  length(callback?: Callback<number>): Promise<number>
  /** Removes all sessions. */
  clear(callback?: Callback): Promise<unknown>
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
  query(sql: string, parameters?: readonly unknown[]): Promise<QueryResult>
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
   * @param connection a pool or connection of yours. Left out: a pool is made
   * @throws ERR_SESSION_OPTION
   */
  new (options?: MySQLStoreOptions | null, connection?: MySQLConnection | null): MySQLStore
  /** Without `new`, for stores made with `util.inherits`. */
  (this: unknown, options?: MySQLStoreOptions | null, connection?: MySQLConnection | null): void
  readonly prototype: MySQLStore
  /** Runs functions that return promises one after the other. */
  promiseAllSeries(factories: readonly (() => unknown)[]): Promise<unknown>
}

/** A store from within. */
interface StoreInside extends MySQLStore {
  connection: MySQLConnection
  _expirationInterval: NodeJS.Timeout | null
}

/** The inner part of each store, which apps do not see. */
const tables = new WeakMap<object, SessionTable>()

function tableOf(store: object): SessionTable {
  const table = tables.get(store)
  if (!table) throw new TypeError('This is no store: its constructor did not run.')
  return table
}

/**
 * express-mysql-session's store, for coatcheck/express and for express-session: the same options, methods and table, so that
 * apps which still use that package share live sessions with those that use this one. Methods return a promise,
 * and call back besides if they are given a callback.
 *
 * Unlike that package, the sessions of requests lose no concurrent changes and are not brought back once they have ended. It passes every
 * option of the driver on, survives failed clean-ups, and goes by the database's clock.
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

/** Those that take a callback. */
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
    // A method that an app puts in its place may throw, and may return nothing.
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

/** `undefined` where the app has replaced a method, such as by one that measures: then that one must be called. */
function nativeOf(this: StoreInside): NativeStore | undefined {
  const replaced = (['get', 'set', 'touch', 'destroy'] as const).some((name) => this[name] !== methods[name])
  return replaced ? undefined : tables.get(this)?.native
}

type Method = (store: StoreInside, ...given: unknown[]) => Promise<unknown>

/** If the last argument is a function, it is called back. If it throws, it is called again, with that error. The promise is of what it returns. */
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

/** A failure that nobody awaits must not end the process. */
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

/** Where the connection stays open, so does the store: only its timer ends. */
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

/** Drivers with promises never call back. */
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
