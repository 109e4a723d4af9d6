import assert from 'node:assert/strict'
import type { SessionRecord } from '../../core/record.js'
import type { RotateWrite, SessionStore } from '../../core/store.js'
import {
  anHour,
  content,
  find,
  findFormer,
  hour,
  inserted,
  insertOf,
  newKey,
  present,
  sameBytes,
  textOf,
  until,
  write,
} from './subject.js'
import type { Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/** Rotates `record` to a sign-in of Ada, with an hour of grace unless `fields` says otherwise. */
async function rotated(
  store: SessionStore,
  record: SessionRecord,
  fields: Partial<RotateWrite> = {},
): Promise<RotateWrite> {
  const data = content('after')
  const rotation = { ...rotationOf(record), userId: 'ada', signedIn: true, grace: hour, data, ...fields }
  assert.equal(await write(store, rotation), 'done')
  return rotation
}

/** The key from before a rotation, and the moment of a sign-in. */
export function rotationTests(test: Test, keyedBy: 'token' | undefined): void {
  test('a sign-in is dated by the store, at once with what it stores; nothing else moves that', async ({
    store,
  }) => {
    const insert = insertOf({ userId: 'ada', signedIn: true })
    assert.equal(await write(store, insert), 'done')
    const first = await present(store, insert.key)
    assert.equal(first.authenticatedAt, first.createdAt)
    assert.equal(await write(store, updateOf(first)), 'done')
    await write(store, { type: 'touch', key: first.key, data: first.data, lifetime: anHour })
    const changed = await present(store, first.key)
    assert.equal(changed.authenticatedAt, first.authenticatedAt)
    const quiet = { ...rotationOf(changed), signedIn: false }
    assert.equal(await write(store, quiet), 'done')
    const moved = await present(store, quiet.newKey)
    assert.equal(moved.authenticatedAt, first.authenticatedAt)
    await until(
      'the store has another time',
      async () => (await present(store, moved.key)).readAt > first.readAt,
    )
    const again = { ...rotationOf(moved), signedIn: true }
    assert.equal(await write(store, again), 'done')
    const { authenticatedAt, readAt } = await present(store, again.newKey)
    assert.ok(authenticatedAt! > first.authenticatedAt! && authenticatedAt! <= readAt, `${authenticatedAt}`)
  })

  test('while nobody is signed in there is no such moment', async ({ store }) => {
    const record = await inserted(store)
    assert.equal(record.authenticatedAt, undefined)
    const { newKey: key } = await rotated(store, record)
    const { version } = await present(store, key)
    await write(store, {
      type: 'update',
      key,
      version,
      userId: undefined,
      data: content(''),
      lifetime: anHour,
    })
    assert.equal((await present(store, key)).authenticatedAt, undefined)
  })

  test('without grace, the key from before a rotation finds nothing', async ({ store }) => {
    const before = await inserted(store)
    await rotated(store, before, { grace: 0 })
    assert.equal(await find(store, before.key), undefined)
    assert.equal(await findFormer(store, before.key), undefined)
  })

  if (keyedBy === 'token') {
    test('a token from before a rotation finds nothing, whatever its grace', async ({ store }) => {
      const before = await inserted(store)
      await rotated(store, before)
      assert.deepEqual(await store.find([before.key, newKey()]), [undefined, undefined])
      assert.deepEqual(await store.findFormer([before.key, newKey()]), [undefined, undefined])
    })
    return
  }

  test('for its grace, the key from before a rotation finds the record, and what it held before', async ({
    store,
    other,
  }) => {
    const before = await inserted(store, { data: content('before') })
    const { newKey: key, data } = await rotated(store, before)
    for (const [name, reader] of Object.entries({ store, other })) {
      const [byOld, unknown] = await reader.findFormer([before.key, newKey()])
      assert.deepEqual([byOld?.key, unknown], [key, undefined], name)
      assert.deepEqual(
        [byOld?.userId, byOld?.publicId, byOld?.version, byOld?.createdAt],
        ['ada', before.publicId, 2, before.createdAt],
      )
      sameBytes(byOld!.data, data)
      assert.deepEqual([byOld!.former?.userId, byOld!.former?.authenticatedAt], [undefined, undefined])
      sameBytes(byOld!.former!.data, before.data)
    }
  })

  test('what it held before is who was signed in, and since when, as well', async ({ store }) => {
    const insert = insertOf({ userId: 'ada', signedIn: true })
    await write(store, insert)
    const before = await present(store, insert.key)
    await rotated(store, before)
    const found = await findFormer(store, before.key)
    assert.deepEqual([found?.former?.userId, found?.former?.authenticatedAt], ['ada', before.authenticatedAt])
  })

  test('when the grace is over the old key finds nothing, and the new one what it found', async ({
    store,
  }) => {
    const before = await inserted(store)
    const rotation = await rotated(store, before, { grace: 1 })
    await until('the grace is over', async () => (await findFormer(store, before.key)) === undefined)
    await present(store, rotation.newKey)
  })

  test('changes of the record leave alone what it held before the rotation', async ({ store }) => {
    const before = await inserted(store, { data: content('before') })
    const { newKey: key } = await rotated(store, before)
    const update = updateOf(await present(store, key), content('later'))
    assert.deepEqual(await store.write([update]), ['done'])
    const others = await Promise.all([inserted(store), inserted(store)])
    const batch = [
      updateOf(await present(store, key), content('latest')),
      ...others.map((record) => updateOf(record)),
    ]
    assert.deepEqual(await store.write(batch), ['done', 'done', 'done'])
    const found = await findFormer(store, before.key)
    assert.equal(textOf(found!), 'latest')
    sameBytes(found!.former!.data, before.data)
  })

  test('an update after the grace keeps nothing of it that anybody could find', async ({ store }) => {
    const before = await inserted(store)
    const { newKey: key } = await rotated(store, before, { grace: 1 })
    await until('the grace is over', async () => (await findFormer(store, before.key)) === undefined)
    assert.equal(await write(store, updateOf(await present(store, key))), 'done')
    assert.equal(await findFormer(store, before.key), undefined)
    await present(store, key)
  })

  test('to all but findFormer, the record is not there under its old key', async ({ store }) => {
    const before = await inserted(store)
    const { newKey: key } = await rotated(store, before)
    assert.equal(await find(store, before.key), undefined)
    const { version, former } = await present(store, key)
    assert.equal(former, undefined)
    assert.equal(await write(store, { ...updateOf(before), version }), 'gone')
    assert.equal(
      await write(store, { type: 'touch', key: before.key, data: before.data, lifetime: anHour }),
      'gone',
    )
    assert.equal(await write(store, { ...rotationOf(before), version }), 'gone')
    assert.equal(await write(store, { type: 'remove', key: before.key }), 'gone')
    const { items } = await store.list({ limit: 10 })
    assert.deepEqual(
      items.map((record) => record.key),
      [key],
    )
    assert.equal((await findFormer(store, before.key))?.key, key)
  })

  test('findFormer finds no record by the key that it has', async ({ store }) => {
    const record = await inserted(store)
    const { newKey: key } = await rotated(store, await inserted(store))
    assert.deepEqual(await store.findFormer([record.key, key]), [undefined, undefined])
  })

  test('a new record under the old key is what that finds', async ({ store }) => {
    const before = await inserted(store)
    await rotated(store, before)
    assert.equal(await write(store, insertOf({ key: before.key, userId: 'bob' })), 'done')
    const found = await present(store, before.key)
    assert.deepEqual([found.userId, found.former], ['bob', undefined])
  })

  test('of two rotations, only the key from before the last finds it', async ({ store }) => {
    const first = await inserted(store)
    const one = await rotated(store, first)
    const two = await rotated(store, await present(store, one.newKey), { data: content('second') })
    assert.equal(await findFormer(store, first.key), undefined)
    const found = await findFormer(store, one.newKey)
    assert.deepEqual([found?.key, found?.former?.userId], [two.newKey, 'ada'])
  })

  test('a record that ended is found by neither key', async ({ store, other }) => {
    const ends = {
      removed: async (key: SessionRecord['key']) => void (await write(other, { type: 'remove', key })),
      'of a user': async () => void (await other.removeByUser('ada')),
      expired: async (key: SessionRecord['key']) => {
        const update = { ...updateOf(await present(store, key)), userId: 'ada' }
        await write(store, { ...update, lifetime: { idle: 1, absolute: undefined } })
        await until('it expires', async () => (await find(store, key)) === undefined)
      },
    }
    for (const [how, end] of Object.entries(ends)) {
      const before = await inserted(store)
      const { newKey: key } = await rotated(store, before)
      await end(key)
      assert.equal(await find(store, key), undefined, how)
      assert.equal(await findFormer(store, before.key), undefined, how)
    }
  })

  test('of parallel rotations with grace exactly one is done, and the old key leads to that', async ({
    store,
    other,
  }) => {
    const before = await inserted(store)
    const rotations = Array.from({ length: 10 }, () => ({
      ...rotationOf(before),
      grace: hour,
      newKey: newKey(),
    }))
    const results = await Promise.all(
      rotations.map((rotation, index) => write(index % 2 === 0 ? store : other, rotation)),
    )
    assert.deepEqual(
      results.toSorted(),
      results.map((_, index) => (index === 0 ? 'done' : 'gone')),
    )
    const winner = rotations[results.indexOf('done')]!
    assert.equal((await findFormer(store, before.key))?.key, winner.newKey)
  })

  for (const size of [3, 65]) {
    test(`a batch of ${size} former keys finds each, in the order asked for, with gaps where there is none`, async ({
      store,
    }) => {
      const before = await Promise.all(Array.from({ length: size }, () => inserted(store)))
      const after = await Promise.all(before.map((record) => rotated(store, record)))
      const found = await store.findFormer([newKey(), ...before.map(({ key }) => key), newKey()])
      assert.deepEqual(
        found.map((record) => record?.key),
        [undefined, ...after.map(({ newKey: key }) => key), undefined],
      )
    })
  }
}
