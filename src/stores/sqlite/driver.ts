import { closeSync, openSync } from 'node:fs'
import { optionError, SessionError } from '../../core/errors.js'
import { classifySQLiteError } from './errors.js'

/** A value that can be bound to a statement. */
export type SQLiteValue = null | number | string | Uint8Array

/** The methods of a connection that `SQLiteStore` uses. `DatabaseSync` of `node:sqlite` has them. */
export interface SQLiteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SQLiteStatement
  close(): unknown
}

/** The methods of a prepared statement that `SQLiteStore` uses. `StatementSync` of `node:sqlite` has them. */
export interface SQLiteStatement {
  run(...values: SQLiteValue[]): { changes: number | bigint }
  all(...values: SQLiteValue[]): unknown[]
}

type DatabaseConstructor = new (file: string, options: { timeout: number }) => SQLiteDatabase

/**
 * Opens `file` with node:sqlite. SQLite itself never waits for a lock (timeout 0); the store does. A missing file is
 * made with the mode 0600; an existing one keeps its mode.
 */
export function openDatabase(file: string): SQLiteDatabase {
  const Database = nodeSQLite()
  if (Database === undefined) {
    throw optionError(
      `SQLiteStore needs node:sqlite, which Node ${process.versions.node} does not have, or was started without. Run ` +
        'Node 22.13 or later, without --no-experimental-sqlite.',
    )
  }
  makeForOwner(file)
  try {
    return new Database(file, { timeout: 0 })
  } catch (error) {
    const { name, what } = classifySQLiteError(error)
    throw new SessionError(
      'ERR_SESSION_OPTION',
      `SQLiteStore cannot open "${file}": ${what} (${name}). Check that its folder exists and that this process may read and write there.`,
      { cause: error },
    )
  }
}

/** Makes a missing file with the mode 0600. SQLite gives its `-wal` and `-shm` the mode of the file. */
function makeForOwner(file: string): void {
  try {
    const path = pathToMake(file)
    // Only if it is missing: to close a file that this process has open in SQLite would drop SQLite's locks.
    if (path !== undefined) closeSync(openSync(path, 'wx', 0o600))
  } catch {
    // It exists, or cannot be made: then SQLite reports that.
  }
}

/** The file that SQLite would make; `undefined` if none. A name may be a URI, such as `file:sessions.db?mode=rw`. */
function pathToMake(file: string): string | undefined {
  const [, name, query] = /^file:(?:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/.exec(file) ?? [undefined, undefined]
  if (name === undefined) return file === ':memory:' ? undefined : file
  const mode = new URLSearchParams(query).get('mode') ?? 'rwc'
  return mode !== 'rwc' || name === ':memory:' ? undefined : decodeURIComponent(name)
}

function nodeSQLite(): DatabaseConstructor | undefined {
  // Node 22 and 24 warn that the module is experimental when it is first loaded. The app did not choose the module, so
  // this one warning is dropped. All others pass.
  const emitWarning = Reflect.get(process, 'emitWarning') as (this: void, ...warning: unknown[]) => void
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).startsWith('SQLite is an experimental feature')) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }
  try {
    const loaded = process.getBuiltinModule('node:sqlite') as
      { DatabaseSync: DatabaseConstructor } | undefined
    return loaded?.DatabaseSync
  } finally {
    process.emitWarning = emitWarning
  }
}
