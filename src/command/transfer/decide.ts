import { isSameHash } from '../../core/token.js'
import { type Stamp, stampOf, type WholeRecord } from '../../core/store/transfer.js'
import { type Entry, hasMark, isPlace, type Look, lookOf, newestMark, sameBytes, userOf } from './entry.js'

/** What is to be done in `to` about a record that differs from what the ledger says of it. */
export type Step =
  /** Put it where none is. */
  | { readonly do: 'insert'; readonly record: WholeRecord }
  /** Put `record` in place of the one with the stamp `expected`. */
  | {
      readonly do: 'replace'
      readonly expected: Stamp
      readonly record: WholeRecord
      /** What the ledger then says of it there. */
      readonly to: Look
      readonly counts: 'copied' | 'changed' | 'touched'
      readonly isKept: boolean
    }
  /** Nothing. */
  | { readonly do: 'leave'; readonly to: Look; readonly isKept: boolean }
  /** Never bring it back: it was ended in `to`. */
  | { readonly do: 'ended'; readonly hadExpired: boolean }

/** A record to be copied. */
export interface Subject {
  /** The record in `from`, with the times of `to`. */
  readonly record: WholeRecord
  /** `undefined`: it was never copied. */
  readonly entry: Entry | undefined
}

/**
 * What to do if the record in `to` is as the copy left it. Nothing is read for this: the write's own condition tells
 * whether it is so.
 */
export function stepAsCopied({ record, entry }: Subject): Step {
  if (entry?.to === undefined) return { do: 'insert', record }
  return replacing(entry.to, record, lookOf(record), contentChanged(record, entry) ? 'changed' : 'touched')
}

/**
 * What to do about a record, given the one that `to` has.
 *
 * Marks name the writes of content, and a record keeps the last four. So they tell which of two is the later one of the
 * same history. Where both have changed, that in `to` stays.
 *
 * @param now by the clock of `to`.
 */
export function stepGiven(subject: Subject, found: WholeRecord | undefined, now: number): Step {
  const { record, entry } = subject
  if (!found) {
    const wasThere = entry !== undefined && (entry.to !== undefined || entry.pending?.what === 'placed')
    if (!wasThere) return { do: 'insert', record }
    return { do: 'ended', hadExpired: entry.to !== undefined && entry.to.expiresAt <= now }
  }
  // Left by a copy whose ledger is lost.
  if (isPlace(found)) return replacing(stampOf(found), record, lookOf(record), 'copied')
  const changed = contentChanged(record, entry)
  if (sameBytes(newestMark(found), newestMark(record))) {
    const later = withLaterTimes(record, found)
    if (hasTimesOf(later, found)) return { do: 'leave', to: lookOf(found), isKept: false }
    return replacing(stampOf(found), later, lookOf(later), 'touched')
  }
  const isAsCopied = entry?.to !== undefined && sameBytes(entry.to.mark, newestMark(found))
  if (isAsCopied || hasMark(record, newestMark(found))) {
    const untouched = entry?.to !== undefined && isAsCopied && hasTimesOf(entry.to, found)
    const merged = untouched ? record : withLaterTimes(record, found)
    return replacing(stampOf(found), merged, lookOf(merged), 'changed')
  }
  // The one in `to` has changed since. If the other has too, that is not stored.
  const isKept = changed && !hasMark(found, newestMark(record))
  // The user and the sign-in are those that the copy has brought there, to tell them from later ones.
  const { authenticatedAt, user } = entry?.to ?? lookOf(found)
  const to = { ...stampOf(record), authenticatedAt, user }
  // As with a touch: a use by another token is not a use of this session.
  const later = isSameHash(found.hash, record.hash) ? withLaterTimes(found, record) : found
  if (hasTimesOf(later, found)) return { do: 'leave', to, isKept }
  return { ...replacing(stampOf(found), later, to, 'touched'), isKept }
}

/**
 * Whether a session stays in `to` although it was ended in `from`: it has another user by now, or its user has signed in
 * on it there, after the copy last saw it in `from`. By the rules of one store, the ending would have met neither.
 *
 * @param seenAt when the last whole pass began, by the clock of `to`.
 */
export function outlivesEnding(entry: Entry, found: WholeRecord, seenAt: number): boolean {
  if (!sameBytes(entry.to?.user, userOf(found))) return found.userId !== undefined
  const { authenticatedAt } = found
  return (
    authenticatedAt !== undefined &&
    authenticatedAt !== entry.to?.authenticatedAt &&
    authenticatedAt >= seenAt
  )
}

function replacing(
  expected: Stamp,
  record: WholeRecord,
  to: Look,
  counts: 'copied' | 'changed' | 'touched',
): Extract<Step, { do: 'replace' }> {
  return { do: 'replace', expected, record, to, counts, isKept: false }
}

function contentChanged(record: WholeRecord, entry: Entry | undefined): boolean {
  return entry?.from === undefined || !sameBytes(entry.from.mark, newestMark(record))
}

type Times = Pick<Stamp, 'seenAt' | 'expiresAt'>

/** A record, with the later of two times each. */
function withLaterTimes(record: WholeRecord, other: Times): WholeRecord {
  return {
    ...record,
    seenAt: Math.max(record.seenAt, other.seenAt),
    expiresAt: Math.max(record.expiresAt, other.expiresAt),
  }
}

function hasTimesOf(one: Times, other: Times): boolean {
  return one.seenAt === other.seenAt && one.expiresAt === other.expiresAt
}
