import type { SessionKey, SessionRecord } from '../../core/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store.js'
import { errorNumber } from './mysql-error-codes.js'
import { numberOf } from './mysql-pool.js'

/**
 * How sessions lie in a table: what `MySQLStore` is over it. The store sees to the options, to the errors and to the
 * end; empty batches and limits that are no numbers do not come here.
 */
export interface MySQLLayout {
  readonly keyedBy: 'token' | undefined
  find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]>
  findFormer(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]>
  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]>
  list(query: ListQuery): Promise<Page<SessionRecord>>
  removeByUser(userId: string, except?: string): Promise<number>
  removeExpired(limit: number): Promise<number>
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
