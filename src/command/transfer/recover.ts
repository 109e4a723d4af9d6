import type { SessionId } from '../../core/store/record.js'
import type { WholeRecord } from '../../core/store/transfer.js'
import { parts } from '../../stores/sql/batch-size.js'
import type { Bringing } from './bring.js'
import { clearPlaces } from './clear-places.js'
import { endRevoked } from './end-revoked.js'
import { type Entry, hasMark, isPlace, never, sameBytes } from './entry.js'
import type { Ledger } from './ledger.js'

const batch = 500

/**
 * Finds out which writes were carried out that a killed copy had under way, and clears away the places that it made.
 *
 * @param to the store that these writes went to; `from`, the other one.
 */
export async function recover(
  { from, to }: Pick<Bringing, 'from' | 'to'>,
  ledger: Pick<Ledger, 'pending' | 'save' | 'isWhole'>,
): Promise<void> {
  for (const entries of parts(ledger.pending(), batch)) {
    const present = await to.read(entries.map(({ id }) => id))
    const places = entries.flatMap((entry, index) => {
      const place = present[index]
      return place && isPlace(place) ? [{ entry, place }] : []
    })
    await clearPlaces({ to, ledger }, places)
    const known: Entry[] = []
    const unknown: SessionId[] = []
    for (const [index, entry] of entries.entries()) {
      const settled = settle(entry, present[index])
      if (settled) known.push(settled)
      else unknown.push(entry.id)
    }
    ledger.save(known, unknown)
    if (!ledger.isWhole) continue
    const puts = known.flatMap((entry) => {
      const record = present[entries.findIndex(({ id }) => id === entry.id)]
      return record && entry.to ? [{ entry, record }] : []
    })
    await endRevoked({ from, to, ledger }, puts)
  }
}

/** @returns what the entry is without its pending write; `undefined`: the record is not in `to`, and never was */
function settle({ pending, ...entry }: Entry, present: WholeRecord | undefined): Entry | undefined {
  const { what, look } = pending!
  if (present && isPlace(present)) return undefined
  // Nobody ends what nobody has seen. All else that is missing was ended.
  if (!present) return what === 'placing' ? undefined : { ...entry, to: undefined }
  const isTold = what !== 'writing' || (hasMark(present, look.mark) && !sameBytes(look.mark, entry.to?.mark))
  if (isTold) return { ...entry, to: look }
  // It was not carried out; or it changed only times; or others have changed the record so often since that it cannot be
  // told, and then theirs stays in any case. The next pass looks again.
  return entry.to && { ...entry, from: entry.from && { ...entry.from, seenAt: never } }
}
