import type { Pool, PoolConnection } from 'mysql2'
import { optionError, refuseUnknownOptions, SessionError, storeUnavailable } from '../core/errors.ts'
import type { SessionKey, SessionRecord } from '../core/record.ts'
import type { ListQuery, Page, SessionStore, SessionWrite, WriteResult } from '../core/store.ts'
import { largestBatch, padded, parts } from './sql/batch-size.ts'
import { latestVersion, migrate } from './sql/migrations.ts'
import { change, connectionOf, errorNumber, numberOf, openPool, select } from './sql/mysql-pool.ts'
import type { MySQLTarget } from './sql/mysql-pool.ts'
import { bytesOfKey, recordOf } from './sql/mysql-record.ts'
import { migrationsTable, mysqlMigrations, mysqlStatements } from './sql/mysql-statements.ts'
import type { MySQLStatements } from './sql/mysql-statements.ts'
import { MySQLWriter } from './sql/mysql-writer.ts'
import { tableName } from './sql/table-name.ts'

export type { MySQLTarget } from './sql/mysql-pool.ts'

/** What `MySQLStore` takes besides the database. */
export interface MySQLStoreOptions {
  /**
   * The table's name: letters, digits and `_`, at most 48. Apps that share sessions name the same one.
   * @default 'coatcheck_sessions'
   */
  readonly table?: string | undefined
  /**
   * Whether the table is made on first use, and brought up to date after an upgrade. With `false`, run
   * `schema/mysql.sql` yourself; the store's user then needs no right but SELECT, INSERT, UPDATE and DELETE.
   * @default true
   */
  readonly createTable?: boolean | undefined
}

/** How long one app waits while another makes the tables. */
const migrationSeconds = 60

/**
 * Sessions in MySQL 8.0 or 8.4, or MariaDB 10.6 or later, through the mysql2 driver.
 *
 * `target` is a URL (`mysql://user:password@host:3306/database?ssl=true`; whatever mysql2 reads in one
 * works), mysql2's pool options, or a mysql2 pool of yours, with promises or with callbacks. A pool that
 * the store made is closed by `close()`; one that you passed in stays open. The constructor does not
 * connect: an unreachable database shows on first use, as `ERR_SESSION_STORE_UNAVAILABLE` (503).
 *
 * A read is one statement however many sessions it is for, a change is one more. All are prepared.
 * Time is the database's, so the clocks of the apps and time zones do not matter.
 *
 * @example
 * const store = new MySQLStore(process.env.DATABASE_URL)
 * @example
 * const pool = mysql.createPool({ host: 'localhost', user: 'shop', database: 'shop' })
 * const store = new MySQLStore(pool, { table: 'shop_sessions' })
 */
export class MySQLStore implements SessionStore {
  readonly #pool: Pool
  readonly #poolIsOurs: boolean
  readonly #table: string
  readonly #createTable: boolean
  readonly #sql: MySQLStatements
  readonly #writer: MySQLWriter
  #tableReady: Promise<void> | undefined
  #closed: Promise<void> | undefined

  /** @throws `ERR_SESSION_OPTION` if there is no database to be had from `target`, or for an unknown option. */
  constructor(target: MySQLTarget, options: MySQLStoreOptions = {}) {
    refuseUnknownOptions('MySQLStore', options, ['table', 'createTable'])
    this.#table = tableName(options.table ?? 'coatcheck_sessions')
    this.#createTable = options.createTable ?? true
    if (typeof this.#createTable !== 'boolean') throw optionError('createTable must be true or false.')
    const { pool, isOurs } = openPool(target)
    this.#pool = pool
    this.#poolIsOurs = isOurs
    this.#sql = mysqlStatements(this.#table)
    this.#writer = new MySQLWriter(pool, this.#sql)
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    if (keys.length === 0) return []
    return this.#do('reading sessions', async () => {
      const records = new Map<SessionKey, SessionRecord>()
      for (const part of parts(keys, largestBatch)) {
        const values = padded(part).map(bytesOfKey)
        for (const row of await select(this.#pool, this.#sql.find(values.length), values)) {
          const record = recordOf(row)
          records.set(record.key, record)
        }
      }
      return keys.map((key) => records.get(key))
    })
  }

  async write(writes: readonly SessionWrite[]): Promise<WriteResult[]> {
    if (writes.length === 0) return []
    return this.#do('writing sessions', () => this.#writer.write(writes))
  }

  async list({ userId, after, limit }: ListQuery): Promise<Page<SessionRecord>> {
    const most = wholeNumber(limit)
    if (after !== undefined && !/^[0-9a-f]{48}$/.test(after)) {
      throw optionError('"after" must be the "next" of the page before.')
    }
    return this.#do('listing sessions', async () => {
      const sql = this.#sql.list({ user: userId !== undefined, after: after !== undefined, limit: most + 1 })
      const values = [
        userId === undefined ? [] : Buffer.from(userId),
        after === undefined ? [] : bytesOfKey(after),
      ]
      const records = (await select(this.#pool, sql, values.flat())).map(recordOf)
      const items = records.slice(0, most)
      return { items, next: records.length > most ? items.at(-1)?.key : undefined }
    })
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const values = [Buffer.from(userId), Buffer.from(except ?? '')]
    return this.#do("removing a user's sessions", () => change(this.#pool, this.#sql.removeByUser, values))
  }

  async removeExpired(limit: number): Promise<number> {
    const sql = this.#sql.removeExpired(wholeNumber(limit))
    return this.#do('removing expired sessions', async () => {
      const removed = await this.#locked('sweep', 0, (connection) => change(connection, sql))
      return removed ?? 0
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#poolIsOurs ? this.#endPool() : Promise.resolve()
    return this.#closed
  }

  #endPool(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pool.end((error) => (error ? reject(storeUnavailable('closing', error)) : resolve()))
    })
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
      if (numberOf(error) === errorNumber.missingTable) throw this.#missingTable(error)
      throw storeUnavailable(doing, withMessage(error))
    }
  }

  #makeTableOnce(): Promise<void> {
    // A failed attempt is forgotten, so that the next use tries again.
    this.#tableReady ??= this.#makeTable().catch((error: unknown) => {
      this.#tableReady = undefined
      throw error
    })
    return this.#tableReady
  }

  async #makeTable(): Promise<void> {
    const migrations = mysqlMigrations(this.#table)
    if ((await this.#recordedVersion(this.#pool)) >= latestVersion(migrations)) return
    try {
      const done = await this.#locked('migrate', migrationSeconds, async (connection) => {
        await change(connection, migrationsTable)
        await migrate(migrations, {
          recordedVersion: () => this.#recordedVersion(connection),
          run: async (statement) => void (await change(connection, statement)),
          record: async (version) => void (await change(connection, this.#sql.recordVersion, [version])),
        })
        return true
      })
      if (!done)
        throw new Error(`another process is still making the table after ${migrationSeconds} seconds`)
    } catch (error) {
      const denied = [errorNumber.deniedTable, errorNumber.deniedDatabase].some(
        (one) => one === numberOf(error),
      )
      if (!denied) throw error
      // The user may not make tables. That is fine if somebody else made it.
      await select(this.#pool, this.#sql.tableIsThere)
    }
  }

  async #recordedVersion(via: Pool | PoolConnection): Promise<number> {
    try {
      const [row] = await select(via, this.#sql.recordedVersion)
      return Number(row?.['version'])
    } catch (error) {
      const number = numberOf(error)
      if (number === errorNumber.missingTable || number === errorNumber.deniedTable) return 0
      throw error
    }
  }

  /** Does `work` under a lock that all apps with this table share; `undefined` if it could not be had in time. */
  async #locked<Answer>(
    purpose: 'migrate' | 'sweep',
    seconds: number,
    work: (connection: PoolConnection) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const connection = await connectionOf(this.#pool)
    let mayHoldLock = true
    try {
      const [row] = await select(connection, this.#sql.lock(purpose, seconds))
      if (Number(row?.['locked']) !== 1) {
        mayHoldLock = false
        return undefined
      }
      try {
        return await work(connection)
      } finally {
        await select(connection, this.#sql.unlock(purpose))
        mayHoldLock = false
      }
    } finally {
      // The server frees the lock of a connection that ends. A pool must never get one back that holds it.
      if (mayHoldLock) connection.destroy()
      else connection.release()
    }
  }

  #missingTable(cause: unknown): SessionError {
    return new SessionError(
      'ERR_SESSION_MISSING_TABLE',
      `The table ${this.#table} or coatcheck_migrations is not in the database. Run schema/mysql.sql of the coatcheck package, or leave out createTable: false and let a user who may create tables start the app once.`,
      { cause },
    )
  }
}

/** LIMIT takes no marker on every server, so the number goes into the text. */
function wholeNumber(limit: number): number {
  if (Number.isSafeInteger(limit) && limit > 0) return limit
  throw optionError(`limit must be a whole number above 0, not ${String(limit)}.`)
}

/** A connection that is refused on every address of a name comes as an error without a message, only with a code. */
function withMessage(error: unknown): unknown {
  if (!(error instanceof Error) || error.message !== '' || !('code' in error)) return error
  return new Error(String(error.code), { cause: error })
}
