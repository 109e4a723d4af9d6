import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/store/record.js'
import {
  aMoment,
  assertExpiry,
  assertVersion,
  content,
  expired,
  find,
  hour,
  idAfter,
  inserted,
  laterThan,
  insertOf,
  minute,
  newId,
  present,
  removalOf,
  rotated,
  rotationOf,
  sameBytes,
  textOf,
  touchOf,
  until,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Idle and absolute lifetimes, by the store's clock. */
export function expiryTests(test: Test): void {
  test('an expired record is absent for every method', async ({ store }) => {
    const { id } = await expired(store, { userId: 'ada' })
    const record = { ...(await inserted(store, { userId: 'ada' })), id }
    const rotation = rotationOf(record, { grace: hour })
    assert.equal(await find(store, id), undefined)
    assert.deepEqual(await store.alive([id]), [undefined])
    for (const query of [{ userId: 'ada' }, {}]) {
      assert.equal((await store.list({ ...query, limit: 10, data: false })).items.length, 1)
    }
    const writes = [
      updateOf(record),
      { ...updateOf(record), version: 7 },
      touchOf(record),
      rotation,
      removalOf(record),
      { ...removalOf(record), userId: undefined },
    ]
    for (const change of writes) assert.equal(await write(store, change), 'gone')
    assert.deepEqual(await store.find([id, rotation.secret.token]), [undefined, undefined])
    assert.equal(await write(store, insertOf({ id })), 'done')
    await present(store, id)
  })

  test('an insert takes the place of an expired record, of which nothing is left', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store, { userId: 'ada', about: 'a device' })
    const rotation = { ...rotationOf(before, { signedIn: true, grace: hour }), lifetime: aMoment }
    assert.equal(await write(store, rotation), 'done')
    const id = idAfter(subject, rotation)
    await until('the record expires', async () => (await find(store, id)) === undefined)

    const insert = insertOf({ id, userId: 'bob', signedIn: true, data: content('new') })
    assert.equal(await write(other, insert), 'done')
    const record = await present(store, id)
    assert.deepEqual(
      [record.userId, record.authenticatedAt, record.about, record.former, textOf(record)],
      ['bob', record.createdAt, undefined, undefined, 'new'],
    )
    sameBytes(record.hash, insert.hash)
    if (record.marks) sameBytes(record.marks, insert.mark)
    assertVersion(subject, record, 1)
    assert.ok(record.createdAt > before.createdAt, 'it begins anew')
    assert.equal(record.seenAt, record.createdAt)
    assertExpiry(subject, record, record.createdAt, hour)
    assert.deepEqual((await store.list({ userId: 'ada', limit: 10, data: false })).items, [])
    assert.equal((await store.list({ limit: 10, data: false })).items.length, 1)

    assert.equal(await write(store, insertOf({ id })), 'exists')
    assert.equal(await store.removeExpired(10), 0)
    assert.equal((await present(store, id)).userId, 'bob')
  })

  test('in a batch of inserts only those find that their id exists where a live record has it', async ({
    store,
  }) => {
    const live = await inserted(store, { userId: 'ada' })
    const gone = [await expired(store), await expired(store, { userId: 'ada' })]
    const ids = [newId(), gone[0]!.id, live.id, gone[1]!.id, newId()]
    const inserts = ids.map((id) => insertOf({ id, data: content('new') }))
    assert.deepEqual(await store.write(inserts), ['done', 'done', 'exists', 'done', 'done'])
    assert.deepEqual(
      (await store.find(ids)).map((record) => record && textOf(record)),
      ['new', 'new', '', 'new', 'new'],
    )
    assert.equal((await present(store, live.id)).userId, 'ada')
  })

  test('the shorter of the two limits holds for a new record', async (subject) => {
    const { store } = subject
    const capped = await inserted(store, { lifetime: { idle: hour, absolute: minute } })
    assertExpiry(subject, capped, capped.createdAt, minute)
    const idle = await inserted(store, { lifetime: { idle: minute, absolute: hour } })
    assertExpiry(subject, idle, idle.createdAt, minute)
  })

  test('a lifetime of a year is kept to the millisecond', async (subject) => {
    const { store } = subject
    const year = 365 * 24 * hour + 1
    const record = await inserted(store, { lifetime: { idle: year, absolute: year * 2 } })
    assertExpiry(subject, record, record.createdAt, year)
  })

  test('a touch moves seenAt and the end', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { lifetime: { idle: minute, absolute: undefined } })
    let after = before
    await until('a touch is seen at a later moment', async () => {
      assert.equal(await write(store, touchOf(before)), 'done')
      after = await present(store, before.id)
      return after.seenAt > before.seenAt
    })
    assertExpiry(subject, after, after.seenAt, hour)
    assert.ok(after.readAt >= after.seenAt)
  })

  test('a touch never shortens', async (subject) => {
    const { store, keyedBy } = subject
    const before = await inserted(store)
    await until('a touch is seen at a later moment', async () => {
      await write(store, touchOf(before, { idle: minute, absolute: minute }))
      // A `TokenKeyedStore` may compute seenAt from the expiry, which stays here: so its seenAt stays too.
      return keyedBy === 'token' || (await present(store, before.id)).seenAt > before.seenAt
    })
    assert.equal((await present(store, before.id)).expiresAt, before.expiresAt)
  })

  test('an update moves seenAt and the end', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { lifetime: { idle: minute, absolute: undefined } })
    let after = before
    await until('an update is seen at a later moment', async () => {
      assert.equal(await write(store, updateOf(after)), 'done')
      after = await present(store, before.id)
      return after.seenAt > before.seenAt
    })
    assertExpiry(subject, after, after.seenAt, hour)
    const lifetime = { idle: minute, absolute: undefined }
    assert.equal(await write(store, { ...updateOf(after, content('x', minute)), lifetime }), 'done')
    after = await present(store, before.id)
    assertExpiry(subject, after, after.seenAt, minute)
  })

  test('neither an update, a touch nor a rotation gets past the absolute limit', async (subject) => {
    const { store } = subject
    const lifetime = { idle: hour, absolute: 2 * minute }
    const first = await inserted(store, { lifetime: { idle: minute, absolute: 2 * minute } })
    const assertsEnd = (record: SessionRecord): void =>
      assertExpiry(subject, record, first.createdAt, 2 * minute)
    await laterThan(store, first)
    assert.equal(await write(store, touchOf(first, lifetime)), 'done')
    assertsEnd(await present(store, first.id))
    assert.equal(await write(store, { ...updateOf(first), lifetime }), 'done')
    const second = await present(store, first.id)
    assertsEnd(second)
    assertsEnd(await rotated(subject, { ...rotationOf(second), lifetime }))
  })

  test('a rotated record expires, and is swept once', async (subject) => {
    const { store, sweeps } = subject
    const record = await inserted(store)
    const rotation = { ...rotationOf(record, { grace: hour }), lifetime: aMoment }
    assert.equal(await write(store, rotation), 'done')
    await until(
      'the record expires',
      async () => (await find(store, idAfter(subject, rotation))) === undefined,
    )
    assert.equal(await find(store, record.id), undefined)
    assert.equal(await store.removeExpired(10), sweeps ? 1 : 0)
  })

  test('a sweep removes expired records, at most as many as it is told to, and no live one', async ({
    store,
    sweeps,
  }) => {
    const live = await inserted(store)
    const inserts = Array.from({ length: 7 }, () => insertOf({ lifetime: aMoment }))
    await store.write(inserts)
    const ids = inserts.map(({ id }) => id)
    await until('all have expired', async () =>
      (await store.find(ids)).every((record) => record === undefined),
    )
    for (const removed of sweeps ? [3, 3, 1, 0] : [0]) assert.equal(await store.removeExpired(3), removed)
    await present(store, live.id)
    assert.deepEqual(
      await store.write(ids.map((id) => insertOf({ id }))),
      ids.map(() => 'done'),
    )
  })

  test('a sweep spares a record that was touched in time', async ({ store, sweeps }) => {
    const insert = insertOf({ lifetime: { idle: minute, absolute: undefined } })
    const shortLived = insertOf({ lifetime: aMoment })
    await store.write([insert, shortLived])
    assert.equal(await write(store, touchOf(insert)), 'done')
    await until('the other has expired', async () => (await find(store, shortLived.id)) === undefined)
    assert.equal(await store.removeExpired(10), sweeps ? 1 : 0)
    await present(store, insert.id)
  })
}
