import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/record.js'
import type { SessionStore } from '../../core/store.js'
import { expired, find, inserted, insertOf, present, withoutReadAt, write } from './subject.js'
import type { Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/** All pages of a listing, put together. */
async function listed(store: SessionStore, limit: number, userId?: string): Promise<SessionRecord[]> {
  const records: SessionRecord[] = []
  let after: string | undefined
  for (let pages = 0; pages < 100; pages++) {
    const { items, next } = await store.list({ userId, after, limit })
    assert.ok(items.length <= limit, 'no page is longer than asked for')
    assert.ok(items.length > 0 || next === undefined, 'a page that is not the last has records')
    records.push(...items)
    if (next === undefined) return records
    after = next
  }
  return assert.fail('The listing does not end.')
}

function keysOf(records: readonly { key: string }[]): string[] {
  return records.map(({ key }) => key).sort()
}

/** Listings, and the removal of a user's records. */
export function listingTests(test: Test): void {
  test('a listing of an empty store has no records and no next page', async ({ store }) => {
    assert.deepEqual(await store.list({ limit: 10 }), { items: [], next: undefined })
    assert.deepEqual(await store.list({ userId: 'ada', limit: 10 }), { items: [], next: undefined })
  })

  test('listed records are the same as found ones', async ({ store }) => {
    const record = await inserted(store, { userId: 'ada' })
    for (const query of [{ limit: 1 }, { userId: 'ada', limit: 1 }]) {
      const { items, next } = await store.list(query)
      assert.deepEqual(items.map(withoutReadAt), [withoutReadAt(record)])
      assert.ok((items[0]?.readAt ?? 0) >= record.createdAt)
      assert.equal(next, undefined)
    }
  })

  for (const limit of [1, 3, 4, 12, 50]) {
    test(`pages of ${limit} are complete, without repeats, in the same order each time`, async ({
      store,
      other,
    }) => {
      const inserts = Array.from({ length: 12 }, (_, index) =>
        insertOf({ userId: ['ada', 'bob', undefined][index % 3] }),
      )
      await store.write(inserts)
      const all = await listed(store, limit)
      assert.deepEqual(keysOf(all), keysOf(inserts))
      assert.deepEqual(all.map(withoutReadAt), (await listed(other, limit)).map(withoutReadAt))
      const adas = await listed(store, limit, 'ada')
      assert.deepEqual(keysOf(adas), keysOf(inserts.filter(({ userId }) => userId === 'ada')))
      assert.deepEqual(adas.map(withoutReadAt), (await listed(other, limit, 'ada')).map(withoutReadAt))
    })
  }

  test('expired records are left out of a listing and do not cut it short', async ({ store }) => {
    const live = []
    for (let index = 0; index < 4; index++) {
      live.push(await inserted(store, { userId: 'ada' }))
      await expired(store, { userId: 'ada' })
    }
    assert.deepEqual(keysOf(await listed(store, 2)), keysOf(live))
    assert.deepEqual(keysOf(await listed(store, 2, 'ada')), keysOf(live))
  })

  test('records that come and go between pages do not disturb those that stay', async ({ store }) => {
    const inserts = Array.from({ length: 9 }, () => insertOf({ userId: 'ada' }))
    await store.write(inserts)
    const first = await store.list({ userId: 'ada', limit: 3 })
    const [gone] = first.items
    assert.ok(gone && first.next)
    await write(store, { type: 'remove', key: gone.key })
    await inserted(store, { userId: 'bob' })
    for (const record of first.items.slice(1)) await write(store, updateOf(record))
    const rest = await store.list({ userId: 'ada', after: first.next, limit: 10 })
    assert.deepEqual(keysOf([...first.items, ...rest.items]), keysOf(inserts))
  })

  test("removing a user's records ends them in every store, and nobody else's", async ({ store, other }) => {
    const adas = [await inserted(store, { userId: 'ada' }), await inserted(other, { userId: 'ada' })]
    const others = [
      await inserted(store, { userId: 'Ada' }),
      await inserted(store),
      await inserted(store, { userId: 'ada ' }),
    ]
    assert.equal(await store.removeByUser('ada'), 2)
    for (const { key } of adas) assert.equal(await find(other, key), undefined)
    for (const { key } of others) await present(other, key)
    assert.equal(await store.removeByUser('ada'), 0)
    for (const record of adas) assert.equal(await write(other, updateOf(record)), 'gone')
  })

  test("removing a user's records spares the one with the publicId given, also after a rotation", async ({
    store,
  }) => {
    const spared = await inserted(store, { userId: 'ada' })
    await inserted(store, { userId: 'ada' })
    await inserted(store, { userId: 'ada' })
    const rotation = rotationOf(spared)
    assert.equal(await write(store, rotation), 'done')
    assert.equal(await store.removeByUser('ada', spared.publicId), 2)
    await present(store, rotation.newKey)
    assert.equal(await store.removeByUser('ada', 'nobody has this one'), 1)
    assert.equal(await find(store, rotation.newKey), undefined)
  })

  test("removing a user's records counts live ones only", async ({ store }) => {
    await expired(store, { userId: 'ada' })
    await inserted(store, { userId: 'ada' })
    assert.equal(await store.removeByUser('ada'), 1)
  })

  test('a user with 200 records loses them all at once', async ({ store }) => {
    await store.write(Array.from({ length: 200 }, () => insertOf({ userId: 'ada' })))
    assert.equal(await store.removeByUser('ada'), 200)
    assert.deepEqual((await store.list({ limit: 10 })).items, [])
  })
}
