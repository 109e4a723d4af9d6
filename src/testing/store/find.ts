import assert from 'node:assert/strict'
import {
  assertExpiry,
  assertVersion,
  bytes,
  comparable,
  content,
  find,
  hour,
  inserted,
  insertOf,
  newId,
  present,
  removalOf,
  rotated,
  rotationOf,
  sameBytes,
  textOf,
  touchOf,
  updateOf,
  write,
} from './subject.js'
import { recordFormat, type SessionId } from '../../core/store/record.js'
import type { Test } from './subject.js'

/** A store reads what was written. */
export function findTests(test: Test, keyedBy: 'token' | undefined): void {
  // Only a `TokenKeyedStore` gets ids from other libraries, and must read what it stores as JSON.
  if (keyedBy === 'token') tokenTests(test)
  else idTests(test)

  test('a record that was never written is absent', async ({ store }) => {
    assert.equal(await find(store, newId()), undefined)
    assert.deepEqual(await store.alive([newId()]), [undefined])
  })

  test('empty batches are answered with empty batches', async ({ store }) => {
    assert.deepEqual(await store.find([]), [])
    assert.deepEqual(await store.alive([]), [])
    assert.deepEqual(await store.write([]), [])
  })

  test('an inserted record is found with all its fields', async (subject) => {
    const { store } = subject
    const insert = insertOf({ userId: 'ada', data: content('cart') })
    assert.equal(await write(store, insert), 'done')
    const record = await present(store, insert.id)
    assert.equal(record.id, insert.id)
    assert.equal(record.publicId, keyedBy === 'token' ? insert.publicId : undefined)
    sameBytes(record.hash, insert.hash)
    assert.equal(record.userId, 'ada')
    sameBytes(record.data, insert.data)
    assert.equal(record.format, recordFormat)
    assert.deepEqual([record.rootId, record.former], [undefined, undefined])
    assertVersion(subject, record, 1)
    assert.equal(record.seenAt, record.createdAt)
    assertExpiry(subject, record, record.createdAt, hour)
    assert.ok(record.readAt >= record.createdAt && record.readAt < record.expiresAt, 'read while it lives')
    for (const moment of [record.createdAt, record.seenAt, record.expiresAt, record.readAt]) {
      assert.ok(Number.isSafeInteger(moment), 'moments are whole milliseconds')
    }
  })

  test('a record that one store wrote, the other finds at once', async ({ store, other }) => {
    for (let round = 0; round < 20; round++) {
      const { id } = await inserted(round % 2 === 0 ? store : other)
      await present(round % 2 === 0 ? other : store, id)
    }
  })

  test('records come in the order asked for, with gaps where there is none', async ({ store }) => {
    const one = await inserted(store)
    const two = await inserted(store)
    const three = await inserted(store)
    const ids = [three.id, newId(), one.id, two.id, newId()]
    const expected = [three.id, undefined, one.id, two.id, undefined]
    assert.deepEqual(
      (await store.find(ids)).map((record) => record?.id),
      expected,
    )
    assert.deepEqual(
      (await store.alive(ids)).map((record) => record?.id),
      expected,
    )
  })

  test('200 records are written and found in one batch each', async ({ store }) => {
    const inserts = Array.from({ length: 200 }, (_, index) => insertOf({ data: content(`${index}`) }))
    assert.deepEqual(
      await store.write(inserts),
      inserts.map(() => 'done'),
    )
    const found = await store.find(inserts.map(({ id }) => id).reverse())
    assert.deepEqual(
      found.map((record) => record && [record.id, textOf(record)]),
      inserts.map(({ id }, index) => [id, `${index}`]).reverse(),
    )
  })

  for (const size of [3, 5, 63, 65, 300]) {
    test(`a batch of ${size} ids finds each that has a record`, async ({ store }) => {
      const inserts = Array.from({ length: size }, () => insertOf())
      await store.write(inserts.filter((_, index) => index % 5 !== 2))
      const ids = inserts.map(({ id }) => id)
      const expected = ids.map((id, index) => (index % 5 === 2 ? undefined : id))
      for (const found of [await store.find(ids), await store.alive(ids)]) {
        assert.deepEqual(
          found.map((record) => record?.id),
          expected,
        )
      }
    })
  }

  test('what tells whether a record lives is its id, its user and its hash, as they are now', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store)
    const alive = async ({ id, userId, hash }: typeof before) => {
      const [record] = await other.alive([id])
      assert.deepEqual(record && comparable(record), comparable({ id, userId, hash }))
    }
    await alive(before)
    const after = await rotated(subject, { ...rotationOf(before), userId: 'ada' })
    assert.equal(after.userId, 'ada')
    await alive(after)
    assert.equal(await write(store, removalOf(after)), 'done')
    assert.deepEqual(await other.alive([after.id]), [undefined])
  })

  const texts = ['', ' \u0000\n"\\\u2028', 'é 用户 🧥', '\ud800', 'x'.repeat(70_000)]
  test('any JSON comes back as it was, from an insert, an update and a rotation', async (subject) => {
    const { store } = subject
    for (const text of texts) {
      const data = content(text)
      const record = await inserted(store, { data })
      sameBytes(record.data, data)
      const changed = content(`${text}!`)
      assert.equal(await write(store, updateOf(record, changed)), 'done')
      const updated = await present(store, record.id)
      sameBytes(updated.data, changed)
      sameBytes((await rotated(subject, { ...rotationOf(updated), data })).data, data)
    }
  })

  test('a record of nobody has no user id, and can get and lose one', async ({ store }) => {
    const record = await inserted(store)
    assert.equal(record.userId, undefined)
    await write(store, { ...updateOf(record), userId: 'ada' })
    const signedIn = await present(store, record.id)
    assert.equal(signedIn.userId, 'ada')
    assert.equal((await store.list({ userId: 'ada', limit: 10, data: false })).items.length, 1)
    await write(store, { ...updateOf(signedIn), userId: undefined })
    assert.equal((await present(store, record.id)).userId, undefined)
    assert.deepEqual((await store.list({ userId: 'ada', limit: 10, data: false })).items, [])
  })

  test('what the caller does to its buffers afterwards does not reach the record', async ({ store }) => {
    const data = content('before')
    const record = await inserted(store, { data })
    data.fill(0)
    const first = await present(store, record.id)
    sameBytes(first.data, content('before'))
    first.data.fill(0)
    sameBytes((await present(store, record.id)).data, content('before'))

    const update = content('update')
    await write(store, updateOf(record, update))
    update.fill(0)
    sameBytes((await present(store, record.id)).data, content('update'))
  })
}

function idTests(test: Test): void {
  const contents: [string, Uint8Array][] = [
    ['no bytes at all', new Uint8Array(0)],
    ['all 256 values of a byte', Uint8Array.from({ length: 256 }, (_, index) => index)],
    ['a single zero', new Uint8Array(1)],
    ['bytes that are not UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80)],
    ['64 KiB', Uint8Array.from({ length: 65_536 }, (_, index) => (index * 31) % 251)],
  ]
  for (const [what, data] of contents) {
    test(`data of ${what} comes back as it was, from an insert, an update and a rotation`, async (subject) => {
      const { store } = subject
      const record = await inserted(store, { data })
      sameBytes(record.data, data)
      await write(store, updateOf(record, bytes('x')))
      await write(store, { ...updateOf(record, data), version: 2 })
      const updated = await present(store, record.id)
      sameBytes(updated.data, data)
      const after = await rotated(subject, { ...rotationOf(updated, { grace: hour }), data })
      sameBytes(after.data, data)
      sameBytes(after.former?.data, data)
    })
  }

  test('what a record is about comes back as it was, and stays when an update leaves it out', async ({
    store,
  }) => {
    const texts = [
      'Firefox on Linux',
      ' Ünï "\\\' 用户 🧥\n',
      'a\0b',
      '',
      'x'.repeat(1_000),
      '🧥'.repeat(250),
    ]
    const record = await inserted(store)
    assert.equal(record.about, undefined)
    for (const [index, about] of texts.entries()) {
      assert.equal((await inserted(store, { about })).about, about)
      const update = { ...updateOf(record), version: 1 + 2 * index }
      assert.equal(await write(store, { ...update, about }), 'done')
      assert.equal(await write(store, { ...update, version: update.version + 1 }), 'done')
      assert.equal((await present(store, record.id)).about, about)
    }
    const rotation = { ...rotationOf(await present(store, record.id)), about: 'another' }
    assert.equal(await write(store, rotation), 'done')
    assert.equal((await present(store, record.id)).about, 'another')
    const again = rotationOf(await present(store, record.id))
    assert.equal(await write(store, again), 'done')
    assert.equal((await present(store, record.id)).about, 'another')
  })

  test('the format of a record is what its last write said', async ({ store }) => {
    const record = await inserted(store, { format: 7 })
    assert.equal(record.format, 7)
    await write(store, { ...updateOf(record), format: 8 })
    await write(store, touchOf(record))
    assert.equal((await present(store, record.id)).format, 8)
  })

  test('ids are taken for no other, however alike their texts are', async ({ store }) => {
    const id = 'AbCdEfGh-_-_AbCd' as SessionId
    const record = await inserted(store, { id })
    const others = [
      'abcdefgh-_-_abcd',
      'AbCdEfGh+/+/AbCd',
      'AbCdEfGh-_-_AbCd=',
      'AbCdEfGh-_-_AbCd ',
      'AbCdEfGh-_-_AbCd\0',
      'AbCdEfGh-_-_AbC',
      'AbCdEfGh-_-_AbCdA',
      '',
    ] as SessionId[]
    assert.deepEqual(
      await store.find(others),
      others.map(() => undefined),
    )
    assert.deepEqual(
      await store.alive(others),
      others.map(() => undefined),
    )
    for (const alias of others) {
      const like = { ...record, id: alias }
      const writes = [updateOf(like), touchOf(like), removalOf(like)]
      for (const change of writes) assert.equal(await write(store, change), 'gone', JSON.stringify(alias))
    }
    assert.equal((await present(store, id)).version, 1)
  })
}

function tokenTests(test: Test): void {
  test('any text is a token that is found, or is not', async ({ store }) => {
    for (const text of ['ü🧥', ' ', "'", '`', '\\', '%', '_', '\u0000', '\ud800', 'x '.repeat(500)]) {
      const record = { ...(await inserted(store)), id: text as SessionId }
      assert.equal(await find(store, record.id), undefined)
      assert.deepEqual(await store.alive([record.id]), [undefined])
      for (const change of [updateOf(record), touchOf(record), rotationOf(record), removalOf(record)]) {
        assert.equal(await write(store, change), 'gone')
      }
    }
    for (const text of ['ü🧥', "'", '`', '\\', '%', 'A', 'a', 'á', '_-.~']) {
      assert.equal((await inserted(store, { id: text as SessionId })).id, text)
    }
  })

  test('a record by its token has no marks', async ({ store }) => {
    const record = await inserted(store)
    assert.equal(await write(store, updateOf(record)), 'done')
    assert.equal((await present(store, record.id)).marks, undefined)
  })
}
