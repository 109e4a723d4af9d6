import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/record.js'
import type { RotateWrite, SessionWrite, UpdateWrite } from '../../core/store.js'
import {
  anHour,
  assertVersion,
  content,
  find,
  inserted,
  insertOf,
  newKey,
  present,
  sameBytes,
  textOf,
  withoutReadAt,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** An update of `record` as it was read. */
export function updateOf(record: SessionRecord, data = content('changed')): UpdateWrite {
  const { key, version, userId } = record
  return { type: 'update', key, version, userId, data, lifetime: anHour }
}

/** A rotation of `record` as it was read. */
export function rotationOf(record: SessionRecord, key = newKey()): RotateWrite {
  return { ...updateOf(record), type: 'rotate', newKey: key, signedIn: false, grace: 0 }
}

/** Each kind of write, and what it answers. */
export function writeTests(test: Test): void {
  test('an insert never overwrites', async ({ store, other }) => {
    const record = await inserted(store, { userId: 'ada', data: content('first') })
    assert.equal(
      await write(other, insertOf({ key: record.key, userId: 'eve', data: content('second') })),
      'exists',
    )
    assert.deepEqual(withoutReadAt(await present(store, record.key)), withoutReadAt(record))
  })

  test('an update replaces the content and adds 1 to the version', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { userId: 'ada' })
    assert.equal(await write(store, { ...updateOf(before), userId: 'bob' }), 'done')
    const after = await present(store, before.key)
    assert.equal(textOf(after), 'changed')
    assertVersion(subject, after, 2)
    assert.notEqual(after.version, before.version)
    assert.deepEqual(
      [after.userId, after.publicId, after.createdAt],
      ['bob', before.publicId, before.createdAt],
    )
    assert.equal(await write(store, updateOf(after, content('again'))), 'done')
    assertVersion(subject, await present(store, before.key), 3)
  })

  test('an update that changes nothing still counts as a change', async (subject) => {
    const { store } = subject
    const before = await inserted(store)
    assert.equal(await write(store, updateOf(before, before.data)), 'done')
    assertVersion(subject, await present(store, before.key), 2)
  })

  test('an update with another version than the stored one is stale, and changes nothing', async (subject) => {
    const { store, other } = subject
    const first = await inserted(store)
    assert.equal(await write(other, updateOf(first, content('winner'))), 'done')
    assert.equal(await write(store, updateOf(first, content('loser'))), 'stale')
    assert.equal(await write(store, { ...updateOf(first), version: 3 }), 'stale')
    const record = await present(store, first.key)
    assert.equal(textOf(record), 'winner')
    assertVersion(subject, record, 2)
  })

  test('neither an update, a touch, a rotation nor a removal creates a record', async ({ store }) => {
    const record = { ...(await inserted(store)), key: newKey() }
    const rotation = rotationOf(record)
    assert.equal(await write(store, updateOf(record)), 'gone')
    assert.equal(
      await write(store, { type: 'touch', key: record.key, data: record.data, lifetime: anHour }),
      'gone',
    )
    assert.equal(await write(store, rotation), 'gone')
    assert.equal(await write(store, { type: 'remove', key: record.key }), 'gone')
    assert.deepEqual(await store.find([record.key, rotation.newKey]), [undefined, undefined])
  })

  test('a touch leaves version, data and user as they are', async ({ store }) => {
    const before = await inserted(store, { userId: 'ada', data: content('kept') })
    assert.equal(
      await write(store, { type: 'touch', key: before.key, data: before.data, lifetime: anHour }),
      'done',
    )
    const after = await present(store, before.key)
    sameBytes(after.data, before.data)
    assert.deepEqual(
      [after.version, after.userId, after.createdAt, after.publicId],
      [before.version, 'ada', before.createdAt, before.publicId],
    )
    assert.equal(await write(store, updateOf(before)), 'done')
  })

  test('a rotation moves the record to its new key, with publicId and createdAt as they were', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store)
    const rotation = { ...rotationOf(before), userId: 'ada' }
    assert.equal(await write(store, rotation), 'done')
    assert.equal(await find(other, before.key), undefined)
    const after = await present(other, rotation.newKey)
    sameBytes(after.data, rotation.data)
    assert.deepEqual(
      [after.key, after.userId, after.publicId, after.createdAt],
      [rotation.newKey, 'ada', before.publicId, before.createdAt],
    )
    assertVersion(subject, after, 2)
    const { items } = await store.list({ userId: 'ada', limit: 10 })
    assert.deepEqual(
      items.map(({ key }) => key),
      [rotation.newKey],
    )
  })

  test('a rotation with another version than the stored one is stale, and moves nothing', async (subject) => {
    const { store } = subject
    const first = await inserted(store)
    await write(store, updateOf(first))
    const rotation = rotationOf(first)
    assert.equal(await write(store, rotation), 'stale')
    assert.equal(await find(store, rotation.newKey), undefined)
    assertVersion(subject, await present(store, first.key), 2)
  })

  test('a rotation onto a key that is taken moves nothing, and leaves both records alone', async ({
    store,
  }) => {
    const mine = await inserted(store, { userId: 'ada' })
    const theirs = await inserted(store, { userId: 'bob' })
    assert.equal(await write(store, rotationOf(mine, theirs.key)), 'exists')
    assert.deepEqual(withoutReadAt(await present(store, mine.key)), withoutReadAt(mine))
    assert.deepEqual(withoutReadAt(await present(store, theirs.key)), withoutReadAt(theirs))
  })

  test('the old key of a rotation is free again', async ({ store }) => {
    const before = await inserted(store)
    await write(store, rotationOf(before))
    assert.equal(await write(store, updateOf(before)), 'gone')
    assert.equal(await write(store, insertOf({ key: before.key, userId: 'ada' })), 'done')
    assert.notEqual((await present(store, before.key)).publicId, before.publicId)
  })

  test('nothing that comes after a removal brings the record back', async ({ store, other }) => {
    const record = await inserted(store, { userId: 'ada' })
    const rotation = rotationOf(record)
    assert.equal(await write(other, { type: 'remove', key: record.key }), 'done')
    assert.equal(await find(store, record.key), undefined)
    assert.equal(await write(store, updateOf(record)), 'gone')
    assert.equal(
      await write(store, { type: 'touch', key: record.key, data: record.data, lifetime: anHour }),
      'gone',
    )
    assert.equal(await write(store, rotation), 'gone')
    assert.equal(await write(store, { type: 'remove', key: record.key }), 'gone')
    assert.deepEqual(await store.find([record.key, rotation.newKey]), [undefined, undefined])
    assert.deepEqual((await store.list({ limit: 10 })).items, [])
  })

  test('in a mixed batch each write stands alone, and the answers come in order', async (subject) => {
    const { store } = subject
    const updated = await inserted(store)
    const stale = await inserted(store)
    const touched = await inserted(store)
    const rotated = await inserted(store)
    const removed = await inserted(store)
    const taken = await inserted(store)
    const fresh = insertOf()
    const rotation = rotationOf(rotated)
    const batch: SessionWrite[] = [
      insertOf({ key: taken.key }),
      updateOf(updated),
      { ...updateOf(stale), version: 9 },
      fresh,
      { type: 'touch', key: touched.key, data: touched.data, lifetime: anHour },
      { type: 'touch', key: newKey(), data: Buffer.from('{}'), lifetime: anHour },
      rotation,
      rotationOf({ ...rotated, key: newKey() }),
      { type: 'remove', key: newKey() },
      { type: 'remove', key: removed.key },
    ]
    assert.deepEqual(await store.write(batch), [
      'exists',
      'done',
      'stale',
      'done',
      'done',
      'gone',
      'done',
      'gone',
      'gone',
      'done',
    ])
    const keys = [
      taken.key,
      updated.key,
      stale.key,
      fresh.key,
      touched.key,
      rotated.key,
      rotation.newKey,
      removed.key,
    ]
    const versions = [1, 2, 1, 1, 1, undefined, 2, undefined]
    for (const [index, record] of (await store.find(keys)).entries()) {
      assert.equal(record === undefined, versions[index] === undefined)
      if (record) assertVersion(subject, record, versions[index]!)
    }
  })

  for (const type of ['update', 'touch', 'rotate', 'remove'] as const) {
    test(`200 writes of type ${type} in one batch reach each its own record`, async ({ store }) => {
      const inserts = Array.from({ length: 200 }, () => insertOf())
      await store.write(inserts)
      const records = await store.find(inserts.map(({ key }) => key))
      const rotations = new Map(inserts.map(({ key }) => [key, newKey()]))
      const writes = records.map((record): SessionWrite => {
        assert.ok(record)
        const { key } = record
        if (type === 'update') return updateOf(record, content(key))
        if (type === 'rotate') return { ...rotationOf(record, rotations.get(key)), data: content(key) }
        return type === 'touch' ? { type, key, data: record.data, lifetime: anHour } : { type, key }
      })
      // Every tenth record is gone by then.
      const gone = writes.map((_, index) => index % 10 === 3)
      await store.write(inserts.filter((_, index) => gone[index]).map(({ key }) => ({ type: 'remove', key })))
      assert.deepEqual(
        await store.write(writes),
        gone.map((isGone) => (isGone ? 'gone' : 'done')),
      )
      const keys = inserts.map(({ key }) => (type === 'rotate' ? (rotations.get(key) ?? key) : key))
      const text = {
        update: (key: string) => key,
        rotate: (key: string) => key,
        touch: () => '',
        remove: () => undefined,
      }
      assert.deepEqual(
        (await store.find(keys)).map((record) => record && textOf(record)),
        inserts.map(({ key }, index) => (gone[index] ? undefined : text[type](key))),
      )
    })
  }
}
