import { isError, SessionError } from '../../core/errors.js'
import { performance, wait } from '../../core/scheduling.js'
import type { SQLiteDatabase, SQLiteStatement, SQLiteValue } from './driver.js'
import { isBusy, sqliteFailure } from './errors.js'
import {
  deleteMigrations,
  insertMigration,
  migrations,
  migrationsTable,
  selectNewestMigration,
  selectTable,
} from './schema.js'

/** A table, and the connection to it. */
export interface SQLiteTableOptions {
  readonly name: string
  readonly database: SQLiteDatabase
  /** Whether the connection is the store's own: to set up, and to close. */
  readonly isOwn: boolean
  readonly create: boolean
  /** Milliseconds. */
  readonly busyTimeout: number
}

/** The table of sessions on one connection: makes it, waits while others write, and gives errors their codes. */
export class SQLiteTable {
  readonly #options: SQLiteTableOptions
  readonly #prepared = new Map<string, SQLiteStatement>()
  #ready = false
  #closed = false

  constructor(options: SQLiteTableOptions) {
    this.#options = options
  }

  /** Tries `work` until no other connection is in its way. It runs without a break, so nothing else of this process comes between. */
  async attempt<Result>(doing: string, work: () => Result): Promise<Result> {
    const giveUpAt = performance.now() + this.#options.busyTimeout
    let mayMakeTable = this.#options.create
    for (let attempt = 1; ; attempt++) {
      if (this.#closed) {
        throw new SessionError('ERR_SESSION_CLOSED', `The store was closed before ${doing}.`, { status: 503 })
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

  transaction<Result>(work: () => Result): Result {
    // IMMEDIATE takes the write lock at once: a transaction that began by reading could not be sure to get it.
    this.run('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.run('COMMIT')
      return result
    } catch (error) {
      try {
        this.run('ROLLBACK')
      } catch {
        // After some errors (a full disk, say) SQLite has rolled back by itself; the first error is the one to tell.
      }
      throw error
    }
  }

  rows<Row>(sql: string, ...values: SQLiteValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[]
  }

  /** How many rows it changed. */
  run(sql: string, ...values: SQLiteValue[]): number {
    return Number(this.#statement(sql).run(...values).changes)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#prepared.clear()
    if (this.#options.isOwn) this.#options.database.close()
  }

  #makeReady(): void {
    if (this.#ready) return
    const { database, isOwn, create } = this.#options
    if (isOwn) database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    if (create && !this.#isMigrated()) this.transaction(() => this.#migrate())
    this.#ready = true
  }

  /** Looks without the write lock: another process may hold that, and reads need not wait for it. */
  #isMigrated(): boolean {
    const { name } = this.#options
    const exists = (table: string): boolean => this.rows(selectTable, table).length > 0
    if (!exists(name) || !exists('coatcheck_migrations')) return false
    const [newest] = this.rows<{ version: number | null }>(selectNewestMigration, name)
    return Number(newest?.version ?? 0) >= migrations(name).length
  }

  #migrate(): void {
    const { database, name } = this.#options
    database.exec(migrationsTable)
    // Where the table was dropped, what is recorded of it is not true any more.
    if (this.rows(selectTable, name).length === 0) this.run(deleteMigrations, name)
    const [newest] = this.rows<{ version: number | null }>(selectNewestMigration, name)
    for (const [index, steps] of migrations(name).entries()) {
      if (index < Number(newest?.version ?? 0)) continue
      for (const step of steps) database.exec(step)
      this.run(insertMigration, name, index + 1)
    }
  }

  #statement(sql: string): SQLiteStatement {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const statement = this.#options.database.prepare(sql)
    this.#prepared.set(sql, statement)
    return statement
  }

  #explained(doing: string, error: unknown): SessionError {
    const { name } = this.#options
    if (this.#isMissingTable(error)) {
      return new SessionError(
        'ERR_SESSION_MISSING_TABLE',
        `There is no table "${name}". Run schema/sqlite.sql of this package on the file, also where coatcheck_migrations says that the table was made; or leave createTable on.`,
        { cause: error },
      )
    }
    const column = missingColumn(error)
    if (column === undefined) return sqliteFailure(doing, error)
    return new SessionError(
      'ERR_SESSION_WRONG_TABLE',
      `The table "${name}" lacks a column of this version's. If an earlier build of coatcheck made it, drop it and run schema/sqlite.sql of this package on the file; that ends its sessions. If it is not coatcheck's, give SQLiteStore another table. The column is '${column}'.`,
      { cause: error },
    )
  }

  /** SQLite has no code for it, and names it as the statement does. */
  #isMissingTable(error: unknown): boolean {
    return isError(error) && error.message.endsWith(`no such table: ${this.#options.name}`)
  }
}

/** The column of a statement of ours that the table lacks. */
function missingColumn(error: unknown): string | undefined {
  const said = isError(error) ? error.message : ''
  return /no such column: (?:\w+\.)?(\w+)|has no column named (\w+)/.exec(said)?.slice(1).find(Boolean)
}
