import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { recordFormat, type SessionId, type SessionRecord } from '../../core/store/record.js'
import { markLength } from '../../core/store/mark.js'
import { wait } from '../../core/scheduling.js'
import type {
  InsertWrite,
  Lifetime,
  NewSecret,
  RemoveWrite,
  SessionStore,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { createId, hashOf } from '../../core/token.js'

/** Two stores on one empty database. */
export interface StoresUnderTest {
  /** The store to test. */
  readonly store: SessionStore
  /**
   * A second store on the same database, with connections of its own, as in another process. In memory: the same
   * object.
   */
  readonly other: SessionStore
  /** Removes the database. Both stores are closed before. */
  cleanUp(): Promise<void>
}

/** What a test gets: new stores, and their kind. */
export interface Subject extends StoresUnderTest {
  /** `'token'` for a `TokenKeyedStore`. Each test says what such a store cannot keep. */
  readonly keyedBy: 'token' | undefined
  /** Whether the store removes what has expired. Otherwise its database does, by itself. */
  readonly sweeps: boolean
}

/** Declares one test. */
export type Test = (behaviour: string, body: (subject: Subject) => Promise<void>) => void

export const hour = 3_600_000
export const minute = 60_000

/** Long enough that nothing expires in a test. */
export const anHour: Lifetime = { idle: hour, absolute: undefined }

/** Expires at the next tick of the store's clock. */
export const aMoment: Lifetime = { idle: 1, absolute: undefined }

/** An id that no record has. A `TokenKeyedStore` takes it as a token. */
export function newId(): SessionId {
  return createId()
}

export function newMark(): Uint8Array {
  return randomBytes(markLength)
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/**
 * Data that every store accepts: the JSON of a session with its cookie, as a `TokenKeyedStore` expects it.
 * @param idle the `lifetime.idle` that it is stored with: such a store may compute from it when a session was last
 *   seen.
 */
export function content(text: string, idle = hour): Uint8Array {
  const expires = '2100-01-01T00:00:00.000Z'
  return bytes(JSON.stringify({ cookie: { originalMaxAge: idle, expires, httpOnly: true, path: '/' }, text }))
}

/** The text that was given to `content`. */
export function textOf({ data }: { readonly data: Uint8Array }): unknown {
  return (JSON.parse(Buffer.from(data).toString()) as { text?: unknown }).text
}

/** An insert of an ordinary session, with some fields replaced. */
export function insertOf(fields: Partial<Omit<InsertWrite, 'type'>> = {}): InsertWrite {
  const id = fields.id ?? newId()
  return {
    type: 'insert',
    id,
    publicId: createId(),
    hash: hashOf(id),
    userId: undefined,
    signedIn: false,
    data: content(''),
    format: recordFormat,
    mark: newMark(),
    lifetime: anHour,
    ...fields,
  }
}

/** An insert of a note, which coatcheck keeps beside the sessions. */
export function noteOf({ keyedBy }: Subject, fields: Partial<Omit<InsertWrite, 'type'>> = {}): InsertWrite {
  const id = (keyedBy === 'token' ? `note.${newId()}` : newId()) as SessionId
  return insertOf({ id, hash: undefined, ...fields })
}

/** An update of `record` as it was read. */
export function updateOf(
  { id, version, userId }: Pick<SessionRecord, 'id' | 'version' | 'userId'>,
  data: Uint8Array = content('changed'),
): UpdateWrite {
  return {
    type: 'update',
    id,
    version,
    userId,
    data,
    format: recordFormat,
    mark: newMark(),
    lifetime: anHour,
  }
}

/** An update that changes the token. */
export interface Rotation extends UpdateWrite {
  readonly secret: NewSecret & { readonly token: SessionId }
}

/** A rotation of `record` as it was read. Only a `TokenKeyedStore` uses the token itself. */
export function rotationOf(
  record: Pick<SessionRecord, 'id' | 'version' | 'userId'>,
  secret: Partial<Pick<NewSecret, 'signedIn' | 'grace'>> & { readonly token?: SessionId } = {},
): Rotation {
  const token = secret.token ?? newId()
  return { ...updateOf(record), secret: { signedIn: false, grace: 0, ...secret, token, hash: hashOf(token) } }
}

/** The id of a record after a rotation. */
export function idAfter({ keyedBy }: Subject, { id, secret }: Rotation): SessionId {
  return keyedBy === 'token' ? secret.token : id
}

/** A touch of `record` as it was read. */
export function touchOf(
  { id, hash, data }: Pick<SessionRecord, 'id' | 'hash' | 'data'>,
  lifetime = anHour,
): TouchWrite {
  assert.ok(hash, 'a session has a hash')
  return { type: 'touch', id, hash, data, lifetime }
}

/** A removal of `record` as it was read. */
export function removalOf({ id, userId }: Pick<SessionRecord, 'id' | 'userId'>): RemoveWrite {
  return { type: 'remove', id, userId }
}

/** Inserts a record and reads it back. */
export async function inserted(
  store: SessionStore,
  fields: Partial<Omit<InsertWrite, 'type'>> = {},
): Promise<SessionRecord> {
  const insert = insertOf(fields)
  assert.equal(await write(store, insert), 'done')
  return present(store, insert.id)
}

/** Rotates a record and reads it back. */
export async function rotated(subject: Subject, rotation: Rotation): Promise<SessionRecord> {
  assert.equal(await write(subject.store, rotation), 'done')
  return present(subject.store, idAfter(subject, rotation))
}

/** Inserts a record and waits until it has expired. */
export async function expired(
  store: SessionStore,
  fields: Partial<Omit<InsertWrite, 'type'>> = {},
): Promise<InsertWrite> {
  const insert = insertOf({ ...fields, lifetime: aMoment })
  assert.equal(await write(store, insert), 'done')
  await until('the record expires', async () => (await find(store, insert.id)) === undefined)
  return insert
}

export async function find(store: SessionStore, id: SessionId): Promise<SessionRecord | undefined> {
  const records = await store.find([id])
  assert.equal(records.length, 1)
  return records[0]
}

export async function present(store: SessionStore, id: SessionId): Promise<SessionRecord> {
  const record = await find(store, id)
  assert.ok(record, 'the record is found')
  return record
}

export async function write(store: SessionStore, change: SessionWrite): Promise<WriteResult> {
  const results = await store.write([change])
  assert.equal(results.length, 1)
  const [result] = results
  if (result instanceof Error) throw result
  assert.ok(result)
  return result
}

/** Asks again until `condition` holds, for some seconds at most. */
export async function until(condition: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 5_000; attempt++) {
    if (await holds()) return
    await wait(1)
  }
  assert.fail(`Waited in vain until ${condition}.`)
}

/** Waits until the store's clock shows a later time than when `record` was read. */
export async function laterThan(store: SessionStore, { id, readAt }: SessionRecord): Promise<void> {
  await until('the store has a later time', async () => (await present(store, id)).readAt > readAt)
}

/**
 * Asserts the version of a record. In a `TokenKeyedStore`, it is any whole number that changes with the content: that
 * it does is shown by updates that must be `stale`.
 */
export function assertVersion({ keyedBy }: Subject, { version }: SessionRecord, expected: number): void {
  if (keyedBy === undefined) assert.equal(version, expected)
  else assert.ok(Number.isSafeInteger(version) && version >= 0, 'a version is a whole number')
}

/**
 * Asserts when a record expires: `life` milliseconds after `from`, to the millisecond. A `TokenKeyedStore` may keep whole
 * seconds, rounded up, and may write `from` a moment before the expiry. But it did not write the expiry after the record
 * was read.
 */
export function assertExpiry(
  { keyedBy }: Subject,
  { expiresAt, readAt }: SessionRecord,
  from: number,
  life: number,
): void {
  if (keyedBy === undefined) assert.equal(expiresAt, from + life)
  else assert.ok(expiresAt >= from + life && expiresAt <= readAt + life + 1_000, 'it expires in time')
}

/** Asserts that bytes are equal, whatever class holds them. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  assert.ok(actual instanceof Uint8Array, 'it is a Uint8Array')
  assert.equal(hex(actual), expected && hex(expected))
}

/** A record to compare with another: without `readAt` and undefined fields, and with bytes as text. */
export function comparable(record: object): object {
  const fields = Object.entries(record).filter(
    ([name, value]) => name !== 'readAt' && value !== undefined,
  ) as [string, unknown][]
  return Object.fromEntries(
    fields.map(([name, value]) => [
      name,
      value instanceof Uint8Array ? hex(value) : name === 'former' ? comparable(value as object) : value,
    ]),
  )
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex')
}
