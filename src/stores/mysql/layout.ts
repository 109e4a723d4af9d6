import type { SessionStore } from '../../core/store/session-store.js'
import { errorNumber } from './error-codes.js'
import { numberOf } from './pool.js'

/**
 * How sessions lie in a table: what `MySQLStore` is over it. The store sees to the options, to the errors and to the
 * end; empty batches and limits that are no numbers do not come here.
 */
export interface MySQLLayout extends Omit<SessionStore, 'close'> {
  readonly keyedBy: 'token' | undefined
  /** Makes the table, or brings it up to date; nothing if it is as it should be. May run in many processes at once. */
  makeTable(): Promise<void>
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
