import assert from 'node:assert/strict'
import {
  assertVersion,
  content,
  expired,
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
import type { StoresUnderTest, Test } from './subject.js'

/** Makes twenty calls at the same time, alternating between both stores. */
function atOnce<Result>(
  { store, other }: StoresUnderTest,
  call: (store: StoresUnderTest['store'], index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(Array.from({ length: 20 }, (_, index) => call(index % 2 === 0 ? store : other, index)))
}

function oneDoneAndTheRest(results: readonly string[], rest: string): void {
  assert.deepEqual([...results].sort(), ['done', ...results.slice(1).map(() => rest)].sort())
}

/** Concurrent calls of several stores on one database. */
export function concurrencyTests(test: Test): void {
  test('of parallel updates of one version exactly one is done, the rest are stale', async (stores) => {
    const record = await inserted(stores.store)
    const results = await atOnce(stores, (store, index) =>
      write(store, updateOf(record, content(`${index}`))),
    )
    oneDoneAndTheRest(results, 'stale')
    const after = await present(stores.store, record.id)
    assertVersion(stores, after, 2)
    assert.equal(textOf(after), `${results.indexOf('done')}`)
  })

  test('of parallel inserts of one id exactly one is done, the rest find that it exists', async (stores) => {
    const id = newId()
    const results = await atOnce(stores, (store, index) =>
      write(store, insertOf({ id, data: content(`${index}`) })),
    )
    oneDoneAndTheRest(results, 'exists')
    assert.equal(textOf(await present(stores.store, id)), `${results.indexOf('done')}`)
  })

  test("of parallel inserts onto an expired record's id exactly one is done, the rest find that it exists", async (stores) => {
    const { id } = await expired(stores.store)
    const results = await atOnce(stores, (store, index) =>
      write(store, insertOf({ id, data: content(`${index}`) })),
    )
    oneDoneAndTheRest(results, 'exists')
    assert.equal(textOf(await present(stores.store, id)), `${results.indexOf('done')}`)
    assert.equal(await stores.store.removeExpired(10), 0)
  })

  test('of parallel rotations of one version exactly one is done, the rest change nothing', async (subject) => {
    const { store, keyedBy } = subject
    const record = await inserted(store, { userId: 'ada' })
    const rotations = Array.from({ length: 20 }, () => rotationOf(record, { grace: hour }))
    const results = await atOnce(subject, (oneOfThem, index) => write(oneOfThem, rotations[index]!))
    oneDoneAndTheRest(results, keyedBy === 'token' ? 'gone' : 'stale')
    const winner = rotations[results.indexOf('done')]!
    const found = await present(store, idAfter(subject, winner))
    sameBytes(found.hash, winner.secret.hash)
    assertVersion(subject, found, 2)
    assert.equal((await store.list({ userId: 'ada', limit: 10, data: false })).items.length, 1)
  })

  test('of a parallel update and rotation of one version exactly one is done', async (subject) => {
    const { store, other } = subject
    for (let round = 0; round < 20; round++) {
      const record = await inserted(store)
      const rotation = rotationOf(record, { grace: hour })
      const results = await Promise.all([write(store, rotation), write(other, updateOf(record))])
      assert.equal(results.filter((result) => result === 'done').length, 1, results.join())
    }
  })

  test('of parallel removals exactly one is done, the rest find it gone', async (stores) => {
    const record = await inserted(stores.store)
    oneDoneAndTheRest(await atOnce(stores, (store) => write(store, removalOf(record))), 'gone')
  })

  test("of a sign-in and a removal of nobody's record, at the same time, exactly one is done", async ({
    store,
    other,
  }) => {
    for (let round = 0; round < 20; round++) {
      const record = await inserted(store)
      const signIn = { ...updateOf(record), userId: 'ada' }
      const [stored, removed] = await Promise.all([write(store, signIn), write(other, removalOf(record))])
      assert.deepEqual([stored, removed], stored === 'done' ? ['done', 'moved'] : ['gone', 'done'])
    }
  })

  test('a removal among parallel updates and touches is final', async (stores) => {
    const record = await inserted(stores.store)
    const results = await atOnce(stores, (store, index) => {
      if (index === 9) return write(store, removalOf(record))
      return write(store, index % 3 === 0 ? touchOf(record) : updateOf(record))
    })
    assert.equal(results[9], 'done')
    assert.equal(await find(stores.store, record.id), undefined)
    assert.equal(await find(stores.other, record.id), undefined)
  })

  test('parallel batches over the same records, in opposite order, are all answered', async (stores) => {
    const records = await Promise.all(Array.from({ length: 10 }, () => inserted(stores.store)))
    const answers = await atOnce(stores, (store, index) => {
      const updates = records.map((record) => updateOf(record))
      return store.write(index % 2 === 0 ? updates : updates.reverse())
    })
    assert.equal(answers.flat().filter((result) => result === 'done').length, 10)
    assert.equal(answers.flat().filter((result) => result === 'stale').length, 190)
    const found = await stores.store.find(records.map(({ id }) => id))
    for (const record of found) {
      assert.ok(record)
      assertVersion(stores, record, 2)
      assert.equal(textOf(record), 'changed')
    }
  })

  test('increments by many callers, each trying again when stale, are all there', async (stores) => {
    const { id } = await inserted(stores.store, { data: content('0') })
    await atOnce(stores, async (store) => {
      for (let done = 0; done < 5;) {
        const record = await present(store, id)
        const next = content(String(Number(textOf(record)) + 1))
        if ((await write(store, updateOf(record, next))) === 'done') done++
      }
    })
    const record = await present(stores.store, id)
    assert.equal(textOf(record), '100')
    assertVersion(stores, record, 101)
  })

  test('a store may be closed twice, and the other goes on', async ({ store, other }) => {
    const { id } = await inserted(store)
    await store.close()
    await store.close()
    await present(other, id)
  })
}
