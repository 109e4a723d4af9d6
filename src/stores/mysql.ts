import { optionError, refuseUnknownOptions, SessionError, shown, storeUnavailable } from '../core/errors.ts'
import type { SessionKey, SessionRecord } from '../core/record.ts'
import type { ListQuery, Page, SessionStore, SessionWrite, WriteResult } from '../core/store.ts'
import { causal } from './sql/mysql-causal.ts'
import { expressStatements } from './sql/mysql-express-statements.ts'
import type { MySQLColumns } from './sql/mysql-express-statements.ts'
import { ExpressTable } from './sql/mysql-express-table.ts'
import type { MySQLLayout } from './sql/mysql-layout.ts'
import { OwnTable } from './sql/mysql-own-table.ts'
import { errorNumber, numberOf, openClient } from './sql/mysql-pool.ts'
import type { MySQLClient, MySQLTarget, OpenedClient } from './sql/mysql-pool.ts'
import { mysqlStatements } from './sql/mysql-statements.ts'
import { tableName } from './sql/table-name.ts'

export type { MySQLColumns } from './sql/mysql-express-statements.ts'
export type { MySQLTarget } from './sql/mysql-pool.ts'

const writing = 'writing sessions'
const causalReadsRefused =
  'causalReads needs MariaDB, and this server does not know its SET STATEMENT. Leave the option out; on Percona XtraDB Cluster, set wsrep_sync_wait = 3 in the configuration of the nodes instead.'

/** What `MySQLStore` takes besides the database. */
export interface MySQLStoreOptions {
  /**
   * How sessions lie in the table. Left out: a table of their own, with tokens as hashes.
   *
   * `'express-mysql-session'` is the table of that library, in place, so that apps on it and apps on coatcheck share
   * live sessions during a move. Session ids lie there as they are: whoever can read the table can use the sessions.
   */
  readonly layout?: 'express-mysql-session' | undefined
  /**
   * The table's name. Apps that share sessions name the same one. Letters, digits and `_`, at most 48; with
   * `layout: 'express-mysql-session'` any name that it took, also with a database before a dot.
   * @default 'coatcheck_sessions'; `'sessions'` with `layout: 'express-mysql-session'`
   */
  readonly table?: string | undefined
  /**
   * Whether the table is made on first use, and brought up to date after an upgrade. With `false`, run
   * `schema/mysql.sql` yourself; the store's user then needs no right but SELECT, INSERT, UPDATE and DELETE.
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * For a MariaDB Galera cluster whose nodes several apps use: whether the store waits, before it reads or changes anything,
   * until its node has applied all that was stored on any node so far. Without it, a sign-out that was answered by one
   * node may go unnoticed on another for a moment. It costs each statement of the store one round trip between the nodes;
   * other statements on a pool of yours are not concerned.
   *
   * A MariaDB that is in no cluster takes it without effect. Other servers refuse it on first use, as
   * `ERR_SESSION_OPTION`. See docs/galera.md for what is promised on Galera, and what is not.
   * @default false
   */
  readonly causalReads?: boolean | undefined
  /** With `layout: 'express-mysql-session'`: its columns, where they are not named `session_id`, `expires` and `data`. */
  readonly columns?: MySQLColumns | undefined
}

/**
 * Sessions in MySQL 8.0 or 8.4, or MariaDB 10.6 or later, through the mysql2 driver.
 *
 * `target` is a URL (`mysql://user:password@host:3306/database?ssl=true`; whatever mysql2 reads in one
 * works), mysql2's pool options, or a mysql2 pool of yours, with promises or with callbacks; also a single
 * connection, which is then all that the store has, and does not heal when it is lost. A pool that
 * the store made is closed by `close()`; what you passed in stays open. The constructor does not
 * connect: an unreachable database shows on first use, as `ERR_SESSION_STORE_UNAVAILABLE` (503).
 *
 * A read is one statement however many sessions it is for, a change is one more. All are prepared. Changes of many sessions
 * share statements; one that fails fails only what was in it, and a value that the database refuses only its own session.
 * Time is the database's, so the clocks of the apps and time zones do not matter.
 *
 * On a table of express-mysql-session (`layout`) the store never overwrites what an app of that library stored since,
 * and never brings back what ended. What such an app does to what this store wrote is outside its power: it writes
 * blindly, and a slow request of it can still bring an ended session back. Rows look as they would there. Only a session
 * with a user, with an absolute lifetime or with a rotated token has a `coatcheck` object besides, which tells these;
 * the absolute lifetime of a session that began in an old app counts from the first change here. Expiry is in whole
 * seconds, rounded up.
 *
 * @example
 * const store = new MySQLStore(process.env.DATABASE_URL)
 * @example
 * const pool = mysql.createPool({ host: 'localhost', user: 'shop', database: 'shop' })
 * const store = new MySQLStore(pool, { table: 'shop_sessions' })
 * @example
 * // The table that apps with express-mysql-session use at the same time
 * const store = new MySQLStore(process.env.DATABASE_URL, { layout: 'express-mysql-session' })
 */
export class MySQLStore implements SessionStore {
  /** `'token'` on a table of express-mysql-session, where sessions are known by their ids as they are. */
  readonly keyedBy: 'token' | undefined
  readonly #opened: OpenedClient
  readonly #layout: MySQLLayout
  readonly #createTable: boolean
  readonly #causalReads: boolean
  #tableReady: Promise<void> | undefined
  #closed: Promise<void> | undefined

  /** @throws `ERR_SESSION_OPTION` if there is no database to be had from `target`, or for an unknown option. */
  constructor(target: MySQLTarget, options: MySQLStoreOptions = {}) {
    refuseUnknownOptions('MySQLStore', options, ['layout', 'table', 'createTable', 'causalReads', 'columns'])
    this.#createTable = options.createTable ?? true
    if (typeof this.#createTable !== 'boolean') throw optionError('createTable must be true or false.')
    this.#causalReads = options.causalReads ?? false
    if (typeof this.#causalReads !== 'boolean') throw optionError('causalReads must be true or false.')
    const layout = layoutFor(options)
    this.#opened = openClient(target)
    this.#layout = layout(this.#opened.client)
    this.keyedBy = this.#layout.keyedBy
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    if (keys.length === 0) return []
    return this.#do('reading sessions', () => this.#layout.find(keys))
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    if (writes.length === 0) return []
    const results = await this.#do(writing, () => this.#layout.write(writes))
    const failures = new Set(results.filter((result) => result instanceof Error))
    if (failures.size === 0) return results
    // Writes that failed together share one error of ours too.
    const typed = new Map([...failures].map((failure) => [failure, this.#typed(writing, failure)]))
    return results.map((result) => (result instanceof Error ? typed.get(result)! : result))
  }

  async list(query: ListQuery): Promise<Page<SessionRecord>> {
    assertWholeNumber(query.limit)
    return this.#do('listing sessions', () => this.#layout.list(query))
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    return this.#do("removing a user's sessions", () => this.#layout.removeByUser(userId, except))
  }

  async removeExpired(limit: number): Promise<number> {
    assertWholeNumber(limit)
    return this.#do('removing expired sessions', () => this.#layout.removeExpired(limit))
  }

  close(): Promise<void> {
    this.#closed ??= this.#opened.close().catch((error: unknown) => {
      throw storeUnavailable('closing', error)
    })
    return this.#closed
  }

  /** All that the store does goes through here: after the tables are there, with its errors made ours. */
  async #do<Answer>(doing: string, work: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed) {
      throw new SessionError('ERR_SESSION_CLOSED', `The store was closed before ${doing}.`, { status: 503 })
    }
    try {
      if (this.#createTable) await this.#makeTableOnce()
      return await work()
    } catch (error) {
      throw this.#typed(doing, error)
    }
  }

  #typed(doing: string, error: unknown): SessionError {
    if (numberOf(error) === errorNumber.missingTable) {
      return new SessionError('ERR_SESSION_MISSING_TABLE', this.#layout.missingTable, { cause: error })
    }
    if (this.#causalReads && numberOf(error) === errorNumber.syntax) {
      return new SessionError('ERR_SESSION_OPTION', causalReadsRefused, { cause: error })
    }
    return storeUnavailable(doing, withMessage(error))
  }

  #makeTableOnce(): Promise<void> {
    // A failed attempt is forgotten, so that the next use tries again.
    this.#tableReady ??= this.#layout.makeTable().catch((error: unknown) => {
      this.#tableReady = undefined
      throw error
    })
    return this.#tableReady
  }
}

/** Checks what the options say of the table before there is a pool that would have to be closed again. */
function layoutFor({
  layout,
  table,
  causalReads,
  columns,
}: MySQLStoreOptions): (client: MySQLClient) => MySQLLayout {
  if (layout === 'express-mysql-session') {
    const statements = expressStatements(table ?? 'sessions', columns)
    const sql = causalReads ? causal(statements) : statements
    return (client) => new ExpressTable(client, sql, table ?? 'sessions')
  }
  if (layout !== undefined) {
    throw optionError(`layout must be 'express-mysql-session', or left out, not ${shown(layout)}.`)
  }
  if (columns !== undefined) throw optionError("columns goes with layout: 'express-mysql-session' only.")
  const name = tableName(table ?? 'coatcheck_sessions')
  const statements = mysqlStatements(name)
  const sql = causalReads ? causal(statements) : statements
  return (client) => new OwnTable(client, sql, name)
}

/** LIMIT takes no marker on every server, so the number goes into the text. */
function assertWholeNumber(limit: number): void {
  if (Number.isSafeInteger(limit) && limit > 0) return
  throw optionError(`limit must be a whole number above 0, not ${String(limit)}.`)
}

/** A connection that is refused on every address of a name comes as an error without a message, only with a code. */
function withMessage(error: unknown): unknown {
  if (!(error instanceof Error) || error.message !== '' || !('code' in error)) return error
  return new Error(String(error.code), { cause: error })
}
