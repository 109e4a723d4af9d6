import { type RecordTransfer, stampOf, type WholeRecord } from '../../core/store/transfer.js'
import { revocationNoteId } from '../../core/users/sign-in.js'
import { type Entry, hasMark, newestMark, sameBytes } from './entry.js'
import type { Ledger } from './ledger.js'

interface Tools {
  readonly from: Pick<RecordTransfer, 'read'>
  readonly to: Pick<RecordTransfer, 'read' | 'write'>
  readonly ledger: Pick<Ledger, 'save'>
}

/** A record that the copy has just put, and its entry. */
interface Put {
  readonly entry: Entry
  readonly record: WholeRecord
}

/** How often a session is tried that is used at the same moment. */
const mostRounds = 5

/**
 * Ends sessions that the copy has just put, of users whose sessions were all revoked in `to` since they signed in.
 *
 * A revocation is first remembered by a note, and then removes what is there. The copy first puts a session, and then
 * looks for that note. So one of the two always finds the other.
 *
 * @returns how many were ended
 */
export async function endRevoked({ from, to, ledger }: Tools, puts: readonly Put[]): Promise<number> {
  const ofUsers = puts.filter(({ record }) => record.userId !== undefined)
  const ids = [...new Set(ofUsers.map(({ record }) => revocationNoteId(record.userId!)))]
  const notes = (await to.read(ids)).filter((note) => note !== undefined)
  if (notes.length === 0) return 0
  const copied = await from.read(notes.map(({ id }) => id))
  // What is live in `from` was not ended by a revocation there. Only those in `to` count here.
  const revokedAt = new Map(
    notes.filter((note, index) => !isOf(note, copied[index])).map(({ id, seenAt }) => [id, seenAt]),
  )
  const revoked = ofUsers.filter(({ record }) => {
    const at = revokedAt.get(revocationNoteId(record.userId!))
    return at !== undefined && (record.authenticatedAt ?? record.createdAt) <= at
  })
  let left: readonly Put[] = revoked
  for (let round = 1; left.length > 0 && round <= mostRounds; round++) {
    const results = await to.write(
      left.map(({ record }) => ({ id: record.id, expected: stampOf(record), record: undefined })),
    )
    const different = left.filter((_, index) => results[index] === 'different')
    const present = await to.read(different.map(({ record }) => record.id))
    left = different.flatMap(({ entry, record: { authenticatedAt } }, index) => {
      const record = present[index]
      // It has ended, or somebody has signed in on it.
      return record?.authenticatedAt === authenticatedAt && record ? [{ entry, record }] : []
    })
  }
  ledger.save(revoked.map(({ entry }) => ({ ...entry, to: undefined })))
  return revoked.length
}

/** Whether a note is as `from` has it, or had it before. */
function isOf(note: WholeRecord, copied: WholeRecord | undefined): boolean {
  return (
    copied !== undefined &&
    (sameBytes(newestMark(note), newestMark(copied)) || hasMark(copied, newestMark(note)))
  )
}
