import { describe, expect, it } from 'vitest'
import { createSessions, MemoryStore, type SessionId } from 'coatcheck'
import { storeSuite } from 'coatcheck/testing'
import {
  expired,
  find,
  inserted,
  insertOf,
  present,
  removalOf,
  touchOf,
  updateOf,
  write,
} from '../../dist/testing/store/subject.js'

storeSuite('MemoryStore', {
  describe,
  it,
  open: async () => {
    const store = new MemoryStore()
    return { store, other: store, cleanUp: async () => {} }
  },
})

const note = { hash: undefined }

describe('a full MemoryStore', () => {
  it('lets go of the session that was least recently used', async () => {
    const store = new MemoryStore({ maxSessions: 3 })
    const one = await inserted(store)
    const two = await inserted(store)
    const three = await inserted(store)
    await find(store, one.id)
    await write(store, touchOf(three))
    const four = await inserted(store)
    expect((await store.find([one.id, two.id, three.id, four.id])).map((record) => record?.id)).toEqual([
      one.id,
      undefined,
      three.id,
      four.id,
    ])
    expect((await store.list({ limit: 10, data: false })).items).toHaveLength(3)
  })

  /** Of which of these sessions something is left. */
  const left = async (store: MemoryStore, records: readonly { readonly id: SessionId }[]) =>
    (await store.alive(records.map(({ id }) => id))).map((record) => record !== undefined)

  it('lets go of anonymous sessions only, while there are any, however long ago users were there', async () => {
    const store = new MemoryStore({ maxSessions: 4 })
    const users = [await inserted(store, { userId: 'ada' }), await inserted(store, { userId: 'bob' })]
    const visitors = [await inserted(store), await inserted(store)]
    for (let count = 0; count < 20; count++) visitors.push(await inserted(store))
    users.push(await inserted(store, { userId: 'cleo' }))
    expect(await left(store, users)).toEqual([true, true, true])
    expect(await left(store, visitors)).toEqual([...Array<boolean>(21).fill(false), true])
  })

  it('counts a session as anonymous until somebody has signed in on it, and again once nobody is', async () => {
    const store = new MemoryStore({ maxSessions: 2 })
    const [first, second] = [await inserted(store), await inserted(store)]
    await write(store, { ...updateOf(first), userId: 'ada' })
    const third = await inserted(store)
    expect(await left(store, [first, second, third])).toEqual([true, false, true])
    await write(store, { ...updateOf(await present(store, first.id)), userId: undefined })
    await find(store, third.id)
    const fourth = await inserted(store)
    expect(await left(store, [first, third, fourth])).toEqual([false, true, true])
  })

  it('of users only refuses an anonymous one, as busy, and lets a sign-in end the one that was least recently used', async () => {
    const store = new MemoryStore({ maxSessions: 2 })
    const users = [await inserted(store, { userId: 'ada' }), await inserted(store, { userId: 'bob' })]
    const [refused, noted] = await store.write([insertOf(), insertOf(note)])
    expect(refused).toMatchObject({
      code: 'ERR_SESSION_STORE_BUSY',
      status: 503,
      message: expect.stringMatching(/all 2 sessions.*maxSessions/),
    })
    expect(noted).toBe('done')
    expect(await left(store, users)).toEqual([true, true])
    await find(store, users[0]!.id)
    users.push(await inserted(store, { userId: 'cleo' }))
    expect(await left(store, users)).toEqual([true, false, true])
  })

  it('shuts nobody out for an anonymous visitor whom it refused', async () => {
    const sessions = createSessions({
      store: new MemoryStore({ maxSessions: 1 }),
      secret: 'a secret of this test only',
      sweep: false,
    })
    sessions.on('storeError', () => undefined)
    const user = sessions.begin()
    await user.session!.signIn('ada')
    await user.commit()
    for (let count = 0; count < 10; count++) {
      const visitor = sessions.begin()
      Object.assign(visitor.session!, { cart: [count] })
      await expect(visitor.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_BUSY' })
    }
    expect((await sessions.load(user.id)).userId).toBe('ada')
  })

  it('lets expired sessions go first, even if they were used more recently', async () => {
    const store = new MemoryStore({ maxSessions: 3 })
    const oldest = await inserted(store)
    const gone = [await expired(store), await expired(store)]
    const late = [await inserted(store), await inserted(store)]
    const kept = await store.find([oldest.id, ...late.map(({ id }) => id)])
    expect(kept.every((record) => record !== undefined)).toBe(true)
    expect(await store.removeExpired(10)).toBe(0)
    expect(await write(store, insertOf({ id: gone[0]?.id ?? late[0]!.id }))).toBe('done')
  })

  it('keeps as many notes about users besides, of which the least recently used goes first', async () => {
    const store = new MemoryStore({ maxSessions: 2 })
    const sessions = [await inserted(store), await inserted(store)]
    const notes = [await inserted(store, note), await inserted(store, note)]
    await find(store, notes[0]!.id)
    notes.push(await inserted(store, note))
    const found = await store.find([...sessions, ...notes].map(({ id }) => id))
    expect(found.map((record) => record !== undefined)).toEqual([true, true, true, false, true])
    const { items } = await store.list({ limit: 10, data: false })
    expect(items.map(({ id }) => id)).toEqual(sessions.map(({ id }) => id).toReversed())
  })

  it('makes room among the sessions, also where what has expired is a note', async () => {
    const store = new MemoryStore({ maxSessions: 1 })
    await expired(store, note)
    const sessions = [await inserted(store), await inserted(store)]
    const found = await store.find(sessions.map(({ id }) => id))
    expect(found.map((record) => record !== undefined)).toEqual([false, true])
  })

  it('sweeps in the order of expiry, whatever was extended, moved or removed since', async () => {
    const store = new MemoryStore()
    const inserts = Array.from({ length: 300 }, (_, index) =>
      insertOf({
        lifetime: { idle: index % 3 === 0 ? 1 : 3_600_000 - ((index * 7919) % 1_000), absolute: undefined },
      }),
    )
    await store.write(inserts)
    await store.write(inserts.filter((_, index) => index % 5 === 1).map(removalOf))
    await expired(store)
    const live = inserts.filter((_, index) => index % 3 !== 0 && index % 5 !== 1)
    const found = await store.find(live.map(({ id }) => id))
    expect(found.every((record) => record !== undefined)).toBe(true)
    // Whether a short-lived one was still there to be removed depends on the clock; that all are away now does not.
    await store.removeExpired(1_000)
    expect(await store.removeExpired(1_000)).toBe(0)
    expect((await store.list({ limit: 1_000, data: false })).items).toHaveLength(live.length)
    const ids = inserts.filter((_, index) => index % 3 === 0).map(({ id }) => id)
    expect(new Set(await store.write(ids.map((id) => insertOf({ id }))))).toEqual(new Set(['done']))
  })
})

describe('the options of MemoryStore', () => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'a maxSessions of %d is refused',
    (maxSessions) => {
      expect(() => new MemoryStore({ maxSessions })).toThrow(
        expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
      )
    },
  )

  it('a misspelt option is refused by name', () => {
    const options = { maxSession: 10 }
    expect(() => new MemoryStore(options as object)).toThrow(/"maxSession"/)
  })
})
