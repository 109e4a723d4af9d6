import assert from 'node:assert/strict'
import {
  aMoment,
  anHour,
  assertMoment,
  assertVersion,
  content,
  expired,
  find,
  findFormer,
  hour,
  inserted,
  insertOf,
  minute,
  newKey,
  present,
  textOf,
  until,
  write,
} from './subject.js'
import type { Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/** Idle and absolute limits, by the store's clock. */
export function expiryTests(test: Test): void {
  test('an expired record is absent for every method', async ({ store }) => {
    const insert = await expired(store, { userId: 'ada' })
    const record = { ...(await inserted(store)), key: insert.key }
    const rotation = rotationOf(record)
    assert.equal(await find(store, insert.key), undefined)
    assert.deepEqual((await store.list({ userId: 'ada', limit: 10 })).items, [])
    assert.equal((await store.list({ limit: 10 })).items.length, 1)
    assert.equal(await write(store, updateOf(record)), 'gone')
    assert.equal(await write(store, { ...updateOf(record), version: 7 }), 'gone')
    assert.equal(
      await write(store, { type: 'touch', key: insert.key, data: insert.data, lifetime: anHour }),
      'gone',
    )
    assert.equal(await write(store, rotation), 'gone')
    assert.equal(await find(store, rotation.newKey), undefined)
    assert.equal(await write(store, insertOf({ key: insert.key })), 'done')
    await present(store, insert.key)
  })

  test('an insert takes the place of an expired record, of which nothing is left', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store, { userId: 'ada' })
    const rotation = { ...rotationOf(before), signedIn: true, grace: hour, lifetime: aMoment }
    assert.equal(await write(store, rotation), 'done')
    await until('the record expires', async () => (await find(store, rotation.newKey)) === undefined)

    const insert = insertOf({ key: rotation.newKey, userId: 'bob', signedIn: true, data: content('new') })
    assert.equal(await write(other, insert), 'done')
    const record = await present(store, insert.key)
    assert.deepEqual(
      [record.publicId, record.userId, record.authenticatedAt, textOf(record)],
      [insert.publicId, 'bob', record.createdAt, 'new'],
    )
    assertVersion(subject, record, 1)
    assert.ok(record.createdAt > before.createdAt, 'it begins anew')
    assert.equal(record.seenAt, record.createdAt)
    assertMoment(subject, record.expiresAt, record.createdAt + hour)
    assert.equal(await findFormer(store, before.key), undefined)
    assert.deepEqual((await store.list({ userId: 'ada', limit: 10 })).items, [])
    assert.equal((await store.list({ limit: 10 })).items.length, 1)

    assert.equal(await write(store, insertOf({ key: insert.key })), 'exists')
    assert.equal(await store.removeExpired(10), 0)
    assert.equal((await present(store, insert.key)).publicId, insert.publicId)
  })

  test('in a batch of inserts only those find that their key exists where a live record has it', async ({
    store,
  }) => {
    const live = await inserted(store, { userId: 'ada' })
    const gone = [await expired(store), await expired(store, { userId: 'ada' })]
    const keys = [newKey(), gone[0]!.key, live.key, gone[1]!.key, newKey()]
    const inserts = keys.map((key) => insertOf({ key, data: content('new') }))
    assert.deepEqual(await store.write(inserts), ['done', 'done', 'exists', 'done', 'done'])
    assert.deepEqual(
      (await store.find(keys)).map((record) => record && textOf(record)),
      ['new', 'new', '', 'new', 'new'],
    )
    assert.equal((await present(store, live.key)).publicId, live.publicId)
  })

  test('removing an expired record finds none', async ({ store }) => {
    const { key } = await expired(store)
    assert.equal(await write(store, { type: 'remove', key }), 'gone')
  })

  test('a rotation onto the key of an expired record moves the record there, or finds that it exists', async ({
    store,
  }) => {
    const { key } = await expired(store)
    const record = await inserted(store)
    const result = await write(store, rotationOf(record, key))
    assert.ok(result === 'done' || result === 'exists', result)
    const [here, there] = result === 'exists' ? [record.key, key] : [key, record.key]
    assert.equal((await present(store, here)).publicId, record.publicId)
    assert.equal(await find(store, there), undefined)
  })

  test('the shorter of the two limits holds for a new record', async (subject) => {
    const { store } = subject
    const capped = await inserted(store, { lifetime: { idle: hour, absolute: minute } })
    assertMoment(subject, capped.expiresAt, capped.createdAt + minute)
    const idle = await inserted(store, { lifetime: { idle: minute, absolute: hour } })
    assertMoment(subject, idle.expiresAt, idle.createdAt + minute)
  })

  test('a lifetime of a year is kept to the millisecond', async (subject) => {
    const { store } = subject
    const year = 365 * 24 * hour + 1
    const record = await inserted(store, { lifetime: { idle: year, absolute: year * 2 } })
    assertMoment(subject, record.expiresAt, record.createdAt + year)
  })

  test('a touch moves seenAt and the end', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { lifetime: { idle: minute, absolute: undefined } })
    let after = before
    await until('a touch is seen at a later moment', async () => {
      assert.equal(
        await write(store, { type: 'touch', key: before.key, data: before.data, lifetime: anHour }),
        'done',
      )
      after = await present(store, before.key)
      return after.seenAt > before.seenAt
    })
    assertMoment(subject, after.expiresAt, after.seenAt + hour)
    assert.ok(after.readAt >= after.seenAt)
  })

  test('a touch never shortens', async (subject) => {
    const { store, keyedBy } = subject
    const before = await inserted(store)
    await until('a touch is seen at a later moment', async () => {
      await write(store, {
        type: 'touch',
        key: before.key,
        data: before.data,
        lifetime: { idle: minute, absolute: minute },
      })
      // A store keyed by token tells the one from the other: where the end stays, so does seenAt.
      return keyedBy === 'token' || (await present(store, before.key)).seenAt > before.seenAt
    })
    assert.equal((await present(store, before.key)).expiresAt, before.expiresAt)
  })

  test('an update moves seenAt and the end', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { lifetime: { idle: minute, absolute: undefined } })
    let after = before
    await until('an update is seen at a later moment', async () => {
      assert.equal(await write(store, updateOf(after)), 'done')
      after = await present(store, before.key)
      return after.seenAt > before.seenAt
    })
    assertMoment(subject, after.expiresAt, after.seenAt + hour)
    const lifetime = { idle: minute, absolute: undefined }
    assert.equal(await write(store, { ...updateOf(after, content('x', minute)), lifetime }), 'done')
    after = await present(store, before.key)
    assertMoment(subject, after.expiresAt, after.seenAt + minute)
  })

  test('neither an update, a touch nor a rotation gets past the absolute limit', async (subject) => {
    const { store } = subject
    const lifetime = { idle: hour, absolute: 2 * minute }
    const first = await inserted(store, { lifetime: { idle: minute, absolute: 2 * minute } })
    const end = first.createdAt + 2 * minute
    await until(
      'some time has passed',
      async () => (await present(store, first.key)).readAt > first.createdAt,
    )

    assert.equal(await write(store, { type: 'touch', key: first.key, data: first.data, lifetime }), 'done')
    assertMoment(subject, (await present(store, first.key)).expiresAt, end)
    assert.equal(await write(store, { ...updateOf(first), lifetime }), 'done')
    const second = await present(store, first.key)
    assertMoment(subject, second.expiresAt, end)
    const rotation = { ...rotationOf(second), lifetime }
    assert.equal(await write(store, rotation), 'done')
    assertMoment(subject, (await present(store, rotation.newKey)).expiresAt, end)
  })

  test('a rotated record expires at its new key', async ({ store }) => {
    const record = await inserted(store)
    const rotation = { ...rotationOf(record), lifetime: aMoment }
    assert.equal(await write(store, rotation), 'done')
    await until('the record expires', async () => (await find(store, rotation.newKey)) === undefined)
    assert.equal(await find(store, record.key), undefined)
    assert.equal(await store.removeExpired(10), 1)
  })

  test('a sweep removes expired records, at most as many as it is told to, and no live one', async ({
    store,
  }) => {
    const live = await inserted(store)
    const inserts = Array.from({ length: 7 }, () => insertOf({ lifetime: aMoment }))
    await store.write(inserts)
    const keys = inserts.map(({ key }) => key)
    await until('all have expired', async () =>
      (await store.find(keys)).every((record) => record === undefined),
    )
    assert.equal(await store.removeExpired(3), 3)
    assert.equal(await store.removeExpired(3), 3)
    assert.equal(await store.removeExpired(3), 1)
    assert.equal(await store.removeExpired(3), 0)
    await present(store, live.key)
    assert.deepEqual(
      await store.write(keys.map((key) => insertOf({ key }))),
      keys.map(() => 'done'),
    )
  })

  test('a sweep spares a record that was touched in time', async ({ store }) => {
    const insert = insertOf({ lifetime: { idle: minute, absolute: undefined } })
    const shortLived = insertOf({ key: newKey(), lifetime: aMoment })
    await store.write([insert, shortLived])
    assert.equal(
      await write(store, { type: 'touch', key: insert.key, data: insert.data, lifetime: anHour }),
      'done',
    )
    await until('the other has expired', async () => (await find(store, shortLived.key)) === undefined)
    assert.equal(await store.removeExpired(10), 1)
    await present(store, insert.key)
  })
}
