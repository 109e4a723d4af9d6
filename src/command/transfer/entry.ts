import { hash } from 'node:crypto'
import { markLength } from '../../core/store/mark.js'
import { recordFormat, type SessionId } from '../../core/store/record.js'
import { type Stamp, stampOf, type WholeRecord } from '../../core/store/transfer.js'

/** How a record looked, as far as the ledger keeps it. */
export interface Look extends Stamp {
  /** Tells users apart: the first 8 bytes of a hash of the user id. `undefined`: nobody's. */
  readonly user: Uint8Array | undefined
}

/** What the ledger knows of one record. `from` and `to` are the two stores. */
export interface Entry {
  readonly id: SessionId
  /** A note is never removed by the copy: it only expires. */
  readonly isNote: boolean
  /** How it looked in `from` last, by the clock of `from`. `undefined`: it was ended there. */
  readonly from: Look | undefined
  /** How the copy has left it in `to`, by that clock. `undefined`: it was ended there. */
  readonly to: Look | undefined
  /** A write of the copy that may have been carried out or not. `undefined`: none. */
  readonly pending?: Pending | undefined
}

/**
 * - `placing`: the record, or a place for it, is put where none is. Nobody has seen it in `to`.
 * - `placed`: there is a place for it, and the record is put there.
 * - `writing`: it is put in place of the one that is there.
 */
export interface Pending {
  readonly what: 'placing' | 'placed' | 'writing'
  /** What `to` of the entry is once it is carried out. */
  readonly look: Look
}

/** No time of a record. An entry with it differs from every record, so that the next pass looks at that again. */
export const never = -1

export function lookOf(record: WholeRecord): Look {
  return { ...stampOf(record), user: userOf(record) }
}

export function userOf({ userId }: WholeRecord): Uint8Array | undefined {
  return userId === undefined ? undefined : hash('sha256', userId, 'buffer').subarray(0, 8)
}

export function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : Buffer.compare(one, other) === 0
}

export function newestMark({ marks }: WholeRecord): Uint8Array {
  return marks.subarray(0, markLength)
}

/** Whether a write of content is among the last four of a record. */
export function hasMark({ marks }: WholeRecord, mark: Uint8Array): boolean {
  for (let start = 0; start < marks.length; start += markLength) {
    if (sameBytes(marks.subarray(start, start + markLength), mark)) return true
  }
  return false
}

/** The mark of a place: no write of an app makes such a one. */
const placeMark = Buffer.from('\0\0\0place')

/**
 * A place for a record: a note that says nothing. No token finds it, no listing shows it, and no user's sessions include
 * it. So if the record that takes the place is missing later, it was ended.
 */
export function placeFor({ id, createdAt, seenAt, expiresAt }: WholeRecord): WholeRecord {
  return {
    id,
    hash: undefined,
    userId: undefined,
    authenticatedAt: undefined,
    data: Buffer.from('{}'),
    about: undefined,
    rootId: undefined,
    format: recordFormat,
    version: 1,
    marks: placeMark,
    createdAt,
    seenAt,
    expiresAt,
  }
}

export function isPlace({ hash: secret, marks }: WholeRecord): boolean {
  return secret === undefined && sameBytes(marks, placeMark)
}
