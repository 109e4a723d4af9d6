import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { SessionKey, SessionRecord } from '../../core/record.js'
import { wait } from '../../core/scheduling.js'
import type { InsertWrite, Lifetime, SessionStore, SessionWrite, WriteResult } from '../../core/store.js'

/** Two stores on one database that was empty. */
export interface StoresUnderTest {
  readonly store: SessionStore
  /** A second one, with connections of its own, as another process would have. For a store in memory: the same. */
  readonly other: SessionStore
  /** Removes the database. Both stores are closed by then. */
  cleanUp(): Promise<void>
}

/** What a test gets: fresh stores, and what they are known to keep. */
export interface Subject extends StoresUnderTest {
  /** `'token'` for stores that keep sessions as older libraries do. What these cannot keep is said where it is tested. */
  readonly keyedBy: 'token' | undefined
}

/** Declares one test. */
export type Test = (behaviour: string, body: (subject: Subject) => Promise<void>) => void

export const hour = 3_600_000
export const minute = 60_000

/** Long enough that nothing expires in a test. */
export const anHour: Lifetime = { idle: hour, absolute: undefined }

/** Over at the store's next tick. */
export const aMoment: Lifetime = { idle: 1, absolute: undefined }

export function newKey(): SessionKey {
  return randomBytes(24).toString('hex') as SessionKey
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/**
 * Data that every store takes: the JSON of a session with its cookie, as stores that are keyed by token expect it.
 * @param idle what `lifetime.idle` it is stored with: such a store may tell from it when a session was last seen
 */
export function content(text: string, idle = hour): Uint8Array {
  const expires = '2100-01-01T00:00:00.000Z'
  return bytes(JSON.stringify({ cookie: { originalMaxAge: idle, expires, httpOnly: true, path: '/' }, text }))
}

/** The text that `content` was made with. */
export function textOf({ data }: SessionRecord): unknown {
  return (JSON.parse(Buffer.from(data).toString()) as { text?: unknown }).text
}

/** An insert of a session like any other, but for what `fields` says. */
export function insertOf(fields: Partial<Omit<InsertWrite, 'type'>> = {}): InsertWrite {
  return {
    type: 'insert',
    key: newKey(),
    publicId: randomBytes(12).toString('base64url'),
    userId: undefined,
    signedIn: false,
    data: content(''),
    lifetime: anHour,
    ...fields,
  }
}

/** Inserts a record and reads it back. */
export async function inserted(
  store: SessionStore,
  fields: Partial<Omit<InsertWrite, 'type'>> = {},
): Promise<SessionRecord> {
  const insert = insertOf(fields)
  assert.equal(await write(store, insert), 'done')
  return present(store, insert.key)
}

/** Inserts a record and waits until it has expired. */
export async function expired(
  store: SessionStore,
  fields: Partial<Omit<InsertWrite, 'type'>> = {},
): Promise<InsertWrite> {
  const insert = insertOf({ ...fields, lifetime: aMoment })
  assert.equal(await write(store, insert), 'done')
  await until('the record expires', async () => (await find(store, insert.key)) === undefined)
  return insert
}

export async function find(store: SessionStore, key: SessionKey): Promise<SessionRecord | undefined> {
  const records = await store.find([key])
  assert.equal(records.length, 1)
  return records[0]
}

export async function findFormer(store: SessionStore, key: SessionKey): Promise<SessionRecord | undefined> {
  const records = await store.findFormer([key])
  assert.equal(records.length, 1)
  return records[0]
}

export async function present(store: SessionStore, key: SessionKey): Promise<SessionRecord> {
  const record = await find(store, key)
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

/** Asks again, for some seconds at most, until `condition` holds. */
export async function until(condition: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 5_000; attempt++) {
    if (await holds()) return
    await wait(1)
  }
  assert.fail(`Waited in vain until ${condition}.`)
}

/**
 * Holds a record to the version that it has after so many changes. A store that is keyed by token has no place for a
 * count: there it is any number that changes with the content, which updates that must be `stale` show.
 */
export function assertVersion({ keyedBy }: Subject, { version }: SessionRecord, expected: number): void {
  if (keyedBy === undefined) assert.equal(version, expected)
  else assert.ok(Number.isSafeInteger(version) && version >= 0, 'a version is a whole number')
}

/** Holds a moment to the millisecond; to the second, where a store keyed by token counts in these and rounds up. */
export function assertMoment({ keyedBy }: Subject, actual: number, expected: number): void {
  if (keyedBy === undefined) assert.equal(actual, expected)
  else assert.ok(actual >= expected && actual <= expected + 1_000, `${actual} is ${expected} to the second`)
}

/** Compares bytes, whichever class of the platform holds them. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.ok(actual instanceof Uint8Array, 'data is a Uint8Array')
  assert.equal(Buffer.from(actual).toString('hex'), Buffer.from(expected).toString('hex'))
}

/** What of a record does not depend on when it is read. */
export function withoutReadAt(record: SessionRecord): object {
  const { readAt, data, ...rest } = record
  assert.equal(typeof readAt, 'number')
  return { ...rest, data: Buffer.from(data).toString('hex') }
}
