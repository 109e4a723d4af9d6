import { isError } from '../../core/errors.js'
import type { SessionId } from '../../core/store/record.js'
import { type RecordTransfer, stampOf, type TransferWrite } from '../../core/store/transfer.js'
import { parts } from '../../stores/sql/batch-size.js'
import { CommandError } from '../command-error.js'
import { outlivesEnding } from './decide.js'
import { type Entry, isPlace } from './entry.js'
import type { Ledger } from './ledger.js'
import type { Tally } from './tally.js'

/** What the endings of a pass are brought over with. */
export interface Endings {
  readonly from: Pick<RecordTransfer, 'read' | 'now'>
  readonly to: Pick<RecordTransfer, 'read' | 'write'>
  readonly ledger: Pick<Ledger, 'entries' | 'ids' | 'save' | 'countCopied' | 'passBeganAt'>
  /** Whether the pass saw a record in `from`. It may say so of one that it did not see, by a very rare chance. */
  readonly saw: (id: SessionId) => boolean
  /** Also where most copied sessions are gone. */
  readonly endAll: boolean
  readonly stop: AbortSignal
}

/** Fewer than so many may all go without a question. */
const manyGone = 100
const idsRead = 2_000
const batch = 500
/** How often a session is tried that is used in `to` at the same moment. */
const mostRounds = 5

/**
 * Ends in `to` what was ended in `from`. A record that expired in `from` was not ended there: in `to` it lives on, if it is used
 * there.
 *
 * @throws CommandError if most copied sessions are gone, and that was not expected
 */
export async function endGone(tools: Endings, tally: Tally): Promise<void> {
  const { from, ledger, saw, endAll, stop } = tools
  const now = await from.now()
  const gone: Entry[] = []
  const over: SessionId[] = []
  for (const ids of ledger.ids(idsRead)) {
    for (const entry of ledger.entries(ids.filter((id) => !saw(id))).values()) {
      const hasExpired = entry.from !== undefined && entry.from.expiresAt <= now
      if (!entry.to || entry.isNote || hasExpired) over.push(entry.id)
      else gone.push(entry)
    }
  }
  if (gone.length > manyGone && !endAll) {
    const copied = ledger.countCopied(now)
    if (gone.length * 2 > copied) throw mostAreGone(gone.length, copied)
  }
  for (const part of parts(over, batch)) ledger.save([], part)
  for (const part of parts(gone, batch)) {
    if (stop.aborted) return
    // Those that came after the pass had looked.
    const present = await from.read(part.map(({ id }) => id))
    await endPart(
      tools,
      part.filter((_, index) => present[index] === undefined),
      tally,
    )
  }
}

async function endPart({ to, ledger }: Endings, gone: readonly Entry[], tally: Tally): Promise<void> {
  let removals = gone.map(({ id, to: expected }): TransferWrite => ({ id, expected, record: undefined }))
  const entries = new Map(gone.map((entry) => [entry.id, entry]))
  for (let round = 1; removals.length > 0 && round <= mostRounds; round++) {
    const results = await to.write(removals)
    const failure = results.find((result) => isError(result))
    if (failure) throw failure
    tally.ended += results.filter((result) => result === 'done').length
    ledger.save(
      [],
      removals.filter((_, index) => results[index] === 'done').map(({ id }) => id),
    )
    const left = removals.filter((_, index) => results[index] !== 'done').map(({ id }) => id)
    const found = left.length === 0 ? [] : await to.read(left)
    const settled: SessionId[] = []
    removals = []
    for (const [index, id] of left.entries()) {
      const record = found[index]
      // Ended there too, or it has expired.
      if (!record) settled.push(id)
      else if (!isPlace(record) && outlivesEnding(entries.get(id)!, record, ledger.passBeganAt)) {
        settled.push(id)
        tally.outlived++
      } else removals.push({ id, expected: stampOf(record), record: undefined })
    }
    ledger.save([], settled)
  }
}

function mostAreGone(gone: number, of: number): CommandError {
  return new CommandError(
    `${gone} of ${of} copied sessions are gone from the store of --from since the last pass. If it was emptied because the move is over, there is nothing left to copy. If so many sessions were really ended there, run the command again with --end-all, and they end in the other store too.`,
  )
}
