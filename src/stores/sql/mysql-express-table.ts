import type { SessionKey, SessionRecord } from '../../core/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store.js'
import { largestBatch, padded, parts } from './batch-size.js'
import { ExpressRecord, keyOfRow, mayBeThere, tracesOfUser } from './mysql-express-record.js'
import type { ExpressStatements } from './mysql-express-statements.js'
import { ExpressWriter } from './mysql-express-writer.js'
import { isDenied } from './mysql-layout.js'
import type { MySQLLayout } from './mysql-layout.js'
import { type TableLock, underLock } from './mysql-lock.js'
import { errorNumber } from './mysql-error-codes.js'
import { change, numberOf, select } from './mysql-pool.js'
import type { MySQLClient } from './mysql-pool.js'

/** How many of a user's sessions are read at a time. */
const userBatch = 500

/** The layout of express-mysql-session, on its own table: keys are the session ids, data is the session as JSON. */
export class ExpressTable implements MySQLLayout {
  readonly keyedBy = 'token'
  readonly tables: readonly string[]
  readonly missingTable: string
  readonly wrongTable: string
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  readonly #writer: ExpressWriter
  readonly #sweepLock: TableLock
  #sorted: boolean | undefined

  constructor(client: MySQLClient, sql: ExpressStatements, table: string) {
    this.#client = client
    this.#sql = sql
    this.tables = [table.slice(table.lastIndexOf('.') + 1)]
    this.#sweepLock = { table, purpose: 'sweep' }
    this.#writer = new ExpressWriter(client, sql, (keys) => this.#records(keys))
    this.missingTable = `The table ${table} is not in the database. Name the one that express-mysql-session uses (table). To have it made, let a user who may create tables start the app once, without createTable: false.`
    this.wrongTable = `The table ${table} lacks a column of express-mysql-session's. If its columns have other names, give them (columns); if it is another table, name the one that express-mysql-session uses (table).`
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const records = await this.#records(keys)
    return keys.map((key) => records.get(key))
  }

  /** Nothing, as in every `TokenKeyedStore`. */
  async findFormer(keys: readonly SessionKey[]): Promise<undefined[]> {
    return keys.map(() => undefined)
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  async list({ userId, after, limit }: ListQuery): Promise<Page<SessionRecord>> {
    const records = await this.#listed({ userId, after, limit: limit + 1 })
    const items = records.slice(0, limit)
    const next = records.length > limit ? items.at(-1)?.key : undefined
    return { items: items.filter((record) => isOf(record, userId)), next }
  }

  /** Looks again until none is left: one that is rotated meanwhile is found under its new id. */
  async removeByUser(userId: string, except?: string): Promise<number> {
    const traces = tracesOfUser(userId)
    let removed = 0
    for (;;) {
      const keys = await this.#keysOf(userId, except)
      if (keys.length === 0) return removed
      for (const part of parts(keys, largestBatch)) {
        const values = padded(part).map((key) => Buffer.from(key))
        const sql = this.#sql.removeThoseThatContain(values.length)
        removed += await change(this.#client, sql, [...values, ...traces])
      }
    }
  }

  async removeExpired(limit: number): Promise<number> {
    // Read without locks, then removed by their keys: no request waits for a sweep through the table.
    const removed = await underLock(this.#client, this.#sweepLock, 0, async (connection) => {
      let count = 0
      const rows = await select(connection, this.#sql.expired(limit))
      for (const part of parts(rows, largestBatch)) {
        const keys = padded(part).map((row) => Buffer.from(keyOfRow(row)))
        count += await change(connection, this.#sql.removeThoseExpired(keys.length), keys)
      }
      return count
    })
    return removed ?? 0
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

  async #records(keys: readonly SessionKey[]): Promise<Map<SessionKey, ExpressRecord>> {
    const records = new Map<SessionKey, ExpressRecord>()
    for (const part of parts(keys.filter(mayBeThere), largestBatch)) {
      const values = padded(part).map((key) => Buffer.from(key))
      for (const row of await select(this.#client, this.#sql.find(values.length), values)) {
        const record = new ExpressRecord(row)
        records.set(record.key, record)
      }
    }
    return records
  }

  async #keysOf(userId: string, except: string | undefined): Promise<SessionKey[]> {
    const keys: SessionKey[] = []
    let after: string | undefined
    do {
      const records = await this.#listed({ userId, after, limit: userBatch })
      const theirs = records.filter((record) => isOf(record, userId) && record.publicId !== except)
      keys.push(...theirs.map(({ key }) => key))
      after = records.length === userBatch ? records.at(-1)!.key : undefined
    } while (after !== undefined)
    return keys
  }

  async #listed({ userId, after, limit }: ListQuery): Promise<ExpressRecord[]> {
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
    return (await select(this.#client, sql, values.flat())).map((row) => new ExpressRecord(row))
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
function isOf(record: SessionRecord, userId: string | undefined): boolean {
  return userId === undefined || record.userId === userId
}
