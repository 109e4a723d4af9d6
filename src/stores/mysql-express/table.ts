import {
  type AliveRecord,
  aliveOf,
  type ListedRecord,
  type SessionId,
  type SessionRecord,
} from '../../core/store/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import { largestBatch, padded, parts } from '../sql/batch-size.js'
import type { RowDataPacket } from 'mysql2'
import { MetadataKeys } from './metadata-keys.js'
import { ExpressRecord, idOfRow, mayBeThere, tracesOfUser } from './record.js'
import type { ExpressStatements } from './statements.js'
import { ExpressWriter } from './writer.js'
import { isDenied } from '../mysql/layout.js'
import type { MySQLLayout } from '../mysql/layout.js'
import { errorNumber } from '../mysql/error-codes.js'
import { change, numberOf, select } from '../mysql/pool.js'
import type { MySQLClient } from '../mysql/pool.js'
import { SweepLock } from '../mysql/sweep-lock.js'

/** How many of a user's sessions are read at a time. */
const userBatch = 500

/** The layout of express-mysql-session, on its own table: ids are the tokens, data is the session as JSON. */
export class ExpressTable implements MySQLLayout {
  readonly keyedBy = 'token'
  readonly transfer = undefined
  readonly tables: readonly string[]
  readonly missingTable: string
  readonly wrongTable: string
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  readonly #writer: ExpressWriter
  readonly #keys: MetadataKeys
  readonly #sweeps: SweepLock
  #sorted: boolean | undefined

  constructor(client: MySQLClient, sql: ExpressStatements, table: string) {
    this.#client = client
    this.#sql = sql
    this.tables = [table.slice(table.lastIndexOf('.') + 1)]
    this.#sweeps = new SweepLock(client, table)
    this.#keys = new MetadataKeys(client, sql)
    this.#writer = new ExpressWriter(client, sql, (ids) => this.#records(ids), this.#keys)
    this.missingTable = `The table ${table} is not in the database. Name the one that express-mysql-session uses (table). To have it made, let a user who may create tables start the app once, without createTable: false.`
    this.wrongTable = `The table ${table} lacks a column of express-mysql-session's. If its columns have other names, give them (columns); if it is another table, name the one that express-mysql-session uses (table).`
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    const records = await this.#records(ids)
    return ids.map((id) => records.get(id))
  }

  /** The user lies within the data, so that nothing less can be read. */
  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    return (await this.find(ids)).map((record) => record && aliveOf(record))
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  async list({ userId, after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    const records = await this.#listed({ userId, after, limit: limit + 1 })
    const page = records.slice(0, limit)
    const items = page.filter((record) => isOf(record, userId))
    return {
      items: data ? items : items.map((record) => ({ ...record, data: undefined })),
      next: records.length > limit ? page.at(-1)?.id : undefined,
    }
  }

  /** Looks again until none is left: one that is rotated meanwhile is found under its new id. */
  async removeByUser(userId: string, except?: string): Promise<number> {
    const traces = tracesOfUser(userId)
    let removed = 0
    for (;;) {
      const ids = await this.#idsOf(userId, except)
      if (ids.length === 0) return removed
      for (const part of parts(ids, largestBatch)) {
        const values = padded(part).map((id) => Buffer.from(id))
        const sql = this.#sql.removeThoseThatContain(values.length)
        removed += await change(this.#client, sql, [...values, ...traces])
      }
    }
  }

  removeExpired(limit: number): Promise<number> {
    // Read without locks, then removed by their ids: no request waits for a sweep through the table.
    return this.#sweeps.take(async (connection) => {
      let count = 0
      const rows = await select(connection, this.#sql.expired(limit))
      for (const part of parts(rows, largestBatch)) {
        const ids = padded(part).map((row) => Buffer.from(idOfRow(row)))
        count += await change(connection, this.#sql.removeThoseExpired(ids.length), ids)
      }
      return count
    })
  }

  async makeTable(): Promise<void> {
    let missing: unknown
    try {
      await select(this.#client, this.#sql.tableIsThere)
      return
    } catch (error) {
      if (numberOf(error) !== errorNumber.missingTable) throw error
      missing = error
    }
    try {
      await change(this.#client, this.#sql.createTable, [], Infinity)
    } catch (error) {
      throw isDenied(error) ? missing : error
    }
  }

  async #records(ids: readonly SessionId[]): Promise<Map<SessionId, ExpressRecord>> {
    const records = new Map<SessionId, ExpressRecord>()
    for (const part of parts(ids.filter(mayBeThere), largestBatch)) {
      const values = padded(part).map((id) => Buffer.from(id))
      const rows = await select(this.#client, this.#sql.find(values.length), values)
      for (const record of await this.#recordsOf(rows)) records.set(record.id, record)
    }
    return records
  }

  async #idsOf(userId: string, except: string | undefined): Promise<SessionId[]> {
    const ids: SessionId[] = []
    let after: string | undefined
    do {
      const records = await this.#listed({ userId, after, limit: userBatch })
      const theirs = records.filter((record) => isOf(record, userId) && record.publicId !== except)
      ids.push(...theirs.map(({ id }) => id))
      after = records.length === userBatch ? records.at(-1)!.id : undefined
    } while (after !== undefined)
    return ids
  }

  async #listed({ userId, after, limit }: Omit<ListQuery, 'data'>): Promise<ExpressRecord[]> {
    const sorted = await this.#isSorted()
    const sql = this.#sql.list({
      sorted,
      containing: userId !== undefined,
      after: after !== undefined,
      limit,
    })
    const values = [
      after === undefined ? [] : Buffer.from(after),
      userId === undefined ? [] : tracesOfUser(userId),
    ]
    return this.#recordsOf(await select(this.#client, sql, values.flat()))
  }

  /** Looks for new keys, where a metadata is not signed by one that is known. */
  async #recordsOf(rows: readonly RowDataPacket[]): Promise<ExpressRecord[]> {
    const made = () => rows.map((row) => new ExpressRecord(row, this.#keys.known))
    const records = made()
    if (!records.some(({ hasUnsigned }) => hasUnsigned)) return records
    await this.#keys.read()
    return made()
  }

  /** Whether the table keeps its ids in the order of their bytes. It is asked once: only then does the primary key serve. */
  async #isSorted(): Promise<boolean> {
    if (this.#sorted === undefined) {
      const [row] = await select(this.#client, this.#sql.collation)
      this.#sorted = /^(utf8\w*_|ascii_)?bin(ary)?$/.test(String(row?.['name']))
    }
    return this.#sorted
  }
}

/** The trace of a user is looked for in the text, where it might stand in an object further down. */
function isOf(record: ExpressRecord, userId: string | undefined): boolean {
  return userId === undefined || record.userId === userId
}
