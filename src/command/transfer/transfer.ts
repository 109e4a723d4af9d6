import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { performance, wait } from '../../core/scheduling.js'
import { stampOf, type WholeRecord } from '../../core/store/transfer.js'
import { createId } from '../../core/token.js'
import { CommandError } from '../command-error.js'
import type { CopyWatcher } from '../copy.js'
import { clockOffset } from './clock.js'
import { placeFor } from './entry.js'
import { Ledger } from './ledger.js'
import { pass } from './pass.js'
import { openPlace, type Place, placeName, usualLedger } from './place.js'
import { recover } from './recover.js'
import { add, emptyTally, type Tally } from './tally.js'

/** What `coatcheck copy` was told, between two stores. */
export interface TransferOptions {
  readonly from: string
  readonly to: string
  readonly fromTable?: string | undefined
  readonly toTable?: string | undefined
  /** The file of the ledger. */
  readonly ledger?: string | undefined
  readonly batch: number
  readonly follow?: boolean | undefined
  /** Milliseconds between two passes of `--follow`. */
  readonly every: number
  readonly endAll?: boolean | undefined
  /** Whether a first copy may go into a store that has sessions already. */
  readonly add?: boolean | undefined
}

/** What all passes did together. */
export interface TransferSummary extends Tally {
  readonly passes: number
  readonly seconds: number
  /** How many records of `from` all passes looked at, and how long they took. */
  readonly through: number
  readonly passSeconds: number
  /** Whether a pass went through to the end, so that all that was there is copied. */
  readonly whole: boolean
}

/** The file that the ledger is in. */
export function ledgerFile({ from, to, fromTable, toTable, ledger }: TransferOptions): string {
  return ledger ?? usualLedger(placeName(from, fromTable), placeName(to, toTable))
}

/**
 * Copies until a pass finds next to nothing to do; with `follow`, until `stop`.
 *
 * @throws CommandError, and SessionError of the stores
 */
export async function transfer(
  options: TransferOptions,
  watcher: CopyWatcher,
  stop: AbortSignal,
): Promise<TransferSummary> {
  const from = openPlace('from', options.from, options.fromTable)
  const to = openPlace('to', options.to, options.toTable)
  let ledger: Ledger | undefined
  try {
    await refuseSamePlace(from, to)
    ledger = new Ledger(ledgerFile(options))
    await prepare(ledger, from, to, options)
    return await passes(ledger, from, to, options, watcher, stop)
  } finally {
    ledger?.close()
    await Promise.all([from.close(), to.close()])
  }
}

/**
 * Drops the ledger.
 * @returns its name
 * @throws (by the promise) CommandError if there is none, or it is in use
 */
export async function forgetTransfer(options: TransferOptions): Promise<string> {
  const file = ledgerFile(options)
  if (!existsSync(file)) throw new CommandError(`There is no ledger ${file} in this folder.`)
  new Ledger(file).close()
  for (const ending of ['', '-wal', '-shm']) await rm(file + ending, { force: true })
  return file
}

/** By what is in them: one database may have several names. */
async function refuseSamePlace(from: Place, to: Place): Promise<void> {
  await from.records.page(undefined, 1)
  const now = await to.records.now()
  const times = { createdAt: now, seenAt: now, expiresAt: now + 60_000 }
  const probe = { ...placeFor({ id: createId(), ...times } as WholeRecord), marks: randomBytes(8) }
  await to.records.write([{ id: probe.id, expected: undefined, record: probe }])
  const [found] = await from.records.read([probe.id])
  await to.records.write([{ id: probe.id, expected: stampOf(probe), record: undefined }])
  if (found) throw new CommandError('--from and --to name the same store by two names. Name two stores.')
}

async function prepare(
  ledger: Ledger,
  from: Place,
  to: Place,
  { add: mayAdd }: TransferOptions,
): Promise<void> {
  const last = ledger.lastDirection
  const direction = { from: from.name, to: to.name }
  if (last) {
    const isTurned = last.to !== to.name
    const [was, wasTo] = isTurned ? [to, from] : [from, to]
    // It refuses the ledger of other stores, before anything is done by it.
    ledger.use({ from: was.name, to: wasTo.name })
    await recover({ from: was.records, to: wasTo.records }, ledger)
  } else if (!mayAdd && !(await isEmpty(to))) {
    throw new CommandError(
      'The store of --to has sessions already, and there is no ledger of an earlier copy. If they are left from an earlier use of that store, empty it: some of them may have been ended since. If an earlier copy has a ledger, name that by --ledger. If these sessions are to stay, run the command with --add.',
    )
  }
  ledger.use(direction)
  const copied = last ? ledger.countCopied(await from.records.now()) : 0
  if (copied > 0 && (await isEmpty(to))) {
    throw new CommandError(
      `The store of --to is empty although ${copied} live sessions were copied into it. If it was emptied so as to begin anew, run the command with --forget first.`,
    )
  }
  ledger.offset = await clockOffset(from.records, to.records, ledger.offset)
}

async function isEmpty({ records }: Place): Promise<boolean> {
  let after: string | undefined
  do {
    const { items, next } = await records.page(after, 1)
    if (items.length > 0) return false
    after = next
  } while (after !== undefined)
  return true
}

async function passes(
  ledger: Ledger,
  from: Place,
  to: Place,
  options: TransferOptions,
  watcher: CopyWatcher,
  stop: AbortSignal,
): Promise<TransferSummary> {
  const { batch, every, follow = false, endAll = false } = options
  const progress = (rows: number) => watcher.progress(rows)
  const sum = emptyTally()
  const began = performance.now()
  let [count, passSeconds, through, whole, before] = [0, 0, 0, false, Infinity]
  while (!stop.aborted) {
    const passBegan = performance.now()
    // Only for the bar: in a large table, counting may take longer than a statement may.
    watcher.passBegins(++count, await from.records.count().catch(() => 0))
    if (count > 1) ledger.offset = await clockOffset(from.records, to.records, ledger.offset)
    const { offset } = ledger
    const tally = await pass({
      from: from.records,
      to: to.records,
      ledger,
      offset,
      batch,
      endAll,
      stop,
      progress,
    })
    watcher.passEnds(tally)
    passSeconds += secondsSince(passBegan)
    through += tally.rows
    if (!stop.aborted) whole = true
    add(sum, { ...tally, rows: 0, refused: 0 })
    if (!stop.aborted || count === 1) Object.assign(sum, { rows: tally.rows, refused: tally.refused })
    const work = tally.copied + tally.changed + tally.touched + tally.ended
    if (follow) await rest(every, stop)
    // Under load there is always something; when it no longer gets less, it is as near as it will get.
    else if (work <= tally.rows / 1000 || work >= before) break
    before = work
  }
  return { ...sum, passes: count, seconds: secondsSince(began), through, passSeconds, whole }
}

async function rest(milliseconds: number, stop: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal: stop })
  } catch {
    // Stopped: the loop sees it.
  }
}

function secondsSince(moment: number): number {
  return (performance.now() - moment) / 1000
}
