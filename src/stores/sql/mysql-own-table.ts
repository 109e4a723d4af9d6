import type { RowDataPacket } from 'mysql2'
import { optionError, SessionError } from '../../core/errors.js'
import type { SessionKey, SessionRecord } from '../../core/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store.js'
import { userIdBytes } from '../../core/user-id.js'
import { largestBatch, padded, parts } from './batch-size.js'
import { latestVersion, migrate } from './migrations.js'
import { isDenied } from './mysql-layout.js'
import type { MySQLLayout } from './mysql-layout.js'
import { type TableLock, underLock } from './mysql-lock.js'
import { errorNumber } from './mysql-error-codes.js'
import { change, numberOf, select } from './mysql-pool.js'
import type { MySQLClient } from './mysql-pool.js'
import { bytesOfKey, formerKeyOfRow, formerRecordOf, keyOfRow, recordOf } from './mysql-record.js'
import { migrationsTable, mysqlMigrations } from './mysql-statements.js'
import type { MySQLStatements } from './mysql-statements.js'
import { sweepOwnTable } from './mysql-own-sweep.js'
import { MySQLWriter } from './mysql-writer.js'

/** How long one app waits while another makes the tables. */
const migrationSeconds = 60

/** The layout of our own: keys are hashes, every field has its column, and the versions of the table are recorded. */
export class OwnTable implements MySQLLayout {
  readonly keyedBy = undefined
  readonly tables: readonly string[]
  readonly missingTable: string
  readonly wrongTable: string
  readonly #client: MySQLClient
  readonly #table: string
  readonly #sql: MySQLStatements
  readonly #writer: MySQLWriter

  /** @param table a checked name */
  constructor(client: MySQLClient, sql: MySQLStatements, table: string) {
    this.#client = client
    this.#table = table
    this.tables = [table, 'coatcheck_migrations']
    this.#sql = sql
    this.#writer = new MySQLWriter(client, sql)
    this.missingTable = `The table ${table} or coatcheck_migrations is not in the database, and the store did not make it: its user may not, or createTable is false. Let a user who may create tables start the app once; or run schema/mysql.sql of the coatcheck package, also where coatcheck_migrations says that the table was made.`
    // It may be the table of another library, whose sessions must not be dropped in haste.
    this.wrongTable = `The table ${table} lacks a column of this version's. If an earlier build of coatcheck made it, drop it, which ends its sessions, and run schema/mysql.sql of the coatcheck package. If it is another library's, give MySQLStore another table, or layout: 'express-mysql-session' if it is that one's.`
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const records = new Map<SessionKey, SessionRecord>()
    for (const row of await this.#rowsOf(keys, this.#sql.find)) records.set(keyOfRow(row), recordOf(row))
    return keys.map((key) => records.get(key))
  }

  async findFormer(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const records = new Map<SessionKey, SessionRecord>()
    for (const row of await this.#rowsOf(keys, this.#sql.findFormer))
      records.set(formerKeyOfRow(row), formerRecordOf(row))
    return keys.map((key) => records.get(key))
  }

  async #rowsOf(keys: readonly SessionKey[], sql: (size: number) => string): Promise<RowDataPacket[]> {
    const rows: RowDataPacket[] = []
    for (const part of parts(keys, largestBatch)) {
      const values = padded(part).map(bytesOfKey)
      rows.push(...(await select(this.#client, sql(values.length), values)))
    }
    return rows
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  async list({ userId, after, limit }: ListQuery): Promise<Page<SessionRecord>> {
    if (after !== undefined && !/^[0-9a-f]{48}$/.test(after)) {
      throw optionError('"after" must be the "next" of the page before.')
    }
    const sql = this.#sql.list({ user: userId !== undefined, after: after !== undefined, limit: limit + 1 })
    const values = [
      userId === undefined ? [] : userIdBytes(userId),
      after === undefined ? [] : bytesOfKey(after),
    ]
    const records = (await select(this.#client, sql, values.flat())).map(recordOf)
    const items = records.slice(0, limit)
    return { items, next: records.length > limit ? items.at(-1)?.key : undefined }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const user = userIdBytes(userId)
    return except === undefined
      ? change(this.#client, this.#sql.removeByUser, [user])
      : change(this.#client, this.#sql.removeByUserExcept, [user, Buffer.from(except)])
  }

  async removeExpired(limit: number): Promise<number> {
    const removed = await underLock(this.#client, this.#lock('sweep'), 0, (connection) =>
      sweepOwnTable(connection, this.#sql, limit),
    )
    return removed ?? 0
  }

  async makeTable(): Promise<void> {
    const migrations = mysqlMigrations(this.#table)
    const recorded = await this.#recordedVersion(this.#client)
    if (recorded >= latestVersion(migrations) && (await this.#isThere(this.#client))) return
    try {
      const done = await underLock(
        this.#client,
        this.#lock('migrate'),
        migrationSeconds,
        async (connection) => {
          // However large the table is, or however long another holds it: these have no limit.
          await change(connection, migrationsTable, [], Infinity)
          // Where the table was dropped, what is recorded of it is not true any more.
          if (!(await this.#isThere(connection))) await change(connection, this.#sql.forgetVersions)
          await migrate(migrations, {
            recordedVersion: () => this.#recordedVersion(connection),
            run: (statement) => carryOutStep(connection, statement),
            record: async (version) => void (await change(connection, this.#sql.recordVersion, [version])),
          })
          return true
        },
      )
      if (!done) {
        throw new SessionError(
          'ERR_SESSION_STORE_BUSY',
          `Another process is still making the table ${this.#table} after ${migrationSeconds} seconds. Let it finish; if it is gone for good, end its connection with KILL.`,
          { status: 503 },
        )
      }
    } catch (error) {
      if (!isDenied(error)) throw error
      // The user may not make tables. That is fine if somebody else made it.
      await select(this.#client, this.#sql.tableIsThere)
    }
  }

  #lock(purpose: TableLock['purpose']): TableLock {
    return { table: this.#table, purpose }
  }

  async #isThere(via: MySQLClient): Promise<boolean> {
    try {
      await select(via, this.#sql.tableIsThere)
      return true
    } catch (error) {
      if (numberOf(error) === errorNumber.missingTable) return false
      throw error
    }
  }

  async #recordedVersion(via: MySQLClient): Promise<number> {
    try {
      const [row] = await select(via, this.#sql.recordedVersion)
      return Number(row?.['version'])
    } catch (error) {
      const number = numberOf(error)
      if (number === errorNumber.missingTable || number === errorNumber.deniedTable) return 0
      throw error
    }
  }
}

/** A step of a migration that was begun before: no statement that adds a column or a key can say IF NOT EXISTS on MySQL. */
async function carryOutStep(via: MySQLClient, statement: string): Promise<void> {
  try {
    await change(via, statement, [], Infinity)
  } catch (error) {
    const number = numberOf(error)
    if (number !== errorNumber.duplicateColumn && number !== errorNumber.duplicateKeyName) throw error
  }
}
