import { jsonCodec, MemoryStore } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { bag, committedToken, memorySessions, storedSession, WatchedStore } from './works.ts'

const tooMuch = {
  code: 'ERR_SESSION_DATA',
  message: expect.stringContaining('more than 10,000 names') as string,
}
const named = (count: number): Record<string, unknown> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`name${index}`, index]))

/** A list of objects, and how many of their values were looked at. */
function watchedList(length: number) {
  const looks = { count: 0 }
  const list = Array.from({ length }, () => ({
    get text() {
      looks.count++
      return 'x'.repeat(100)
    },
  }))
  return { list, looks }
}

describe('names of properties', () => {
  test('may be 10,000 in a session, however they are spread', async () => {
    const sessions = memorySessions({ sizeLimit: 1_000_000 })
    const halves = { one: named(4_999), other: named(4_999) }
    const token = await storedSession(sessions, halves)
    expect(bag(await sessions.load(token))).toMatchObject(halves)
    await expect(storedSession(sessions, { ...halves, more: 1 })).rejects.toMatchObject(tooMuch)
    await expect(storedSession(sessions, { list: [halves, { more: 1 }] })).rejects.toMatchObject(tooMuch)
  })

  test('that are too many in what is stored are told before it is parsed, and signs in a text are no names', () => {
    const stored = (data: unknown) => Buffer.from(JSON.stringify(data))
    expect(() => jsonCodec.decode(stored(named(100_000)))).toThrow('too many levels or names')
    expect(() => jsonCodec.decode(stored(named(20_001)))).toThrow('never stored')
    // As many as a store may add some to.
    expect(Object.keys(jsonCodec.decode(stored(named(10_010))))).toHaveLength(10_010)
    const text = { text: JSON.stringify(named(20_000)) }
    expect(jsonCodec.decode(stored(text))).toEqual(text)
  })

  test('are not counted where a codec of the app stores them', async () => {
    const codec = {
      encode: (data: object) => Buffer.from(JSON.stringify(data)),
      decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>,
    }
    const sessions = memorySessions({ sizeLimit: 1_000_000, codec })
    expect(Object.keys(bag(await sessions.load(await storedSession(sessions, named(10_001)))))).toHaveLength(
      10_001,
    )
  })
})

test.each<[string, object]>([
  [
    'of a class',
    Array.from(
      { length: 1_001 },
      () =>
        new (class {
          a = 1
          b = 1
          c = 1
          d = 1
          e = 1
          f = 1
          g = 1
          h = 1
          i = 1
          j = 1
        })(),
    ),
  ],
  ['that a toJSON gives', { toJSON: () => named(10_001) }],
])('names %s are counted too, before what nobody could read is stored', async (_, rows) => {
  const work = memorySessions({ sizeLimit: 1_000_000 }).begin()
  bag(work).rows = rows
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
})

test('names of what JSON leaves out do not count, and a session whose toJSON gives no object is refused', async () => {
  const sessions = memorySessions({ sizeLimit: 1_000_000 })
  const left = Object.fromEntries(Object.keys(named(10_001)).map((name) => [name, undefined]))
  await expect(storedSession(sessions, { left, n: 1 })).resolves.toBeDefined()
  await expect(storedSession(sessions, { toJSON: () => 'text' })).rejects.toMatchObject({
    code: 'ERR_SESSION_DATA',
  })
})

test('an update that makes the session far too large is refused before it is walked', async () => {
  const work = memorySessions().begin()
  const grow = (session: Record<string, unknown>) => {
    let tree: unknown = []
    for (let level = 0; level < 60; level++) tree = [tree, tree]
    session.tree = tree
  }
  await expect(bag(work).update((session) => grow(session as never))).rejects.toMatchObject({
    code: 'ERR_SESSION_TOO_LARGE',
  })
})

test('a session of which nothing can be looked at fails its commit with an error of its own', async () => {
  const work = memorySessions().begin()
  const unreadable = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('no')
      },
    },
  )
  Object.assign(bag(work), { unreadable, count: 1n })
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
  expect(work.isAsRefused).toBe(true)
})

describe('levels', () => {
  test('that are too many in what is stored are told before it is parsed', () => {
    const deep = Buffer.from(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
    expect(() => jsonCodec.decode(deep)).toThrow('too many levels or names')
  })
})

describe('what is far over the size limit is refused', () => {
  test.each([1_000, 2_000, 100_000])('after no more looks than fit into it, of %d', async (length) => {
    const { list, looks } = watchedList(length)
    const work = memorySessions({ sizeLimit: 10_000 }).begin()
    bag(work).list = list
    await expect(work.commit()).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
      message: expect.stringContaining('most of it is in "list"') as string,
    })
    // To refuse it, to name what is large, to look for a cycle, and to see whether an error handler changes it.
    expect(looks.count).toBeLessThan(1_000)
  })

  test('but can be read where it was stored under a higher one, and be stored again as long as it does not grow', async () => {
    const store = new MemoryStore()
    const token = await storedSession(memorySessions({ store }), { text: 'x'.repeat(5_000) })
    const sessions = memorySessions({ store, sizeLimit: 1_000 })
    const work = await sessions.load(token)
    expect(bag(work).text).toHaveLength(5_000)
    await work.commit()
    bag(work).more = 1
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
  })

  test('goes on being refused until an error handler takes something out', async () => {
    const work = memorySessions({ sizeLimit: 1_000 }).begin()
    const list = Array.from({ length: 1_000 }, (_, index) => ({ index }))
    bag(work).list = list
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
    expect(work.isAsRefused).toBe(true)
    list.length = 3
    expect(work.isAsRefused).toBe(false)
    await work.commit()
    expect(await committedToken(work)).toBe(work.id)
  })
})

/** How many turns the event loop has while something is done. */
async function turnsOf(act: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await act()
  isOver = true
  return turns
}

describe('much data at once leaves other requests their turns', () => {
  const text = 'x'.repeat(60_000)

  test('in a listing', async () => {
    const sessions = memorySessions()
    for (let index = 0; index < 40; index++) await storedSession(sessions, { text }, 'ada')
    expect(await turnsOf(() => sessions.user('ada').list())).toBeGreaterThanOrEqual(8)
  })

  test('where a user’s many small sessions are listed', async () => {
    const sessions = memorySessions()
    for (let index = 0; index < 200; index++) await storedSession(sessions, {}, 'ada')
    // A page has 20.
    expect(await turnsOf(() => sessions.user('ada').list())).toBeGreaterThanOrEqual(9)
  })

  test('where many requests read at once', async () => {
    const sessions = memorySessions()
    const tokens = await Promise.all(Array.from({ length: 40 }, () => storedSession(sessions, { text })))
    expect(
      await turnsOf(() => Promise.all(tokens.map((token) => sessions.load(token)))),
    ).toBeGreaterThanOrEqual(10)
  })
})

describe('sessions of one user', () => {
  async function signedIn(count: number, options: Parameters<typeof memorySessions>[0] = {}) {
    const store = new WatchedStore()
    const list = vi.spyOn(store, 'list')
    const sessions = memorySessions({ store, ...options })
    let last = ''
    for (let index = 0; index < count; index++) last = await storedSession(sessions, {}, 'ada')
    const counts = list.mock.calls.length
    return { sessions, store, counts, last, left: await sessions.user('ada').list() }
  }

  test('are about 1,000 at most, and few sign-ins count them', async () => {
    const { sessions, counts, last, left } = await signedIn(2_500)
    expect(left.length).toBeGreaterThanOrEqual(900)
    expect(left.length).toBeLessThanOrEqual(1_100)
    expect(counts).toBeLessThanOrEqual(2_500 / 100 + 2 * 16) // a full user's list takes two pages
    expect(left.map(({ publicId }) => publicId)).toContain((await sessions.load(last)).publicId)
  })

  test('are counted once by sign-ins of the same moment, which end no session twice', async () => {
    const { sessions, store } = await signedIn(1_111)
    const before = store.writes.length
    await Promise.all(Array.from({ length: 101 }, () => storedSession(sessions, {}, 'ada')))
    const removals = store.writes.slice(before).filter(({ type }) => type === 'remove')
    expect(new Set(removals.map(({ id }) => id)).size).toBe(removals.length)
    expect(removals.length).toBeGreaterThan(0)
  })

  test('are as many as they like where the app says so, and exactly so many where it gives a number', async () => {
    expect((await signedIn(1_203, { sessionsPerUser: false })).left).toHaveLength(1_203)
    expect((await signedIn(30, { sessionsPerUser: { most: 20 } })).left).toHaveLength(20)
  })
})
