import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

const minute = 60_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1) })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Time passes; MemoryStore's clock is `Date.now`. */
function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

describe('idle time', () => {
  test('ends a session that nobody uses, to the millisecond', async () => {
    const sessions = memorySessions({ lifetime: { idle: '30m' } })
    const token = await storedSession(sessions, { a: 1 })
    const unread = await storedSession(sessions, { a: 1 })
    pass(30 * minute - 1)
    const work = await sessions.load(token)
    expect(bag(work).a).toBe(1)
    await work.commit()
    pass(1)
    expect(await readData(sessions, unread)).toEqual({})
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })

  test('begins anew with each change', async () => {
    const sessions = memorySessions({ lifetime: { idle: '30m' } })
    const token = await storedSession(sessions, { n: 0 })
    for (let n = 1; n <= 5; n++) {
      pass(20 * minute)
      const work = await sessions.load(token)
      expect(bag(work).n).toBe(n - 1)
      bag(work).n = n
      await work.commit()
    }
  })

  test('is 1 day unless the app says otherwise', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    pass(24 * 60 * minute)
    expect(await readData(sessions, token)).toEqual({})
  })
})

describe('touchAfter', () => {
  test('keeps reading requests from writing until it has passed', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store, lifetime: { idle: '30m' }, touchAfter: '5m' })
    const token = await storedSession(sessions, { a: 1 })
    store.writes.length = 0
    pass(5 * minute - 1)
    const early = await sessions.load(token)
    expect(early.touchDue).toBe(false)
    expect(early.commit()).toBeUndefined()
    pass(1)
    const due = await sessions.load(token)
    expect(due.touchDue).toBe(true)
    await due.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['touch'])
    const next = await sessions.load(token)
    expect(next.touchDue).toBe(false)
  })

  test('is a tenth of the idle time unless the app says otherwise', async () => {
    const sessions = memorySessions({ lifetime: { idle: '10m' } })
    const token = await storedSession(sessions, { a: 1 })
    pass(minute - 1)
    expect((await sessions.load(token)).touchDue).toBe(false)
    pass(1)
    expect((await sessions.load(token)).touchDue).toBe(true)
  })

  test('is passed over by touch()', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store, lifetime: { idle: '30m' } })
    const token = await storedSession(sessions, { a: 1 })
    store.writes.length = 0
    pass(1)
    const work = await sessions.load(token)
    expect(bag(work).touch()).toBe(work.session)
    await work.commit()
    await work.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['touch'])
    pass(30 * minute - 1)
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })

  test('moves nothing apart where the data changes anyway', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store, lifetime: { idle: '30m' } })
    const token = await storedSession(sessions, { a: 1 })
    store.writes.length = 0
    pass(20 * minute)
    const work = await sessions.load(token)
    bag(work).a = 2
    await work.commit()
    await work.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['update'])
  })

  test('does not bring back a session that ended meanwhile', async () => {
    const sessions = memorySessions({ lifetime: { idle: '30m' } })
    const token = await storedSession(sessions, { a: 1 })
    pass(20 * minute)
    const late = await sessions.load(token)
    await bag(await sessions.load(token)).destroy()
    await late.commit()
    expect(late.outcome.action).not.toBe('issue')
    expect(await readData(sessions, token)).toEqual({})
  })
})

describe('absolute time', () => {
  test('ends a session that is in constant use', async () => {
    const sessions = memorySessions({ lifetime: { idle: '30m', absolute: '2h' } })
    let token = await storedSession(sessions, { n: 0 }, 'ada')
    for (let passed = 10; passed < 120; passed += 10) {
      pass(10 * minute)
      const work = await sessions.load(token)
      expect(bag(work).userId, `after ${passed} minutes`).toBe('ada')
      // Reads, changes and rotations in turn: none of them makes it live longer.
      if (passed % 30 === 0) bag(work).n = passed
      if (passed % 40 === 0) await bag(work).rotate()
      token = await committedToken(work)
    }
    pass(10 * minute - 1)
    expect((await sessions.load(token)).userId).toBe('ada')
    pass(1)
    const work = await sessions.load(token)
    expect([work.userId, { ...bag(work) }]).toEqual([undefined, {}])
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('is 30 days unless the app says otherwise', async () => {
    const sessions = memorySessions({ lifetime: { idle: '20d' } })
    const token = await storedSession(sessions, { a: 1 })
    pass(15 * 24 * 60 * minute)
    await (await sessions.load(token)).commit()
    pass(15 * 24 * 60 * minute - 1)
    expect(await readData(sessions, token)).toEqual({ a: 1 })
    pass(1)
    expect(await readData(sessions, token)).toEqual({})
  })

  test('of false is none', async () => {
    const sessions = memorySessions({ lifetime: { idle: '30d', absolute: false } })
    const token = await storedSession(sessions, { a: 1 })
    for (let month = 0; month < 24; month++) {
      pass(29 * 24 * 60 * minute)
      await (await sessions.load(token)).commit()
    }
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })
})

test('a session that expired during a request is not stored by it', async () => {
  const sessions = memorySessions({ lifetime: { idle: '30m' } })
  const token = await storedSession(sessions, { a: 1 })
  const work = await sessions.load(token)
  bag(work).late = 1
  pass(30 * minute)
  await work.commit()
  expect(work.outcome.action).toBe('keep')
  expect(await readData(sessions, token)).toEqual({})
})
