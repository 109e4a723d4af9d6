import assert from 'node:assert/strict'
import { type ListedRecord, publicIdOf, type SessionId, type SessionRecord } from '../../core/store/record.js'
import type { ListQuery, SessionStore } from '../../core/store/session-store.js'
import {
  comparable,
  expired,
  find,
  inserted,
  insertOf,
  laterThan,
  newId,
  present,
  removalOf,
  rotated,
  rotationOf,
  textOf,
  touchOf,
  updateOf,
  write,
  content,
  sameBytes,
} from './subject.js'
import type { Test } from './subject.js'

/** The records of all pages of a listing. */
async function listed(store: SessionStore, query: Omit<ListQuery, 'after'>): Promise<ListedRecord[]> {
  const records: ListedRecord[] = []
  let after: string | undefined
  for (let pages = 0; pages < 100; pages++) {
    const { items, next } = await store.list({ ...query, after })
    assert.ok(items.length <= query.limit, 'no page is longer than asked for')
    assert.ok(items.length > 0 || next === undefined, 'a page that is not the last has records')
    records.push(...items)
    if (next === undefined) return records
    after = next
  }
  return assert.fail('The listing does not end.')
}

function idsOf(records: readonly { id: string }[]): string[] {
  return records.map(({ id }) => id)
}

function sortedIdsOf(records: readonly { id: string }[]): string[] {
  return idsOf(records).sort()
}

/** A record as a listing shows it. */
function asListed(
  { marks: _marks, former: _former, data, ...rest }: SessionRecord,
  withData: boolean,
): object {
  return comparable({ ...rest, data: withData ? data : undefined })
}

/** Listings, and the removal of a user's records. */
export function listingTests(test: Test, keyedBy: 'token' | undefined): void {
  test('a listing of an empty store has no records and no next page', async ({ store }) => {
    const empty = { items: [], next: undefined }
    assert.deepEqual(await store.list({ limit: 10, data: false }), empty)
    assert.deepEqual(await store.list({ userId: 'ada', limit: 10, data: true }), empty)
  })

  test('listed records are the same as found ones, with their data only if asked for', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { userId: 'ada', about: 'a device', data: content('data') })
    const record = await rotated(subject, rotationOf(before, { grace: 60_000 }))
    for (const data of [false, true]) {
      for (const query of [
        { limit: 1, data },
        { userId: 'ada', limit: 1, data },
      ]) {
        const { items, next } = await store.list(query)
        assert.deepEqual(items.map(comparable), [asListed(record, data)])
        if (data) sameBytes(items[0]?.data, record.data)
        assert.ok((items[0]?.readAt ?? 0) >= record.createdAt)
        assert.equal(next, undefined)
      }
    }
  })

  for (const limit of [1, 3, 4, 12, 50]) {
    test(`pages of ${limit} are complete, without repeats, in the same order each time`, async ({
      store,
      other,
    }) => {
      const inserts = Array.from({ length: 12 }, (_, index) =>
        insertOf({ userId: ['ada', 'bob', undefined][index % 3], data: content(`${index}`) }),
      )
      await store.write(inserts)
      for (const userId of [undefined, 'ada']) {
        const expected = inserts.filter((insert) => userId === undefined || insert.userId === userId)
        const all = await listed(store, { userId, limit, data: false })
        assert.deepEqual(sortedIdsOf(all), sortedIdsOf(expected))
        const again = await listed(other, { userId, limit, data: true })
        assert.deepEqual(idsOf(again), idsOf(all))
        const texts = new Map<string, string>(inserts.map(({ id }, index) => [id, `${index}`]))
        for (const { id, data } of again) assert.equal(textOf({ data: data! }), texts.get(id))
      }
    })
  }

  if (keyedBy === undefined) {
    test("one user's sessions are listed by when they were seen, the last one first", async ({ store }) => {
      const records: SessionRecord[] = []
      for (let index = 0; index < 4; index++) {
        const record = await inserted(store, { userId: 'ada' })
        records.push(record)
        await laterThan(store, record)
      }
      const [first, second, third, fourth] = records as [
        SessionRecord,
        SessionRecord,
        SessionRecord,
        SessionRecord,
      ]
      const order = async (limit: number) => idsOf(await listed(store, { userId: 'ada', limit, data: false }))
      assert.deepEqual(await order(10), idsOf([fourth, third, second, first]))
      for (const use of [touchOf(second), updateOf(first), rotationOf(third)]) {
        assert.equal(await write(store, use), 'done')
        await laterThan(store, await present(store, use.id))
      }
      for (const limit of [1, 2, 3, 10]) {
        assert.deepEqual(await order(limit), idsOf([third, first, second, fourth]), `pages of ${limit}`)
      }
    })

    test("everybody's sessions are listed by the time in their ids, the last one first", async ({
      store,
    }) => {
      const later = (step: number): SessionId => {
        const bytes = Buffer.from(newId(), 'base64url')
        bytes.writeUIntBE(step, 0, 3)
        return bytes.toString('base64url') as SessionId
      }
      const inserts = [0, 1, 0x7f_ffff, 0x80_0000, 0xfb_ffff, 0xff_ffff].map((step) =>
        insertOf({ id: later(step) }),
      )
      for (const insert of inserts) await write(store, insert)
      await write(store, touchOf(await present(store, inserts[2]!.id)))
      for (const limit of [1, 4, 10]) {
        const all = await listed(store, { limit, data: false })
        assert.deepEqual(idsOf(all), idsOf(inserts.toReversed()), `pages of ${limit}`)
      }
    })
  }

  test('expired records are left out of a listing and do not cut it short', async ({ store }) => {
    const live = []
    for (let index = 0; index < 4; index++) {
      live.push(await inserted(store, { userId: 'ada' }))
      await expired(store, { userId: 'ada' })
    }
    for (const userId of [undefined, 'ada']) {
      assert.deepEqual(sortedIdsOf(await listed(store, { userId, limit: 2, data: false })), sortedIdsOf(live))
    }
  })

  test('records that come and go between pages do not disturb those that stay', async ({ store }) => {
    const inserts = Array.from({ length: 9 }, () => insertOf({ userId: 'ada' }))
    await store.write(inserts)
    const first = await store.list({ userId: 'ada', limit: 3, data: false })
    assert.ok(first.next)
    const [gone, ...stay] = await store.find(first.items.map(({ id }) => id))
    await write(store, removalOf(gone!))
    await inserted(store, { userId: 'bob' })
    for (const record of stay) await write(store, updateOf(record!))
    const rest = await store.list({ userId: 'ada', after: first.next, limit: 10, data: false })
    assert.deepEqual(sortedIdsOf([...first.items, ...rest.items]), sortedIdsOf(inserts))
  })

  test("removing a user's records ends them in every store, and nobody else's", async ({ store, other }) => {
    const adas = [await inserted(store, { userId: 'ada' }), await inserted(other, { userId: 'ada' })]
    const others = [
      await inserted(store, { userId: 'Ada' }),
      await inserted(store),
      await inserted(store, { userId: 'ada ' }),
    ]
    assert.equal(await store.removeByUser('ada'), 2)
    for (const { id } of adas) assert.equal(await find(other, id), undefined)
    for (const { id } of others) await present(other, id)
    assert.equal(await store.removeByUser('ada'), 0)
    for (const record of adas) assert.equal(await write(other, updateOf(record)), 'gone')
  })

  test("removing a user's records spares the one that is named, also after a rotation", async (subject) => {
    const { store } = subject
    const before = await inserted(store, { userId: 'ada' })
    await store.write([insertOf({ userId: 'ada' }), insertOf({ userId: 'ada' })])
    const spared = await rotated(subject, rotationOf(before))
    assert.equal(publicIdOf(spared), publicIdOf(before))
    assert.equal(await store.removeByUser('ada', publicIdOf(spared)), 2)
    await present(store, spared.id)
    assert.equal(await store.removeByUser('ada', newId()), 1)
    assert.equal(await find(store, spared.id), undefined)
  })

  test("the name of another user's record spares none", async ({ store }) => {
    const bobs = await inserted(store, { userId: 'bob' })
    await inserted(store, { userId: 'ada' })
    assert.equal(await store.removeByUser('ada', publicIdOf(bobs)), 1)
    await present(store, bobs.id)
  })

  test("removing a user's records counts live ones only", async ({ store }) => {
    await expired(store, { userId: 'ada' })
    await inserted(store, { userId: 'ada' })
    assert.equal(await store.removeByUser('ada'), 1)
  })

  test('a user with 200 records loses them all at once', async ({ store }) => {
    await store.write(Array.from({ length: 200 }, () => insertOf({ userId: 'ada' })))
    assert.equal(await store.removeByUser('ada'), 200)
    assert.deepEqual((await store.list({ limit: 10, data: false })).items, [])
  })
}
