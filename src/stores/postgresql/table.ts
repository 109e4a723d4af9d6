import { hash } from 'node:crypto'
import { RefusedSweeps } from '../../core/store/refused-sweeps.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import { userIdBytes } from '../../core/users/user-id.js'
import type { TableLayout } from '../sql/layout.js'
import { latestVersion, migrate } from '../sql/migrations.js'
import type { PostgreSQLClient, Row, Value } from './client.js'
import { sqlState, stateOf } from './error-codes.js'
import { aliveOf, bytesOfId, listedOf, nextAfter, recordOf, valuesAfter } from './record.js'
import {
  migrationsTable,
  postgresqlMigrations,
  postgresqlStatements,
  type PostgreSQLStatements,
  type Statement,
  statement,
} from './statements.js'
import { PostgreSQLTransfer } from './transfer.js'
import { PostgreSQLWriter } from './writer.js'

/** How often one call looks, where most of what is due turns out to live on. */
const mostLooks = 20
/** The most rows that one statement of the sweep takes: it keeps them locked until its end. */
const sweptAtOnce = 500

/** A table's name, and its schema if the app gives one. Both are checked. */
export interface TableName {
  readonly schema: string | undefined
  readonly table: string
}

/** A table of sessions in PostgreSQL. */
export class PostgreSQLTable implements TableLayout {
  readonly keyedBy = undefined
  readonly transfer: PostgreSQLTransfer
  readonly #client: PostgreSQLClient
  readonly #name: TableName
  readonly #sql: PostgreSQLStatements
  readonly #writer: PostgreSQLWriter
  readonly #refusedSweeps = new RefusedSweeps()

  constructor(client: PostgreSQLClient, name: TableName) {
    this.#client = client
    this.#name = name
    this.#sql = postgresqlStatements(quoted(name), quoted({ ...name, table: 'coatcheck_migrations' }))
    this.#writer = new PostgreSQLWriter(client, this.#sql)
    this.transfer = new PostgreSQLTransfer(client, quoted(name))
  }

  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return this.#read(ids, this.#sql.find, recordOf)
  }

  alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    return this.#read(ids, this.#sql.alive, aliveOf)
  }

  async #read<Read extends Pick<SessionRecord, 'id'>>(
    ids: readonly SessionId[],
    sql: Statement,
    read: (row: Row) => Read,
  ): Promise<(Read | undefined)[]> {
    const rows = await this.#client.select(sql, [ids.map(bytesOfId)])
    const found = new Map(rows.map((row) => read(row)).map((record) => [record.id, record]))
    return ids.map((id) => found.get(id))
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  async list({ userId, after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    const user = userId !== undefined
    const sql = this.#sql.list({ user, after: after !== undefined, data })
    const values: Value[] = [limit + 1]
    if (user) values.push(userIdBytes(userId))
    if (after !== undefined) values.push(...valuesAfter(after, user))
    const records = (await this.#client.select(sql, values)).map(listedOf)
    const items = records.slice(0, limit)
    return { items, next: records.length > limit ? nextAfter(items.at(-1)!, user) : undefined }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const user = userIdBytes(userId)
    const { rowCount } = await (except === undefined
      ? this.#client.change(this.#sql.removeByUser, [user])
      : this.#client.change(this.#sql.removeByUserExcept, [user, bytesOfId(except)]))
    return rowCount ?? 0
  }

  async removeExpired(limit: number): Promise<number> {
    const key = lockKey('sweep', this.#name.schema, this.#name.table)
    let removed = 0
    for (let look = 0; look < mostLooks && removed < limit; look++) {
      const size = Math.min(sweptAtOnce, limit - removed)
      const { rows } = await this.#client.change(this.#sql.sweep, [key, size])
      const swept = rows[0]!
      if (swept['taken'] !== true) {
        if (look === 0) await this.#refusedSweeps.refused(() => whoHolds(key))
        return removed
      }
      removed += swept['removed'] as number
      if ((swept['due'] as number) < size) break
    }
    this.#refusedSweeps.succeeded()
    return removed
  }

  async makeTable(): Promise<void> {
    const migrations = postgresqlMigrations(quoted(this.#name), this.#name.table)
    const recorded = await this.#recordedVersion()
    if (recorded >= latestVersion(migrations) && (await this.#isThere())) return
    const table = [this.#name.table]
    try {
      await this.#client.transaction(async (send) => {
        // One process at a time, for tables of all names: they share that of versions.
        await send(statement('SELECT pg_advisory_xact_lock($1::bigint)'), [lockKey('migrate', undefined, '')])
        await send(statement(migrationsTable(quoted({ ...this.#name, table: 'coatcheck_migrations' }))))
        // Where the table was dropped, what is recorded of it is not true any more.
        const there = await send(statement('SELECT to_regclass($1) IS NOT NULL AS there'), [
          quoted(this.#name),
        ])
        if (there.rows[0]!['there'] !== true) await send(this.#sql.forgetVersions, table)
        await migrate(migrations, {
          recordedVersion: async () => versionOf(await send(this.#sql.recordedVersion, table)),
          run: async (text) => void (await send(statement(text))),
          record: async (version) => void (await send(this.#sql.recordVersion, [this.#name.table, version])),
        })
      })
    } catch (error) {
      if (stateOf(error) !== sqlState.insufficientPrivilege) throw error
      // The user may not make tables. That is fine if somebody else made it.
      await this.#client.select(this.#sql.tableIsThere)
    }
  }

  async #isThere(): Promise<boolean> {
    try {
      await this.#client.select(this.#sql.tableIsThere)
      return true
    } catch (error) {
      if (stateOf(error) === sqlState.undefinedTable) return false
      throw error
    }
  }

  async #recordedVersion(): Promise<number> {
    try {
      return versionOf({ rows: await this.#client.select(this.#sql.recordedVersion, [this.#name.table]) })
    } catch (error) {
      const state = stateOf(error)
      if (state === sqlState.undefinedTable || state === sqlState.insufficientPrivilege) return 0
      throw error
    }
  }
}

function versionOf({ rows }: { readonly rows: readonly Row[] }): number {
  return rows[0]!['version'] as number
}

/** The names are checked, so that nothing in them needs escaping. */
function quoted({ schema, table }: TableName): string {
  return schema === undefined ? `"${table}"` : `"${schema}"."${table}"`
}

/** An advisory lock's key, the same in all apps with one table. Where no schema is named, tables of one name share it. */
function lockKey(purpose: 'migrate' | 'sweep', schema: string | undefined, table: string): string {
  const name = ['coatcheck', purpose, schema ?? '', table].join('.')
  return hash('sha256', name, 'buffer').readBigInt64BE().toString()
}

function whoHolds(key: string): string {
  return `SELECT pid FROM pg_locks WHERE locktype = 'advisory' tells the connections with such locks; this one's key is ${key}. If it is that of an app that hangs, end it with pg_terminate_backend.`
}
