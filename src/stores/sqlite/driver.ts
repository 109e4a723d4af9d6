import { optionError, SessionError } from '../../core/errors.js'
import { classifySQLiteError } from './errors.js'

/** What is bound to a statement. */
export type SQLiteValue = null | number | string | Uint8Array

/** What coatcheck uses of a connection, `DatabaseSync` of node:sqlite. */
export interface SQLiteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SQLiteStatement
  close(): unknown
}

/** What coatcheck uses of a prepared statement. */
export interface SQLiteStatement {
  run(...values: SQLiteValue[]): { changes: number | bigint }
  all(...values: SQLiteValue[]): unknown[]
}

type DatabaseConstructor = new (file: string, options: { timeout: number }) => SQLiteDatabase

/** Opens `file` with node:sqlite. SQLite itself never waits for a lock (timeout 0): the store does. */
export function openDatabase(file: string): SQLiteDatabase {
  const Database = nodeSQLite()
  if (Database === undefined) {
    throw optionError(
      `SQLiteStore needs node:sqlite, which Node ${process.versions.node} does not have, or was started without. Run ` +
        'Node 22.13 or later, without --no-experimental-sqlite.',
    )
  }
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

function nodeSQLite(): DatabaseConstructor | undefined {
  // Node 22 and 24 warn that the module is experimental when it is first loaded. The app did not
  // choose it, so this one warning is left out. Every other passes.
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
