import type { RowDataPacket } from 'mysql2'
import { SessionError } from '../../core/errors.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { largestBatch, padded, parts } from '../sql/batch-size.js'
import { latestVersion, migrate } from '../sql/migrations.js'
import { isDenied } from './layout.js'
import type { MySQLLayout } from './layout.js'
import { underLock } from './lock.js'
import { errorNumber } from './error-codes.js'
import { change, numberOf, select } from './pool.js'
import type { MySQLClient } from './pool.js'
import { aliveOf, bytesOfId, listedOf, nextAfter, recordOf, valuesAfter } from './record.js'
import { migrationsTable, mysqlMigrations } from './statements.js'
import type { MySQLStatements } from './statements.js'
import { sweepOwnTable } from './own-sweep.js'
import { SweepLock } from './sweep-lock.js'
import { MySQLTransfer } from './transfer.js'
import { MySQLWriter } from './writer.js'

/** How long one app waits while another makes the tables. */
const migrationSeconds = 60

/** The layout of our own: ids are bytes, every field has its column, and the versions of the table are recorded. */
export class OwnTable implements MySQLLayout {
  readonly keyedBy = undefined
  readonly transfer: MySQLTransfer
  readonly tables: readonly string[]
  readonly missingTable: string
  readonly wrongTable: string
  readonly #client: MySQLClient
  readonly #table: string
  readonly #sql: MySQLStatements
  readonly #writer: MySQLWriter
  readonly #sweeps: SweepLock

  /** @param table a checked name. */
  constructor(client: MySQLClient, sql: MySQLStatements, table: string) {
    this.#client = client
    this.#table = table
    this.tables = [table, 'coatcheck_migrations']
    this.#sql = sql
    this.#writer = new MySQLWriter(client, sql)
    this.#sweeps = new SweepLock(client, table)
    this.transfer = new MySQLTransfer(client, table)
    this.missingTable = `The table ${table} or coatcheck_migrations is not in the database, and the store did not make it: its user may not, or createTable is false. Let a user who may create tables start the app once; or run schema/mysql.sql of the coatcheck package, also where coatcheck_migrations says that the table was made.`
    // It may be the table of another library, whose sessions must not be dropped in haste.
    this.wrongTable = `The table ${table} lacks a column of this version's. If an earlier build of coatcheck made it, drop it, which ends its sessions, and run schema/mysql.sql of the coatcheck package. If it is another library's, give MySQLStore another table, or layout: 'express-mysql-session' if it is that one's.`
  }

  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return this.#read(ids, this.#sql.find, recordOf)
  }

  alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    return this.#read(ids, this.#sql.alive, aliveOf)
  }

  async #read<Read extends Pick<SessionRecord, 'id'>>(
    ids: readonly SessionId[],
    sql: (size: number) => string,
    read: (row: RowDataPacket) => Read,
  ): Promise<(Read | undefined)[]> {
    const found = new Map<SessionId, Read>()
    for (const part of parts(ids, largestBatch)) {
      const values = padded(part).map(bytesOfId)
      for (const row of await select(this.#client, sql(values.length), values)) {
        const record = read(row)
        found.set(record.id, record)
      }
    }
    return ids.map((id) => found.get(id))
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  async list({ userId, after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    const user = userId !== undefined
    const sql = this.#sql.list({ user, after: after !== undefined, limit: limit + 1, data })
    const values = [user ? [userIdBytes(userId)] : [], after === undefined ? [] : valuesAfter(after, user)]
    const records = (await select(this.#client, sql, values.flat())).map(listedOf)
    const items = records.slice(0, limit)
    return { items, next: records.length > limit ? nextAfter(items.at(-1)!, user) : undefined }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const user = userIdBytes(userId)
    return except === undefined
      ? change(this.#client, this.#sql.removeByUser, [user])
      : change(this.#client, this.#sql.removeByUserExcept, [user, bytesOfId(except)])
  }

  removeExpired(limit: number): Promise<number> {
    return this.#sweeps.take((connection) => sweepOwnTable(connection, this.#sql, limit))
  }

  async makeTable(): Promise<void> {
    const migrations = mysqlMigrations(this.#table)
    const recorded = await this.#recordedVersion(this.#client)
    if (recorded >= latestVersion(migrations) && (await this.#isThere(this.#client))) return
    try {
      const done = await underLock(
        this.#client,
        { table: this.#table, purpose: 'migrate' },
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
