import type { TableLayout } from '../sql/layout.js'
import { errorNumber } from './error-codes.js'
import { numberOf } from './pool.js'

/** How sessions lie in a table of MySQL or MariaDB. */
export interface MySQLLayout extends TableLayout {
  /** The names of its tables, without that of a database. */
  readonly tables: readonly string[]
  /** What a missing table means here, and what to do about it. */
  readonly missingTable: string
  /** What a table that lacks a column means here, and what to do about it. */
  readonly wrongTable: string
}

/** Whether the server says that the user may not do this to tables. */
export function isDenied(error: unknown): boolean {
  const number = numberOf(error)
  return number === errorNumber.deniedTable || number === errorNumber.deniedDatabase
}
