import { bufferOf } from '../../core/data/codec.js'
import type { SessionId } from '../../core/store/record.js'
import type { StampedId } from '../../core/store/transfer.js'
import { openDatabase, type SQLiteDatabase, type SQLiteValue } from '../../stores/sqlite/driver.js'
import { isBusy } from '../../stores/sqlite/errors.js'
import { CommandError } from '../command-error.js'
import type { Entry, Look, Pending } from './entry.js'

/** The two stores of a copy by their names. */
export interface Direction {
  readonly from: string
  readonly to: string
}

const lookFields = ['version', 'mark', 'user', 'authenticated_at', 'seen_at', 'expires_at'] as const
/** What has a look. `one` is the store whose name sorts first; the ledger is the same in either direction. */
const looks = ['one', 'other', 'pending'] as const
const columns = [
  'id', 'is_note', 'pending', ...looks.flatMap((side) => lookFields.map((field) => `${side}_${field}`)),
] // prettier-ignore

const schema = `
CREATE TABLE IF NOT EXISTS copy (name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  id BLOB NOT NULL PRIMARY KEY,
  is_note INTEGER NOT NULL,
  pending TEXT,
  ${looks
    .map(
      (side) => `${side}_version INTEGER,
  ${side}_mark BLOB,
  ${side}_user BLOB,
  ${side}_authenticated_at INTEGER,
  ${side}_seen_at INTEGER,
  ${side}_expires_at INTEGER`,
    )
    .join(',\n  ')}
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending ON entries (id) WHERE pending IS NOT NULL`

const selectEntries = `SELECT ${columns.join(', ')} FROM entries`
const saveEntry = `INSERT OR REPLACE INTO entries (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`

type Row = Readonly<Record<string, number | Uint8Array | string | null>>

/**
 * The copy's own memory: which records it has copied, and how they looked then on both sides. It holds no token, no hash
 * of one, no data and no user id.
 *
 * It is a file of SQLite, and locked: two copies never use one ledger. What was saved is on the disk.
 */
export class Ledger {
  readonly #database: SQLiteDatabase
  readonly #statements = new Map<string, ReturnType<SQLiteDatabase['prepare']>>()
  readonly #file: string
  #isForward = true

  /** @throws CommandError */
  constructor(file: string) {
    this.#file = file
    try {
      this.#database = openDatabase(file)
      // Locked until the process ends, however it ends.
      this.#database.exec(
        'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL',
      )
      this.#transaction(() => this.#database.exec(schema))
    } catch (error) {
      if (isBusy(error)) {
        throw new CommandError(
          `Another copy with the ledger ${file} is running. Let it finish, or end its process.`,
        )
      }
      throw new CommandError(
        `The ledger ${file} cannot be used. Check that its folder exists, that this user may write there, and that the file is a ledger of coatcheck copy; or name another by --ledger.`,
      )
    }
  }

  /** Whether a copy has gone through to the end, so that apps may use both stores. */
  get isWhole(): boolean {
    return this.#number('whole') === 1
  }

  /** The direction of the copy that used it last; `undefined` if it is new. */
  get lastDirection(): Direction | undefined {
    const [one, other] = [this.#text('one'), this.#text('other')]
    if (one === undefined || other === undefined) return undefined
    return this.#number('forward') === 1 ? { from: one, to: other } : { from: other, to: one }
  }

  /** When the last whole pass in this direction began, by the clock of `to`; -Infinity if there was none. */
  get passBeganAt(): number {
    return this.#number('pass_began_at') ?? -Infinity
  }

  /** By how many milliseconds the clock of `to` is ahead of that of `from`, as it was used so far. */
  get offset(): number {
    const offset = this.#number('offset') ?? 0
    return this.#isForward ? offset : -offset
  }

  set offset(offset: number) {
    this.#set('offset', this.#isForward ? offset : -offset)
  }

  /** Reads and writes entries as for a copy in this direction. @throws CommandError if it is a ledger of other stores */
  use({ from, to }: Direction): void {
    const [one, other] = [from, to].toSorted() as [string, string]
    const [knownOne, knownOther] = [this.#text('one') ?? one, this.#text('other') ?? other]
    if (one !== knownOne || other !== knownOther) {
      throw new CommandError(
        `The ledger ${this.#file} is that of a copy between ${knownOne} and ${knownOther}. Name another by --ledger, or leave the option out.`,
      )
    }
    const last = this.lastDirection
    this.#isForward = from === one
    this.#transaction(() => {
      this.#set('one', one)
      this.#set('other', other)
      this.#set('forward', Number(this.#isForward))
      if (last && last.from !== from) this.#run('DELETE FROM copy WHERE name = ?', 'pass_began_at')
    })
  }

  /** @param at when the pass began, by the clock of `to` */
  passEnded(at: number): void {
    this.#transaction(() => {
      this.#set('whole', 1)
      this.#set('pass_began_at', at)
    })
  }

  /** Those of the records in `from` that have to be looked at. What was ended in `to` never comes back. */
  differing(records: readonly StampedId[]): StampedId[] {
    const [from, to] = this.#sides
    const same = this.#statement(
      `SELECT 1 FROM entries WHERE id = ? AND (${to}_version IS NULL OR (${from}_version = ? AND ${from}_mark = ? ` +
        `AND ${from}_seen_at = ? AND ${from}_expires_at = ?))`,
    )
    return records.filter(
      ({ id, version, mark, seenAt, expiresAt }) =>
        same.all(bytesOf(id), version, mark, seenAt, expiresAt).length === 0,
    )
  }

  entries(ids: readonly SessionId[]): Map<SessionId, Entry> {
    const found = new Map<SessionId, Entry>()
    for (const id of ids) {
      const [row] = this.#rows(`${selectEntries} WHERE id = ?`, bytesOf(id))
      if (row) found.set(id, this.#entryOf(row))
    }
    return found
  }

  /** Those with a write that may have been carried out or not. */
  pending(): Entry[] {
    return this.#rows(`${selectEntries} WHERE pending IS NOT NULL`).map((row) => this.#entryOf(row))
  }

  /** The ids of all entries, in pages. They may be saved and forgotten meanwhile. */
  *ids(limit: number): Generator<readonly SessionId[]> {
    for (let after: Uint8Array = Buffer.alloc(0); ;) {
      const rows = this.#rows('SELECT id FROM entries WHERE id > ? ORDER BY id LIMIT ?', after, limit)
      yield rows.map(({ id }) => idOf(id as Uint8Array))
      if (rows.length < limit) return
      after = rows.at(-1)!['id'] as Uint8Array
    }
  }

  /** How many records that have not expired are in both stores, as far as it knows. @param now by the clock of `from` */
  countCopied(now: number): number {
    const [from, to] = this.#sides
    const sql = `SELECT count(*) AS count FROM entries WHERE ${from}_expires_at > ? AND ${to}_version IS NOT NULL`
    return this.#rows(sql, now)[0]!['count'] as number
  }

  /** Saves entries, and forgets others, in one step. */
  save(entries: readonly Entry[], forgotten: readonly SessionId[] = []): void {
    if (entries.length === 0 && forgotten.length === 0) return
    this.#transaction(() => {
      for (const entry of entries) {
        this.#run(saveEntry, ...this.#valuesOf(entry))
      }
      for (const id of forgotten) this.#run('DELETE FROM entries WHERE id = ?', bytesOf(id))
    })
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  get #sides(): readonly [from: string, to: string] {
    return this.#isForward ? ['one', 'other'] : ['other', 'one']
  }

  #entryOf(row: Row): Entry {
    const [from, to] = this.#sides
    const what = row['pending'] as Pending['what'] | null
    return {
      id: idOf(row['id'] as Uint8Array),
      isNote: row['is_note'] === 1,
      from: lookIn(row, from),
      to: lookIn(row, to),
      pending: what === null ? undefined : { what, look: lookIn(row, 'pending')! },
    }
  }

  #valuesOf({ id, isNote, from, to, pending }: Entry): SQLiteValue[] {
    const [one, other] = this.#isForward ? [from, to] : [to, from]
    const values = [one, other, pending?.look].flatMap(lookValues)
    return [bytesOf(id), Number(isNote), pending?.what ?? null, ...values]
  }

  #number(name: string): number | undefined {
    return this.#value(name) as number | undefined
  }

  #text(name: string): string | undefined {
    return this.#value(name) as string | undefined
  }

  #value(name: string): SQLiteValue | undefined {
    return this.#rows('SELECT value FROM copy WHERE name = ?', name)[0]?.['value'] ?? undefined
  }

  #set(name: string, value: SQLiteValue): void {
    this.#run('INSERT OR REPLACE INTO copy (name, value) VALUES (?, ?)', name, value)
  }

  #rows(sql: string, ...values: SQLiteValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[]
  }

  #run(sql: string, ...values: SQLiteValue[]): void {
    this.#statement(sql).run(...values)
  }

  #statement(sql: string): ReturnType<SQLiteDatabase['prepare']> {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }
}

function bytesOf(id: SessionId): Buffer {
  return Buffer.from(id, 'base64url')
}

function idOf(bytes: Uint8Array): SessionId {
  return bufferOf(bytes).toString('base64url') as SessionId
}

function lookIn(row: Row, side: string): Look | undefined {
  const [version, mark, user, authenticatedAt, seenAt, expiresAt] = lookFields.map(
    (field) => row[`${side}_${field}`],
  )
  if (version === null) return undefined
  return {
    version: version as number,
    mark: mark as Uint8Array,
    user: (user ?? undefined) as Uint8Array | undefined,
    authenticatedAt: (authenticatedAt ?? undefined) as number | undefined,
    seenAt: seenAt as number,
    expiresAt: expiresAt as number,
  }
}

function lookValues(look: Look | undefined): SQLiteValue[] {
  if (!look) return lookFields.map(() => null)
  const { version, mark, user = null, authenticatedAt = null, seenAt, expiresAt } = look
  return [version, mark, user, authenticatedAt, seenAt, expiresAt]
}
