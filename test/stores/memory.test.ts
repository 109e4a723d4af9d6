import { describe, expect, it } from 'vitest'
import { MemoryStore } from 'coatcheck'
import { storeSuite } from 'coatcheck/testing'
import { expired, find, inserted, insertOf, write } from '../../dist/testing/store/subject.js'

storeSuite('MemoryStore', {
  describe,
  it,
  open: async () => {
    const store = new MemoryStore()
    return { store, other: store, cleanUp: async () => {} }
  },
})

/** What makes a record one that is remembered of a user. */
const note = { publicId: 'note' }

describe('a full MemoryStore', () => {
  it('lets go of the session that was least recently used', async () => {
    const store = new MemoryStore({ maxSessions: 3 })
    const one = await inserted(store)
    const two = await inserted(store, { userId: 'ada' })
    const three = await inserted(store)
    await find(store, one.key)
    await write(store, {
      type: 'touch',
      key: three.key,
      data: three.data,
      lifetime: { idle: 1_000, absolute: undefined },
    })
    const four = await inserted(store)
    expect((await store.find([one.key, two.key, three.key, four.key])).map((record) => record?.key)).toEqual([
      one.key,
      undefined,
      three.key,
      four.key,
    ])
    expect((await store.list({ userId: 'ada', limit: 10 })).items).toEqual([])
    expect((await store.list({ limit: 10 })).items).toHaveLength(3)
  })

  it('lets expired sessions go first, even if they were used more recently', async () => {
    const store = new MemoryStore({ maxSessions: 3 })
    const oldest = await inserted(store)
    const gone = [await expired(store), await expired(store)]
    const late = [await inserted(store), await inserted(store)]
    const kept = await store.find([oldest.key, ...late.map(({ key }) => key)])
    expect(kept.every((record) => record !== undefined)).toBe(true)
    expect(await store.removeExpired(10)).toBe(0)
    expect(await write(store, insertOf({ key: gone[0]?.key ?? late[0]!.key }))).toBe('done')
  })

  it('keeps as many notes about users besides, of which the least recently used goes first', async () => {
    const store = new MemoryStore({ maxSessions: 2 })
    const sessions = [await inserted(store), await inserted(store)]
    const notes = [await inserted(store, note), await inserted(store, note)]
    await find(store, notes[0]!.key)
    notes.push(await inserted(store, note))
    const found = await store.find([...sessions, ...notes].map(({ key }) => key))
    expect(found.map((record) => record !== undefined)).toEqual([true, true, true, false, true])
    const { items } = await store.list({ limit: 10 })
    expect(items.map(({ key }) => key)).toEqual(found.flatMap((record) => record?.key ?? []))
  })

  it('makes room among the sessions, also where what has expired is a note', async () => {
    const store = new MemoryStore({ maxSessions: 1 })
    await expired(store, note)
    const sessions = [await inserted(store), await inserted(store)]
    const found = await store.find(sessions.map(({ key }) => key))
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
    await store.write(
      inserts.filter((_, index) => index % 5 === 1).map(({ key }) => ({ type: 'remove', key })),
    )
    await expired(store)
    const live = inserts.filter((_, index) => index % 3 !== 0 && index % 5 !== 1)
    const found = await store.find(live.map(({ key }) => key))
    expect(found.every((record) => record !== undefined)).toBe(true)
    // Whether a short-lived one was still there to be removed depends on the clock; that all are away now does not.
    await store.removeExpired(1_000)
    expect(await store.removeExpired(1_000)).toBe(0)
    expect((await store.list({ limit: 1_000 })).items).toHaveLength(live.length)
    const keys = inserts.filter((_, index) => index % 3 === 0).map(({ key }) => key)
    expect(new Set(await store.write(keys.map((key) => insertOf({ key }))))).toEqual(new Set(['done']))
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
