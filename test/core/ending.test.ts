import { describe, expect, test } from 'vitest'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

/** Resolves with what the callback got. */
function called(act: (callback: (error?: unknown) => void) => void): Promise<unknown[]> {
  return new Promise((resolve) => act((...parameters) => resolve(parameters)))
}

describe('signing out', () => {
  test('ends the session before the promise resolves, and leaves a new, empty one', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: [1] }, 'ada')
    const work = await sessions.load(token)
    const session = bag(work)
    const { publicId } = session
    await session.signOut()
    expect((await sessions.load(token)).userId).toBeUndefined()
    expect(work.session).toBe(session)
    expect([session.userId, session.createdAt, { ...session }]).toEqual([undefined, undefined, {}])
    expect(session.publicId).not.toBe(publicId)
    await work.commit()
    expect(work.outcome).toEqual({ action: 'clear' })
  })

  test('is followed by a session of its own if something is put into it', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { old: 1 }, 'ada')
    const work = await sessions.load(before)
    await bag(work).signOut()
    bag(work).notice = 'Goodbye'
    const after = await committedToken(work)
    expect(work.outcome).toEqual({ action: 'issue', token: after })
    expect(after).not.toBe(before)
    expect(await readData(sessions, after)).toEqual({ notice: 'Goodbye' })
    expect((await sessions.load(after)).userId).toBeUndefined()
    expect(await readData(sessions, before)).toEqual({})
  })

  test('of an empty session does nothing', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store }).begin()
    await bag(work).signOut()
    await work.commit()
    expect(store.writes).toEqual([])
    expect(work.outcome.action).toBe('keep')
  })

  test.each<[string, (session: ReturnType<typeof bag>) => void]>([
    ['a change of data', (session) => (session.late = 1)],
    ['a touch', (session) => void session.touch()],
    ['a rotation', (session) => void session.rotate()],
    ['a change and an explicit save', (session) => ((session.late = 1), void session.save())],
  ])('is final against %s in a request that began before', async (_name, act) => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 }, 'ada')
    const late = await sessions.load(token)
    expect(bag(late).a).toBe(1)
    await bag(await sessions.load(token)).signOut()
    act(bag(late))
    await late.commit()
    await late.commit()
    expect(late.outcome.action).toBe('keep')
    expect(await readData(sessions, token)).toEqual({})
    expect(await readData(sessions, late.id)).toEqual({})
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('is final against 50 late saves at once', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 }, 'ada')
    const late = await Promise.all(Array.from({ length: 50 }, () => sessions.load(token)))
    late.forEach((work, index) => (bag(work)[`k${index}`] = index))
    await Promise.all([
      ...late.slice(25).map((work) => work.commit()),
      bag(await sessions.load(token)).signOut(),
      ...late.slice(0, 25).map((work) => work.commit()),
    ])
    expect(await readData(sessions, token)).toEqual({})
    expect(await sessions.user('ada').list()).toEqual([])
  })
})

describe('destroying', () => {
  test('ends the session in every app and takes it off the request', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    const session = bag(work)
    await session.destroy()
    expect(work.session).toBeUndefined()
    expect(await readData(sessions, token)).toEqual({})
    expect(work.commit()).toBeUndefined()
    expect(work.outcome).toEqual({ action: 'clear' })
    await expect(session.save()).rejects.toMatchObject({ code: 'ERR_SESSION_REPLACED' })
  })

  test('that nobody waits for is done by the commit', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    void bag(work).destroy()
    await work.commit()
    expect(work.outcome).toEqual({ action: 'clear' })
    expect(await readData(sessions, token)).toEqual({})
  })

  test('with the commit, by end(), does so', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    work.end()
    expect(work.session).toBeUndefined()
    await work.commit()
    expect(work.outcome).toEqual({ action: 'clear' })
    expect(await readData(sessions, token)).toEqual({})
  })

  test('stores nothing of what was changed before', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { a: 1 })
    store.writes.length = 0
    const work = await sessions.load(token)
    bag(work).a = 2
    await bag(work).destroy()
    await work.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['remove'])
  })
})

describe('regenerating', () => {
  test('ends the session and gives an empty one with another token and publicId', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { a: 1 }, 'ada')
    const work = await sessions.load(before)
    const old = bag(work)
    const { publicId } = old
    await old.regenerate()
    const fresh = bag(work)
    expect(fresh).not.toBe(old)
    expect({ ...fresh }).toEqual({})
    expect([fresh.publicId === publicId, fresh.userId]).toEqual([false, undefined])
    expect(await readData(sessions, before)).toEqual({})
    fresh.b = 2
    const after = await committedToken(work)
    expect(work.outcome).toEqual({ action: 'issue', token: after })
    expect(await readData(sessions, after)).toEqual({ b: 2 })
  })

  test('makes every method of the old one fail with an error that says where the new one is', async () => {
    const work = memorySessions().begin()
    const old = bag(work)
    await old.regenerate()
    for (const name of ['signOut', 'rotate', 'regenerate', 'destroy', 'reload', 'save'] as const) {
      await expect(old[name](), name).rejects.toMatchObject({
        code: 'ERR_SESSION_REPLACED',
        message: expect.stringContaining('req.session') as string,
      })
    }
    await expect(old.signIn('ada')).rejects.toMatchObject({ code: 'ERR_SESSION_REPLACED' })
    expect(() => old.touch()).toThrow(expect.objectContaining({ code: 'ERR_SESSION_REPLACED' }) as Error)
  })
})

describe('reloading', () => {
  test('reads what others stored and drops what was not saved, in the same object', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1, b: 1 })
    const work = await sessions.load(token)
    const session = bag(work)
    session.a = 'mine'
    session.c = 'mine'
    const other = await sessions.load(token)
    bag(other).b = 'theirs'
    await other.commit()
    await session.reload()
    expect(work.session).toBe(session)
    expect({ ...session }).toEqual({ a: 1, b: 'theirs' })
    expect(work.commit()).toBeUndefined()
  })

  test('takes a sign-in back that was not saved', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    await bag(work).signIn('ada')
    await bag(work).reload()
    await work.commit()
    expect([work.userId, work.id]).toEqual([undefined, token])
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('that nobody waited for brings back no session that was left meanwhile', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = await sessions.load(await storedSession(sessions, { a: 1 }))
    const { find } = store
    store.find = (ids) => {
      work.leave()
      return find.call(store, ids)
    }
    await bag(work).reload()
    expect([work.isLeft, work.session]).toEqual([true, undefined])
  })

  test('rejects if the session has ended, or was never stored', async () => {
    const sessions = memorySessions()
    await expect(bag(sessions.begin()).reload()).rejects.toMatchObject({
      code: 'ERR_SESSION_GONE',
      status: 401,
    })
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    await bag(await sessions.load(token)).destroy()
    await expect(bag(work).reload()).rejects.toMatchObject({ code: 'ERR_SESSION_GONE' })
  })
})

describe('saving', () => {
  test('stores what there is, now', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    bag(work).a = 1
    await bag(work).save()
    expect(await readData(sessions, work.id)).toEqual({ a: 1 })
    bag(work).a = 2
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ a: 2 })
  })

  test('that nobody waits for is waited for by the commit, in order', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = sessions.begin()
    bag(work).a = 1
    void bag(work).save()
    await work.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['insert'])
    expect(await readData(sessions, work.id)).toEqual({ a: 1 })
  })

  test('that fails and was not waited for fails the commit', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    sessions.on('storeError', () => undefined)
    const work = sessions.begin()
    bag(work).a = 1
    store.down = new Error('disk full')
    void bag(work).save()
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  })
})

describe('with a callback', () => {
  test.each(['save', 'reload', 'regenerate', 'destroy'] as const)(
    '%s calls it without an error and returns nothing',
    async (name) => {
      const sessions = memorySessions()
      const work = await sessions.load(await storedSession(sessions, { a: 1 }))
      const session = bag(work)
      let returned: unknown = 'not yet'
      const parameters = await called((callback) => (returned = session[name](callback)))
      expect(returned).toBeUndefined()
      expect(parameters).toEqual([])
    },
  )

  test.each(['save', 'reload', 'regenerate', 'destroy'] as const)('%s hands it the error', async (name) => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    sessions.on('storeError', () => undefined)
    const work = await sessions.load(await storedSession(sessions, { a: 1 }))
    const session = bag(work)
    session.a = 2
    store.down = new Error('down')
    const [error] = await called((callback) => session[name](callback))
    expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
  })

  test('regenerate has put the new session there when it is called', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, { a: 1 }))
    const old = bag(work)
    await called((callback) => old.regenerate(callback))
    expect(work.session).not.toBe(old)
  })
})
