import { markLength } from '../../core/store/mark.js'
import type { SessionId } from '../../core/store/record.js'
import type {
  RecordTransfer,
  StampPage,
  TransferResult,
  TransferWrite,
  WholeRecord,
} from '../../core/store/transfer.js'
import { byBytes, parts } from '../sql/batch-size.js'
import { carryOut } from '../sql/carry-out.js'
import {
  bytesOfRecord,
  idBytes,
  recordColumns,
  recordValues,
  sortedWrites,
  stampValues,
} from '../sql/transfer.js'
import type { PostgreSQLClient, Row, Value } from './client.js'
import { postgresqlJudgement } from './errors.js'
import { boundData, bytesOfId, idOfRow, recordOf } from './record.js'
import { now, type Statement, statement } from './statements.js'
import { largestPart, mostBytes } from './writer.js'

/** Two writers in one table may wait for each other at times; more gain nothing. */
const lanes = 2

const types: Readonly<Record<string, string>> = {
  format: 'smallint',
  version: 'bigint',
  authenticated_at: 'bigint',
  created_at: 'bigint',
  seen_at: 'bigint',
  expires_at: 'bigint',
  former_until: 'bigint',
  former_authenticated_at: 'bigint',
}
const stampTypes = {
  was_version: 'bigint',
  was_mark: 'bytea',
  was_seen_at: 'bigint',
  was_expires_at: 'bigint',
}

/** The arrays of a statement as rows, by the name `given`. */
function given(typesByName: readonly (readonly [name: string, type: string])[]): string {
  const arrays = typesByName.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')
  return `unnest(${arrays}) AS given (${typesByName.map(([name]) => name).join(', ')})`
}

/** @param table the quoted name, with its schema if it has one. */
function transferStatements(table: string) {
  const live = `one.expires_at > ${now}`
  const id = ['id', 'bytea'] as const
  const record = recordColumns.map((name) => [name, types[name] ?? 'bytea'] as const)
  const expected = Object.entries(stampTypes)
  const all = [...recordColumns, 'sweep_at'].join(', ')
  const asExpected =
    `one.id = given.id AND one.version = given.was_version AND substring(one.marks FOR ${markLength}) = given.was_mark ` +
    `AND one.seen_at = given.was_seen_at AND one.expires_at = given.was_expires_at AND ${live}`
  const page = (first: boolean) =>
    statement(
      `SELECT id, version, substring(marks FOR ${markLength}) AS mark, authenticated_at, seen_at, expires_at ` +
        `FROM ${table} AS one WHERE ${first ? '' : 'id > $2 AND '}${live} ORDER BY id LIMIT $1::int`,
    )
  return {
    now: statement(`SELECT ${now} AS now`),
    count: statement(`SELECT count(*) AS count FROM ${table}`),
    firstPage: page(true),
    nextPage: page(false),
    read: statement(
      `SELECT id, ${recordColumns.join(', ')}, ${now} AS read_at FROM ${table} AS one WHERE id = ANY ($1::bytea[]) AND ${live}`,
    ),
    // A record that has expired makes way as a whole.
    insert: statement(
      `INSERT INTO ${table} AS one (id, ${all}) SELECT id, ${recordColumns.join(', ')}, expires_at FROM ${given([id, ...record])} ` +
        `ON CONFLICT (id) DO UPDATE SET (${all}) = ROW (${[...recordColumns, 'sweep_at'].map((column) => `excluded.${column}`).join(', ')}) ` +
        `WHERE one.expires_at <= ${now} RETURNING one.id`,
    ),
    // The old sweep_at may be the sooner one.
    replace: statement(
      `UPDATE ${table} AS one SET ${recordColumns.map((column) => `${column} = given.${column}`).join(', ')}, ` +
        `sweep_at = LEAST(one.sweep_at, given.expires_at) FROM ${given([id, ...record, ...expected])} ` +
        `WHERE ${asExpected} RETURNING one.id`,
    ),
    remove: statement(
      `DELETE FROM ${table} AS one USING ${given([id, ...expected])} WHERE ${asExpected} RETURNING one.id`,
    ),
  }
}

/** Reads and writes whole records of a table. */
export class PostgreSQLTransfer implements RecordTransfer {
  readonly #client: PostgreSQLClient
  readonly #sql: ReturnType<typeof transferStatements>

  constructor(client: PostgreSQLClient, table: string) {
    this.#client = client
    this.#sql = transferStatements(table)
  }

  async now(): Promise<number> {
    const [row] = await this.#client.select(this.#sql.now)
    return row!['now'] as number
  }

  async count(): Promise<number> {
    const [row] = await this.#client.select(this.#sql.count)
    return row!['count'] as number
  }

  async page(after: string | undefined, limit: number): Promise<StampPage> {
    const rows =
      after === undefined
        ? await this.#client.select(this.#sql.firstPage, [limit])
        : await this.#client.select(this.#sql.nextPage, [limit, bytesOfId(after)])
    const items = rows.map((row) => ({
      id: idOfRow(row),
      version: row['version'] as number,
      mark: row['mark'] as Buffer,
      authenticatedAt: (row['authenticated_at'] ?? undefined) as number | undefined,
      seenAt: row['seen_at'] as number,
      expiresAt: row['expires_at'] as number,
    }))
    return { items, next: items.length < limit ? undefined : items.at(-1)!.id }
  }

  async read(ids: readonly SessionId[]): Promise<(WholeRecord | undefined)[]> {
    const rows = await Promise.all(
      parts(ids, largestPart).map((part) => this.#client.select(this.#sql.read, [part.map(idBytes)])),
    )
    const found = new Map(rows.flat().map((row) => [idOfRow(row), wholeRecordOf(row)]))
    return ids.map((id) => found.get(id))
  }

  async write(writes: readonly TransferWrite[]): Promise<(TransferResult | Error)[]> {
    const { insertions, replacements, removals, results } = sortedWrites(writes)
    const send = async <Write extends TransferWrite>(
      all: readonly Write[],
      sql: Statement,
      valuesOf: (write: Write) => (Buffer | number | null)[],
    ) => {
      const bytes = ({ record }: Write) => (record ? bytesOfRecord(record) : 0)
      const portions = byBytes(all, mostBytes, bytes)
        .flatMap((portion) => parts(portion, largestPart))
        .values()
      const lane = () =>
        carryOut(portions, results, postgresqlJudgement, async (part) => {
          const { rows } = await this.#client.change(sql, transposed(part.map(valuesOf)))
          for (const row of rows) results.set(idOfRow(row), 'done')
          for (const { id } of part) if (!results.has(id)) results.set(id, 'different')
        })
      await Promise.all(Array.from({ length: lanes }, lane))
    }
    const { insert, replace, remove } = this.#sql
    await Promise.all([
      send(insertions, insert, ({ id, record }) => [idBytes(id), ...fittingValues(record)]),
      send(replacements, replace, ({ id, record, expected }) => [
        idBytes(id),
        ...fittingValues(record),
        ...stampValues(expected),
      ]),
      send(removals, remove, ({ id, expected }) => [idBytes(id), ...stampValues(expected)]),
    ])
    return writes.map(({ id }) => results.get(id)!)
  }
}

/** @throws ERR_SESSION_TOO_LARGE */
function fittingValues(record: WholeRecord): (Buffer | number | null)[] {
  boundData(record.data)
  if (record.former) boundData(record.former.data)
  return recordValues(record)
}

/** Rows as the arrays of their columns. */
function transposed(rows: readonly (readonly (Buffer | number | null)[])[]): Value[] {
  return rows[0]!.map((_, column) => rows.map((row) => row[column]!))
}

function wholeRecordOf(row: Row): WholeRecord {
  const { readAt, former, ...record } = recordOf(row)
  const until = row['former_until'] as number
  return {
    ...record,
    marks: row['marks'] as Buffer,
    former: former && until > readAt ? { ...former, until } : undefined,
  }
}
