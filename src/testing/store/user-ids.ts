import assert from 'node:assert/strict'
import { publicIdOf, type SessionId, type SessionRecord } from '../../core/store/record.js'
import type { SessionStore } from '../../core/store/session-store.js'
import { find, hour, inserted, present, removalOf, rotated, rotationOf, updateOf, write } from './subject.js'
import type { Test } from './subject.js'

/**
 * Ids that databases, drivers, collations or patterns may confuse. Each is another user, and a store must keep them all
 * apart.
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
 * Ids that coatcheck refuses, beside ids that a careless store confuses with them. A store may refuse them too. If it
 * keeps one, it must keep it apart from all others.
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

/** User ids are compared byte by byte: when reading, listing and removing, and in the former content of a record. */
export function userIdTests(test: Test, keyedBy: 'token' | undefined): void {
  test('user ids come back as they were, and none is taken for another', async ({ store, other }) => {
    const records = await oneOfEach(store)
    for (const [userId, { id }] of records) {
      assert.equal((await present(other, id)).userId, userId)
      assert.deepEqual(await listed(other, userId), [[userId, id]], JSON.stringify(userId))
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
    for (const { id } of records) await present(store, id)
  })

  test("removing a user's records removes those of no other user", async ({ store, other }) => {
    const records = await oneOfEach(store)
    for (const [userId, { id }] of records) {
      assert.equal(await other.removeByUser(userId), 1, JSON.stringify(userId))
      assert.equal(await find(store, id), undefined, JSON.stringify(userId))
    }
  })

  test('a record is removed only by the very id of its user', async ({ store }) => {
    const records = await oneOfEach(store)
    for (const [index, record] of [...records.values()].entries()) {
      const other = [...records.values()].at(index - 1)!
      const removal = { ...removalOf(record), userId: other.userId }
      assert.equal(await write(store, removal), 'moved', JSON.stringify([record.userId, other.userId]))
      assert.equal(await write(store, { ...removal, userId: undefined }), 'moved')
    }
    for (const [userId, record] of records) {
      assert.equal(await write(store, removalOf(record)), 'done', JSON.stringify(userId))
    }
  })

  test('the record that is spared is named byte by byte', async ({ store }) => {
    const name = 'AbCdEfGh-_-_AbCd'
    const fields = { id: name as SessionId, userId: 'ada', publicId: name }
    const others = [
      `${name}\0`,
      `${name} `,
      `${name}=`,
      name.toUpperCase(),
      name.slice(0, 15),
      'AbCdEfGh+/+/AbCd',
      '',
    ]
    for (const except of others) {
      const record = await inserted(store, fields)
      assert.equal(publicIdOf(record), name)
      await inserted(store, { userId: 'ada' })
      assert.equal(await store.removeByUser('ada', except), 2, JSON.stringify(except))
      assert.equal(await find(store, record.id), undefined)
    }
    const record = await inserted(store, fields)
    assert.equal(await store.removeByUser('ada', name), 0)
    await present(store, record.id)
  })

  test('an update and a rotation change the user to just the one that they name', async (subject) => {
    const { store } = subject
    let record = await inserted(store, { userId: 'ada' })
    for (const userId of [...userIds, ...unusualIds]) {
      const update = { ...updateOf(record), userId }
      if ((await unlessRefused(() => write(store, update))) === undefined) continue
      record = await present(store, record.id)
      assert.equal(record.userId, userId)
      record = await rotated(subject, { ...rotationOf(record, { grace: hour }), userId: undefined })
      assert.equal(record.userId, undefined)
      if (keyedBy === undefined) assert.equal(record.former?.userId, userId)
    }
  })
}

/** Inserts a record for each user id that the store accepts. */
async function oneOfEach(store: SessionStore): Promise<Map<string, SessionRecord>> {
  const records = new Map<string, SessionRecord>()
  for (const userId of userIds) records.set(userId, await inserted(store, { userId }))
  for (const userId of unusualIds) {
    const record = await unlessRefused(() => inserted(store, { userId }))
    if (record) records.set(userId, record)
  }
  return records
}

async function listed(store: SessionStore, userId: string): Promise<[userId: unknown, id: string][]> {
  const { items } = await store.list({ userId, limit: 10, data: false })
  return items.map((record) => [record.userId, record.id])
}

/** The answer; `undefined` if the store refuses the user id. Any other error is thrown. */
async function unlessRefused<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask()
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SESSION_USER_ID') return undefined
    throw error
  }
}
