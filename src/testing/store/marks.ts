import assert from 'node:assert/strict'
import { marksKept } from '../../core/store/mark.js'
import {
  content,
  hour,
  inserted,
  insertOf,
  present,
  rotationOf,
  sameBytes,
  touchOf,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'

/** Marks: by them, a write whose answer was lost can be recognized. */
export function markTests(test: Test): void {
  test('a record keeps the marks of its last four writes, the newest first, over new secrets', async ({
    store,
    other,
  }) => {
    const insert = insertOf()
    assert.equal(await write(store, insert), 'done')
    const marks = [insert.mark]
    for (let index = 0; index < 7; index++) {
      const record = await present(other, insert.id)
      sameBytes(record.marks, Buffer.concat(marks.slice(0, marksKept)))
      const change = index % 3 === 1 ? rotationOf(record, { grace: index % 2 ? hour : 0 }) : updateOf(record)
      assert.equal(await write(store, change), 'done')
      marks.unshift(change.mark)
    }
    sameBytes((await present(other, insert.id)).marks, Buffer.concat(marks.slice(0, marksKept)))
  })

  test('a mark may be any bytes', async ({ store }) => {
    const marks = [
      new Uint8Array(8),
      new Uint8Array(8).fill(0xff),
      Uint8Array.of(0xc0, 0x80, 0xed, 0xa0, 0x80, 0, 0x27, 0x5c),
    ]
    const record = await inserted(store, { mark: marks[0]! })
    await write(store, { ...updateOf(record), mark: marks[1]! })
    await write(store, { ...updateOf(record), version: 2, mark: marks[2]! })
    sameBytes((await present(store, record.id)).marks, Buffer.concat(marks.toReversed()))
  })

  test('neither a touch nor a write that was not done leaves a mark', async ({ store }) => {
    const record = await inserted(store)
    assert.equal(await write(store, touchOf(record)), 'done')
    assert.equal(await write(store, { ...updateOf(record), version: 2 }), 'stale')
    assert.equal(await write(store, { ...rotationOf(record), version: 2 }), 'stale')
    assert.equal(await write(store, insertOf({ id: record.id, data: content('other') })), 'exists')
    sameBytes((await present(store, record.id)).marks, record.marks)
  })

  test('writes of one batch leave each its own mark', async ({ store }) => {
    const records = await Promise.all([inserted(store), inserted(store), inserted(store)])
    const updates = records.map((record) => updateOf(record))
    assert.deepEqual(await store.write(updates), ['done', 'done', 'done'])
    for (const [index, record] of (await store.find(records.map(({ id }) => id))).entries()) {
      assert.ok(record?.marks && records[index]?.marks)
      sameBytes(record.marks, Buffer.concat([updates[index]!.mark, records[index].marks]))
    }
  })
}
