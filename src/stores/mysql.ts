import { isError, optionError, refuseUnknownOptions, SessionError, shown } from '../core/errors.js'
import { type Duration, timerMilliseconds } from '../core/lifetime.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../core/store/record.js'
import type { ListQuery, Page, SessionStore, SessionWrite, WriteResult } from '../core/store/session-store.js'
import { causal } from './mysql/causal.js'
import { clientOf, type MySQLClient } from './mysql/client.js'
import { numberOf, UncommittedChange } from './mysql/connection.js'
import { missesTable, missingColumn, mysqlFailure } from './mysql/errors.js'
import { expressStatements } from './mysql-express/statements.js'
import type { MySQLColumns } from './mysql-express/statements.js'
import { ExpressTable } from './mysql-express/table.js'
import type { MySQLLayout } from './mysql/layout.js'
import { OwnTable } from './mysql/own-table.js'
import { errorNumber } from './mysql/error-codes.js'
import { settle } from './mysql/settle.js'
import { mysqlStatements } from './mysql/statements.js'
import { type MySQLTarget, type OpenedTarget, openTarget } from './mysql/target.js'
import { tableName } from './sql/table-name.js'

export type { MySQLColumns } from './mysql-express/statements.js'
export type { MySQLTarget } from './mysql/target.js'

const writing = 'writing sessions'
const causalReadsRefused =
  'causalReads needs MariaDB, and this server does not know its SET STATEMENT. Leave the option out; on Percona XtraDB Cluster, set wsrep_sync_wait = 3 in the configuration of the nodes instead.'
const uncommitted =
  'A change of a session was not committed, because the connection that MySQLStore was given has autocommit off or is in a transaction of yours. Give it a URL or pool options, so that it makes a pool of its own; or leave autocommit on in the pool that you pass in, end each transaction before its connection is released, and begin none on a single connection that the store uses.'
const optionNames = ['layout', 'table', 'createTable', 'causalReads', 'columns', 'statementTimeout'] as const
/** Half of the default `storeLimits.deadline`. */
const defaultStatementTimeout = '5s'

/** What `MySQLStore` takes besides the database. */
export interface MySQLStoreOptions {
  /**
   * How sessions lie in the table. Left out: a table of their own, in which tokens are hashes.
   *
   * `'express-mysql-session'` is the table of that library, in place, so that apps on it and apps on coatcheck share
   * live sessions during a move. Session ids lie there as they are: whoever can read the table and knows the secret can use the sessions.
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
  /**
   * How long a statement may take, and how long it may wait for a free connection before that. `'30s'` or milliseconds. A pool that the
   * store makes takes it as mysql2's `connectTimeout` too, if you do not give one. A call that takes longer fails with
   * `ERR_SESSION_STORE_TIMEOUT` (503). Its connection is ended and replaced, because a reply that comes late must not be
   * taken for another's.
   *
   * `storeLimits.deadline` of `createSessions` is how long a request waits for the store, whatever that is doing. Give at most half of
   * it here: then there is time to ask again on another connection. More is needed only where listing or ending all
   * sessions of a user takes as long, on a large table of express-mysql-session. Making tables has no limit.
   * @default '5s'
   */
  readonly statementTimeout?: Duration | undefined
}

/**
 * Sessions in MySQL 8.0 or later, or MariaDB 10.6 or later, through the mysql2 driver.
 *
 * `target` is a URL (`mysql://user:password@host:3306/database?ssl=true`; the parameters are those of mysql2, and an unknown
 * one is refused), mysql2's pool options, or a mysql2 pool of yours, with promises or with callbacks; also a single
 * connection, which is then all that the store has: it cannot be replaced, so the store does not heal when it is lost, and while one
 * of its statements hangs the others wait behind it, each until its `statementTimeout`. A pool that
 * the store made is closed by `close()`; what you passed in stays open. The constructor does not
 * connect: an unreachable database shows on first use, as `ERR_SESSION_STORE_UNAVAILABLE` (503), and so does a table that is
 * not there and may not be made (`ERR_SESSION_MISSING_TABLE`), or lacks a column (`ERR_SESSION_WRONG_TABLE`). A table that is dropped
 * while the app runs is made again, empty, unless `createTable` is `false`.
 *
 * What the server refuses is told apart from its being away: what a session holds (`ERR_SESSION_DATA_REFUSED`, of that session
 * alone), the app's user, rights or table (`ERR_SESSION_STORE_CONFIGURATION`), or a change that others locked for too long
 * (`ERR_SESSION_STORE_BUSY`, 503). Messages hold nothing of what the server said: that is the `cause`.
 *
 * With `?ssl=true`, or `ssl: true` in pool options, the connection is encrypted and the server verified: who signed its certificate, and
 * that it is for this host name. `?ssl-ca=/path/to/ca.pem`, or `ssl: { ca }`, names an authority of your own. What is not to be
 * verified has to be said: `?ssl={"verifyIdentity":false}` leaves out the host name, `?ssl={"rejectUnauthorized":false}` all. A
 * server that does not pass is an `ERR_SESSION_STORE_CONFIGURATION`. A pool of yours verifies what you told it to.
 *
 * Each statement stands alone in its transaction. On the server's word the store fails what does not, as `ERR_SESSION_OPTION`: on a pool or
 * connection of yours leave autocommit on, and pass in no connection that is in a transaction. A pool that the store makes turns autocommit on
 * itself.
 *
 * A read is one statement however many sessions it is for, a change is one more. All are prepared. Changes of many sessions
 * share statements; one that fails fails only what was in it, and a value that the database refuses only its own session.
 * A connection that fails, or does not answer in time, is ended and never used again. What was being read is then asked once more on
 * another; what was being written is sent again where that does no harm, and known again by what the
 * record keeps of it. Only where that cannot be told, or the database is still away, the call fails.
 * Time is the database's, so the clocks of the apps and time zones do not matter.
 *
 * On a table of express-mysql-session (`layout`) the store never overwrites what an app of that library stored since,
 * and never brings back what ended. What such an app does to what this store wrote is outside its power: it writes
 * blindly, and a slow request of it can still bring an ended session back. Rows look as they would there. Only a session
 * with a user, with an absolute lifetime or with a rotated token has a `coatcheck` object besides, which tells these,
 * signed by a key: that is the id of a row which begins with `note.key.`. The absolute lifetime of a session that began in an old app counts from the first change here. Expiry is in whole
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
  readonly #opened: OpenedTarget
  readonly #layout: MySQLLayout
  readonly #createTable: boolean
  readonly #causalReads: boolean
  #tableReady: Promise<void> | undefined
  #closed: Promise<void> | undefined
  readonly #underWay = new Set<Promise<unknown>>()

  /** @throws `ERR_SESSION_OPTION` if there is no database to be had from `target`, or for an unknown option. */
  constructor(target: MySQLTarget, options: MySQLStoreOptions = {}) {
    refuseUnknownOptions('MySQLStore', options, optionNames)
    this.#createTable = options.createTable ?? true
    if (typeof this.#createTable !== 'boolean') throw optionError('createTable must be true or false.')
    this.#causalReads = options.causalReads ?? false
    if (typeof this.#causalReads !== 'boolean') throw optionError('causalReads must be true or false.')
    const limit = timerMilliseconds('statementTimeout', options.statementTimeout ?? defaultStatementTimeout)
    const layout = layoutFor(options)
    this.#opened = openTarget(target, limit)
    this.#layout = layout(clientOf(this.#opened.target, limit))
    this.keyedBy = this.#layout.keyedBy
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    if (ids.length === 0) return []
    return this.#do('reading sessions', () => this.#layout.find(ids))
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    if (ids.length === 0) return []
    return this.#do('reading sessions', () => this.#layout.alive(ids))
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    if (writes.length === 0) return []
    const results = await this.#do(writing, () => this.#writeAll(writes))
    const failures = new Set(results.filter((result) => isError(result)))
    if (failures.size === 0) return results
    // Writes that failed together share one error of ours too.
    const typed = new Map([...failures].map((failure) => [failure, this.#typed(writing, failure)]))
    return results.map((result) => (isError(result) ? typed.get(result)! : result))
  }

  async list(query: ListQuery): Promise<Page<ListedRecord>> {
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
    // A pool waits in vain for a connection that it loses while it ends.
    this.#closed ??= Promise.allSettled(this.#underWay).then(() => this.#opened.close())
    return this.#closed
  }

  async #writeAll(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const send = async (some: readonly SessionWrite[]) =>
      settle(this.#layout, some, await this.#layout.write(some))
    const ready = this.#tableReady
    const results = await send(writes)
    const { tables } = this.#layout
    const left = writes.filter((_, index) => missesTable(results[index], tables))
    if (left.length === 0 || !this.#createTable) return results
    await this.#makeTableAgain(ready)
    const again = (await send(left)).values()
    return results.map((result) => (missesTable(result, tables) ? again.next().value! : result))
  }

  /** All that the store does goes through here: after the tables are there, with its errors made ours. */
  async #do<Answer>(doing: string, work: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed) {
      throw new SessionError('ERR_SESSION_CLOSED', `The store was closed before ${doing}.`, { status: 503 })
    }
    const working = this.#withTable(work)
    this.#underWay.add(working)
    try {
      return await working
    } catch (error) {
      throw this.#typed(doing, error)
    } finally {
      this.#underWay.delete(working)
    }
  }

  async #withTable<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    if (!this.#createTable) return work()
    const ready = this.#makeTableOnce()
    await ready
    try {
      return await work()
    } catch (error) {
      if (!missesTable(error, this.#layout.tables)) throw error
      await this.#makeTableAgain(ready)
      return work()
    }
  }

  /**
   * Somebody dropped it, and with it all sessions, while the app ran.
   * @param ready what had made it, so that of several calls one does this
   */
  #makeTableAgain(ready: Promise<void> | undefined): Promise<void> {
    if (this.#tableReady === ready) this.#tableReady = undefined
    return this.#makeTableOnce()
  }

  #typed(doing: string, error: unknown): SessionError {
    if (missesTable(error, this.#layout.tables)) {
      return new SessionError('ERR_SESSION_MISSING_TABLE', this.#layout.missingTable, { cause: error })
    }
    if (numberOf(error) === errorNumber.unknownColumn) {
      const message = `${this.#layout.wrongTable}${missingColumn(error)}`
      return new SessionError('ERR_SESSION_WRONG_TABLE', message, { cause: error })
    }
    if (this.#causalReads && numberOf(error) === errorNumber.syntax) {
      return new SessionError('ERR_SESSION_OPTION', causalReadsRefused, { cause: error })
    }
    if (error instanceof UncommittedChange) {
      return new SessionError('ERR_SESSION_OPTION', uncommitted, { cause: error })
    }
    return mysqlFailure(doing, error)
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
