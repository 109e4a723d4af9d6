import { markLength } from './mark.js'
import type { FormerContent, SessionId, SessionRecord } from './record.js'

/*
 * What `coatcheck copy` needs of a store beyond the contract of `SessionStore`, to move records to another store as they
 * are. coatcheck's own stores have it. It is not published, and stores of others need not have it.
 */

/** The name of the method by which a store gives its `RecordTransfer`; `undefined` if its records cannot be moved. */
export const recordTransfer: unique symbol = Symbol('coatcheck.recordTransfer')

/** A store whose records may be moved. */
export interface TransferableStore {
  [recordTransfer](): RecordTransfer | undefined
}

/**
 * Reads and writes whole records, with their times, versions, marks and former contents.
 *
 * - All times are by the clock of this store, in milliseconds since the Unix epoch. Whoever moves records turns them into
 *   the times of the other clock.
 * - An expired record does not exist, here too. But a child is read, written and removed whether its root is live or not.
 * - Notes are records like all others.
 * - A call names no id twice.
 */
export interface RecordTransfer {
  /** The store's clock. */
  now(): Promise<number>

  /** About how many records there are. It is for showing progress, and may count expired ones. */
  count(): Promise<number>

  /**
   * Reads the stamps of all records, one page at a time.
   *
   * A record that is there from the first page to the last is in one page at least; it may be in several. One that is
   * added or removed meanwhile may be in a page or not. The order does not matter, and a page may be empty.
   *
   * @param after the `next` of the previous page. It stays good after a restart of either side.
   * @param limit about how many stamps a page has.
   */
  page(after: string | undefined, limit: number): Promise<StampPage>

  /** Reads whole records by their ids. Absent and expired ones are `undefined`. */
  read(ids: readonly SessionId[]): Promise<(WholeRecord | undefined)[]>

  /**
   * Carries out writes, each by itself and each atomically, on the condition that it names.
   *
   * @returns for each write: `done`; `different`, if the condition does not hold, so that nothing was changed; or an Error
   *   if that write alone failed. After an Error, and after a rejected promise, it is unknown whether it was carried out.
   */
  write(writes: readonly TransferWrite[]): Promise<(TransferResult | Error)[]>
}

/** What tells whether a record was changed or used. It changes with each write, and with each touch that moves a time. */
export interface Stamp extends Pick<SessionRecord, 'authenticatedAt' | 'seenAt' | 'expiresAt' | 'version'> {
  /** The first 8 bytes of the record's marks: the mark of its last change of content. */
  readonly mark: Uint8Array
}

/** A record as `page` shows it. */
export interface StampedId extends Stamp {
  readonly id: SessionId
}

export interface StampPage {
  readonly items: readonly StampedId[]
  /** Pass it as `after` to get the next page. `undefined` after the last one. */
  readonly next: string | undefined
}

/** All that a store keeps of a session or a note. */
export interface WholeRecord extends Omit<SessionRecord, 'publicId' | 'marks' | 'readAt' | 'former'> {
  readonly marks: Uint8Array
  /** The content from before the last rotation, and when its grace ends. Left out: there is none, or the grace is over. */
  readonly former?: (FormerContent & { readonly until: number }) | undefined
}

/**
 * Stores a record as it is, or removes it.
 *
 * The condition is `expected`. `undefined`: no live record has the id. Otherwise: a live record has it, with the same
 * version, newest mark, `seenAt` and `expiresAt`; so it was neither changed nor used since it was read.
 */
export interface TransferWrite {
  readonly id: SessionId
  readonly expected: Stamp | undefined
  /** `undefined`: remove what is there. Otherwise a record with the same id, which replaces all of it. */
  readonly record: WholeRecord | undefined
}

export type TransferResult = 'done' | 'different'

/** The stamp of a record. */
export function stampOf({ version, marks, authenticatedAt, seenAt, expiresAt }: WholeRecord): Stamp {
  return { version, mark: marks.subarray(0, markLength), authenticatedAt, seenAt, expiresAt }
}
