import { createSessions, MemoryStore } from 'coatcheck'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { hashOf, idOf, isSameHash } from '../../dist/core/token.js'
import {
  bag,
  committedToken,
  memorySessions,
  readData,
  secret,
  storedSession,
  WatchedStore,
} from './works.ts'

const userOf = 'passport.user'

function setup(options = {}) {
  const store = new WatchedStore()
  const sessions = memorySessions({ store, userOf, ...options })
  /** An app on the same store that does not go by the data. */
  const plain = memorySessions({ store })
  return { store, sessions, plain }
}

/** Whom the store has bound to the session that this token leads to now. */
async function bound(store: WatchedStore, token: string): Promise<string | undefined> {
  const [record] = await store.find([idOf(token)])
  return isSameHash(record?.hash, hashOf(token)) ? record?.userId : undefined
}

describe('with userOf, the user of a session is whom its data names', () => {
  test('from the commit that stores that: under a new token, and dated', async () => {
    const { store, sessions } = setup()
    const before = await storedSession(sessions, { cart: ['coat'] })
    const work = await sessions.load(before)
    bag(work).passport = { user: 42 }
    expect(bag(work).userId).toBe('42')
    const token = await committedToken(work)
    expect(token).not.toBe(before)
    expect(await bound(store, token)).toBe('42')
    expect(await bound(store, before)).toBeUndefined()
    const [info] = await sessions.user(42).list()
    expect(info).toMatchObject({ publicId: work.publicId, authenticatedAt: expect.any(Date) as Date })
    // Within the grace the old token shows what it showed: nobody.
    const late = await sessions.load(before)
    expect([bag(late).userId, bag(late).passport]).toEqual([undefined, undefined])
    expect(await sessions.user(42).revokeAll()).toBe(1)
    expect((await sessions.load(token)).isNew).toBe(true)
  })

  test('and in a new session, without a token that nobody got', async () => {
    const { store, sessions } = setup()
    const work = sessions.begin()
    const { id } = bag(work)
    bag(work).passport = { user: 'ada' }
    expect(await committedToken(work)).toBe(id)
    expect(store.writes.filter(({ type }) => type !== 'touch')).toMatchObject([
      { type: 'insert', userId: 'ada', signedIn: true },
    ])
  })

  test('until the data names nobody any more', async () => {
    const { store, sessions } = setup()
    const token = await storedSession(sessions, { passport: { user: 'ada' }, cart: ['coat'] })
    const work = await sessions.load(token)
    expect(await sessions.user('ada').list()).toHaveLength(1)
    delete (bag(work).passport as { user?: string }).user
    expect(bag(work).userId).toBeUndefined()
    await work.commit()
    expect(await bound(store, token)).toBeUndefined()
    expect(await sessions.user('ada').list()).toEqual([])
    expect(bag(await sessions.load(token)).cart).toEqual(['coat'])
  })

  test('and another user gets another token', async () => {
    const { store, sessions } = setup()
    const before = await storedSession(sessions, { passport: { user: 'ada' } })
    const work = await sessions.load(before)
    bag(work).passport = { user: 'bob' }
    const token = await committedToken(work)
    expect([token === before, await bound(store, token)]).toEqual([false, 'bob'])
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('also where a function says it, and update() stores it', async () => {
    const { store, sessions } = setup({
      userOf: (data: { account?: { id: bigint | null } }) => data.account?.id,
    })
    const before = await storedSession(sessions, { account: { id: null } })
    const work = await sessions.load(before)
    await bag(work).update((session) => Object.assign(session, { account: { id: 7 } }))
    const token = await committedToken(work)
    expect([token === before, await bound(store, token)]).toEqual([false, '7'])
  })

  test('and an update() that fails signs nobody in', async () => {
    const { store, sessions } = setup()
    const token = await storedSession(sessions, { cart: [] })
    const work = await sessions.load(token)
    const failing = bag(work).update((session) => {
      Object.assign(session, { passport: { user: 'ada' } })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(bag(work).userId).toBeUndefined()
    expect(await committedToken(work)).toBe(token)
    expect(await bound(store, token)).toBeUndefined()
  })

  test('so a sign-in that is taken back in the same request leaves the token', async () => {
    const { sessions } = setup()
    const token = await storedSession(sessions, { cart: [] })
    const work = await sessions.load(token)
    bag(work).passport = { user: 'ada' }
    expect(bag(work).userId).toBe('ada')
    delete bag(work).passport
    bag(work).cart = ['coat']
    expect(await committedToken(work)).toBe(token)
  })

  test('and a sign-in does not outlive a revocation that came after its request began', async () => {
    const { sessions } = setup()
    const work = await sessions.load(await storedSession(sessions, { cart: [] }))
    await sessions.user('ada').revokeAll()
    bag(work).passport = { user: 'ada' }
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('and sessionsPerUser counts it', async () => {
    // Of two sign-ins in one millisecond, neither is the oldest.
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const { sessions } = setup({ sessionsPerUser: { most: 1, whenFull: 'endOldest' } })
    const first = await storedSession(sessions, { passport: { user: 'ada' } })
    vi.setSystemTime(Date.now() + 1)
    await storedSession(sessions, { passport: { user: 'ada' } })
    expect((await sessions.load(first)).isNew).toBe(true)
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test.each(['ada', 'bob'])(
    'and where ada signed in on it meanwhile, that of %s is a session of its own',
    async (user) => {
      const { store, sessions } = setup()
      const before = await storedSession(sessions, { cart: ['coat'] })
      const [ada, other] = [await sessions.load(before), await sessions.load(before)]
      bag(ada).passport = { user: 'ada' }
      bag(ada).hers = 1
      const hers = await committedToken(ada)
      bag(other).passport = { user }
      const token = await committedToken(other)
      expect([token === hers, token === before]).toEqual([false, false])
      expect([await bound(store, hers), await bound(store, token)]).toEqual(['ada', user])
      expect({ ...bag(await sessions.load(token)) }).toEqual({ cart: ['coat'], passport: { user } })
    },
  )

  test('and by a former token it is a session of its own, that holds nothing of the other, as with signIn', async () => {
    const { store, sessions } = setup()
    const before = await storedSession(sessions, { cart: ['coat'] })
    const rotating = await sessions.load(before)
    await bag(rotating).rotate()
    const moved = await committedToken(rotating)
    const late = await sessions.load(before)
    bag(late).passport = { user: 'ada' }
    const token = await committedToken(late)
    expect([await bound(store, token), await bound(store, moved)]).toEqual(['ada', undefined])
    expect(await readData(sessions, token)).toEqual({ passport: { user: 'ada' } })
    expect({ ...bag(late) }).toEqual({ passport: { user: 'ada' } })
  })

  test('so a step-up is refused where another user has signed in meanwhile, and its token finds nothing', async () => {
    const { sessions } = setup({ rotationGrace: false })
    const token = await storedSession(sessions, { passport: { user: 'ada' } })
    const [late, quick] = [await sessions.load(token), await sessions.load(token)]
    await bag(late).signIn('ada')
    bag(quick).passport = { user: 'bob' }
    await quick.commit()
    await expect(late.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_ROTATED' })
    // A session of its own would be bound to her, and hold nothing that names her.
    expect(await sessions.user('ada').list()).toEqual([])
    expect((await sessions.load(await committedToken(quick))).userId).toBe('bob')
  })

  test('so after a logout, no old token shows the user any more, whatever rotated the session', async () => {
    for (const rotate of ['rotate', 'signIn'] as const) {
      const { sessions } = setup()
      const old = await storedSession(sessions, { passport: { user: 'ada' }, cart: ['coat'] })
      const rotating = await sessions.load(old)
      if (rotate === 'rotate') await bag(rotating).rotate()
      else await bag(rotating).signIn('ada')
      const token = await committedToken(rotating)
      const logout = await sessions.load(token)
      delete bag(logout).passport
      await logout.commit()
      const late = await sessions.load(old)
      expect([bag(late).userId, { ...bag(late) }], rotate).toEqual([undefined, {}])
      bag(late).planted = true
      await late.commit()
      expect(await readData(sessions, token), rotate).toEqual({ cart: ['coat'] })
    }
  })

  test('who proves afresh by signIn keeps what there is', async () => {
    const { sessions } = setup()
    const token = await storedSession(sessions, { passport: { user: 'ada' }, cart: ['coat'] })
    const work = await sessions.load(token)
    await bag(work).signIn('ada')
    expect(await readData(sessions, await committedToken(work))).toEqual({
      passport: { user: 'ada' },
      cart: ['coat'],
    })
  })

  test('is not proved afresh by a former token: the data would say it still', async () => {
    const { sessions } = setup()
    const token = await storedSession(sessions, { passport: { user: 'ada' }, cart: ['coat'] })
    const rotating = await sessions.load(token)
    await bag(rotating).rotate()
    await rotating.commit()
    const late = await sessions.load(token)
    await expect(bag(late).signIn('ada')).rejects.toMatchObject({ code: 'ERR_SESSION_ROTATED', status: 409 })
    await late.commit()
    expect([late.outcome.action, (await sessions.load(rotating.id)).userId]).toEqual(['keep', 'ada'])
  })
})

describe('a session that was stored without userOf', () => {
  test('is bound by the first request that opens it, under the token that it has', async () => {
    const { store, sessions, plain } = setup()
    const token = await storedSession(plain, { passport: { user: 'ada' } })
    expect(await bound(store, token)).toBeUndefined()
    const work = await sessions.load(token)
    expect(bag(work).userId).toBe('ada')
    expect(await committedToken(work)).toBe(token)
    expect(await bound(store, token)).toBe('ada')
    // Once.
    const next = await sessions.load(token)
    expect(bag(next).userId).toBe('ada')
    expect(next.commit()).toBeUndefined()
  })

  test('is of whom the merged data names, where no request alone made it so', async () => {
    const { store, sessions } = setup({
      userOf: ({ name, isProved }: Record<string, unknown>) => (isProved ? name : undefined),
    })
    const token = await storedSession(sessions, { cart: 1 })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    bag(one).name = 'ada'
    bag(other).isProved = true
    await one.commit()
    await other.commit()
    expect(await bound(store, token)).toBe('ada')
  })

  test('keeps what parallel requests change while it is bound', async () => {
    const { store, sessions, plain } = setup()
    const token = await storedSession(plain, { passport: { user: 'ada' } })
    const works = await Promise.all([1, 2, 3].map(() => sessions.load(token)))
    for (const [index, work] of works.entries()) bag(work)[`n${index}`] = index
    await Promise.all(works.map(async (work) => work.commit()))
    expect({ ...bag(await sessions.load(token)) }).toEqual({ passport: { user: 'ada' }, n0: 0, n1: 1, n2: 2 })
    expect(await bound(store, token)).toBe('ada')
  })

  test("is nobody's where its data names nobody, whoever was bound", async () => {
    const { store, sessions, plain } = setup()
    const token = await storedSession(plain, { cart: [] }, 'ada')
    const work = await sessions.load(token)
    expect(bag(work).userId).toBeUndefined()
    await work.commit()
    expect(await bound(store, token)).toBeUndefined()
  })

  test("is nobody's, and no error, where its data names somebody by what is no id", async () => {
    const { store, sessions, plain } = setup()
    const token = await storedSession(plain, { passport: { user: { id: 1 } } })
    const work = await sessions.load(token)
    expect(bag(work).userId).toBeUndefined()
    bag(work).cart = ['coat']
    await work.commit()
    expect(await bound(store, token)).toBeUndefined()
  })

  test('ends though a parallel request has bound it meanwhile', async () => {
    const { store, sessions, plain } = setup()
    const token = await storedSession(plain, { passport: { user: 'ada' } })
    const [work, other] = [await sessions.load(token), await sessions.load(token)]
    expect(bag(work).userId).toBe('ada')
    bag(other).cart = ['coat']
    await other.commit()
    expect(await bound(store, token)).toBe('ada')
    await bag(work).destroy()
    expect((await sessions.load(token)).isNew).toBe(true)
  })

  test("is nobody's where the names lead to what all objects have", async () => {
    for (const userOf of ['constructor', 'passport.toString', '__proto__']) {
      const { sessions } = setup({ userOf })
      const token = await storedSession(sessions, { passport: { user: 'ada' } })
      expect(bag(await sessions.load(token)).userId).toBeUndefined()
    }
  })

  test('is read encrypted too', async () => {
    const store = new WatchedStore()
    const encryption = Buffer.alloc(32, 1)
    const token = await storedSession(memorySessions({ store, encryption }), { passport: { user: 'ada' } })
    const sessions = memorySessions({ store, encryption, userOf })
    const work = await sessions.load(token)
    expect(bag(work).userId).toBe('ada')
    await work.commit()
    expect(await bound(store, token)).toBe('ada')
    expect(bag(await sessions.load(token)).passport).toEqual({ user: 'ada' })
  })
})

describe('what is no user id', () => {
  test.each<[string, unknown]>([
    ['an object', { id: 1 }],
    ['an empty text', ''],
    ['a text with a NUL', 'admin\0x'],
    ['a boolean', true],
  ])('fails the request that stores it as a user: %s', async (_what, user) => {
    const { store, sessions } = setup()
    const work = sessions.begin()
    bag(work).passport = { user }
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_USER_ID' })
    expect(store.writes).toEqual([])
  })
})

test('signIn is for the user whom the data names, to prove again who they are', async () => {
  const { store, sessions } = setup()
  const before = await storedSession(sessions, { passport: { user: 'ada' } })
  const work = await sessions.load(before)
  await expect(bag(work).signIn('bob')).rejects.toMatchObject({
    code: 'ERR_SESSION_OPTION',
    message: expect.stringContaining('userOf') as string,
  })
  await bag(work).signIn('ada')
  const token = await committedToken(work)
  expect([token === before, await bound(store, token)]).toEqual([false, 'ada'])
  await bag(work).signOut()
  await work.commit()
  expect(await sessions.user('ada').list()).toEqual([])
})

test.each(['', 'passport.', '.user', 'a..b', 1, null, {}])('userOf is no %j', (given) => {
  expect(() => createSessions({ store: new MemoryStore(), secret, userOf: given as string })).toThrow(
    expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringContaining("'passport.user'") as string,
    }) as Error,
  )
})
