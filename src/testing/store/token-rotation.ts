import assert from 'node:assert/strict'
import {
  comparable,
  expired,
  find,
  hour,
  inserted,
  insertOf,
  newId,
  present,
  removalOf,
  rotated,
  rotationOf,
  touchOf,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Rotations in a `TokenKeyedStore`: the token is the id, so the record moves to another id. */
export function tokenRotationTests(test: Test): void {
  test('a token from before a rotation finds nothing, whatever its grace, and is free again', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store)
    const after = await rotated(subject, rotationOf(before, { grace: hour }))
    assert.notEqual(after.id, before.id)
    assert.equal(after.former, undefined)
    assert.deepEqual(await other.find([before.id, newId()]), [undefined, undefined])
    const { version } = after
    for (const change of [updateOf, touchOf, removalOf, rotationOf]) {
      assert.equal(await write(store, change({ ...before, version })), 'gone')
    }
    assert.equal(await write(store, insertOf({ id: before.id, userId: 'bob' })), 'done')
    assert.notEqual((await present(store, before.id)).publicId, before.publicId)
    await present(store, after.id)
  })

  test('a rotation onto a token that is taken moves nothing, and leaves both records alone', async ({
    store,
  }) => {
    const mine = await inserted(store, { userId: 'ada' })
    const theirs = await inserted(store, { userId: 'bob' })
    assert.equal(await write(store, rotationOf(mine, { token: theirs.id })), 'exists')
    assert.deepEqual(comparable(await present(store, mine.id)), comparable(mine))
    assert.deepEqual(comparable(await present(store, theirs.id)), comparable(theirs))
  })

  test('a rotation onto the token of an expired record moves the record there, or finds that it exists', async ({
    store,
  }) => {
    const { id } = await expired(store)
    const record = await inserted(store)
    const result = await write(store, rotationOf(record, { token: id }))
    assert.ok(result === 'done' || result === 'exists', result)
    const [here, there] = result === 'exists' ? [record.id, id] : [id, record.id]
    assert.equal((await present(store, here)).publicId, record.publicId)
    assert.equal(await find(store, there), undefined)
  })

  test('of parallel rotations onto one token exactly one is done, the rest find that it exists', async ({
    store,
    other,
  }) => {
    const token = newId()
    const records = await Promise.all(Array.from({ length: 20 }, () => inserted(store)))
    const results = await Promise.all(
      records.map((record, index) => write(index % 2 === 0 ? store : other, rotationOf(record, { token }))),
    )
    assert.deepEqual(results.toSorted(), ['done', ...results.slice(1).map(() => 'exists')])
    assert.equal((await present(store, token)).publicId, records[results.indexOf('done')]?.publicId)
    assert.equal((await store.list({ limit: 50, data: false })).items.length, 20)
  })

  test('a reader never finds a rotating record at both tokens, nor at neither', async ({ store, other }) => {
    let record = await inserted(store)
    for (let round = 0; round < 50; round++) {
      const rotation = rotationOf(record)
      const { token } = rotation.secret
      const [result, found] = await Promise.all([write(store, rotation), other.find([record.id, token])])
      assert.equal(result, 'done')
      assert.equal(found.filter((moved) => moved !== undefined).length, 1)
      record = await present(store, token)
    }
  })
}
