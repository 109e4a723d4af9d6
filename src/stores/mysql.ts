import { optionError, refuseUnknownOptions, SessionError, shown } from '../core/errors.js'
import { type Duration, timerMilliseconds } from '../core/lifetime.js'
import { causal } from './mysql/causal.js'
import { clientOf, type MySQLClient } from './mysql/client.js'
import { numberOf, UncommittedChange } from './mysql/connection.js'
import { errorNumber } from './mysql/error-codes.js'
import { missesTable, missingColumn, mysqlFailure } from './mysql/errors.js'
import { mysqlJudgement } from './mysql/judgement.js'
import type { MySQLLayout } from './mysql/layout.js'
import { OwnTable } from './mysql/own-table.js'
import { mysqlStatements } from './mysql/statements.js'
import { type MySQLTarget, openTarget } from './mysql/target.js'
import { expressStatements } from './mysql-express/statements.js'
import type { MySQLColumns } from './mysql-express/statements.js'
import { ExpressTable } from './mysql-express/table.js'
import type { TableErrors } from './sql/layout.js'
import { tableName } from './sql/table-name.js'
import { TableStore, type TableStoreParts } from './sql/table-store.js'

export type { MySQLColumns } from './mysql-express/statements.js'
export type { MySQLTarget } from './mysql/target.js'

const causalReadsRefused =
  'causalReads needs MariaDB, and this server does not know its SET STATEMENT. Leave the option out; on Percona XtraDB Cluster, set wsrep_sync_wait = 3 in the configuration of the nodes instead.'
const uncommitted =
  'A change of a session was not committed, because the connection that MySQLStore was given has autocommit off or is in a transaction of yours. Give it a URL or pool options, so that it makes a pool of its own. Or leave autocommit on in the pool that you pass in, and end each transaction before its connection is released. Begin none on a single connection that the store uses.'
const optionNames = ['layout', 'table', 'createTable', 'causalReads', 'columns', 'statementTimeout'] as const
/** Half of the default `storeLimits.deadline`. */
const defaultStatementTimeout = '5s'

/** The options of `MySQLStore`. */
export interface MySQLStoreOptions {
  /**
   * The layout of the table. Left out: coatcheck's own, which keeps hashes of tokens.
   *
   * `'express-mysql-session'` uses the table of that package in place, so that apps on it and apps on coatcheck share
   * live sessions during a move. It keeps session ids as they are: whoever can read the table and knows the secret can
   * use every session.
   */
  readonly layout?: 'express-mysql-session' | undefined
  /**
   * The table's name, the same in all apps that share sessions. Letters, digits and `_`, at most 48, and no digit
   * first. With `layout: 'express-mysql-session'`, any name that the package accepts, also with a database before a
   * dot.
   *
   * Default: `'coatcheck_sessions'`; with `layout: 'express-mysql-session'`, `'sessions'`.
   */
  readonly table?: string | undefined
  /**
   * Whether the store makes its tables on first use, and updates them after an upgrade. The database user needs the
   * right `CREATE` for it.
   *
   * `false`: run `schema/mysql.sql` of the package yourself. The user then needs only `SELECT`, `INSERT`, `UPDATE` and
   * `DELETE`.
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * For a MariaDB Galera cluster of which apps use several nodes. Each SELECT, UPDATE and DELETE of the store first
   * waits until its node has applied everything that any node has stored. Otherwise, another node may not know of a
   * sign-out for a moment.
   *
   * It costs these statements one round trip between the nodes. Other statements on a pool of yours do not wait. On a
   * MariaDB without a cluster it has no effect; other servers refuse it on first use with `ERR_SESSION_OPTION`.
   * `docs/galera.md` says what holds on Galera.
   * @default false
   */
  readonly causalReads?: boolean | undefined
  /**
   * The names of the columns, with `layout: 'express-mysql-session'` only. Default: `session_id`, `expires` and `data`.
   */
  readonly columns?: MySQLColumns | undefined
  /**
   * How long one statement may take, and how long it may wait for a free connection before that. Milliseconds, or a
   * text such as `'5s'`; at most 24 days.
   *
   * A call that takes longer fails with `ERR_SESSION_STORE_TIMEOUT` (503). Its connection is closed and replaced, so
   * that a late reply is never taken for that of another statement. In a pool that the store makes, it is also mysql2's
   * `connectTimeout`, unless you give one.
   *
   * Give at most half of `storeLimits.deadline` of `createSessions`: then a lost read can be sent again in time. Give
   * more only if listing or ending all sessions of a user takes longer, on a large table of express-mysql-session.
   * Making tables has no limit.
   * @default '5s'
   */
  readonly statementTimeout?: Duration | undefined
}

/**
 * Keeps sessions in MySQL 8.0 or later, or MariaDB 10.6 or later, through the mysql2 driver (3.11 or later).
 *
 * `target` is one of these:
 *
 * - A URL: `mysql://user:password@host:3306/database?ssl=true`. Its parameters are those of mysql2, and `ssl-ca`. An
 *   unknown one is refused.
 * - mysql2's pool options, with a `database` or a `uri`.
 * - A mysql2 pool of yours, with promises or callbacks. Leave autocommit on.
 * - A single mysql2 connection of yours. It is not replaced when it is lost. While one of its statements hangs, the
 *   others wait behind it, each until its `statementTimeout`.
 *
 * `close()` closes a pool that the store made. What you passed in stays open. The constructor does not connect: the
 * first use does, and makes missing tables. A table that is dropped while the app runs is made again, empty, unless
 * `createTable` is `false`.
 *
 * **TLS.** With `?ssl=true`, or `ssl: true` in pool options, the connection is encrypted, and the server's certificate
 * and host name are verified. `?ssl-ca=/path/to/ca.pem`, or `ssl: { ca }`, names your own authority.
 * `?ssl={"verifyIdentity":false}` does not verify the host name, and `?ssl={"rejectUnauthorized":false}` verifies
 * nothing. A pool of yours verifies what you told mysql2.
 *
 * **Statements.** Requests of the same moment share statements, and all statements are prepared. Each is a transaction
 * of its own. If one statement fails, only what was in it fails; a value that the database refuses fails only its
 * session. All times are the database's, so clocks and time zones of the apps do not matter.
 *
 * **Lost connections.** A connection that fails, or does not answer in time, is closed and never used again. A read is
 * then sent once more on another connection. A write is sent again where that is harmless; by what the record keeps of
 * it, the store knows whether it was carried out. The call fails only if that cannot be told, or if the database is
 * still away.
 *
 * **Errors** of its methods. What the server said is their `cause`, never their message.
 *
 * - `ERR_SESSION_STORE_UNAVAILABLE` (503): the database does not answer, or can store nothing.
 * - `ERR_SESSION_STORE_TIMEOUT` (503): a statement took longer than `statementTimeout`.
 * - `ERR_SESSION_STORE_BUSY` (503): others locked the rows for too long.
 * - `ERR_SESSION_STORE_CONFIGURATION` (500): the server refuses the user, its rights or the table; or it did not pass
 *   the TLS check.
 * - `ERR_SESSION_DATA_REFUSED` (500): the database refuses what a session holds. Only that session fails.
 * - `ERR_SESSION_TOO_LARGE` (500): the data is larger than the column or `max_allowed_packet` allows.
 * - `ERR_SESSION_MISSING_TABLE`, `ERR_SESSION_WRONG_TABLE` (500): there is no table, or it lacks a column.
 * - `ERR_SESSION_OPTION` (500): a connection of yours has autocommit off or is in a transaction, so that a change was
 *   not committed; or the server does not support `causalReads`.
 * - `ERR_SESSION_CLOSED` (503): after `close()`.
 *
 * **On a table of express-mysql-session** (`layout`), the store does not overwrite what an app of that package has
 * stored since, and does not bring back ended sessions. It cannot stop such an app from doing so: that app writes
 * blindly. Rows look as the package writes them. Only sessions with a user, an absolute lifetime or a rotated token
 * have a `coatcheck` object besides, which keeps these. It is signed with a key, which is the id of a row that begins
 * with `note.key.`. The absolute lifetime of a session that began in an app of the package counts from its first change
 * here. Expiry is in whole seconds, rounded up.
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
export class MySQLStore extends TableStore {
  /**
   * @param target a URL, mysql2's pool options, or a mysql2 pool or connection of yours.
   * @throws `ERR_SESSION_OPTION` if `target` names no database, or has an unknown parameter; or if an option is unknown
   *   or malformed. The message never shows the password.
   */
  constructor(target: MySQLTarget, options: MySQLStoreOptions = {}) {
    super(mysqlTable(target, options))
  }
}

function mysqlTable(target: MySQLTarget, options: MySQLStoreOptions): TableStoreParts {
  refuseUnknownOptions('MySQLStore', options, optionNames)
  const { createTable = true, causalReads = false } = options
  if (typeof createTable !== 'boolean') throw optionError('createTable must be true or false.')
  if (typeof causalReads !== 'boolean') throw optionError('causalReads must be true or false.')
  const limit = timerMilliseconds('statementTimeout', options.statementTimeout ?? defaultStatementTimeout)
  const layoutOn = layoutFor(options)
  const { target: opened, close } = openTarget(target, limit)
  const layout = layoutOn(clientOf(opened, limit))
  return { layout, errors: errorsOf(layout, causalReads), createTable, end: close }
}

function errorsOf({ tables, missingTable, wrongTable }: MySQLLayout, causalReads: boolean): TableErrors {
  return {
    missesTable: (error) => missesTable(error, tables),
    failsAllAlike: mysqlJudgement.failsAllAlike,
    failureOf(doing, error) {
      const cause = { cause: error }
      if (missesTable(error, tables))
        return new SessionError('ERR_SESSION_MISSING_TABLE', missingTable, cause)
      const number = numberOf(error)
      if (number === errorNumber.unknownColumn)
        return new SessionError('ERR_SESSION_WRONG_TABLE', wrongTable + missingColumn(error), cause)
      if (causalReads && number === errorNumber.syntax)
        return new SessionError('ERR_SESSION_OPTION', causalReadsRefused, cause)
      if (error instanceof UncommittedChange)
        return new SessionError('ERR_SESSION_OPTION', uncommitted, cause)
      return mysqlFailure(doing, error)
    },
  }
}

/** Checks the options of the table. It runs before a pool is made, which would have to be closed again. */
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
