import type { SessionError } from '../../core/errors.js'
import type { SessionStore } from '../../core/store/session-store.js'
import type { RecordTransfer } from '../../core/store/transfer.js'

/**
 * How sessions lie in a table of a database server: what a `TableStore` is over it. The store sees to the errors and to
 * the end; empty batches and limits that are no numbers do not come here.
 */
export interface TableLayout extends Omit<SessionStore, 'close'> {
  readonly keyedBy: 'token' | undefined
  readonly clocks?: 'one' | 'several' | undefined
  /** Moves whole records. `undefined`: the table does not keep all that a record has. */
  readonly transfer: RecordTransfer | undefined
  /** Makes the table, or brings it up to date; nothing if it is as it should be. May run in many processes at once. */
  makeTable(): Promise<void>
}

/** What the errors of a database server mean for its table. */
export interface TableErrors {
  /** Whether a table of the store is missing. */
  missesTable(error: unknown): boolean
  /** Whether all other statements would fail as this one did. */
  failsAllAlike(error: unknown): boolean
  /** @returns an error of ours, with `error` as its cause and nothing of it in its message. */
  failureOf(doing: string, error: unknown): SessionError
}
