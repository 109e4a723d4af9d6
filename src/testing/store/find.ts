import assert from 'node:assert/strict'
import {
  anHour,
  assertMoment,
  assertVersion,
  bytes,
  content,
  find,
  hour,
  inserted,
  insertOf,
  newKey,
  present,
  sameBytes,
  textOf,
  write,
} from './subject.js'
import type { SessionKey } from '../../core/record.js'
import type { Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/** What is read is what was written. */
export function findTests(test: Test, keyedBy: 'token' | undefined): void {
  // Only a store keyed by token gets its keys from outside, and only it must read what it stores as JSON.
  if (keyedBy === 'token') tokenTests(test)
  else byteTests(test)

  test('a record that was never written is absent', async ({ store }) => {
    assert.equal(await find(store, newKey()), undefined)
  })

  test('empty batches are answered with empty batches', async ({ store }) => {
    assert.deepEqual(await store.find([]), [])
    assert.deepEqual(await store.findFormer([]), [])
    assert.deepEqual(await store.write([]), [])
  })

  test('an inserted record is found with all its fields', async (subject) => {
    const { store } = subject
    const insert = insertOf({ userId: 'ada', data: content('cart') })
    assert.equal(await write(store, insert), 'done')
    const record = await present(store, insert.key)
    assert.equal(record.key, insert.key)
    assert.equal(record.publicId, insert.publicId)
    assert.equal(record.userId, 'ada')
    sameBytes(record.data, insert.data)
    assertVersion(subject, record, 1)
    assert.equal(record.seenAt, record.createdAt)
    assertMoment(subject, record.expiresAt, record.createdAt + hour)
    assert.ok(record.readAt >= record.createdAt && record.readAt < record.expiresAt, 'read while it lives')
    for (const moment of [record.createdAt, record.seenAt, record.expiresAt, record.readAt]) {
      assert.ok(Number.isSafeInteger(moment), 'moments are whole milliseconds')
    }
  })

  test('a record that one store wrote, the other finds at once', async ({ store, other }) => {
    for (let round = 0; round < 20; round++) {
      const { key } = await inserted(round % 2 === 0 ? store : other)
      await present(round % 2 === 0 ? other : store, key)
    }
  })

  test('records come in the order asked for, with gaps where there is none', async ({ store }) => {
    const one = await inserted(store)
    const two = await inserted(store)
    const three = await inserted(store)
    const found = await store.find([three.key, newKey(), one.key, two.key, newKey()])
    assert.deepEqual(
      found.map((record) => record?.key),
      [three.key, undefined, one.key, two.key, undefined],
    )
  })

  test('200 records are written and found in one batch each', async ({ store }) => {
    const inserts = Array.from({ length: 200 }, (_, index) => insertOf({ data: content(`${index}`) }))
    assert.deepEqual(
      await store.write(inserts),
      inserts.map(() => 'done'),
    )
    const keys = inserts.map(({ key }) => key).reverse()
    const found = await store.find(keys)
    assert.deepEqual(
      found.map((record) => record && [record.key, textOf(record)]),
      inserts.map(({ key }, index) => [key, `${index}`]).reverse(),
    )
  })

  for (const size of [3, 5, 63, 65, 300]) {
    test(`a batch of ${size} keys finds each`, async ({ store }) => {
      const inserts = Array.from({ length: size }, () => insertOf())
      await store.write(inserts)
      const keys = inserts.map(({ key }) => key)
      assert.deepEqual(
        (await store.find(keys)).map((record) => record?.key),
        keys,
      )
    })
  }

  const texts = ['', ' \u0000\n"\\\u2028', 'é 用户 🧥', '\ud800', 'x'.repeat(70_000)]
  test('any JSON comes back as it was, from insert, update and rotate', async ({ store }) => {
    for (const text of texts) {
      const data = content(text)
      const record = await inserted(store, { data })
      sameBytes(record.data, data)
      const other = content(`${text}!`)
      assert.equal(await write(store, updateOf(record, other)), 'done')
      const updated = await present(store, record.key)
      sameBytes(updated.data, other)
      const rotation = { ...rotationOf(updated), data }
      assert.equal(await write(store, rotation), 'done')
      sameBytes((await present(store, rotation.newKey)).data, data)
    }
  })

  test('a record of nobody has no user id, and can get and lose one', async ({ store }) => {
    const { key, userId, data, version } = await inserted(store)
    assert.equal(userId, undefined)
    await write(store, { type: 'update', key, version, userId: 'ada', data, lifetime: anHour })
    const signedIn = await present(store, key)
    assert.equal(signedIn.userId, 'ada')
    assert.equal((await store.list({ userId: 'ada', limit: 10 })).items.length, 1)
    await write(store, { ...signedIn, type: 'update', userId: undefined, lifetime: anHour })
    assert.equal((await present(store, key)).userId, undefined)
    assert.deepEqual((await store.list({ userId: 'ada', limit: 10 })).items, [])
  })

  test('what the caller does to its buffers afterwards does not reach the record', async ({ store }) => {
    const data = content('before')
    const { key, version } = await inserted(store, { data })
    data.fill(0)
    const first = await present(store, key)
    sameBytes(first.data, content('before'))
    first.data.fill(0)
    sameBytes((await present(store, key)).data, content('before'))

    const update = content('update')
    await write(store, { type: 'update', key, version, userId: undefined, data: update, lifetime: anHour })
    update.fill(0)
    sameBytes((await present(store, key)).data, content('update'))
  })
}

function byteTests(test: Test): void {
  const contents: [string, Uint8Array][] = [
    ['no bytes at all', new Uint8Array(0)],
    ['all 256 values of a byte', Uint8Array.from({ length: 256 }, (_, index) => index)],
    ['a single zero', new Uint8Array(1)],
    ['bytes that are not UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80)],
    ['64 KiB', Uint8Array.from({ length: 65_536 }, (_, index) => (index * 31) % 251)],
  ]
  for (const [what, data] of contents) {
    test(`data of ${what} comes back as it was, from insert, update and rotate`, async ({ store }) => {
      const { key } = await inserted(store, { data })
      sameBytes((await present(store, key)).data, data)
      await write(store, {
        type: 'update',
        key,
        version: 1,
        userId: undefined,
        data: bytes('x'),
        lifetime: anHour,
      })
      await write(store, { type: 'update', key, version: 2, userId: undefined, data, lifetime: anHour })
      sameBytes((await present(store, key)).data, data)
      const moved = newKey()
      const lifetime = anHour
      await write(store, {
        type: 'rotate',
        key,
        newKey: moved,
        version: 3,
        userId: undefined,
        signedIn: false,
        grace: 0,
        data,
        lifetime,
      })
      sameBytes((await present(store, moved)).data, data)
    })
  }
}

function tokenTests(test: Test): void {
  test('any text is a key that is found, or is not', async ({ store }) => {
    for (const text of ['ü🧥', ' ', "'", '`', '\\', '%', '_', '\u0000', '\ud800', 'x '.repeat(500)]) {
      const key = text as SessionKey
      const record = { ...(await inserted(store)), key }
      assert.equal(await find(store, key), undefined)
      assert.equal(await write(store, updateOf(record)), 'gone')
      assert.equal(await write(store, { type: 'touch', key, data: record.data, lifetime: anHour }), 'gone')
      assert.equal(await write(store, rotationOf(record)), 'gone')
      assert.equal(await write(store, { type: 'remove', key }), 'gone')
    }
    for (const text of ['ü🧥', "'", '`', '\\', '%', 'A', 'a', 'á', '_-.~']) {
      assert.equal((await inserted(store, { key: text as SessionKey })).key, text)
    }
  })
}
