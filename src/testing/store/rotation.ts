import assert from 'node:assert/strict'
import type { SessionId, SessionRecord } from '../../core/store/record.js'
import type { NewSecret, SessionStore } from '../../core/store/session-store.js'
import {
  aMoment,
  assertVersion,
  comparable,
  content,
  find,
  hour,
  inserted,
  insertOf,
  laterThan,
  newId,
  present,
  rotated,
  rotationOf,
  type Rotation,
  sameBytes,
  textOf,
  touchOf,
  until,
  updateOf,
  write,
} from './subject.js'
import type { Test } from './subject.js'
import { tokenRotationTests } from './token-rotation.js'

/** A sign-in of Ada on `record`, with an hour of grace. */
function signInOf(
  record: SessionRecord,
  secret: Partial<Pick<NewSecret, 'grace' | 'signedIn'>> = {},
): Rotation {
  const rotation = rotationOf(record, { grace: hour, signedIn: true, ...secret })
  return { ...rotation, userId: 'ada', data: content('after') }
}

/** Writes that give a record a new token, and `authenticatedAt`. */
export function rotationTests(test: Test, keyedBy: 'token' | undefined): void {
  test('a sign-in is dated by the store, at once with what it stores; nothing else moves that', async (subject) => {
    const { store } = subject
    const first = await inserted(store, { userId: 'ada', signedIn: true })
    assert.equal(first.authenticatedAt, first.createdAt)
    await laterThan(store, first)
    assert.equal(await write(store, updateOf(first)), 'done')
    assert.equal(await write(store, touchOf(first)), 'done')
    const changed = await present(store, first.id)
    assert.equal(changed.authenticatedAt, first.authenticatedAt)
    const quiet = await rotated(subject, rotationOf(changed))
    assert.equal(quiet.authenticatedAt, first.authenticatedAt)
    const { authenticatedAt, readAt } = await rotated(subject, rotationOf(quiet, { signedIn: true }))
    assert.ok(authenticatedAt! > first.authenticatedAt! && authenticatedAt! <= readAt, `${authenticatedAt}`)
  })

  test('while nobody is signed in there is no such moment', async (subject) => {
    const { store } = subject
    const record = await inserted(store)
    assert.equal(record.authenticatedAt, undefined)
    const signedIn = await rotated(subject, signInOf(record))
    await write(store, { ...updateOf(signedIn), userId: undefined })
    assert.equal((await present(store, signedIn.id)).authenticatedAt, undefined)
  })

  test('a rotation gives the record another hash, and its content, in one step', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store)
    const rotation = signInOf(before)
    const after = await rotated(subject, rotation)
    sameBytes(after.hash, rotation.secret.hash)
    sameBytes(after.data, rotation.data)
    assert.deepEqual(
      [after.userId, after.publicId, after.createdAt],
      ['ada', before.publicId, before.createdAt],
    )
    assertVersion(subject, after, 2)
    assert.deepEqual(
      (await other.list({ userId: 'ada', limit: 10, data: false })).items.map(({ id }) => id),
      [after.id],
    )
    assert.equal((await other.list({ limit: 10, data: false })).items.length, 1)
  })

  if (keyedBy === 'token') tokenRotationTests(test)
  else formerTests(test)
}

/** Rotations in a store whose ids stay: for its grace, the record keeps its former content. */
function formerTests(test: Test): void {
  test('for its grace a record holds the hash and the content from before, found in the same call', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store, { data: content('before') })
    assert.equal(before.former, undefined)
    const rotation = signInOf(before)
    await rotated(subject, rotation)
    for (const [name, reader] of Object.entries({ store, other })) {
      const [after, unknown] = await reader.find([before.id, newId()])
      assert.ok(after?.former, name)
      assert.equal(unknown, undefined)
      assert.deepEqual([after.id, after.userId, textOf(after)], [before.id, 'ada', 'after'])
      sameBytes(after.hash, rotation.secret.hash)
      sameBytes(after.former.hash, before.hash)
      sameBytes(after.former.data, before.data)
      assert.deepEqual([after.former.userId, after.former.authenticatedAt], [undefined, undefined])
    }
  })

  test('what it held before is who was signed in, and since when, as well', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { userId: 'bob', signedIn: true })
    await laterThan(store, before)
    const { former } = await rotated(subject, signInOf(before))
    assert.deepEqual([former?.userId, former?.authenticatedAt], ['bob', before.authenticatedAt])
  })

  test('when the grace is over, nothing is told of what was before, and an update keeps it so', async (subject) => {
    const { store } = subject
    const before = await inserted(store)
    const rotation = signInOf(before, { grace: 1 })
    assert.equal(await write(store, rotation), 'done')
    const isOver = async () => (await present(store, before.id)).former === undefined
    await until('the grace is over', isOver)
    const after = await present(store, before.id)
    sameBytes(after.hash, rotation.secret.hash)
    assert.equal(await write(store, updateOf(after)), 'done')
    assert.ok(await isOver())
  })

  test('without a grace nothing is kept of before, nor what was kept until then', async (subject) => {
    const { store } = subject
    const before = await inserted(store)
    const withoutGrace = await rotated(subject, signInOf(before, { grace: 0 }))
    assert.equal(withoutGrace.former, undefined)
    const withGrace = await rotated(subject, rotationOf(withoutGrace, { grace: hour }))
    assert.ok(withGrace.former)
    assert.equal((await rotated(subject, rotationOf(withGrace))).former, undefined)
  })

  test('of two new secrets only the last counts: what was kept is what was before that', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { data: content('first') })
    const one = await rotated(subject, { ...signInOf(before), data: content('second') })
    const two = await rotated(subject, { ...rotationOf(one, { grace: hour }), data: content('third') })
    sameBytes(two.former?.hash, one.hash)
    assert.deepEqual([two.former?.userId, two.former?.authenticatedAt], ['ada', one.authenticatedAt])
    assert.deepEqual([textOf(two.former!), textOf(two)], ['second', 'third'])
  })

  test('what comes after leaves alone what it held before', async (subject) => {
    const { store } = subject
    const before = await inserted(store, { data: content('before'), userId: 'bob', signedIn: true })
    const after = await rotated(subject, signInOf(before))
    const former = comparable(after.former!)
    assert.equal(await write(store, { ...updateOf(after, content('later')), userId: 'eve' }), 'done')
    assert.equal(await write(store, touchOf(after)), 'done')
    const later = await present(store, before.id)
    const others = await Promise.all([inserted(store), inserted(store)])
    const batch = [later, ...others].map((record) => updateOf(record, content('latest')))
    assert.deepEqual(await store.write(batch), ['done', 'done', 'done'])
    const latest = await present(store, before.id)
    assert.equal(textOf(latest), 'latest')
    assert.deepEqual(comparable(latest.former!), former)
    sameBytes(latest.hash, after.hash)
  })

  test('an id is for life: a record is written to by it after a rotation as before', async (subject) => {
    const { store, other } = subject
    let record = await inserted(store, { userId: 'ada' })
    const { id } = record
    for (let round = 0; round < 3; round++) {
      record = await rotated(subject, rotationOf(record, { grace: hour }))
      assert.equal(record.id, id)
      assert.equal(await write(other, insertOf({ id })), 'exists')
      assert.equal(await write(other, updateOf(record)), 'done')
      assert.equal(await write(other, touchOf(record)), 'done')
      record = await present(store, id)
    }
    assertVersion(subject, record, 7)
    // As its first user, who found it before all of these changes.
    assert.equal(await write(other, { type: 'remove', id, userId: 'ada' }), 'done')
    assert.equal(await find(store, id), undefined)
  })

  test('a record that ended leaves nothing of what it held before', async (subject) => {
    const { store, other } = subject
    const ends: Record<string, (id: SessionId) => Promise<unknown>> = {
      removed: (id) => write(other, { type: 'remove', id, userId: 'ada' }),
      'of a user': () => other.removeByUser('ada'),
      expired: (id) => expire(store, id),
    }
    for (const [how, end] of Object.entries(ends)) {
      const { id } = await rotated(subject, signInOf(await inserted(store)))
      await end(id)
      assert.equal(await find(store, id), undefined, how)
      assert.equal(await write(store, insertOf({ id, userId: 'bob' })), 'done', how)
      const { userId, former } = await present(store, id)
      assert.deepEqual([userId, former], ['bob', undefined], how)
    }
  })

  test('of parallel rotations the one that is done keeps what was before all of them', async (subject) => {
    const { store, other } = subject
    const before = await inserted(store, { data: content('before') })
    const rotations = Array.from({ length: 10 }, () => signInOf(before))
    const results = await Promise.all(
      rotations.map((rotation, index) => write(index % 2 === 0 ? store : other, rotation)),
    )
    assert.deepEqual(
      results.toSorted(),
      results.map((_, index) => (index === 0 ? 'done' : 'stale')),
    )
    const after = await present(store, before.id)
    sameBytes(after.hash, rotations[results.indexOf('done')]!.secret.hash)
    sameBytes(after.former?.hash, before.hash)
    assert.equal(textOf(after.former!), 'before')
  })

  test('a reader sees a rotating record as it was or as it is, and never a part of each', async ({
    store,
    other,
  }) => {
    let record = await inserted(store, { data: content('0') })
    for (let round = 1; round <= 50; round++) {
      const rotation = { ...rotationOf(record, { grace: hour }), data: content(`${round}`) }
      const [result, [found]] = await Promise.all([write(store, rotation), other.find([record.id])])
      assert.equal(result, 'done')
      assert.ok(found)
      const isNew = found.version === round + 1
      sameBytes(found.hash, isNew ? rotation.secret.hash : record.hash)
      assert.equal(textOf(found), `${isNew ? round : round - 1}`)
      if (isNew) assert.equal(textOf(found.former!), `${round - 1}`)
      record = await present(store, record.id)
    }
  })

  for (const size of [3, 65]) {
    test(`a batch of ${size} ids finds of each what it held before`, async ({ store }) => {
      const before = await Promise.all(
        Array.from({ length: size }, (_, index) => inserted(store, { data: content(`${index}`) })),
      )
      await store.write(before.map((record) => signInOf(record)))
      const found = await store.find([newId(), ...before.map(({ id }) => id), newId()])
      assert.deepEqual(
        found.map((record) => record?.former && textOf(record.former)),
        [undefined, ...before.map((_, index) => `${index}`), undefined],
      )
    })
  }
}

async function expire(store: SessionStore, id: SessionId): Promise<void> {
  await write(store, { ...updateOf(await present(store, id)), lifetime: aMoment })
  await until('it expires', async () => (await find(store, id)) === undefined)
}
