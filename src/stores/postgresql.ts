import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { type Duration, timerMilliseconds } from '../core/lifetime.js'
import { PostgreSQLClient } from './postgresql/client.js'
import { postgresqlErrors } from './postgresql/errors.js'
import { PostgreSQLTable } from './postgresql/table.js'
import { openTarget, type PostgreSQLTarget } from './postgresql/target.js'
import { tableName } from './sql/table-name.js'
import { TableStore, type TableStoreParts } from './sql/table-store.js'

export type { PostgreSQLConnection, PostgreSQLPool } from './postgresql/client.js'
export type { PostgreSQLTarget } from './postgresql/target.js'

const optionNames = ['schema', 'table', 'createTable', 'statementTimeout'] as const
/** Half of the default `storeLimits.deadline`. */
const defaultStatementTimeout = '5s'

/** The options of `PostgreSQLStore`. */
export interface PostgreSQLStoreOptions {
  /**
   * The schema of the tables, which must be there. Letters, digits and `_`, at most 48, and no digit first; capitals
   * make a difference. Left out: the first schema of the `search_path` of its user, usually `public`.
   */
  readonly schema?: string | undefined
  /**
   * The table's name, the same in all apps that share sessions. Letters, digits and `_`, at most 48, and no digit first;
   * capitals make a difference.
   * @default 'coatcheck_sessions'
   */
  readonly table?: string | undefined
  /**
   * Whether the store makes its tables on first use, and updates them after an upgrade. The database user needs the right
   * `CREATE` on the schema for it.
   *
   * `false`: run `schema/postgresql.sql` of the package yourself. The user then needs only `SELECT`, `INSERT`, `UPDATE`
   * and `DELETE`.
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * How long a statement may take, and how long it may wait for a connection before: a text such as `'5s'`, or
   * milliseconds. After that, the server is asked to cancel it, its connection is closed, and the request gets
   * `ERR_SESSION_STORE_TIMEOUT`.
   * @default '5s'
   */
  readonly statementTimeout?: Duration | undefined
}

/**
 * Keeps sessions in PostgreSQL 13 or later, through the pg driver (8.11 or later).
 *
 * `target` is one of these:
 *
 * - A URL: `postgres://user:password@host:5432/database?sslmode=verify-full`. The store makes a pool of 10 connections;
 *   `close()` closes it.
 * - A pool of pg. What you pass in stays open. The store listens to its `'error'` event, so that a connection lost while
 *   nobody uses it does not end the process.
 *
 * The constructor does not connect: the first use does, and makes missing tables. A table that is dropped while the app
 * runs is made again, empty, unless `createTable` is `false`.
 *
 * **TLS.** `sslmode` in the URL means what it means to libpq: `verify-full` verifies the server's certificate and its host
 * name, with `sslrootcert=/path/to/ca.pem` by an authority of yours; `verify-ca` verifies only the certificate. `require`
 * encrypts, and verifies nothing. Other values are refused, and so is `verify-full` for an IP address. A pool of yours
 * verifies what you told pg.
 *
 * **Statements.** Requests of the same moment share statements. Each is a transaction of its own. If one fails, only what
 * was in it fails; a value that the database refuses fails only its session. All times are the database's, so clocks of
 * the apps do not matter. Statements are prepared; behind a pooler that does not support that, such as PgBouncer before
 * 1.21 in transaction mode, the store notices and sends them unprepared from then on.
 *
 * **Lost connections.** A connection that fails, or does not answer in time, is closed and never used again. A read is
 * then sent once more on another connection. A write is sent again where that is harmless; by what the record keeps of
 * it, the store knows whether it was carried out. The call fails only if that cannot be told, or if the database is still
 * away.
 *
 * **Errors** of its methods. What the server said is their `cause`, never their message.
 *
 * - `ERR_SESSION_STORE_UNAVAILABLE` (503): the database does not answer, takes no changes, or can store nothing.
 * - `ERR_SESSION_STORE_TIMEOUT` (503): a statement took longer than `statementTimeout`, or than the server's own.
 * - `ERR_SESSION_STORE_BUSY` (503): others locked the rows for too long.
 * - `ERR_SESSION_STORE_CONFIGURATION` (500): the server refuses the user, its rights, the database or the schema.
 * - `ERR_SESSION_DATA_REFUSED` (500): the database refuses what a session holds. Only that session fails.
 * - `ERR_SESSION_TOO_LARGE` (500): the data is larger than PostgreSQL takes.
 * - `ERR_SESSION_MISSING_TABLE`, `ERR_SESSION_WRONG_TABLE` (500): there is no table, or it lacks a column.
 * - `ERR_SESSION_CLOSED` (503): after `close()`.
 *
 * @example
 * const store = new PostgreSQLStore(process.env.DATABASE_URL)
 * @example
 * const pool = new Pool({ host: 'localhost', user: 'shop', database: 'shop' })
 * const store = new PostgreSQLStore(pool, { schema: 'sessions' })
 */
export class PostgreSQLStore extends TableStore {
  /**
   * @param target a URL, or a pool of pg.
   * @throws `ERR_SESSION_OPTION` if `target` is neither, or names no database; or if an option is unknown or malformed. The
   *   message never shows the password.
   */
  constructor(target: PostgreSQLTarget, options: PostgreSQLStoreOptions = {}) {
    super(postgresqlTable(target, options))
  }
}

function postgresqlTable(target: PostgreSQLTarget, options: PostgreSQLStoreOptions): TableStoreParts {
  refuseUnknownOptions('PostgreSQLStore', options, optionNames)
  const { createTable = true } = options
  if (typeof createTable !== 'boolean') throw optionError('createTable must be true or false.')
  const limit = timerMilliseconds('statementTimeout', options.statementTimeout ?? defaultStatementTimeout)
  const table = tableName(options.table ?? 'coatcheck_sessions')
  const schema = options.schema === undefined ? undefined : tableName(options.schema, 'schema')
  const { pool, close } = openTarget(target, limit)
  const layout = new PostgreSQLTable(new PostgreSQLClient(pool, limit), { schema, table })
  return { layout, errors: postgresqlErrors(table), createTable, end: close }
}
