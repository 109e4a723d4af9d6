import { markLength } from '../../core/store/mark.js'
import type { SessionId } from '../../core/store/record.js'
import type {
  RecordTransfer,
  StampPage,
  TransferResult,
  TransferWrite,
  WholeRecord,
} from '../../core/store/transfer.js'
import { largestBatch, padded, parts } from '../sql/batch-size.js'
import { idBytes, recordColumns, recordValues, stampValues } from '../sql/transfer.js'
import type { SQLiteValue } from './driver.js'
import { type FormerColumns, formerOf, idText, listedRecord, type ListedRow } from './record.js'
import { now } from './statements.js'
import type { SQLiteTable } from './table.js'

/** How many writes share a transaction: other processes wait for its end. */
const writesAtOnce = 256

interface StampRow {
  readonly id: Uint8Array
  readonly version: number | bigint
  readonly mark: Uint8Array
  readonly authenticated_at: number | bigint | null
  readonly seen_at: number | bigint
  readonly expires_at: number | bigint
}

interface WholeRow extends ListedRow, FormerColumns {
  readonly data: Uint8Array
  readonly marks: Uint8Array
  readonly former_until: number | bigint | null
}

/** @param name of the table, which is checked: it is part of the text. */
function transferStatements(name: string) {
  const table = `"${name}"`
  const live = `expires_at > ${now}`
  const asExpected = `id = ? AND version = ? AND substr(marks, 1, ${markLength}) = ? AND seen_at = ? AND expires_at = ? AND ${live}`
  const page = (first: boolean) =>
    `SELECT id, version, substr(marks, 1, ${markLength}) AS mark, authenticated_at, seen_at, expires_at
      FROM ${table} WHERE ${first ? '' : 'id > ? AND '}${live} ORDER BY id LIMIT ?`
  return {
    now: `SELECT ${now} AS now`,
    count: `SELECT count(*) AS count FROM ${table}`,
    firstPage: page(true),
    nextPage: page(false),
    read: (ids: number) =>
      `SELECT id, ${recordColumns.join(', ')}, ${now} AS read_at FROM ${table} WHERE id IN (${'?, '.repeat(ids - 1)}?) AND ${live}`,
    /** Replaces an expired record, as a whole. */
    insert: `INSERT OR REPLACE INTO ${table} (id, ${recordColumns.join(', ')}) SELECT ?${', ?'.repeat(recordColumns.length)}
      WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE id = ? AND ${live})`,
    replace: `UPDATE ${table} SET ${recordColumns.map((column) => `${column} = ?`).join(', ')} WHERE ${asExpected}`,
    remove: `DELETE FROM ${table} WHERE ${asExpected}`,
  }
}

/** Reads and writes whole records of a table. */
export class SQLiteTransfer implements RecordTransfer {
  readonly #table: SQLiteTable
  readonly #sql: ReturnType<typeof transferStatements>

  constructor(table: SQLiteTable, name: string) {
    this.#table = table
    this.#sql = transferStatements(name)
  }

  async now(): Promise<number> {
    return this.#number(this.#sql.now, 'now')
  }

  async count(): Promise<number> {
    return this.#number(this.#sql.count, 'count')
  }

  #number(sql: string, column: string): Promise<number> {
    return this.#table.attempt('reading sessions', () =>
      Number(this.#table.rows<Record<string, number | bigint>>(sql)[0]![column]),
    )
  }

  async page(after: string | undefined, limit: number): Promise<StampPage> {
    const rows = await this.#table.attempt('reading sessions', () =>
      after === undefined
        ? this.#table.rows<StampRow>(this.#sql.firstPage, limit)
        : this.#table.rows<StampRow>(this.#sql.nextPage, idBytes(after as SessionId), limit),
    )
    const items = rows.map((row) => ({
      id: idText(row.id),
      version: Number(row.version),
      mark: row.mark,
      authenticatedAt: row.authenticated_at === null ? undefined : Number(row.authenticated_at),
      seenAt: Number(row.seen_at),
      expiresAt: Number(row.expires_at),
    }))
    return { items, next: items.length < limit ? undefined : items.at(-1)!.id }
  }

  async read(ids: readonly SessionId[]): Promise<(WholeRecord | undefined)[]> {
    const found = new Map<SessionId, WholeRecord>()
    for (const part of parts(ids, largestBatch)) {
      const values = padded(part).map(idBytes)
      const rows = await this.#table.attempt('reading sessions', () =>
        this.#table.rows<WholeRow>(this.#sql.read(values.length), ...values),
      )
      for (const row of rows) found.set(idText(row.id), wholeRecordOf(row))
    }
    return ids.map((id) => found.get(id))
  }

  async write(writes: readonly TransferWrite[]): Promise<(TransferResult | Error)[]> {
    const results: TransferResult[] = []
    for (const part of parts(writes, writesAtOnce)) {
      results.push(
        ...(await this.#table.attempt('writing sessions', () =>
          this.#table.transaction(() => part.map((write) => this.#carryOut(write))),
        )),
      )
    }
    return results
  }

  #carryOut({ id, expected, record }: TransferWrite): TransferResult {
    const key = idBytes(id)
    const done = (sql: string, ...values: SQLiteValue[]) =>
      this.#table.run(sql, ...values) === 1 ? 'done' : 'different'
    const condition = expected && [key, ...stampValues(expected)]
    if (record) {
      const values = recordValues(record)
      return condition
        ? done(this.#sql.replace, ...values, ...condition)
        : done(this.#sql.insert, key, ...values, key)
    }
    return condition ? done(this.#sql.remove, ...condition) : 'done'
  }
}

function wholeRecordOf(row: WholeRow): WholeRecord {
  const { readAt, ...record } = listedRecord(row)
  const until = row.former_until === null ? 0 : Number(row.former_until)
  const former = until > readAt ? formerOf(row) : undefined
  return { ...record, data: row.data, marks: row.marks, former: former && { ...former, until } }
}
