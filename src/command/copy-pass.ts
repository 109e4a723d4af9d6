import { hash } from 'node:crypto'
import type { RowDataPacket } from 'mysql2'
import { createMark } from '../core/store/mark.js'
import { byBytes, dataLength, largestBatch, partsByPowersOfTwo, parts } from '../stores/sql/batch-size.js'
import type { MySQLValue } from '../stores/mysql/pool.js'
import { mostBytes } from '../stores/mysql/packet.js'
import { copiedSession, type CopiedSession } from './copied-session.js'
import type { CopyConnection, CopyValue } from './copy-connection.js'
import { CommandError } from './command-error.js'
import { type CopyStatements, idEndLength, type Slice } from './copy-statements.js'
import { IdSet } from './id-set.js'

/** What a pass does by. */
export interface PassSettings {
  readonly connection: CopyConnection
  readonly sql: CopyStatements
  /** The most rows of the old table that one transaction is about. */
  readonly batch: number
  /** How many slices the pass goes in: 1, 2, 4, … 64. */
  readonly slices: number
  readonly userPath: readonly string[] | undefined
  /** Also end sessions here when most of those that were copied are gone from the old table. */
  readonly endAll?: boolean
  readonly stop: AbortSignal
  /** Told after each batch how many rows of the old table were looked at. */
  progress(rows: number): void
}

/** What a pass did. */
export interface Tally {
  /** Rows of the old table that were looked at. */
  rows: number
  copied: number
  /** Of those, how many with a user. */
  users: number
  /** Of those, how many whose data names a user by what is no user id. */
  usersRefused: number
  /** Copied again, since they changed in the old table. */
  changed: number
  /** Changed in both tables: the new one stands. */
  kept: number
  /** Of which only the expiry moved on. */
  touched: number
  /** Ended in the old table, and so in the new one. */
  ended: number
  /** Of which the copy expired while nobody brought over that they were in use. */
  lapsed: number
  expired: number
  corrupt: number
}

export function emptyTally(): Tally {
  return {
    rows: 0,
    copied: 0,
    users: 0,
    usersRefused: 0,
    changed: 0,
    kept: 0,
    touched: 0,
    ended: 0,
    lapsed: 0,
    expired: 0,
    corrupt: 0,
  }
}

/** A live row of the old table that is not as the ledger has it. */
interface Difference {
  readonly id: Buffer
  readonly secretHash: Buffer
  readonly data: Buffer
  /** Unix seconds. */
  readonly expires: number
  readonly fingerprint: Buffer
  readonly readAt: number
  /** `undefined` for a row that is not the JSON of a session. */
  readonly session: CopiedSession | undefined
  readonly copied: Entry | undefined
  readonly copyHadExpired: boolean
  readonly present: { readonly version: number; readonly fingerprint: Buffer } | undefined
}

/** A row of the ledger. */
interface Entry {
  readonly id: Buffer
  readonly fingerprint: Buffer
  readonly expires: number
  /** Of the session in the new table as it was copied; 0, which none has, if the new table knew better. */
  readonly version: number
  readonly ended: boolean
}

/** What one transaction writes. */
interface Work {
  readonly inserts: Difference[]
  readonly changes: Difference[]
  readonly touches: Difference[]
  readonly entries: Entry[]
}

/** How many ids of the ledger one statement reads, and the characters of each. */
const ledgerIds = 10_000
const idLength = 24
/** Fewer than so many may all go without a question. */
const manyGone = 100

/**
 * Goes through the old table once and brings the new one up to it.
 *
 * @returns what was done; of a pass that was stopped, so far
 * @throws CommandError, if most copied sessions are gone from the old table and that was not expected
 */
export async function pass(settings: PassSettings): Promise<Tally> {
  const tally = emptyTally()
  const seen = new IdSet()
  const { slices, stop } = settings
  for (let index = 0; index < slices; index++) await passSlice(settings, { index, of: slices }, tally, seen)
  if (!stop.aborted) tally.ended = await endGone(settings, seen)
  return tally
}

async function passSlice(settings: PassSettings, slice: Slice, tally: Tally, seen: IdSet): Promise<void> {
  const { connection, sql, batch, stop } = settings
  const size = batch * slice.of
  let after: CopyValue[] = []
  while (!stop.aborted) {
    const [part] = await connection.select(sql.oldPart(after.length === 0, size, slice), after)
    const count = Number(part?.['rows_read'])
    if (count === 0) return
    seen.add(String(part!['id_ends']))
    const last = part!['last'] as CopyValue
    const done = await connection.transaction(() => bringOver(settings, slice, [...after, last], seen))
    add(tally, { ...done, rows: Number(part!['rows_here']), expired: Number(part!['expired']) })
    settings.progress(tally.rows)
    if (count < size) return
    after = [last]
  }
}

export function add(sum: Tally, tally: Partial<Tally>): void {
  for (const [name, count] of Object.entries(tally)) sum[name as keyof Tally] += count
}

/** Brings over what differs in one part of the old table; runs within a transaction. */
async function bringOver(
  settings: PassSettings,
  slice: Slice,
  range: CopyValue[],
  seen: IdSet,
): Promise<Tally> {
  const { connection, sql, userPath } = settings
  const rows = await connection.select(sql.differing(range.length === 1, slice), range)
  const keys = await keysFor(settings, rows)
  const differences = rows
    .map((row) => differenceOf(row, userPath, keys))
    // In the order in which everybody writes, so that none wait for each other in a circle.
    .toSorted((one, other) => one.id.compare(other.id) || other.expires - one.expires)
    // Of two tokens of one id the one that expires later.
    .filter(({ id }, index, sorted) => index === 0 || !sorted[index - 1]!.id.equals(id))
  const work: Work = { inserts: [], changes: [], touches: [], entries: [] }
  const tally = emptyTally()
  const known: Difference[] = []
  for (const difference of differences) {
    // It may have come after the part's ids were read.
    seen.add(difference.id.toString('hex').slice(-idEndLength))
    if (difference.copied) known.push(difference)
    else planNew(difference, work, tally)
  }
  const versions = await lockVersions(settings, known)
  for (const difference of known) {
    planKnown(difference, versions.get(difference.id.toString('hex')), work, tally)
  }
  await write(settings, work)
  return tally
}

function planNew(difference: Difference, { inserts, entries }: Work, tally: Tally): void {
  const { present, session } = difference
  if (present) {
    // The ledger was dropped since, so changes in between are unknown. Where the tables differ, the new one wins.
    const same =
      session !== undefined && present.fingerprint.equals(fingerprintOf(difference.secretHash, session.data))
    entries.push(entryOf(difference, same ? present.version : 0))
  } else if (session) {
    inserts.push(difference)
    entries.push(entryOf(difference, 1))
    tally.copied++
    if (session.userId !== undefined) tally.users++
    if (session.userRefused) tally.usersRefused++
  } else tally.corrupt++
}

function planKnown(difference: Difference, version: number | undefined, work: Work, tally: Tally): void {
  const copied = difference.copied!
  if (version === undefined) {
    // Ended here. Whatever happens to it in the old table, it does not come back.
    work.entries.push({ ...copied, ended: true })
    if (difference.copyHadExpired) tally.lapsed++
    return
  }
  const moved = difference.expires > copied.expires
  const changed = !difference.fingerprint.equals(copied.fingerprint)
  const corrupt = changed && difference.session === undefined
  if (corrupt) tally.corrupt++
  if (changed && !corrupt && version === copied.version) {
    work.changes.push(difference)
    work.entries.push(entryOf(difference, version + 1))
    tally.changed++
    return
  }
  if (changed && !corrupt) tally.kept++
  if (moved) {
    work.touches.push(difference)
    tally.touched++
  }
  const entry = entryOf(difference, copied.version)
  work.entries.push(corrupt ? { ...entry, fingerprint: copied.fingerprint } : entry)
}

/** The versions that these sessions have in the new table, and keep until the transaction ends. */
async function lockVersions(
  { connection, sql }: PassSettings,
  differences: readonly Difference[],
): Promise<Map<string, number>> {
  const versions = new Map<string, number>()
  for (const part of partsByPowersOfTwo(differences)) {
    const ids = part.map(({ id }) => id)
    for (const row of await connection.select(sql.lockVersions(ids.length), ids)) {
      versions.set((row['id'] as Buffer).toString('hex'), Number(row['version']))
    }
  }
  return versions
}

async function write({ connection, sql }: PassSettings, work: Work): Promise<void> {
  const writeSessions = async (
    differences: readonly Difference[],
    statement: (count: number) => string,
    withData: boolean,
  ): Promise<void> => {
    for (const portion of byBytes(differences, mostBytes, dataLength)) {
      for (const part of partsByPowersOfTwo(portion)) {
        const values = part.flatMap((difference) => sessionValues(difference, withData))
        await connection.change(statement(part.length), values)
      }
    }
  }
  await writeSessions(work.inserts, sql.insert, true)
  await writeSessions(work.changes, sql.change, true)
  await writeSessions(work.touches, sql.touch, false)
  for (const part of partsByPowersOfTwo(work.entries)) {
    await connection.change(sql.enter(part.length), part.flatMap(entryValues))
  }
}

/** Ends what is gone from the old table and was not changed in the new one. */
async function endGone(settings: PassSettings, seen: IdSet): Promise<number> {
  const { connection, sql, endAll } = settings
  const gone = await goneIds(settings, seen)
  if (gone.length > manyGone && !endAll) {
    const [row] = await connection.select(sql.countCopied)
    if (gone.length * 2 > Number(row?.['count'])) throw mostAreGone(gone.length, Number(row?.['count']))
  }
  let ended = 0
  for (const part of parts(gone, largestBatch)) {
    ended += await connection.transaction(async () => {
      const removed = await connection.change(sql.endUnchanged(part.length), part)
      await connection.change(sql.enterEnded(part.length), part)
      return removed
    })
  }
  return ended
}

async function goneIds({ connection, sql }: PassSettings, seen: IdSet): Promise<Buffer[]> {
  const gone: Buffer[] = []
  let after: MySQLValue[] = []
  for (;;) {
    const [part] = await connection.select(sql.ledgerPart(after.length === 0, ledgerIds), after)
    const last = part?.['last'] as Buffer | null
    if (last === null) return gone
    const ids = String(part!['ids'])
    for (let start = 0; start < ids.length; start += idLength) {
      const id = ids.slice(start, start + idLength)
      if (!seen.has(id)) gone.push(Buffer.from(id, 'hex'))
    }
    after = [last]
  }
}

function mostAreGone(gone: number, of: number): CommandError {
  return new CommandError(
    `${gone} of ${of} copied sessions are gone from the old table since the last pass. If that table was emptied because the move is over, there is nothing left to copy. If so many sessions were really ended there, run the command again with --end-all, and they end in the new table too.`,
  )
}

/** Read after the rows, so that the one that signed each of them is there. Most rows are not signed at all. */
async function keysFor({ connection, sql }: PassSettings, rows: readonly RowDataPacket[]): Promise<string[]> {
  if (!rows.some((row) => (row['data'] as Buffer).includes('"coatcheck"'))) return []
  return (await connection.select(sql.keys, [])).map((row) => (row['name'] as Buffer).toString())
}

function differenceOf(
  row: RowDataPacket,
  userPath: readonly string[] | undefined,
  keys: readonly string[],
): Difference {
  const id = row['id'] as Buffer
  const read = {
    id,
    secretHash: row['secret_hash'] as Buffer,
    data: row['data'] as Buffer,
    expires: Number(row['expires']),
    readAt: Number(row['read_at']),
  }
  return {
    ...read,
    fingerprint: row['fingerprint'] as Buffer,
    session: copiedSession(read, userPath, keys),
    copied:
      row['copied_version'] === null
        ? undefined
        : {
            id,
            fingerprint: row['copied_fingerprint'] as Buffer,
            expires: Number(row['copied_expires']),
            version: Number(row['copied_version']),
            ended: false,
          },
    copyHadExpired: Number(row['copy_had_expired']) === 1,
    present:
      row['present_version'] === null
        ? undefined
        : { version: Number(row['present_version']), fingerprint: row['present_fingerprint'] as Buffer },
  }
}

/** As the statements make it. */
function fingerprintOf(secretHash: Buffer, data: Buffer): Buffer {
  return Buffer.concat([secretHash.subarray(0, 4), hash('sha256', data, 'buffer').subarray(0, 8)])
}

function entryOf({ id, fingerprint, expires }: Difference, version: number): Entry {
  return { id, fingerprint, expires, version, ended: false }
}

function entryValues({ id, fingerprint, expires, version, ended }: Entry): MySQLValue[] {
  return [id, fingerprint, expires, version, ended ? 1 : 0]
}

function sessionValues(difference: Difference, withData: boolean): MySQLValue[] {
  const { id, secretHash, session, data, expires, readAt } = difference
  const { userId, authenticatedAt, createdAt = readAt, seenAt = readAt } = session ?? {}
  return [
    id,
    secretHash,
    userId === undefined ? null : Buffer.from(userId),
    authenticatedAt ?? null,
    withData ? (session?.data ?? data) : Buffer.alloc(0),
    createMark(),
    createdAt,
    seenAt,
    expires * 1000,
  ]
}
