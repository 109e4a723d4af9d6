import { isError, SessionError } from '../../core/errors.js'
import type { SessionId } from '../../core/store/record.js'
import {
  type RecordTransfer,
  stampOf,
  type TransferResult,
  type TransferWrite,
  type WholeRecord,
} from '../../core/store/transfer.js'
import { clearPlaces } from './clear-places.js'
import { withTimesMoved } from './clock.js'
import { type Step, stepAsCopied, stepGiven, type Subject } from './decide.js'
import { endRevoked } from './end-revoked.js'
import { type Entry, isPlace, type Look, lookOf, never, placeFor } from './entry.js'
import type { Ledger } from './ledger.js'
import { add, type Tally } from './tally.js'

/** What records are brought over with. */
export interface Bringing {
  readonly from: Pick<RecordTransfer, 'read'>
  readonly to: Pick<RecordTransfer, 'read' | 'write'>
  readonly ledger: Pick<Ledger, 'entries' | 'save' | 'isWhole'>
  /** By how many milliseconds the clock of `to` is ahead of that of `from`. */
  readonly offset: number
  /** Now, by the clock of `to`. */
  readonly now: () => number
}

/** A record that is under way, and the step that is to be taken. */
interface Item extends Subject {
  readonly id: SessionId
  /** How it looks in `from`. */
  readonly look: Look
  readonly step: Step
}

type Results = ReadonlyMap<SessionId, TransferResult | Error>

/** How often a record is tried that others change in `to` at the same moment. Then it is left to the next pass. */
const mostRounds = 5
/** What concerns one record only. */
const refusals: readonly string[] = ['ERR_SESSION_DATA_REFUSED', 'ERR_SESSION_TOO_LARGE']

/**
 * Brings records over that differ from what the ledger says of them.
 *
 * Each write is in the ledger before it is sent, and its result after that. So if the process is killed in between, the
 * next one finds out which writes were carried out (`recover`).
 */
export async function bringOver(tools: Bringing, ids: readonly SessionId[], tally: Tally): Promise<void> {
  const { from, to, ledger, offset, now } = tools
  const entries = ledger.entries(ids)
  const records = (await from.read(ids))
    .filter((record) => record !== undefined)
    .filter((record) => !isPlace(record))
  let items = records.map((found): Item => {
    const subject = { record: withTimesMoved(found, offset), entry: entries.get(found.id) }
    return { id: found.id, look: lookOf(found), ...subject, step: stepAsCopied(subject) }
  })
  for (let round = 1; ; round++) {
    const left = await takeSteps(tools, items, tally)
    if (left.length === 0) return
    if (round === mostRounds) {
      // All of these are in `to`.
      ledger.save(left.map((item) => ({ ...again(item), to: item.entry?.to ?? lookOf(item.record) })))
      return
    }
    const present = await to.read(left.map(({ id }) => id))
    items = left.map((item, index) => ({ ...item, step: stepGiven(item, present[index], now()) }))
  }
}

/** @returns the items whose record in `to` was not as expected */
async function takeSteps(tools: Bringing, items: readonly Item[], tally: Tally): Promise<readonly Item[]> {
  const { ledger, to } = tools
  const isWrite = ({ step }: Item) => step.do === 'insert' || step.do === 'replace'
  // Before the first whole pass, no app uses `to`: what is missing there was not ended.
  const getsPlace = ({ step, record }: Item) =>
    step.do === 'insert' && record.hash !== undefined && ledger.isWhole
  const settled = items.filter((item) => !isWrite(item))
  const writes = items.filter(isWrite)
  const [toBePlaced, direct] = [writes.filter(getsPlace), writes.filter((item) => !getsPlace(item))]
  for (const { step } of settled) count(step, tally)
  ledger.save([...settled.map(entryAfter), ...writes.map(pendingEntry)])

  const places = await send(to, toBePlaced.map(placeWrite))
  const placed = toBePlaced.filter(({ id }) => places.get(id) === 'done').map(asPlaced)
  ledger.save(placed.map(({ entry }) => entry!))

  const sent = [...direct, ...placed]
  const results = new Map([...places, ...(await send(to, sent.map(recordWrite)))])
  const tried = [...sent, ...toBePlaced.filter(({ id }) => places.get(id) !== 'done')]
  const done = tried.filter(({ id }) => results.get(id) === 'done')
  const refused = tried.filter(({ id }) => isError(results.get(id)))
  for (const { step } of done) count(step, tally)
  tally.refused += refused.length
  const inPlaces = refused.filter((item) => placed.includes(item))
  await clearPlaces(
    tools,
    inPlaces.map(({ record, entry }) => ({ entry: entry!, place: placeFor(record) })),
  )
  ledger.save(
    [...done.map(entryAfter), ...refused.filter(isKnown).map(again)],
    refused.filter((item) => !isKnown(item)).map(({ id }) => id),
  )
  if (ledger.isWhole) tally.revoked += await endRevoked(tools, done.filter(bringsSignIn).map(putOf))
  return tried.filter(({ id }) => results.get(id) === 'different')
}

/** @throws what an error says that concerns more than one record */
async function send(to: Pick<RecordTransfer, 'write'>, writes: readonly TransferWrite[]): Promise<Results> {
  const results = writes.length === 0 ? [] : await to.write(writes)
  for (const result of results) {
    if (isError(result) && !(result instanceof SessionError && refusals.includes(result.code))) throw result
  }
  return new Map(writes.map(({ id }, index) => [id, results[index]!]))
}

function count(step: Step, tally: Tally): void {
  if (step.do === 'insert') tally.copied++
  else if (step.do === 'ended') tally.lapsed += Number(step.hadExpired)
  else if (step.isKept) tally.kept++
  else if (step.do === 'replace') add(tally, { [step.counts]: 1 })
}

function placeWrite({ id, record }: Item): TransferWrite {
  return { id, expected: undefined, record: placeFor(record) }
}

/** The record is to be put in the place that was made for it. If that is missing then, the session was ended. */
function asPlaced(item: Item): Item {
  const { record } = item
  const to = lookOf(record)
  const expected = stampOf(placeFor(record))
  return {
    ...item,
    entry: { ...pendingEntry(item), pending: { what: 'placed', look: to } },
    step: { do: 'replace', expected, record, to, counts: 'copied', isKept: false },
  }
}

function recordWrite({ id, record, step }: Item): TransferWrite {
  return step.do === 'replace'
    ? { id, expected: step.expected, record: step.record }
    : { id, expected: undefined, record }
}

function pendingEntry(item: Item): Entry {
  const { entry, record, step } = item
  const pending =
    step.do === 'replace'
      ? ({ what: 'writing', look: step.to } as const)
      : ({ what: 'placing', look: lookOf(record) } as const)
  return { ...entryOf(item), to: entry?.to, pending }
}

function entryAfter(item: Item): Entry {
  const { record, step } = item
  const to = step.do === 'insert' ? lookOf(record) : step.do === 'ended' ? undefined : step.to
  return { ...entryOf(item), to }
}

/** An entry with which the next pass looks at the record again. */
function again(item: Item): Entry {
  const { from = item.look, to } = item.entry ?? {}
  return { ...entryOf(item), from: { ...from, seenAt: never }, to }
}

/** Whether what was put has a sign-in that was not in `to` before. */
function bringsSignIn({ step, record, entry }: Item): boolean {
  return (
    step.do !== 'replace' ||
    step.counts !== 'touched' ||
    record.authenticatedAt !== entry?.to?.authenticatedAt
  )
}

function putOf(item: Item): { entry: Entry; record: WholeRecord } {
  return { entry: entryAfter(item), record: item.step.do === 'replace' ? item.step.record : item.record }
}

function isKnown({ entry }: Item): boolean {
  return entry?.to !== undefined
}

function entryOf({ id, record, look }: Item): Omit<Entry, 'to'> {
  return { id, isNote: record.hash === undefined, from: look }
}
