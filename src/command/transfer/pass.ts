import { performance } from '../../core/scheduling.js'
import type { SessionId } from '../../core/store/record.js'
import type { RecordTransfer } from '../../core/store/transfer.js'
import { parts } from '../../stores/sql/batch-size.js'
import { idEndLength } from '../copy-statements.js'
import { IdSet } from '../id-set.js'
import { bringOver } from './bring.js'
import { endGone } from './end-gone.js'
import type { Ledger } from './ledger.js'
import { emptyTally, type Tally } from './tally.js'

/** What a pass does by. */
export interface PassSettings {
  readonly from: Pick<RecordTransfer, 'now' | 'page' | 'read'>
  readonly to: Pick<RecordTransfer, 'now' | 'read' | 'write'>
  readonly ledger: Ledger
  /** By how many milliseconds the clock of `to` is ahead of that of `from`. */
  readonly offset: number
  /** The most records that are brought over at once. */
  readonly batch: number
  /** Also end sessions in `to` when most of those that were copied are gone from `from`. */
  readonly endAll: boolean
  readonly stop: AbortSignal
  /** Told after each page how many records were looked at. */
  progress(rows: number): void
}

/** Stamps are small. */
const pageSize = 2_000

/**
 * Goes through `from` once and brings `to` up to it.
 *
 * @returns what was done; of a pass that was stopped, so far
 * @throws CommandError, if most copied sessions are gone and that was not expected
 */
export async function pass(settings: PassSettings): Promise<Tally> {
  const { from, to, ledger, offset, batch, endAll, stop } = settings
  const tally = emptyTally()
  const seen = new IdSet()
  const beganAt = await to.now()
  const began = performance.now()
  const now = () => beganAt + (performance.now() - began)
  let after: string | undefined
  do {
    if (stop.aborted) return tally
    const { items, next } = await from.page(after, pageSize)
    for (const { id } of items) seen.add(endOf(id))
    // A page may have a record twice.
    const differing = ledger.differing([...new Map(items.map((item) => [item.id, item])).values()])
    for (const part of parts(differing, batch)) {
      if (stop.aborted) return tally
      await bringOver(
        { from, to, ledger, offset, now },
        part.map(({ id }) => id),
        tally,
      )
    }
    tally.rows += items.length
    settings.progress(tally.rows)
    after = next
  } while (after !== undefined)
  const saw = (id: SessionId) => seen.has(hexOf(id))
  await endGone({ from, to, ledger, saw, endAll, stop }, tally)
  if (!stop.aborted) ledger.passEnded(beganAt)
  return tally
}

function hexOf(id: SessionId): string {
  return Buffer.from(id, 'base64url').toString('hex')
}

function endOf(id: SessionId): string {
  return hexOf(id).slice(-idEndLength)
}
