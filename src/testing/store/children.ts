import assert from 'node:assert/strict'
import type { SessionId } from '../../core/store/record.js'
import type { SessionStore } from '../../core/store/session-store.js'
import {
  aMoment,
  find,
  hour,
  inserted,
  insertOf,
  newId,
  present,
  removalOf,
  rotationOf,
  touchOf,
  until,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Which of these records exist. Asserts that all ways of reading agree. */
async function shown(store: SessionStore, ids: readonly SessionId[]): Promise<boolean[]> {
  const found = await store.find(ids)
  const alive = await store.alive(ids)
  const listed = [
    await store.list({ limit: 50, data: false }),
    await store.list({ limit: 50, data: true }),
  ].map(({ items }) => new Set(items.map(({ id }) => id)))
  for (const [index, id] of ids.entries()) {
    const isFound = found[index] !== undefined
    assert.equal(alive[index] !== undefined, isFound, 'alive as found')
    for (const page of listed) assert.equal(page.has(id), isFound, 'listed as found')
  }
  return found.map((record) => record !== undefined)
}

async function listedOf(store: SessionStore, userId: string): Promise<Set<SessionId>> {
  const { items } = await store.list({ userId, limit: 50, data: false })
  return new Set(items.map(({ id }) => id))
}

/** Children: records that exist only while their root is live. */
export function childTests(test: Test): void {
  for (const userId of ['ada', undefined]) {
    test(`a child of ${userId ?? 'nobody'} is there until its root is removed`, async ({ store, other }) => {
      const root = await inserted(store, { userId })
      const child = await inserted(other, { userId, rootId: root.id })
      assert.deepEqual([root.rootId, child.rootId], [undefined, root.id])
      assert.deepEqual(await shown(other, [root.id, child.id]), [true, true])
      assert.equal(await write(store, removalOf(root)), 'done')
      assert.deepEqual(await shown(other, [root.id, child.id]), [false, false])
    })

    test(`a child of ${userId ?? 'nobody'} is there only while its root has the same user`, async ({
      store,
      other,
    }) => {
      const root = await inserted(store, { userId })
      const child = await inserted(store, { userId, rootId: root.id })
      for (const another of ['bob', 'Ada', 'ada ', userId === undefined ? 'eve' : undefined]) {
        await write(store, { ...updateOf(await present(store, root.id)), userId: another })
        assert.deepEqual(await shown(other, [root.id, child.id]), [true, false], another)
      }
      await write(store, { ...updateOf(await present(store, root.id)), userId })
      assert.deepEqual(await shown(other, [root.id, child.id]), [true, true])
    })
  }

  test('a child of a root that expired, or never was, is not there', async ({ store }) => {
    const root = await inserted(store)
    const children = [insertOf({ rootId: root.id }), insertOf({ rootId: newId() })]
    const ids = children.map(({ id }) => id)
    await store.write(children)
    assert.deepEqual(await shown(store, ids), [true, false])
    await write(store, { ...updateOf(root), lifetime: aMoment })
    await until('the root expires', async () => (await find(store, root.id)) === undefined)
    assert.deepEqual(await shown(store, ids), [false, false])
  })

  test("a child goes on when its root's token changes, or its own, and when either is changed or touched", async ({
    store,
  }) => {
    const root = await inserted(store, { userId: 'ada' })
    const child = await inserted(store, { userId: 'ada', rootId: root.id })
    for (const { id } of [root, child]) {
      await write(store, rotationOf(await present(store, id), { grace: hour }))
      await write(store, updateOf(await present(store, id)))
      await write(store, touchOf(await present(store, id)))
    }
    assert.deepEqual(await shown(store, [root.id, child.id]), [true, true])
    assert.equal((await present(store, child.id)).rootId, root.id)
  })

  test('writes of a child do not look at its root', async ({ store }) => {
    const root = await inserted(store, { userId: 'ada' })
    const child = await inserted(store, { userId: 'ada', rootId: root.id })
    assert.equal(await write(store, removalOf(root)), 'done')
    assert.equal(await write(store, insertOf({ id: child.id })), 'exists')
    assert.equal(await write(store, touchOf(child)), 'done')
    assert.equal(await write(store, updateOf(child)), 'done')
    assert.equal(await write(store, updateOf(child)), 'stale')
    assert.equal(await find(store, child.id), undefined)
    assert.equal(await write(store, removalOf(child)), 'done')
    assert.equal(await write(store, removalOf(child)), 'gone')
  })

  test('children that are not there leave no gap in a batch, and none in a listing', async ({ store }) => {
    const roots = [insertOf({ userId: 'ada' }), insertOf({ userId: 'bob' })]
    await store.write(roots)
    const children = Array.from({ length: 12 }, (_, index) =>
      insertOf({ userId: 'ada', rootId: roots[index % 2]!.id }),
    )
    await store.write(children)
    const ids = children.map(({ id }) => id)
    assert.deepEqual(
      (await store.find(ids)).map((record) => record?.id),
      ids.map((id, index) => (index % 2 === 0 ? id : undefined)),
    )
    const adas = [roots[0]!.id, ...ids.filter((_, index) => index % 2 === 0)]
    assert.deepEqual(await listedOf(store, 'ada'), new Set(adas))
    const first = await store.list({ userId: 'ada', limit: 4, data: false })
    const rest = await store.list({ userId: 'ada', limit: 4, data: false, after: first.next })
    assert.deepEqual([first.items.length, rest.items.length, rest.next], [4, 3, undefined])
  })
}
