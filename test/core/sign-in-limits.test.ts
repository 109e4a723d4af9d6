import '../faked-timers.ts'
import { hash, randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemoryStore, type SessionStore, type SessionWrite } from 'coatcheck'
import { hashedId, hashOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

/** Signs Ada in, on a new session; gives the token, or the error's code. */
async function login(sessions: ReturnType<typeof memorySessions>): Promise<string> {
  const work = sessions.begin()
  await bag(work).signIn('ada')
  try {
    return await committedToken(work)
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('revokeAll reaches a sign-in', () => {
  test('that began before it and commits after it: nothing is signed in', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    for (const work of [sessions.begin(), await sessions.load(token)]) {
      await bag(work).signIn('ada')
      await sessions.user('ada').revokeAll()
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED', status: 401 })
      expect(work.outcome.action).toBe('keep')
      expect(await sessions.user('ada').list()).toEqual([])
    }
  })

  test('at whichever of its steps it comes: after both, nobody is signed in', async () => {
    // The request begins with a look. The revocation comes before what it stores, or before it looks what was revoked.
    for (const step of [1, 2]) {
      const store = new WatchedStore()
      const sessions = memorySessions({ store })
      let steps = 0
      let revoked: Promise<unknown> | undefined
      const slowed: SessionStore = {
        find: (ids) => before(() => store.find(ids)),
        alive: (ids) => store.alive(ids),
        write: (writes: readonly SessionWrite[]) => before(() => store.write(writes)),
        list: (query) => store.list(query),
        removeByUser: (...user) => store.removeByUser(...user),
        removeExpired: (limit) => store.removeExpired(limit),
        close: () => store.close(),
      }
      async function before<Answer>(act: () => Promise<Answer>): Promise<Answer> {
        if (steps++ === step) await (revoked = sessions.user('ada').revokeAll())
        return act()
      }
      const app = memorySessions({ store: slowed })
      const token = await storedSession(sessions, { cart: 1 })
      const work = await app.load(token)
      await bag(work).signIn('ada')
      await Promise.resolve(work.commit()).catch(() => undefined)
      expect(await sessions.user('ada').list(), `step ${step}`).toEqual([])
      expect(revoked, `step ${step}`).toBeDefined()
    }
  })

  test('that began before it, however long the store takes to be asked and to answer', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    try {
      for (const [beforeLook, afterLook] of [
        [100, 0],
        [0, 100],
      ] as const) {
        const store = new WatchedStore()
        const find = store.find.bind(store)
        const app = memorySessions({ store })
        const work = app.begin()
        await bag(work).signIn('ada')
        vi.advanceTimersByTime(20)
        await memorySessions({ store }).user('ada').revokeAll()
        store.find = async (keys) => {
          vi.advanceTimersByTime(beforeLook)
          const found = await find(keys)
          vi.advanceTimersByTime(afterLook)
          return found
        }
        await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
        expect(await app.user('ada').list()).toEqual([])
      }
    } finally {
      vi.useRealTimers()
    }
  })

  test('that began before it, though the session was read afresh in between', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, { cart: 1 }))
    await sessions.user('ada').revokeAll()
    await bag(work).reload()
    await bag(work).signIn('ada')
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
  })

  test('though an expired note is in its way, and the sweep is far from removing it', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    try {
      const store = new WatchedStore()
      store.removeExpired = async () => 0
      const sessions = memorySessions({ store })
      await sessions.user('ada').revokeAll()
      vi.advanceTimersByTime(2 * 86_400_000)
      const work = sessions.begin()
      await bag(work).signIn('ada')
      await sessions.user('ada').revokeAll()
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    } finally {
      vi.useRealTimers()
    }
  })

  test('whose note no token leads to, not even one that somebody works out', async () => {
    const sessions = memorySessions()
    await sessions.user('ada').revokeAll()
    const token = `note.revoked.${hash('sha256', 'ada', 'base64url')}`
    for (const work of [await sessions.load(token), await sessions.load(token, token)]) {
      expect([work.isNew, { ...bag(work) }]).toEqual([true, {}])
    }
  })

  test.each([
    ['is about another', 'another', undefined],
    ['is a session', hash('sha256', 'revoked ada', 'base64url'), hashOf('token')],
  ])('but not because of a record under the id of its note that %s', async (_, subject, owner) => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const data = Buffer.from(JSON.stringify({ subject, text: '' }))
    const lifetime = { idle: 60_000, absolute: undefined }
    const work = sessions.begin()
    await bag(work).signIn('ada')
    await store.write([
      {
        type: 'insert',
        id: hashedId('coatcheck note revoked ada'),
        hash: owner,
        userId: undefined,
        signedIn: false,
        data,
        format: 1,
        mark: randomBytes(8),
        lifetime,
      },
    ])
    await work.commit()
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test('of that user only, and none that begins later', async () => {
    const sessions = memorySessions()
    const bob = sessions.begin()
    await bag(bob).signIn('bob')
    await sessions.user('ada').revokeAll()
    await bob.commit()
    expect(await sessions.user('bob').list()).toHaveLength(1)
    await expect.poll(() => login(sessions)).not.toBe('ERR_SESSION_REVOKED')
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test('but spares the session that it was told to spare', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { name: 'Ada' }, 'ada')
    await storedSession(sessions, {}, 'ada')
    const work = await sessions.load(token)
    await sessions.user('ada').revokeAll({ except: bag(work) })
    await bag(work).signIn('ada')
    expect(await readData(sessions, await committedToken(work))).toEqual({ name: 'Ada' })
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test('that was spared only by a later one', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    await bag(work).signIn('ada')
    await sessions.user('ada').revokeAll()
    for (let again = 0; again < 2; again++) await sessions.user('ada').revokeAll({ except: bag(work) })
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('that began within the same millisecond, and is stored in the next', async () => {
    const clock = vi.spyOn(Date, 'now')
    const watch = vi.spyOn(performance, 'now')
    try {
      // By the process's clock it began 0.2 milliseconds before the revocation, and both in the store's 1,000,005th.
      clock.mockReturnValue(1_000_005)
      watch.mockReturnValue(5.7)
      const sessions = memorySessions()
      const work = sessions.begin()
      await bag(work).signIn('ada')
      await sessions.user('ada').revokeAll()
      clock.mockReturnValue(1_000_006)
      watch.mockReturnValue(6.1)
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    } finally {
      clock.mockRestore()
      watch.mockRestore()
    }
  })

  test('where the handler goes on after the refusal, the browser is signed out', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, { cart: 1 }))
    await bag(work).signIn('ada')
    await sessions.user('ada').revokeAll()
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect([work.userId, { ...bag(work) }]).toEqual([undefined, {}])
    await work.commit()
    expect(work.outcome).toEqual({ action: 'keep', token: undefined })
  })
})

describe('a full MemoryStore', () => {
  /** More sessions than it holds. */
  const visits = async (sessions: ReturnType<typeof memorySessions>): Promise<void> => {
    for (let visit = 0; visit < 10; visit++) await storedSession(sessions, { visit })
  }

  test('does not forget that all sessions of a user were ended', async () => {
    const sessions = memorySessions({ store: new MemoryStore({ maxSessions: 5 }) })
    const work = sessions.begin()
    await bag(work).signIn('ada')
    await sessions.user('ada').revokeAll()
    await visits(sessions)
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
  })

  test('does not forget who has a place under sessionsPerUser', async () => {
    const store = new MemoryStore({ maxSessions: 5 })
    const sessions = memorySessions({ store, sessionsPerUser: { most: 1, whenFull: 'refuse' } })
    const token = await login(sessions)
    for (let visit = 0; visit < 10; visit++) {
      await storedSession(sessions, { visit })
      expect((await sessions.load(token)).userId).toBe('ada')
    }
    expect(await login(sessions)).toBe('ERR_SESSION_LIMIT')
  })

  test('signs nobody out for what it remembers of users', async () => {
    const sessions = memorySessions({ store: new MemoryStore({ maxSessions: 5 }) })
    const tokens = await Promise.all([1, 2, 3, 4, 5].map((visit) => storedSession(sessions, { visit })))
    for (let user = 0; user < 10; user++) await sessions.user(user).revokeAll()
    const works = await Promise.all(tokens.map((token) => sessions.load(token)))
    expect(works.map(({ isNew }) => isNew)).toEqual(tokens.map(() => false))
  })
})

describe('sessionsPerUser', () => {
  test('ends the session that was signed in to longest ago', async () => {
    // A clock of its own: that of a machine may go back.
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const sessions = memorySessions({ sessionsPerUser: { most: 2 } })
    const ended: unknown[] = []
    sessions.on('destroyed', (event) => ended.push(event))
    const tokens: string[] = []
    for (let count = 0; count < 4; count++) {
      tokens.push(await login(sessions))
      vi.setSystemTime(Date.now() + 10)
    }
    const users = await Promise.all(tokens.map(async (token) => (await sessions.load(token)).userId))
    expect(users).toEqual([undefined, undefined, 'ada', 'ada'])
    expect(ended).toMatchObject([
      { userId: 'ada', reason: 'limit' },
      { userId: 'ada', reason: 'limit' },
    ])
  })

  test.each(['endOldest', 'refuse'] as const)(
    '%s: 100 sign-ins at once of two apps leave three',
    async (whenFull) => {
      const store = new WatchedStore()
      const options = { store, sessionsPerUser: { most: 3, whenFull } }
      const apps = [memorySessions(options), memorySessions(options)]
      const tokens = await Promise.all(Array.from({ length: 100 }, (_, index) => login(apps[index % 2]!)))
      expect(await apps[0]!.user('ada').list()).toHaveLength(3)
      const works = await Promise.all(tokens.map((token) => apps[1]!.load(token)))
      expect(works.filter(({ userId }) => userId === 'ada')).toHaveLength(3)
      const refused = tokens.filter((token) => token === 'ERR_SESSION_LIMIT')
      expect(refused).toHaveLength(whenFull === 'refuse' ? 97 : 0)
    },
  )

  test('refuses one too many, and lets one in when another has ended', async () => {
    const sessions = memorySessions({ sessionsPerUser: { most: 1, whenFull: 'refuse' } })
    const token = await login(sessions)
    expect(await login(sessions)).toBe('ERR_SESSION_LIMIT')
    const again = await sessions.load(token)
    await bag(again).signIn('ada')
    const rotated = await committedToken(again)
    expect(await login(sessions)).toBe('ERR_SESSION_LIMIT')
    await bag(await sessions.load(rotated)).signOut()
    expect((await sessions.load(await login(sessions))).userId).toBe('ada')
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test('leaves those alone who were there before it was set, also when they prove again who they are', async () => {
    const store = new WatchedStore()
    const before = memorySessions({ store })
    const tokens = [await login(before), await login(before)]
    const sessions = memorySessions({ store, sessionsPerUser: { most: 1, whenFull: 'refuse' } })
    for (const token of tokens) {
      const work = await sessions.load(token)
      await bag(work).signIn('ada')
      expect((await sessions.load(await committedToken(work))).userId).toBe('ada')
    }
    expect(await sessions.user('ada').list()).toHaveLength(2)
  })

  test('counts neither anonymous sessions nor those of others', async () => {
    const sessions = memorySessions({ sessionsPerUser: { most: 1, whenFull: 'refuse' } })
    await storedSession(sessions, { n: 1 })
    await storedSession(sessions, { n: 1 }, 'bob')
    expect((await sessions.load(await login(sessions))).userId).toBe('ada')
  })

  test.each([
    [{ most: 0 }, /sessionsPerUser.most/],
    [{ most: 1.5 }, /sessionsPerUser.most/],
    [{ most: 5_000 }, /at most 1000/],
    [{ most: 1, whenFull: 'newest' as 'refuse' }, /endOldest/],
    [{ most: 1, when: 'full' }, /no option "when"/],
  ])('refuses %j', (sessionsPerUser, message) => {
    expect(() => memorySessions({ sessionsPerUser })).toThrow(message)
  })

  test('refuses to refuse without an absolute lifetime', () => {
    expect(() =>
      memorySessions({ sessionsPerUser: { most: 1, whenFull: 'refuse' }, lifetime: { absolute: false } }),
    ).toThrow(/needs lifetime.absolute/)
  })
})
