import type { RowDataPacket } from 'mysql2'
import { SessionError } from '../../core/errors.js'
import { markLength } from '../../core/store/mark.js'
import type { SessionId } from '../../core/store/record.js'
import type {
  RecordTransfer,
  StampPage,
  TransferResult,
  TransferWrite,
  WholeRecord,
} from '../../core/store/transfer.js'
import { byBytes, largestBatch, padded, parts, partsByPowersOfTwo } from '../sql/batch-size.js'
import { carryOut, singly } from '../sql/carry-out.js'
import {
  bytesOfRecord,
  idBytes,
  recordColumns,
  recordValues,
  sortedWrites,
  stampValues,
} from '../sql/transfer.js'
import { insertOne } from './insert.js'
import { mysqlJudgement } from './judgement.js'
import { assertTaken, mostBytes } from './packet.js'
import { change, type MySQLClient, type MySQLValue, select } from './pool.js'
import { bytesOfId, idOfRow, longestData, recordOf } from './record.js'
import { bySize, now, repeat } from './statements.js'

/** How many statements on single records are under way at once. */
const lanes = 6

/** @param table a checked name: it is part of the text. */
function transferStatements(table: string) {
  const sessions = `\`${table}\``
  const live = `expires_at > ${now}`
  const asExpected =
    `id = ? AND version = ? AND LEFT(marks, ${markLength}) = ? AND seen_at = ? AND expires_at = ? AND ` + live
  const stamp = `id, version, LEFT(marks, ${markLength}) AS mark, authenticated_at, seen_at, expires_at`
  const among = (size: number) => `id IN (${repeat('?', size)})`
  const setAll = recordColumns.map((column) => `${column} = ?`).join(', ')
  return {
    now: `SELECT ${now} AS now`,
    count: `SELECT COUNT(*) AS count FROM ${sessions}`,
    page: (first: boolean, limit: number) =>
      `SELECT ${stamp} FROM ${sessions} WHERE ${first ? '' : 'id > ? AND '}${live} ORDER BY id LIMIT ${limit}`,
    read: bySize(
      (size) =>
        `SELECT id, ${recordColumns.join(', ')}, ${now} AS read_at FROM ${sessions} WHERE ${among(size)} AND ${live} LIMIT ${size}`,
    ),
    insert: bySize(
      (size) =>
        `INSERT INTO ${sessions} (id, ${recordColumns.join(', ')}, sweep_at) VALUES ` +
        repeat(`(?, ${repeat('?', recordColumns.length)}, expires_at)`, size),
    ),
    removeExpired: `DELETE FROM ${sessions} WHERE id = ? AND expires_at <= ${now}`,
    // The old sweep_at may be the sooner one.
    replace: `UPDATE ${sessions} SET ${setAll}, sweep_at = LEAST(sweep_at, ?) WHERE ${asExpected}`,
    remove: `DELETE FROM ${sessions} WHERE ${asExpected}`,
  }
}

/** Reads and writes whole records of a table of coatcheck's own layout. */
export class MySQLTransfer implements RecordTransfer {
  readonly #client: MySQLClient
  readonly #sql: ReturnType<typeof transferStatements>

  constructor(client: MySQLClient, table: string) {
    this.#client = client
    this.#sql = transferStatements(table)
  }

  async now(): Promise<number> {
    const [row] = await select(this.#client, this.#sql.now)
    return Number(row!['now'])
  }

  async count(): Promise<number> {
    const [row] = await select(this.#client, this.#sql.count)
    return Number(row!['count'])
  }

  async page(after: string | undefined, limit: number): Promise<StampPage> {
    const values = after === undefined ? [] : [bytesOfId(after)]
    const rows = await select(this.#client, this.#sql.page(after === undefined, limit), values)
    const items = rows.map((row) => ({
      id: idOfRow(row),
      version: Number(row['version']),
      mark: row['mark'] as Buffer,
      authenticatedAt: row['authenticated_at'] === null ? undefined : Number(row['authenticated_at']),
      seenAt: Number(row['seen_at']),
      expiresAt: Number(row['expires_at']),
    }))
    return { items, next: items.length < limit ? undefined : items.at(-1)!.id }
  }

  async read(ids: readonly SessionId[]): Promise<(WholeRecord | undefined)[]> {
    const rows = await Promise.all(
      parts(ids, largestBatch).map((part) => {
        const values = padded(part).map(idBytes)
        return select(this.#client, this.#sql.read(values.length), values)
      }),
    )
    const found = new Map(rows.flat().map((row) => [idOfRow(row), wholeRecordOf(row)]))
    return ids.map((id) => found.get(id))
  }

  async write(writes: readonly TransferWrite[]): Promise<(TransferResult | Error)[]> {
    const { insertions, replacements, removals, results } = sortedWrites(writes)
    const portions = byBytes(insertions, mostBytes, ({ record }) => bytesOfRecord(record))
      .flatMap(partsByPowersOfTwo)
      .values()
    const inLanes = <Write extends TransferWrite>(
      all: IterableIterator<readonly Write[]>,
      send: (part: readonly Write[]) => Promise<TransferResult>,
    ) =>
      Promise.all(
        Array.from({ length: lanes }, () =>
          carryOut(all, results, mysqlJudgement, async (part) => {
            const result = await send(part)
            for (const { id } of part) results.set(id, result)
          }),
        ),
      )
    await Promise.all([
      inLanes(portions, (part) => this.#insert(part.map(({ record }) => record))),
      inLanes(singly(replacements), ([write]) => this.#replace(write!)),
      inLanes(singly(removals), async ([write]) =>
        resultOf(await change(this.#client, this.#sql.remove, conditionValues(write!))),
      ),
    ])
    return writes.map(({ id }) => results.get(id)!)
  }

  async #insert(records: readonly WholeRecord[]): Promise<TransferResult> {
    await this.#assertFits(records[0]!)
    const values = records.flatMap((record) => [idBytes(record.id), ...recordValues(record)])
    const insert = () => change(this.#client, this.#sql.insert(records.length), values)
    // Of several, it is not known whose id is taken; then they go one by one.
    if (records.length > 1) await insert()
    else {
      const removeExpired = () => change(this.#client, this.#sql.removeExpired, [idBytes(records[0]!.id)])
      if ((await insertOne(insert, removeExpired)) === 'exists') return 'different'
    }
    return 'done'
  }

  async #replace(write: TransferWrite): Promise<TransferResult> {
    const record = write.record!
    await this.#assertFits(record)
    const values = [...recordValues(record), record.expiresAt, ...conditionValues(write)]
    return resultOf(await change(this.#client, this.#sql.replace, values))
  }

  async #assertFits({ data, former }: WholeRecord): Promise<void> {
    for (const bytes of former ? [data, former.data] : [data]) {
      if (bytes.length > longestData) {
        throw new SessionError(
          'ERR_SESSION_TOO_LARGE',
          `MySQL holds at most ${longestData} bytes of data a session.`,
        )
      }
    }
    await assertTaken(this.#client, former ? { length: data.length + former.data.length } : data)
  }
}

function conditionValues({ id, expected }: TransferWrite): MySQLValue[] {
  return [idBytes(id), ...stampValues(expected!)]
}

function resultOf(changed: number): TransferResult {
  return changed === 1 ? 'done' : 'different'
}

function wholeRecordOf(row: RowDataPacket): WholeRecord {
  const { readAt, former, ...record } = recordOf(row)
  const until = Number(row['former_until'])
  return {
    ...record,
    marks: row['marks'] as Buffer,
    former: former && until > readAt ? { ...former, until } : undefined,
  }
}
