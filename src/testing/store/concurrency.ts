import assert from 'node:assert/strict'
import {
  anHour,
  assertVersion,
  content,
  expired,
  find,
  inserted,
  insertOf,
  newKey,
  present,
  textOf,
  write,
} from './subject.js'
import type { StoresUnderTest, Test } from './subject.js'
import { rotationOf, updateOf } from './writes.js'

/** Twenty calls at the same time, by both stores in turn. */
function atOnce<Result>(
  { store, other }: StoresUnderTest,
  call: (store: StoresUnderTest['store'], index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(Array.from({ length: 20 }, (_, index) => call(index % 2 === 0 ? store : other, index)))
}

function oneDoneAndTheRest(results: readonly string[], rest: string): void {
  assert.deepEqual([...results].sort(), ['done', ...results.slice(1).map(() => rest)].sort())
}

/** Several stores at one database at the same moment. */
export function concurrencyTests(test: Test): void {
  test('of parallel updates of one version exactly one is done, the rest are stale', async (stores) => {
    const record = await inserted(stores.store)
    const results = await atOnce(stores, (store, index) =>
      write(store, updateOf(record, content(`${index}`))),
    )
    oneDoneAndTheRest(results, 'stale')
    const after = await present(stores.store, record.key)
    assertVersion(stores, after, 2)
    assert.equal(textOf(after), `${results.indexOf('done')}`)
  })

  test('of parallel inserts of one key exactly one is done, the rest find that it exists', async (stores) => {
    const key = newKey()
    const results = await atOnce(stores, (store, index) =>
      write(store, insertOf({ key, data: content(`${index}`) })),
    )
    oneDoneAndTheRest(results, 'exists')
    assert.equal(textOf(await present(stores.store, key)), `${results.indexOf('done')}`)
  })

  test("of parallel inserts onto an expired record's key exactly one is done, the rest find that it exists", async (stores) => {
    const { key } = await expired(stores.store)
    const results = await atOnce(stores, (store, index) =>
      write(store, insertOf({ key, data: content(`${index}`) })),
    )
    oneDoneAndTheRest(results, 'exists')
    assert.equal(textOf(await present(stores.store, key)), `${results.indexOf('done')}`)
    assert.equal(await stores.store.removeExpired(10), 0)
  })

  test('of parallel rotations of one version exactly one is done, the rest are gone', async (stores) => {
    const record = await inserted(stores.store, { userId: 'ada' })
    const keys = Array.from({ length: 20 }, () => newKey())
    const results = await atOnce(stores, (store, index) => write(store, rotationOf(record, keys[index])))
    oneDoneAndTheRest(results, 'gone')
    const found = await stores.store.find(keys)
    assert.deepEqual(
      found.map((moved) => moved !== undefined),
      results.map((result) => result === 'done'),
    )
    assert.equal((await stores.store.list({ userId: 'ada', limit: 10 })).items.length, 1)
  })

  test('of parallel rotations onto one key exactly one is done, the rest find that it exists', async (stores) => {
    const key = newKey()
    const records = await Promise.all(Array.from({ length: 20 }, () => inserted(stores.store)))
    const results = await atOnce(stores, (store, index) => {
      const record = records[index]
      assert.ok(record)
      return write(store, rotationOf(record, key))
    })
    oneDoneAndTheRest(results, 'exists')
    assert.equal((await present(stores.store, key)).publicId, records[results.indexOf('done')]?.publicId)
    assert.equal((await stores.store.list({ limit: 50 })).items.length, 20)
  })

  test('of parallel removals exactly one is done, the rest find it gone', async (stores) => {
    const { key } = await inserted(stores.store)
    oneDoneAndTheRest(await atOnce(stores, (store) => write(store, { type: 'remove', key })), 'gone')
  })

  test('a removal among parallel updates and touches is final', async (stores) => {
    const record = await inserted(stores.store)
    const { key } = record
    const results = await atOnce(stores, (store, index) => {
      if (index === 9) return write(store, { type: 'remove', key })
      return write(
        store,
        index % 3 === 0 ? { type: 'touch', key, data: record.data, lifetime: anHour } : updateOf(record),
      )
    })
    assert.equal(results[9], 'done')
    assert.equal(await find(stores.store, key), undefined)
    assert.equal(await find(stores.other, key), undefined)
  })

  test('parallel batches over the same records, in opposite order, are all answered', async (stores) => {
    const records = await Promise.all(Array.from({ length: 10 }, () => inserted(stores.store)))
    const answers = await atOnce(stores, (store, index) => {
      const updates = records.map((record) => updateOf(record))
      return store.write(index % 2 === 0 ? updates : updates.reverse())
    })
    assert.equal(answers.flat().filter((result) => result === 'done').length, 10)
    assert.equal(answers.flat().filter((result) => result === 'stale').length, 190)
    const found = await stores.store.find(records.map(({ key }) => key))
    for (const record of found) {
      assert.ok(record)
      assertVersion(stores, record, 2)
      assert.equal(textOf(record), 'changed')
    }
  })

  test('increments by many callers, each trying again when stale, are all there', async (stores) => {
    const { key } = await inserted(stores.store, { data: content('0') })
    await atOnce(stores, async (store) => {
      for (let done = 0; done < 5;) {
        const record = await present(store, key)
        const next = content(String(Number(textOf(record)) + 1))
        if ((await write(store, updateOf(record, next))) === 'done') done++
      }
    })
    const record = await present(stores.store, key)
    assert.equal(textOf(record), '100')
    assertVersion(stores, record, 101)
  })

  test('a reader never finds a rotating record at both keys, nor at neither', async ({ store, other }) => {
    let record = await inserted(store)
    for (let round = 0; round < 50; round++) {
      const rotation = rotationOf(record)
      const [result, found] = await Promise.all([
        write(store, rotation),
        other.find([record.key, rotation.newKey]),
      ])
      assert.equal(result, 'done')
      assert.equal(found.filter((moved) => moved !== undefined).length, 1)
      record = await present(store, rotation.newKey)
    }
  })

  test('a store may be closed twice, and the other goes on', async ({ store, other }) => {
    const { key } = await inserted(store)
    await store.close()
    await store.close()
    await present(other, key)
  })
}
