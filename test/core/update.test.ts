import { describe, expect, test } from 'vitest'
import { bag, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

interface Counter {
  n?: number
  log?: string[]
}
const increment = (session: object): number => ((session as Counter).n = ((session as Counter).n ?? 0) + 1)

describe('session.update()', () => {
  test('stores what the change did, at once, and gives what it returned', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1, other: 'x' })
    const work = await sessions.load(token)
    expect(await bag(work).update(increment)).toBe(2)
    expect(await readData(sessions, token)).toEqual({ n: 2, other: 'x' })
    expect({ ...bag(work) }).toEqual({ n: 2, other: 'x' })
    expect(work.commit()).toBeUndefined()
  })

  test('begins a session where there is none', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    expect(await bag(work).update(increment)).toBe(1)
    await work.commit()
    expect(work.outcome.action).toBe('issue')
    expect(await readData(sessions, work.id)).toEqual({ n: 1 })
  })

  test('200 increments of two apps, all at once, give 200', async () => {
    const store = new WatchedStore()
    const apps = [memorySessions({ store }), memorySessions({ store })]
    const token = await storedSession(apps[0]!, { n: 0 })
    const results = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const work = await apps[index % 2]!.load(token)
        return bag(work).update(increment)
      }),
    )
    expect(await readData(apps[0]!, token)).toEqual({ n: 200 })
    expect(results.toSorted((one, other) => one - other)).toEqual(results.map((_, index) => index + 1))
  })

  test('runs the change again on what others stored, and keeps what was in hand besides', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 5, log: ['a'] })
    const [work, other] = [await sessions.load(token), await sessions.load(token)]
    bag(work).mine = 1
    ;(bag(other).log as string[]).push('theirs')
    bag(other).n = 10
    await other.commit()
    const seen: unknown[] = []
    await bag(work).update((session) => {
      seen.push(structuredClone({ ...session }))
      ;(session as Counter).log!.push('mine')
      increment(session)
    })
    expect(seen).toEqual([
      { n: 5, log: ['a'], mine: 1 },
      { n: 10, log: ['a', 'theirs'], mine: 1 },
    ])
    expect(await readData(sessions, token)).toEqual({ n: 11, log: ['a', 'theirs', 'mine'], mine: 1 })
  })

  test('leaves what a handler holds of the session a part of it, whoever interferes', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: { coat: 1 }, list: ['a'], n: 1 })
    const work = await sessions.load(token)
    const { cart, list } = bag(work) as unknown as { cart: Record<string, number>; list: string[] }
    const other = await sessions.load(token)
    bag(other).theirs = true
    await other.commit()
    await bag(work).update(increment)
    cart.hat = 1
    list.push('b')
    await work.commit()
    const expected = { cart: { coat: 1, hat: 1 }, list: ['a', 'b'], n: 2, theirs: true }
    expect(await readData(sessions, token)).toEqual(expected)
  })

  test.each([
    ['objects', { a: 1 }, { b: 2 }],
    ['arrays', ['old'], ['new']],
  ])(
    'that puts one of its %s in two places keeps the other as it was, whoever interferes',
    async (_what, saved, draft) => {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { saved, draft, n: 0 })
      const work = await sessions.load(token)
      const other = await sessions.load(token)
      bag(other).n = 1
      await other.commit()
      const alias = (session: object) =>
        Object.assign(session, { saved: (session as { draft: unknown }).draft })
      await bag(work).update((session) => void alias(session))
      expect(await readData(sessions, token)).toEqual({ saved: draft, draft, n: 1 })
      const failing = await sessions.load(await storedSession(sessions, { saved, draft }))
      await bag(failing)
        .update((session) => {
          alias(session)
          throw new Error('the app failed')
        })
        .catch(() => undefined)
      expect({ ...bag(failing) }).toEqual({ saved, draft })
      expect(failing.commit()).toBeUndefined()
    },
  )

  test.each([false, true])(
    'that runs again leaves what the handler has changed meanwhile for the next commit (taken back: %s)',
    async (isTakenBack) => {
      const store = new WatchedStore()
      const sessions = memorySessions({ store })
      const token = await storedSession(sessions, { n: 0 })
      const work = await sessions.load(token)
      const session = bag(work)
      store.beforeWrite = async () => {
        store.beforeWrite = undefined
        const elsewhere = memorySessions({ store })
        await bag(await elsewhere.load(token)).update(increment)
        session.meanwhile = 1
        store.beforeWrite = async () => {
          store.beforeWrite = undefined
          if (isTakenBack) delete session.meanwhile
        }
      }
      expect(await session.update(increment)).toBe(2)
      expect(await readData(sessions, token)).toEqual({ n: 2 })
      expect({ ...session }).toEqual({ n: 2, ...(isTakenBack ? {} : { meanwhile: 1 }) })
      await work.commit()
      expect(await readData(sessions, token)).toEqual({ ...session })
    },
  )

  test('that takes something out and throws stores nothing', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, { a: 1, n: 1 }))
    const failure = new Error('the app failed')
    const update = bag(work).update((session) => {
      delete (session as { a?: number }).a
      throw failure
    })
    await expect(update).rejects.toBe(failure)
    expect(work.commit()).toBeUndefined()
  })

  test('that throws leaves the session as it was, and stores nothing', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { n: 1 })
    const work = await sessions.load(token)
    bag(work).pending = 1
    store.writes.length = 0
    const failure = new Error('the app failed')
    await expect(
      bag(work).update((session) => {
        increment(session)
        throw failure
      }),
    ).rejects.toBe(failure)
    expect({ ...bag(work) }).toEqual({ n: 1, pending: 1 })
    expect(store.writes).toEqual([])
  })

  test.each([
    ['is larger than may be', 'x'.repeat(70_000), 'ERR_SESSION_TOO_LARGE'],
    ['JSON has no word for', 1n, 'ERR_SESSION_DATA'],
  ])('that puts in what %s leaves the session as it was', async (_what, value, code) => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 })
    const work = await sessions.load(token)
    await expect(bag(work).update((session) => void Object.assign(session, { value }))).rejects.toMatchObject(
      { code },
    )
    expect({ ...bag(work) }).toEqual({ n: 1 })
    expect(work.commit()).toBeUndefined()
  })

  test('refuses an async change, which might run while others change the session', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 })
    const work = await sessions.load(token)
    // @ts-expect-error the types refuse it, too
    await expect(bag(work).update(async (session) => increment(session))).rejects.toThrow(/must not be async/)
    expect(await readData(sessions, token)).toEqual({ n: 1 })
  })

  test('changes nothing in a session that has ended, and says so', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 })
    const work = await sessions.load(token)
    await bag(await sessions.load(token)).destroy()
    await expect(bag(work).update(increment)).rejects.toMatchObject({ code: 'ERR_SESSION_GONE', status: 401 })
    expect((await sessions.load(token)).isNew).toBe(true)
  })

  test('that changes nothing stores nothing', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = await sessions.load(await storedSession(sessions, { n: 1 }))
    store.writes.length = 0
    expect(await bag(work).update((session) => (session as Counter).n)).toBe(1)
    expect(store.writes).toEqual([])
  })
})
