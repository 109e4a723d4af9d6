import { nextTurn } from '../core/scheduling.js'
import { optionError, refuseUnknownOptions, type SessionError } from '../core/errors.js'
import { milliseconds } from '../core/lifetime.js'
import type { Duration } from '../core/lifetime.js'
import { RefusedSweeps } from '../core/store/refused-sweeps.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../core/store/record.js'
import type { ListQuery, Page, SessionStore, SessionWrite, WriteResult } from '../core/store/session-store.js'
import { type RecordTransfer, recordTransfer } from '../core/store/transfer.js'
import { userIdBytes } from '../core/users/user-id.js'
import { largestBatch, padded, parts } from './sql/batch-size.js'
import { tableName } from './sql/table-name.js'
import { openDatabase } from './sqlite/driver.js'
import type { SQLiteDatabase } from './sqlite/driver.js'
import { isBusy } from './sqlite/errors.js'
import {
  aliveRecord,
  type AliveRow,
  foundRecord,
  idBytes,
  listedRecord,
  type ListedRow,
  type Row,
} from './sqlite/record.js'
import { statements } from './sqlite/statements.js'
import { SQLiteTable } from './sqlite/table.js'
import { SQLiteTransfer } from './sqlite/transfer.js'
import { carryOut } from './sqlite/writes.js'

export type { SQLiteDatabase, SQLiteStatement, SQLiteValue } from './sqlite/driver.js'

/** The options of `SQLiteStore`. */
export interface SQLiteStoreOptions {
  /**
   * The table's name, the same in all apps that share sessions. Letters, digits and `_`, at most 48, no digit first. It
   * must not begin with `sqlite_`.
   * @default 'coatcheck_sessions'
   */
  readonly table?: string | undefined
  /**
   * Whether the store makes its tables on first use, and updates them after an upgrade. `false`: run
   * `schema/sqlite.sql` of the package yourself.
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * How long a call waits while another process writes. Then it fails with `ERR_SESSION_STORE_BUSY` (503).
   * Milliseconds, or a text such as `'2s'`.
   * @default '5s'
   */
  readonly busyTimeout?: Duration | undefined
}

/**
 * Keeps sessions in an SQLite file, which any number of processes on one machine share. It must lie on a local disk,
 * not on a network file system.
 *
 * The driver is Node's own `node:sqlite`. A file that the store makes can be read by its owner alone (mode 0600); an
 * existing file keeps its mode. The file is in WAL mode with `synchronous = FULL`, so a stored change survives a power
 * cut. The writes of a batch share one transaction, and so one wait for the disk.
 *
 * Statements run on the event loop's thread. While another process writes, the store tries again later, and other
 * requests go on: a lock never blocks the event loop.
 *
 * A connection of yours keeps its settings (journal mode, synchronous, busy timeout), and stays open after `close()`.
 * Use it for the store only: writes wait for a transaction that you hold open on it.
 *
 * A table that is dropped while the app runs is made again, empty, unless `createTable` is `false`.
 *
 * **Errors** of its methods:
 *
 * - `ERR_SESSION_STORE_BUSY` (503): the file stayed locked for longer than `busyTimeout`.
 * - `ERR_SESSION_STORE_UNAVAILABLE` (503): the disk is full or fails.
 * - `ERR_SESSION_STORE_CONFIGURATION` (500): the file cannot be used, for example for lack of rights.
 * - `ERR_SESSION_DATA_REFUSED` (500): a constraint or a trigger of yours refuses a session. Only that session fails.
 * - `ERR_SESSION_MISSING_TABLE` (500): there is no table, and `createTable` is `false`.
 * - `ERR_SESSION_WRONG_TABLE` (500): the table lacks a column.
 * - `ERR_SESSION_CLOSED` (503): after `close()`.
 *
 * @example
 * import { SQLiteStore } from 'coatcheck/sqlite'
 *
 * const sessions = createSessions({ store: new SQLiteStore('sessions.db'), secret })
 */
export class SQLiteStore implements SessionStore {
  readonly #table: SQLiteTable
  readonly #sql: ReturnType<typeof statements>
  readonly #transfer: SQLiteTransfer
  readonly #refusedSweeps = new RefusedSweeps()

  /**
   * @param database the path of a file, `':memory:'`, or an open `DatabaseSync` of `node:sqlite`.
   * @throws `ERR_SESSION_OPTION` if an option is unknown or malformed, the file cannot be opened, or this Node has no
   *   `node:sqlite`.
   */
  constructor(database: string | SQLiteDatabase, options: SQLiteStoreOptions = {}) {
    refuseUnknownOptions('SQLiteStore', options, ['table', 'createTable', 'busyTimeout'])
    const name = tableName(options.table ?? 'coatcheck_sessions')
    if (/^sqlite_/i.test(name))
      throw optionError('table must not begin with "sqlite_": SQLite keeps those names.')
    const isOpen = typeof (database as Partial<SQLiteDatabase> | null | undefined)?.prepare === 'function'
    if (!isOpen && (typeof database !== 'string' || database === '')) {
      throw optionError(
        'SQLiteStore needs the path of a file, such as "sessions.db", or an open DatabaseSync.',
      )
    }
    const busyTimeout = milliseconds('busyTimeout', options.busyTimeout ?? '5s')
    this.#sql = statements(name)
    this.#table = new SQLiteTable({
      name,
      database: typeof database === 'string' ? openDatabase(database) : database,
      isOwn: typeof database === 'string',
      create: options.createTable ?? true,
      busyTimeout,
    })
    this.#transfer = new SQLiteTransfer(this.#table, name)
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return this.#read(ids, this.#sql.find, (row) => foundRecord(row as Row))
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    return this.#read(ids, this.#sql.alive, (row) => aliveRecord(row as AliveRow))
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    if (writes.length === 0) return []
    const table = this.#table
    try {
      return await table.attempt('writing sessions', () =>
        table.transaction(() => writes.map((write) => carryOut(write, table, this.#sql))),
      )
    } catch (error) {
      if (writes.length === 1 || (error as SessionError).code !== 'ERR_SESSION_DATA_REFUSED') throw error
      // One session was refused, and the whole batch undone. Write each by itself, so that only that one fails.
      const singly = writes.map(async (write) => (await this.write([write]))[0]!)
      return (await Promise.allSettled(singly)).map((one) =>
        one.status === 'fulfilled' ? one.value : (one.reason as Error),
      )
    }
  }

  async list(query: ListQuery): Promise<Page<ListedRecord>> {
    const items = await this.#table.attempt('listing sessions', () => this.#rowsOf(query).map(listedRecord))
    const last = items.length > query.limit ? items[query.limit - 1] : undefined
    const next = query.userId === undefined ? last?.id : last && `${last.seenAt} ${last.id}`
    return { items: items.slice(0, query.limit), next }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const values = [userIdBytes(userId), except === undefined ? null : idBytes(except), rowsInSlice]
    let total = 0
    for (;;) {
      const removed = await this.#table.attempt("removing a user's sessions", () =>
        this.#table.transaction(() =>
          this.#table.rows<{ live: number | bigint }>(this.#sql.removeByUser, ...values),
        ),
      )
      total += removed.filter(({ live }) => Number(live) === 1).length
      if (removed.length < rowsInSlice) return total
      await nextTurn()
    }
  }

  async removeExpired(limit: number): Promise<number> {
    let total = 0
    for (;;) {
      const most = Math.min(limit - total, rowsInSlice)
      const removed = await this.#table.attempt('removing expired sessions', () => this.#sweep(most))
      if (removed === undefined) {
        await this.#refusedSweeps.refused(
          () => 'End the process that keeps a transaction open on the file, or shorten what it does there.',
        )
        return total
      }
      this.#refusedSweeps.succeeded()
      total += removed
      if (removed < most || total === limit) return total
      await nextTurn()
    }
  }

  /** @returns how many were removed; `undefined` if another process holds the lock. */
  #sweep(limit: number): number | undefined {
    try {
      return this.#table.transaction(() => this.#table.run(this.#sql.removeExpired, limit))
    } catch (error) {
      if (isBusy(error)) return undefined
      throw error
    }
  }

  /** @internal */
  [recordTransfer](): RecordTransfer {
    return this.#transfer
  }

  async close(): Promise<void> {
    this.#table.close()
  }

  async #read<Item extends { readonly id: SessionId }>(
    ids: readonly SessionId[],
    sql: (size: number) => string,
    itemOf: (row: unknown) => Item,
  ): Promise<(Item | undefined)[]> {
    if (ids.length === 0) return []
    const rows = await this.#table.attempt('reading sessions', () =>
      parts(ids, largestBatch).flatMap((part) => {
        const values = padded(part).map(idBytes)
        return this.#table.rows(sql(values.length), ...values)
      }),
    )
    const items = new Map(rows.map(itemOf).map((item) => [item.id, item]))
    return ids.map((id) => items.get(id))
  }

  /** The rows of a page, and one more if there is a next page. */
  #rowsOf({ userId, after, limit, data }: ListQuery): ListedRow[] {
    if (userId === undefined) {
      return this.#table.rows(
        this.#sql.list(data),
        after === undefined ? afterAllIds : idBytes(after),
        limit + 1,
      )
    }
    const [moment, id = ''] = after?.split(' ') ?? [`${Number.MAX_SAFE_INTEGER}`]
    return this.#table.rows(
      this.#sql.listByUser(data),
      userIdBytes(userId),
      Number(moment),
      idBytes(id),
      limit + 1,
    )
  }
}

/** How many rows are removed before other requests get a turn. Removing a large session takes up to a millisecond. */
const rowsInSlice = 32
/** A value that SQLite sorts behind every id, as it compares blobs byte by byte. */
const afterAllIds = Buffer.alloc(13, 0xff)
