import { createRequire } from 'node:module'
import { optionError, SessionError } from '../core/errors.ts'
import { refusalOf } from './sqlite-errors.ts'

/** What is bound to a statement. */
export type SQLiteValue = null | number | string | Uint8Array

/** What coatcheck uses of a connection: `DatabaseSync` of node:sqlite and `Database` of better-sqlite3 both have it. */
export interface SQLiteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SQLiteStatement
  close(): unknown
}

/** A prepared statement of either driver. */
export interface SQLiteStatement {
  run(...values: SQLiteValue[]): { changes: number | bigint }
  all(...values: SQLiteValue[]): unknown[]
}

type DatabaseConstructor = new (file: string, options: { timeout: number }) => SQLiteDatabase

/** Opens `file` with node:sqlite, or else with better-sqlite3. SQLite itself never waits for a lock (timeout 0): the store does. */
export function openDatabase(file: string): SQLiteDatabase {
  const Database = nodeSQLite() ?? betterSQLite()
  try {
    return new Database(file, { timeout: 0 })
  } catch (error) {
    const { name, what } = refusalOf(error)
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

function betterSQLite(): DatabaseConstructor {
  const require = createRequire(import.meta.url)
  let version: string
  try {
    version = (require('better-sqlite3/package.json') as { version: string }).version
  } catch {
    throw optionError(
      `SQLiteStore needs a driver, and Node ${process.versions.node} has no node:sqlite. Install one with ` +
        '"npm install better-sqlite3@12", or run Node 22.13 or later.',
    )
  }
  // better-sqlite3 13 loads on Node 20 and then ends the process at its first query.
  if (Number.parseInt(version) >= 13 && Number.parseInt(process.versions.node) < 22) {
    throw optionError(
      `better-sqlite3 ${version} needs Node 22 or later. Install better-sqlite3@12 for Node ${process.versions.node}.`,
    )
  }
  return require('better-sqlite3') as DatabaseConstructor
}
