import { bufferOf } from '../core/codec.js'
import { isError, optionError, refuseUnknownOptions, SessionError } from '../core/errors.js'
import { milliseconds } from '../core/lifetime.js'
import type { Duration } from '../core/lifetime.js'
import type { SessionKey, SessionRecord } from '../core/record.js'
import { performance, wait } from '../core/scheduling.js'
import type { ListQuery, Page, SessionStore, SessionWrite, WriteResult } from '../core/store.js'
import { userIdBytes } from '../core/user-id.js'
import { largestBatch, padded, parts } from './sql/batch-size.js'
import { tableName } from './sql/table-name.js'
import { openDatabase } from './sqlite-driver.js'
import type { SQLiteDatabase, SQLiteStatement, SQLiteValue } from './sqlite-driver.js'
import { isBusy, sqliteFailure } from './sqlite-errors.js'
import {
  deleteMigrations,
  insertMigration,
  migrations,
  migrationsTable,
  selectNewestMigration,
  selectTextColumn,
  selectTable,
  statements,
} from './sqlite-schema.js'

export type { SQLiteDatabase, SQLiteStatement, SQLiteValue } from './sqlite-driver.js'

/** What `SQLiteStore` takes beside the file. */
export interface SQLiteStoreOptions {
  /**
   * The table's name: letters, digits and underscores.
   * @default 'coatcheck_sessions'
   */
  readonly table?: string | undefined
  /**
   * Whether the table is made, and brought up to date, on first use. With `false`, run schema/sqlite.sql
   * of this package yourself.
   * @default true
   */
  readonly createTable?: boolean | undefined
  /**
   * How long an operation may wait while another process writes, before it fails. Milliseconds, or a text like `'5s'`.
   * @default '5s'
   */
  readonly busyTimeout?: Duration | undefined
}

/** A row as it is read. Integers are bigints on a connection that was set to it. */
interface Row {
  readonly session_key: Uint8Array
  readonly public_id: Uint8Array
  readonly user_id: Uint8Array | null
  readonly authenticated_at: number | bigint | null
  readonly data: Uint8Array
  readonly version: number | bigint
  readonly created_at: number | bigint
  readonly seen_at: number | bigint
  readonly expires_at: number | bigint
  readonly read_at: number | bigint
}

/** A row that was found by the key from before a rotation. */
interface FormerRow extends Row {
  readonly former_key: Uint8Array
  readonly former_user_id: Uint8Array | null
  readonly former_authenticated_at: number | bigint | null
  readonly former_data: Uint8Array
}

/**
 * Sessions in an SQLite file that any number of processes on one machine share.
 *
 * The driver is node:sqlite. A file that is opened here is put in WAL mode with `synchronous = FULL`, so what was acknowledged
 * survives a power cut. All writes of a batch share one transaction and so one wait for the disk. While
 * another process writes, this one tries again between its other work; its event loop is never held up by a lock.
 *
 * A connection that was passed in keeps its own settings (journal mode, synchronous, busy timeout) and
 * stays open on `close()`. Give the store one of its own: a transaction that the app holds open on it makes writes wait.
 *
 * Errors: `ERR_SESSION_STORE_BUSY` (503) when the file stays locked for longer than `busyTimeout`,
 * `ERR_SESSION_STORE_UNAVAILABLE` (503) when the disk is full or fails, `ERR_SESSION_STORE_CONFIGURATION` when the file cannot be
 * used, `ERR_SESSION_DATA_REFUSED` for what a constraint or a trigger of yours refuses, which fails that session alone,
 * `ERR_SESSION_MISSING_TABLE` with `createTable: false` and no table,
 * `ERR_SESSION_WRONG_TABLE` for a table that lacks a column, `ERR_SESSION_CLOSED` after `close()`.
 *
 * A table that is dropped while the app runs is made again, empty, unless `createTable` is false.
 *
 * @example
 * import { SQLiteStore } from 'coatcheck/sqlite'
 *
 * const sessions = createSessions({ store: new SQLiteStore('sessions.db'), secret })
 */
export class SQLiteStore implements SessionStore {
  readonly #database: SQLiteDatabase
  readonly #opened: boolean
  readonly #table: string
  readonly #createTable: boolean
  readonly #busyTimeout: number
  readonly #sql: ReturnType<typeof statements>
  readonly #prepared = new Map<string, SQLiteStatement>()
  #ready = false
  #closed = false

  /**
   * @param database a file's path, `':memory:'`, or an open `DatabaseSync` of node:sqlite
   * @throws `ERR_SESSION_OPTION` for an unknown option, a file that cannot be opened, or a Node without node:sqlite
   */
  constructor(database: string | SQLiteDatabase, options: SQLiteStoreOptions = {}) {
    refuseUnknownOptions('SQLiteStore', options, ['table', 'createTable', 'busyTimeout'])
    this.#table = tableName(options.table ?? 'coatcheck_sessions')
    if (/^sqlite_/i.test(this.#table))
      throw optionError('table must not begin with "sqlite_": SQLite keeps those names.')
    const isOpen = typeof (database as Partial<SQLiteDatabase> | null | undefined)?.prepare === 'function'
    if (!isOpen && (typeof database !== 'string' || database === '')) {
      throw optionError(
        'SQLiteStore needs the path of a file, such as "sessions.db", or an open DatabaseSync.',
      )
    }
    this.#createTable = options.createTable ?? true
    this.#busyTimeout = milliseconds('busyTimeout', options.busyTimeout ?? '5s')
    this.#sql = statements(this.#table)
    this.#opened = typeof database === 'string'
    this.#database = typeof database === 'string' ? openDatabase(database) : database
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const rows = await this.#rowsOf<Row>(keys, this.#sql.find)
    const records = new Map(rows.map((row) => [keyOf(row.session_key), recordOf(row)]))
    return keys.map((key) => records.get(key))
  }

  async findFormer(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const rows = await this.#rowsOf<FormerRow>(keys, this.#sql.findFormer)
    const records = new Map(rows.map((row) => [keyOf(row.former_key), formerRecordOf(row)]))
    return keys.map((key) => records.get(key))
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    if (writes.length === 0) return []
    try {
      return await this.#attempt('writing sessions', () =>
        this.#transaction(() => writes.map((write) => this.#carryOut(write))),
      )
    } catch (error) {
      if (writes.length === 1 || (error as SessionError).code !== 'ERR_SESSION_DATA_REFUSED') throw error
      // All are undone, for what one of them holds. That one is to fail alone.
      const singly = writes.map(async (write) => (await this.write([write]))[0]!)
      return (await Promise.allSettled(singly)).map((one) =>
        one.status === 'fulfilled' ? one.value : (one.reason as Error),
      )
    }
  }

  async list(query: ListQuery): Promise<Page<SessionRecord>> {
    const after = bytesOf(query.after ?? '')
    const user = query.userId === undefined ? undefined : userIdBytes(query.userId)
    const rows = await this.#attempt('listing sessions', () =>
      user === undefined
        ? this.#rows<Row>(this.#sql.list, after, query.limit + 1)
        : this.#rows<Row>(this.#sql.listByUser, user, after, query.limit + 1),
    )
    const items = rows.slice(0, query.limit).map(recordOf)
    return { items, next: rows.length > items.length ? items.at(-1)?.key : undefined }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const values = [userIdBytes(userId), except === undefined ? null : Buffer.from(except)]
    return this.#attempt("removing a user's sessions", () =>
      this.#transaction(() => countLive(this.#rows(this.#sql.removeByUser, ...values))),
    )
  }

  async removeExpired(limit: number): Promise<number> {
    const remove = () => this.#transaction(() => this.#run(this.#sql.removeExpired, limit))
    return this.#attempt('removing expired sessions', () => {
      try {
        return remove()
      } catch (error) {
        if (isBusy(error)) return 0
        throw error
      }
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#prepared.clear()
    if (this.#opened) this.#database.close()
  }

  async #rowsOf<Result>(keys: readonly SessionKey[], sql: (size: number) => string): Promise<Result[]> {
    if (keys.length === 0) return []
    return this.#attempt('reading sessions', () =>
      parts(keys, largestBatch).flatMap((part) => {
        const values = padded(part).map(bytesOf)
        return this.#rows<Result>(sql(values.length), ...values)
      }),
    )
  }

  /** Tries `work` until no other connection is in its way. It runs without a break, so nothing else of this process comes between. */
  async #attempt<Result>(doing: string, work: () => Result): Promise<Result> {
    const giveUpAt = performance.now() + this.#busyTimeout
    let mayMakeTable = this.#createTable
    for (let attempt = 1; ; attempt++) {
      if (this.#closed) {
        throw new SessionError('ERR_SESSION_CLOSED', 'This SQLiteStore was closed. Create another one.')
      }
      try {
        this.#makeReady()
        return work()
      } catch (error) {
        if (mayMakeTable && this.#isMissingTable(error)) {
          // Somebody dropped it, and with it all sessions, while the app ran.
          mayMakeTable = this.#ready = false
          continue
        }
        if (!isBusy(error) || performance.now() >= giveUpAt) throw this.#explained(doing, error)
      }
      // Unequal waits, so that processes that collided once do not go on colliding.
      await wait(1 + Math.random() * Math.min(2 ** attempt, 20))
    }
  }

  #makeReady(): void {
    if (this.#ready) return
    if (this.#opened) this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    if (this.#rows(selectTextColumn, this.#table).length > 0) throw this.#wrongTable('public_id')
    if (this.#createTable) this.#transaction(() => this.#migrate())
    this.#ready = true
  }

  #migrate(): void {
    this.#database.exec(migrationsTable)
    // Where the table was dropped, what is recorded of it is not true any more.
    if (this.#rows(selectTable, this.#table).length === 0) this.#run(deleteMigrations, this.#table)
    const [newest] = this.#rows<{ version: number | null }>(selectNewestMigration, this.#table)
    for (const [index, steps] of migrations(this.#table).entries()) {
      if (index < Number(newest?.version ?? 0)) continue
      for (const step of steps) this.#database.exec(step)
      this.#run(insertMigration, this.#table, index + 1)
    }
  }

  #transaction<Result>(work: () => Result): Result {
    // IMMEDIATE takes the write lock at once: a transaction that began by reading could not be sure to get it.
    this.#run('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#run('COMMIT')
      return result
    } catch (error) {
      try {
        this.#run('ROLLBACK')
      } catch {
        // After some errors (a full disk, say) SQLite has rolled back by itself; the first error is the one to tell.
      }
      throw error
    }
  }

  #carryOut(write: SessionWrite): WriteResult {
    const key = bytesOf(write.key)
    switch (write.type) {
      case 'insert': {
        const life = Math.min(write.lifetime.idle, write.lifetime.absolute ?? Infinity)
        const { publicId, signedIn, data } = write
        const values = [key, Buffer.from(publicId), userValue(write), Number(signedIn), data, life, key]
        return this.#run(this.#sql.insert, ...values) === 1 ? 'done' : 'exists'
      }
      case 'update': {
        const { idle, absolute = Infinity } = write.lifetime
        const values = [userValue(write), write.data, idle, absolute, key, write.version]
        return this.#run(this.#sql.update, ...values) === 1
          ? 'done'
          : (this.#mismatch(key, write.version) ?? 'gone')
      }
      case 'touch': {
        const { idle, absolute = Infinity } = write.lifetime
        return this.#run(this.#sql.touch, idle, absolute, key) === 1 ? 'done' : 'gone'
      }
      case 'rotate': {
        const { idle, absolute = Infinity } = write.lifetime
        const newKey = bytesOf(write.newKey)
        const values = [
          write.grace,
          newKey,
          Number(write.signedIn),
          userValue(write),
          write.data,
          idle,
          absolute,
          key,
          write.version,
          newKey,
        ]
        return this.#run(this.#sql.rotate(write.grace > 0), ...values) === 1
          ? 'done'
          : (this.#mismatch(key, write.version) ?? 'exists')
      }
      case 'remove':
        return countLive(this.#rows(this.#sql.remove, key)) === 1 ? 'done' : 'gone'
    }
  }

  /** Why no record with this key and version was written: `undefined` if there is one. */
  #mismatch(key: Uint8Array, version: number): 'gone' | 'stale' | undefined {
    const [row] = this.#rows<{ version: number | bigint }>(this.#sql.version, key)
    if (row === undefined) return 'gone'
    return Number(row.version) === version ? undefined : 'stale'
  }

  #rows<Result>(sql: string, ...values: SQLiteValue[]): Result[] {
    return this.#statement(sql).all(...values) as Result[]
  }

  #run(sql: string, ...values: SQLiteValue[]): number {
    return Number(this.#statement(sql).run(...values).changes)
  }

  #statement(sql: string): SQLiteStatement {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    this.#prepared.set(sql, statement)
    return statement
  }

  #explained(doing: string, error: unknown): SessionError {
    if (this.#isMissingTable(error)) {
      return new SessionError(
        'ERR_SESSION_MISSING_TABLE',
        `There is no table "${this.#table}". Run schema/sqlite.sql of this package on the file, also where coatcheck_migrations says that the table was made; or leave createTable on.`,
        { cause: error },
      )
    }
    const column = wrongColumn(error)
    return column === undefined ? sqliteFailure(doing, error) : this.#wrongTable(column, error)
  }

  #wrongTable(column: string, cause?: unknown): SessionError {
    return new SessionError(
      'ERR_SESSION_WRONG_TABLE',
      `The table "${this.#table}" lacks a column of this version's, or has it of another type. If an earlier build of coatcheck made it, drop it, which ends its sessions, and run schema/sqlite.sql of this package on the file; if it is not coatcheck's, give SQLiteStore another table. The column is '${column}'.`,
      { cause },
    )
  }

  /** SQLite has no code for it, and names it as the statement does. */
  #isMissingTable(error: unknown): boolean {
    return isError(error) && error.message.endsWith(`no such table: ${this.#table}`)
  }
}

/** The column of a statement of ours that the table lacks. */
function wrongColumn(error: unknown): string | undefined {
  const said = isError(error) ? error.message : ''
  return /no such column: (\w+)|has no column named (\w+)|cannot store BLOB value in TEXT column \w+\.(\w+)/
    .exec(said)
    ?.slice(1)
    .find(Boolean)
}

function bytesOf(hexadecimal: string): Uint8Array {
  return Buffer.from(hexadecimal, 'hex')
}

function countLive(removed: readonly { live: number | bigint }[]): number {
  return removed.filter(({ live }) => Number(live) === 1).length
}

function keyOf(bytes: Uint8Array): SessionKey {
  return bufferOf(bytes).toString('hex') as SessionKey
}

function userValue({ userId }: { readonly userId: string | undefined }): Uint8Array | null {
  return userId === undefined ? null : userIdBytes(userId)
}

function recordOf(row: Row): SessionRecord {
  return {
    key: keyOf(row.session_key),
    publicId: bufferOf(row.public_id).toString(),
    ...userOf(row.user_id, row.authenticated_at),
    data: row.data,
    version: Number(row.version),
    createdAt: Number(row.created_at),
    seenAt: Number(row.seen_at),
    expiresAt: Number(row.expires_at),
    readAt: Number(row.read_at),
  }
}

function formerRecordOf(row: FormerRow): SessionRecord {
  const user = userOf(row.former_user_id, row.former_authenticated_at)
  return { ...recordOf(row), former: { ...user, data: row.former_data } }
}

function userOf(
  user: Uint8Array | null,
  at: number | bigint | null,
): Pick<SessionRecord, 'userId' | 'authenticatedAt'> {
  if (user === null) return { userId: undefined, authenticatedAt: undefined }
  return { userId: bufferOf(user).toString(), authenticatedAt: at === null ? undefined : Number(at) }
}
