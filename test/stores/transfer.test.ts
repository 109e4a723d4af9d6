import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionId, SessionStore } from 'coatcheck'
import { openStore } from 'coatcheck/open'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type RecordTransfer,
  recordTransfer,
  stampOf,
  type TransferableStore,
  type WholeRecord,
} from '../../dist/core/store/transfer.js'
import {
  aMoment,
  bytes,
  find,
  inserted,
  insertOf,
  minute,
  newId,
  newMark,
  rotationOf,
  touchOf,
  until,
  updateOf,
  write,
} from '../../dist/testing/store/subject.js'
import { databases, freshDatabase } from '../servers/databases.ts'
import { ownFolder } from '../servers/owned.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { startRedis } from '../servers/redis.ts'

/** Each gives the URL of an empty store. */
const places: Readonly<Record<string, () => Promise<string>>> = {
  SQLite: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-transfer-'))
    ownFolder(folder)
    return `sqlite:${join(folder, 'sessions.db')}`
  },
  ...Object.fromEntries(databases().map(({ name, server }) => [name, () => freshDatabase(server)])),
  PostgreSQL: () => freshPostgreSQL(),
  Redis: async () => (await startRedis()).url,
}

describe.each(Object.entries(places))('whole records of %s', (_, freshURL) => {
  let store: SessionStore
  let transfer: RecordTransfer

  beforeEach(async () => {
    store = openStore(await freshURL())
    transfer = (store as unknown as TransferableStore)[recordTransfer]()!
  })
  afterEach(() => store.close())

  async function read(id: SessionId): Promise<WholeRecord | undefined> {
    return (await transfer.read([id]))[0]
  }

  async function recordAt(now: number, fields: Partial<WholeRecord> = {}): Promise<WholeRecord> {
    return {
      id: newId(),
      hash: randomBytes(32),
      userId: 'ada',
      authenticatedAt: now - 5_000,
      data: randomBytes(300),
      about: 'a phone ☎',
      rootId: undefined,
      format: 1,
      version: 7,
      marks: randomBytes(32),
      createdAt: now - 9_000,
      seenAt: now - 1_000,
      expiresAt: now + minute,
      former: {
        hash: randomBytes(32),
        userId: 'bob',
        authenticatedAt: now - 8_000,
        data: randomBytes(200),
        until: now + 8_000,
      },
      ...fields,
    }
  }

  async function put(...records: WholeRecord[]): Promise<void> {
    const results = await transfer.write(
      records.map((record) => ({ id: record.id, expected: undefined, record })),
    )
    expect(results).toEqual(records.map(() => 'done'))
  }

  test('the clock is that of the records', async () => {
    const before = await transfer.now()
    const { createdAt } = await inserted(store)
    expect(createdAt).toBeGreaterThanOrEqual(before)
    expect(createdAt).toBeLessThanOrEqual(await transfer.now())
  })

  test('a record that is put is read back as it was, by the store too', async () => {
    const record = await recordAt(await transfer.now())
    await put(record)
    expect(comparable(await read(record.id))).toEqual(comparable(record))
    const { readAt, ...found } = (await find(store, record.id))!
    const { until: _, ...former } = record.former!
    expect(comparable({ ...found, publicId: undefined })).toEqual(comparable({ ...record, former }))
    expect(readAt).toBeGreaterThanOrEqual(record.seenAt)
  })

  test('what a record may lack is lacking', async () => {
    const now = await transfer.now()
    const nothing = {
      hash: undefined,
      userId: undefined,
      authenticatedAt: undefined,
      about: undefined,
      former: undefined,
    }
    const note = await recordAt(now, { ...nothing, marks: newMark(), version: 1, data: bytes('') })
    const root = await recordAt(now)
    const child = await recordAt(now, { rootId: root.id, former: undefined })
    await put(note, root, child)
    for (const record of [note, child]) expect(comparable(await read(record.id))).toEqual(comparable(record))
    // A store may count what it keeps beside records.
    expect(await transfer.count()).toBeGreaterThanOrEqual(3)
  })

  test('a former content is moved with the rest of its grace, and not after that', async () => {
    const record = await inserted(store)
    const rotation = rotationOf(record, { grace: minute })
    await write(store, rotation)
    const now = await transfer.now()
    const { former } = (await read(record.id))!
    expect(former!.until).toBeGreaterThan(now + minute - 5_000)
    expect(former!.until).toBeLessThanOrEqual(now + minute)
    const short = rotationOf({ ...record, version: 2 }, { grace: 1 })
    await write(store, short)
    await until('its grace is over', async () => (await read(record.id))!.former === undefined)
  })

  test('a child is read and replaced, though its root is gone', async () => {
    const child = await recordAt(await transfer.now(), { rootId: newId(), former: undefined })
    await put(child)
    expect(await find(store, child.id)).toBeUndefined()
    expect(comparable(await read(child.id))).toEqual(comparable(child))
    const changed = { ...child, version: 8, marks: randomBytes(32) }
    expect(await transfer.write([{ id: child.id, expected: stampOf(child), record: changed }])).toEqual([
      'done',
    ])
  })

  test('an expired record does not exist, and makes way as a whole', async () => {
    const before = insertOf({ lifetime: aMoment, about: 'the one before' })
    const { id } = before
    await write(store, before)
    await until('it has expired', async () => (await read(id)) === undefined)
    expect((await transfer.page(undefined, 10)).items).toEqual([])
    const record = await recordAt(await transfer.now(), { id, about: undefined, former: undefined })
    await put(record)
    expect(comparable(await read(id))).toEqual(comparable(record))
  })

  test('a record is put only where none is', async () => {
    const present = await inserted(store)
    const others = await Promise.all([1, 2, 3].map(() => recordAt(Date.now())))
    const taken = await recordAt(await transfer.now(), { id: present.id })
    const records = [others[0]!, taken, others[1]!, others[2]!]
    const results = await transfer.write(
      records.map((record) => ({ id: record.id, expected: undefined, record })),
    )
    expect(results).toEqual(['done', 'different', 'done', 'done'])
    expect((await read(present.id))!.version).toBe(present.version)
  })

  test.each<[string, (record: WholeRecord) => Promise<unknown>]>([
    ['changed', async ({ id, version, userId }) => write(store, updateOf({ id, version, userId }))],
    ['used', async (record) => write(store, touchOf(record))],
    ['removed', async ({ id, userId }) => write(store, { type: 'remove', id, userId })],
  ])('a record that was %s since is neither replaced nor removed', async (_, meanwhile) => {
    const record = await recordAt(await transfer.now(), { former: undefined })
    await put(record)
    await meanwhile(record)
    const now = await read(record.id)
    const expected = stampOf(record)
    const replacement = { ...record, marks: randomBytes(32), version: 9 }
    expect(await transfer.write([{ id: record.id, expected, record: replacement }])).toEqual(['different'])
    expect(await transfer.write([{ id: record.id, expected, record: undefined }])).toEqual(['different'])
    expect(await read(record.id)).toEqual(now)
  })

  test('a record that is as expected is replaced as a whole, and removed', async () => {
    const now = await transfer.now()
    const records = await Promise.all([1, 2, 3].map(() => recordAt(now)))
    await put(...records)
    const others = await Promise.all(
      records.map(({ id }) =>
        recordAt(now, {
          id,
          userId: undefined,
          authenticatedAt: undefined,
          about: undefined,
          former: undefined,
          expiresAt: now + 2 * minute,
        }),
      ),
    )
    const replaced = records.map((record, index) => ({
      id: record.id,
      expected: stampOf(record),
      record: others[index]!,
    }))
    expect(await transfer.write(replaced)).toEqual(['done', 'done', 'done'])
    for (const other of others) expect(comparable(await read(other.id))).toEqual(comparable(other))
    const removed = others.map((other) => ({ id: other.id, expected: stampOf(other), record: undefined }))
    expect(await transfer.write(removed)).toEqual(['done', 'done', 'done'])
    expect(await transfer.read(others.map(({ id }) => id))).toEqual([undefined, undefined, undefined])
  })

  test('kinds of writes go in one batch, each with its result', async () => {
    const now = await transfer.now()
    const [kept, gone, added] = await Promise.all([1, 2, 3].map(() => recordAt(now)))
    await put(kept!, gone!)
    expect(
      await transfer.write([
        { id: gone!.id, expected: stampOf(gone!), record: undefined },
        { id: added!.id, expected: undefined, record: added },
        { id: kept!.id, expected: stampOf(gone!), record: { ...added!, id: kept!.id } },
        { id: newId(), expected: undefined, record: undefined },
      ]),
    ).toEqual(['done', 'done', 'different', 'done'])
    expect(await transfer.write([])).toEqual([])
  })

  test('all stamps are in the pages, as the records have them', async () => {
    const now = await transfer.now()
    const records = await Promise.all(Array.from({ length: 150 }, () => recordAt(now)))
    await put(...records)
    await write(store, touchOf(records[3]!))
    const found = new Map()
    let after: string | undefined
    do {
      const page = await transfer.page(after, 40)
      for (const { id: pageId, ...stamp } of page.items) found.set(pageId, comparable(stamp))
      after = page.next
    } while (after !== undefined)
    const whole = await transfer.read(records.map((record) => record.id))
    expect(found).toEqual(new Map(whole.map((record) => [record!.id, comparable(stampOf(record!))])))
  })

  test('large records go too', async () => {
    const now = await transfer.now()
    const records = await Promise.all(
      Array.from({ length: 9 }, () => recordAt(now, { data: randomBytes(400_000), former: undefined })),
    )
    await put(...records)
    const whole = await transfer.read(records.map(({ id }) => id))
    expect(
      whole.map((record) =>
        Buffer.from(record!.data).equals(records.find(({ id }) => id === record!.id)!.data),
      ),
    ).toEqual(records.map(() => true))
  })
})

test('the table of express-mysql-session has no whole records', async () => {
  const { MySQLStore } = await import('coatcheck/mysql')
  const store = new MySQLStore('mysql://app@127.0.0.1:1/shop', { layout: 'express-mysql-session' })
  expect((store as unknown as TransferableStore)[recordTransfer]()).toBeUndefined()
  await store.close()
})

/** Bytes as text, for all kinds of arrays of bytes. */
function comparable(value: object | undefined): unknown {
  if (value === undefined) return undefined
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]: [string, unknown]) => [
        name,
        field instanceof Uint8Array
          ? Buffer.from(field).toString('hex')
          : typeof field === 'object' && field !== null
            ? comparable(field)
            : field,
      ]),
  )
}
