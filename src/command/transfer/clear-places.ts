import { type RecordTransfer, stampOf, type WholeRecord } from '../../core/store/transfer.js'
import type { Entry } from './entry.js'
import type { Ledger } from './ledger.js'

/**
 * Removes places whose records do not come.
 *
 * @param places those in `to`, each with its entry
 */
export async function clearPlaces(
  { to, ledger }: { readonly to: Pick<RecordTransfer, 'write'>; readonly ledger: Pick<Ledger, 'save'> },
  places: readonly { readonly entry: Entry; readonly place: WholeRecord }[],
): Promise<void> {
  if (places.length === 0) return
  // Before a place goes, nobody may take its absence for an ending.
  ledger.save(places.map(({ entry }) => ({ ...entry, pending: { ...entry.pending!, what: 'placing' } })))
  await to.write(places.map(({ place }) => ({ id: place.id, expected: stampOf(place), record: undefined })))
}
