import assert from 'node:assert/strict'
import {
  content,
  expired,
  find,
  inserted,
  noteOf,
  present,
  removalOf,
  sameBytes,
  textOf,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Notes: records without a hash, which coatcheck keeps beside the sessions. */
export function noteTests(test: Test, keyedBy: 'token' | undefined): void {
  test('a note is found, without a hash, and never listed', async (subject) => {
    const { store, other } = subject
    const session = await inserted(store)
    const note = noteOf(subject, { data: content('note') })
    assert.equal(await write(store, note), 'done')
    const found = await present(other, note.id)
    sameBytes(found.data, note.data)
    assert.deepEqual([found.id, found.hash, found.userId], [note.id, undefined, undefined])
    assert.deepEqual(await other.alive([note.id]), [{ id: note.id, userId: undefined, hash: undefined }])
    for (const data of [false, true]) {
      const { items, next } = await other.list({ limit: 1, data })
      assert.deepEqual([items.map(({ id }) => id), next], [[session.id], undefined])
    }
  })

  if (keyedBy === undefined) {
    test('a note of a user is not listed either', async (subject) => {
      const { store } = subject
      const session = await inserted(store, { userId: 'ada' })
      await write(store, noteOf(subject, { userId: 'ada' }))
      const { items, next } = await store.list({ userId: 'ada', limit: 1, data: false })
      assert.deepEqual([items.map(({ id }) => id), next], [[session.id], undefined])
    })
  }

  test('a note is changed by its version, and removed', async (subject) => {
    const { store } = subject
    const note = noteOf(subject)
    await write(store, note)
    assert.equal(await write(store, noteOf(subject, { id: note.id })), 'exists')
    const before = await present(store, note.id)
    assert.equal(await write(store, updateOf(before, content('next'))), 'done')
    assert.equal(await write(store, updateOf(before)), 'stale')
    const after = await present(store, note.id)
    assert.deepEqual([textOf(after), after.hash], ['next', undefined])
    assert.equal(await write(store, removalOf(after)), 'done')
    assert.equal(await find(store, note.id), undefined)
  })

  test('a note expires, and another takes its place', async (subject) => {
    const { store } = subject
    const { id } = await expired(store, noteOf(subject))
    assert.equal(await write(store, noteOf(subject, { id })), 'done')
    await present(store, id)
  })
}
