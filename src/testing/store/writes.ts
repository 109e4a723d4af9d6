import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/store/record.js'
import type { SessionWrite } from '../../core/store/session-store.js'
import { hashOf } from '../../core/token.js'
import {
  assertVersion,
  comparable,
  content,
  find,
  hour,
  idAfter,
  inserted,
  insertOf,
  newId,
  present,
  removalOf,
  rotationOf,
  sameBytes,
  textOf,
  touchOf,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Each kind of write, and its result. */
export function writeTests(test: Test, keyedBy: 'token' | undefined): void {
  test('an insert never overwrites', async ({ store, other }) => {
    const record = await inserted(store, { userId: 'ada', data: content('first') })
    assert.equal(
      await write(other, insertOf({ id: record.id, userId: 'eve', data: content('second') })),
      'exists',
    )
    assert.deepEqual(comparable(await present(store, record.id)), comparable(record))
  })

  test('an update replaces the content and adds 1 to the version', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { userId: 'ada' })
    assert.equal(await write(store, { ...updateOf(before), userId: 'bob' }), 'done')
    const after = await present(store, before.id)
    assert.equal(textOf(after), 'changed')
    assertVersion(subject, after, 2)
    assert.notEqual(after.version, before.version)
    assert.deepEqual(
      [after.userId, after.publicId, after.createdAt],
      ['bob', before.publicId, before.createdAt],
    )
    sameBytes(after.hash, before.hash)
    assert.equal(await write(store, updateOf(after, content('again'))), 'done')
    assertVersion(subject, await present(store, before.id), 3)
  })

  test('an update that changes nothing still counts as a change', async (subject) => {
    const { store } = subject
    const before = await inserted(store)
    assert.equal(await write(store, updateOf(before, before.data)), 'done')
    assertVersion(subject, await present(store, before.id), 2)
  })

  test('an update with another version than the stored one is stale, and changes nothing', async (subject) => {
    const { store, other } = subject
    const first = await inserted(store)
    assert.equal(await write(other, updateOf(first, content('winner'))), 'done')
    const before = await present(store, first.id)
    assert.equal(await write(store, updateOf(first, content('loser'))), 'stale')
    assert.equal(await write(store, { ...updateOf(first), version: 3 }), 'stale')
    assert.equal(await write(store, rotationOf(first, { grace: hour, signedIn: true })), 'stale')
    const record = await present(store, first.id)
    assert.deepEqual(comparable(record), comparable(before))
    assert.equal(textOf(record), 'winner')
    assertVersion(subject, record, 2)
  })

  test('neither an update, a touch, a rotation nor a removal creates a record', async ({ store }) => {
    const record = { ...(await inserted(store)), id: newId() }
    const rotation = rotationOf(record)
    for (const change of [updateOf(record), touchOf(record), rotation, removalOf(record)]) {
      assert.equal(await write(store, change), 'gone')
    }
    assert.deepEqual(await store.find([record.id, rotation.secret.token]), [undefined, undefined])
  })

  test('a touch leaves all but the moments as it is', async ({ store }) => {
    const before = await inserted(store, { userId: 'ada', data: content('kept'), signedIn: true })
    const touch = touchOf(before)
    // Only a `TokenKeyedStore` may need the data.
    assert.equal(await write(store, { ...touch, data: keyedBy && touch.data }), 'done')
    const { seenAt, expiresAt, ...after } = await present(store, before.id)
    assert.ok(seenAt >= before.seenAt && expiresAt >= before.expiresAt)
    const { seenAt: _seenAt, expiresAt: _expiresAt, ...same } = before
    assert.deepEqual(comparable(after), comparable(same))
    assert.equal(await write(store, updateOf(before)), 'done')
  })

  if (keyedBy === undefined) {
    test('a touch with another hash finds that the record moved on, and changes nothing', async ({
      store,
      other,
    }) => {
      const before = await inserted(store, { lifetime: { idle: 60_000, absolute: undefined } })
      const rotation = rotationOf(before, { grace: hour })
      assert.equal(
        await write(other, { ...rotation, lifetime: { idle: 60_000, absolute: undefined } }),
        'done',
      )
      const after = await present(store, before.id)
      const { hash } = before
      const hashes = [
        hash!,
        hashOf('another'),
        new Uint8Array(0),
        after.hash!.subarray(0, 31),
        Buffer.concat([after.hash!, Buffer.alloc(1)]),
      ]
      for (const late of hashes) assert.equal(await write(store, { ...touchOf(after), hash: late }), 'moved')
      assert.deepEqual(comparable(await present(store, before.id)), comparable(after))
      // In a batch with another touch. A batch never names an id twice, so each touch is in a batch of its own.
      const nowhere = () => touchOf({ ...before, id: newId() })
      assert.deepEqual(await store.write([touchOf(before), nowhere()]), ['moved', 'gone'])
      assert.deepEqual(await store.write([nowhere(), touchOf(after)]), ['gone', 'done'])
      sameBytes((await present(store, before.id)).hash, after.hash)
    })
  }

  test('a removal that names another user finds that the record moved on, and removes nothing', async ({
    store,
    other,
  }) => {
    const adas = await inserted(store, { userId: 'ada' })
    const nobodys = await inserted(store)
    for (const userId of ['bob', 'Ada', 'ada ', undefined]) {
      assert.equal(await write(other, { ...removalOf(adas), userId }), 'moved', userId)
    }
    assert.equal(await write(other, { ...removalOf(nobodys), userId: 'ada' }), 'moved')
    assert.deepEqual(comparable(await present(store, adas.id)), comparable(adas))
    assert.deepEqual(comparable(await present(store, nobodys.id)), comparable(nobodys))
    assert.deepEqual(await other.write([removalOf(adas), removalOf(nobodys)]), ['done', 'done'])
    assert.deepEqual(await store.find([adas.id, nobodys.id]), [undefined, undefined])
  })

  test('nothing that comes after a removal brings the record back', async ({ store, other }) => {
    const record = await inserted(store, { userId: 'ada' })
    const rotation = rotationOf(record, { grace: hour })
    assert.equal(await write(other, removalOf(record)), 'done')
    assert.equal(await find(store, record.id), undefined)
    for (const change of [updateOf(record), touchOf(record), rotation, removalOf(record)]) {
      assert.equal(await write(store, change), 'gone')
    }
    assert.deepEqual(await store.find([record.id, rotation.secret.token]), [undefined, undefined])
    assert.deepEqual((await store.list({ limit: 10, data: false })).items, [])
  })

  test('in a mixed batch each write stands alone, and the answers come in order', async (subject) => {
    const { store } = subject
    const [updated, stale, touched, rotated, removed, moved, taken] = (await Promise.all(
      Array.from({ length: 7 }, () => inserted(store)),
    )) as [
      SessionRecord,
      SessionRecord,
      SessionRecord,
      SessionRecord,
      SessionRecord,
      SessionRecord,
      SessionRecord,
    ]
    const fresh = insertOf()
    const rotation = rotationOf(rotated)
    const absent = () => ({ ...updated, id: newId() })
    const batch: [SessionWrite, expected: string][] = [
      [insertOf({ id: taken.id }), 'exists'],
      [updateOf(updated), 'done'],
      [{ ...updateOf(stale), version: 9 }, 'stale'],
      [fresh, 'done'],
      [touchOf(touched), 'done'],
      [touchOf(absent()), 'gone'],
      [rotation, 'done'],
      [rotationOf(absent()), 'gone'],
      [removalOf(absent()), 'gone'],
      [removalOf(removed), 'done'],
      [{ ...removalOf(moved), userId: 'ada' }, 'moved'],
    ]
    assert.deepEqual(
      await store.write(batch.map(([change]) => change)),
      batch.map(([, expected]) => expected),
    )
    const versions: [SessionRecord['id'], version: number | undefined][] = [
      [taken.id, 1],
      [updated.id, 2],
      [stale.id, 1],
      [fresh.id, 1],
      [touched.id, 1],
      [idAfter(subject, rotation), 2],
      [removed.id, undefined],
      [moved.id, 1],
    ]
    for (const [index, record] of (await store.find(versions.map(([id]) => id))).entries()) {
      const version = versions[index]![1]
      assert.equal(record === undefined, version === undefined)
      if (record) assertVersion(subject, record, version!)
    }
  })

  for (const type of ['update', 'touch', 'rotation', 'removal'] as const) {
    test(`200 writes in one batch, each a ${type}, reach each its own record`, async (subject) => {
      const { store } = subject
      const inserts = Array.from({ length: 200 }, () => insertOf())
      await store.write(inserts)
      const records = (await store.find(inserts.map(({ id }) => id))) as SessionRecord[]
      const rotations = records.map((record) => ({ ...rotationOf(record), data: content(record.id) }))
      const writes = records.map((record, index): SessionWrite => {
        if (type === 'update') return updateOf(record, content(record.id))
        if (type === 'rotation') return rotations[index]!
        return type === 'touch' ? touchOf(record) : removalOf(record)
      })
      // Remove every tenth record first.
      const gone = writes.map((_, index) => index % 10 === 3)
      await store.write(records.filter((_, index) => gone[index]).map(removalOf))
      assert.deepEqual(
        await store.write(writes),
        gone.map((isGone) => (isGone ? 'gone' : 'done')),
      )
      const text = (id: string) => ({ update: id, rotation: id, touch: '', removal: undefined })[type]
      const found = await store.find(
        type === 'rotation'
          ? rotations.map((rotation) => idAfter(subject, rotation))
          : records.map(({ id }) => id),
      )
      assert.deepEqual(
        found.map((record) => record && textOf(record)),
        inserts.map(({ id }, index) => (gone[index] ? undefined : text(id))),
      )
    })
  }
}
