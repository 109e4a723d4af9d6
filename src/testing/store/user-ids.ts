import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/record.js'
import type { SessionStore } from '../../core/store.js'
import { find, findFormer, hour, inserted, insertOf, present, write } from './subject.js'
import type { Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/**
 * Ids that engines, drivers, collations or patterns take for one another. Each is another user.
 * A store keeps every one of them.
 */
const userIds = [
  'admin',
  'Admin',
  'admin ',
  ' admin',
  'admin\n',
  'adm\u200bin',
  'ａdmin',
  'admın',
  'ADMİN',
  'á',
  'a\u0301',
  'ß',
  'ss',
  '\u212a',
  'K',
  '用户',
  '🧥',
  '🧤',
  '?',
  '????',
  '\ufffd',
  '\ufeffadmin',
  '%',
  '_',
  '*',
  "'; --",
  '\\',
  '\\u0061dmin',
  '"',
  'null',
  'undefined',
  '0',
  '00',
  '-0',
  '1',
  '1.0',
  '1e0',
  '9007199254740993',
  '9007199254740992',
  `${'x'.repeat(254)}a`,
  `${'x'.repeat(254)}b`,
  '用'.repeat(85),
]

/**
 * Ids that the engine refuses, and what a careless store takes each for. A store may refuse them too. If it keeps one,
 * it keeps it apart from all others.
 */
const unusualIds = [
  'admin\0',
  'admin\0x',
  '\0admin',
  '\0',
  '',
  '\ud83e',
  '\udde5',
  'a\ud83e',
  'a\ufffd',
  `${'x'.repeat(255)}c`,
  `${'x'.repeat(255)}d`,
]

/** User ids are compared byte by byte: in what is read, listed and removed, and in what a former key finds. */
export function userIdTests(test: Test, keyedBy: 'token' | undefined): void {
  test('user ids come back as they were, and none is taken for another', async ({ store, other }) => {
    const records = await oneOfEach(store)
    for (const [userId, { key }] of records) {
      assert.equal((await present(other, key)).userId, userId)
      assert.deepEqual(await listed(other, userId), [[userId, key]], JSON.stringify(userId))
    }
  })

  test('a user id that nobody has finds and removes nobody', async ({ store }) => {
    const records: SessionRecord[] = []
    for (const userId of ['admin', '\ufffd', 'a\ufffd', 'x'.repeat(255)]) {
      records.push(await inserted(store, { userId }))
    }
    records.push(await inserted(store))
    for (const userId of unusualIds) {
      if (userId === 'a\ufffd') continue
      assert.deepEqual((await unlessRefused(() => listed(store, userId))) ?? [], [], JSON.stringify(userId))
      assert.equal((await unlessRefused(() => store.removeByUser(userId))) ?? 0, 0, JSON.stringify(userId))
    }
    for (const { key } of records) await present(store, key)
  })

  test("removing a user's records removes those of no other user", async ({ store, other }) => {
    const records = await oneOfEach(store)
    for (const [userId, { key }] of records) {
      assert.equal(await other.removeByUser(userId), 1, JSON.stringify(userId))
      assert.equal(await find(store, key), undefined, JSON.stringify(userId))
    }
  })

  test('the record that is spared is named byte by byte', async ({ store }) => {
    const record = await inserted(store, { userId: 'ada', publicId: 'abc' })
    for (const except of ['abc\0', 'ABC', 'abc ', 'ab']) {
      await inserted(store, { userId: 'ada' })
      const { key } = await inserted(store, { userId: 'ada', publicId: 'abc' })
      assert.equal(await unlessRefused(() => store.removeByUser('ada', except)), 3, JSON.stringify(except))
      assert.equal(await find(store, key), undefined)
      await store.write([insertOf({ key: record.key, userId: 'ada', publicId: 'abc' })])
    }
    await present(store, record.key)
  })

  test('an update and a rotation change the user to just the one that they name', async ({ store }) => {
    let record = await inserted(store, { userId: 'ada' })
    for (const userId of [...userIds, ...unusualIds]) {
      const update = { ...updateOf(record), userId }
      if ((await unlessRefused(() => write(store, update))) === undefined) continue
      record = await present(store, record.key)
      assert.equal(record.userId, userId)
      const rotation = { ...rotationOf(record), userId: undefined, grace: hour }
      assert.equal(await write(store, rotation), 'done')
      if (keyedBy === undefined) {
        assert.equal((await findFormer(store, record.key))?.former?.userId, userId)
      }
      record = await present(store, rotation.newKey)
      assert.equal(record.userId, undefined)
    }
  })
}

/** A record of each user whom the store takes. */
async function oneOfEach(store: SessionStore): Promise<Map<string, SessionRecord>> {
  const records = new Map<string, SessionRecord>()
  for (const userId of userIds) records.set(userId, await inserted(store, { userId }))
  for (const userId of unusualIds) {
    const record = await unlessRefused(() => inserted(store, { userId }))
    if (record) records.set(userId, record)
  }
  return records
}

async function listed(store: SessionStore, userId: string): Promise<[userId: unknown, key: string][]> {
  const { items } = await store.list({ userId, limit: 10 })
  return items.map((record) => [record.userId, record.key])
}

/** `undefined` if the store refuses the id as no name of a user. Any other failure is one. */
async function unlessRefused<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask()
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SESSION_USER_ID') return undefined
    throw error
  }
}
