import { isError } from '../../core/errors.js'
import { type SessionId, type SessionRecord } from '../../core/store/record.js'
import { markLength, marksKept } from '../../core/store/mark.js'
import type { InsertWrite, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import type { TableLayout } from './layout.js'
import { LostStatement } from './lost-statement.js'

type Result = WriteResult | Error

/** A write that was lost with its connection. */
interface Lost {
  readonly write: SessionWrite
  /** The id of the record once it was carried out. */
  readonly place: SessionId
  /** What came of sending it again, if that is known. */
  second: Result | undefined
}

/**
 * Finds out whether writes took effect whose statement was lost with its connection. Where that stays unknown, the result
 * stays the Error that it is.
 *
 * All writes but inserts are sent once more as they were. Each has a condition, so that nothing is done twice, even if the
 * first copy arrives late. An insert has no condition: arriving late, it would bring back a deleted session. If the second
 * copy does not give an answer, the records may: they keep the marks of the writes that they hold.
 *
 * @param results what `writes` came to, in their order.
 * @param failsAllAlike whether all other statements would fail as this one did.
 */
export async function settle(
  layout: Pick<TableLayout, 'keyedBy' | 'find' | 'write'>,
  writes: readonly SessionWrite[],
  results: Result[],
  failsAllAlike: (error: unknown) => boolean,
): Promise<Result[]> {
  const lost = writes
    .filter((_, index) => results[index] instanceof LostStatement)
    .map((write): Lost => ({ write, place: placeAfter(write, layout.keyedBy), second: undefined }))
  if (lost.length === 0) return results
  const settled = new Map<SessionId, Result>()
  try {
    const again = lost.filter(({ write }) => write.type !== 'insert')
    const sent = again.length === 0 ? [] : await layout.write(again.map(({ write }) => write))
    if (sent.length > 0 && sent.every((result) => isError(result) && failsAllAlike(result))) return results
    again.forEach((each, index) => {
      if (!(sent[index] instanceof LostStatement)) each.second = sent[index]
    })
    for (const each of lost) if (isSure(each)) settled.set(each.write.id, each.second!)
    const unsure = lost.filter(({ write }) => !settled.has(write.id))
    const records = unsure.length === 0 ? [] : await layout.find(unsure.map(({ place }) => place))
    unsure.forEach((each, index) => {
      const finding = findingOf(each, records[index])
      if (finding !== undefined) settled.set(each.write.id, finding)
    })
    for (const result of results) if (result instanceof LostStatement) result.answeredSince = true
  } catch {
    // There is no way to the database any more: then nobody knows the rest, and the first failure stands.
  }
  return writes.map(({ id }, index) => settled.get(id) ?? results[index]!)
}

function placeAfter(write: SessionWrite, keyedBy: TableLayout['keyedBy']): SessionId {
  const token = keyedBy === 'token' && write.type === 'update' ? write.secret?.token : undefined
  return token ?? write.id
}

/** Whether the second sending told all. It did not where the first may have caused what it met. */
function isSure({ write, place, second }: Lost): boolean {
  if (write.type !== 'update') return second !== undefined
  return second === 'done' || (second === 'gone' && place === write.id)
}

/**
 * @param record the one that is in its place.
 * @returns `undefined` if what became of the write cannot be told.
 */
function findingOf({ write, place, second }: Lost, record: SessionRecord | undefined): Result | undefined {
  if (write.type === 'insert') return record && isOf(record, write) ? 'done' : undefined
  if (write.type !== 'update') return undefined
  // Nobody else knows a token that is new.
  if (place !== write.id) return record ? 'done' : second
  if (!record) return 'gone'
  // Its version was replaced, by this write or by another with the same content.
  if (!record.marks) return second === 'stale' ? undefined : second
  if (hasMark(record.marks, write.mark)) return 'done'
  const since = record.version - write.version
  if (since === 0) return second
  // Until then each that was carried out has its mark there.
  return since <= marksKept ? 'stale' : undefined
}

function isOf(record: SessionRecord, write: InsertWrite): boolean {
  if (record.marks) return hasMark(record.marks, write.mark)
  const { publicId, userId, data } = record
  return publicId === write.publicId && userId === write.userId && Buffer.from(data).equals(write.data)
}

function hasMark(marks: Uint8Array, mark: Uint8Array): boolean {
  for (let start = 0; start < marks.length; start += markLength) {
    if (Buffer.compare(marks.subarray(start, start + markLength), mark) === 0) return true
  }
  return false
}
