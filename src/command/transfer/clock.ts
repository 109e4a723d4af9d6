import { performance } from '../../core/scheduling.js'
import type { RecordTransfer, WholeRecord } from '../../core/store/transfer.js'

/** Milliseconds. Clocks that differ by less count as the same. */
const tolerance = 1_000
const samples = 3

/**
 * By how many milliseconds one store's clock is ahead of another's.
 *
 * The result is that of before, unless it is wrong by a second. So a record that is copied again gets the very times that
 * it had. Where the clocks go alike, times do not change at all.
 */
export async function clockOffset(
  from: Pick<RecordTransfer, 'now'>,
  to: Pick<RecordTransfer, 'now'>,
  before: number,
): Promise<number> {
  let best = { took: Infinity, offset: before }
  for (let sample = 0; sample < samples; sample++) {
    const [there, here] = [await timed(from), await timed(to)]
    const offset = here.now - there.now - (here.at - there.at)
    const took = there.took + here.took
    if (took < best.took) best = { took, offset }
  }
  return Math.abs(best.offset - before) <= tolerance + best.took ? before : Math.round(best.offset)
}

/** Reads a clock, and when that was by this process's own. */
async function timed(
  records: Pick<RecordTransfer, 'now'>,
): Promise<{ now: number; at: number; took: number }> {
  const began = performance.now()
  const now = await records.now()
  const took = performance.now() - began
  return { now, at: began + took / 2, took }
}

/** A record with all its times moved by so many milliseconds. */
export function withTimesMoved(record: WholeRecord, offset: number): WholeRecord {
  if (offset === 0) return record
  const moved = (time: number | undefined) => (time === undefined ? undefined : time + offset)
  const { authenticatedAt, createdAt, seenAt, expiresAt, former } = record
  return {
    ...record,
    authenticatedAt: moved(authenticatedAt),
    createdAt: createdAt + offset,
    seenAt: seenAt + offset,
    expiresAt: expiresAt + offset,
    former: former && {
      ...former,
      authenticatedAt: moved(former.authenticatedAt),
      until: former.until + offset,
    },
  }
}
