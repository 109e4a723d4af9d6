import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { hashOf, idOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

describe('signing in', () => {
  test('gives a stored session another token and binds it, in one write', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const before = await storedSession(sessions, { cart: ['coat'] })
    store.writes.length = 0
    const work = await sessions.load(before)
    const { publicId } = work
    await bag(work).signIn(42, { keep: ['cart'] })
    bag(work).name = 'Ada'
    const after = await committedToken(work)
    expect(after).not.toBe(before)
    expect(store.writes).toMatchObject([
      { type: 'update', id: idOf(before), secret: { hash: hashOf(after), signedIn: true }, userId: '42' },
    ])
    const read = await sessions.load(after)
    expect([read.publicId, read.userId, { ...bag(read) }]).toEqual([
      publicId,
      '42',
      { cart: ['coat'], name: 'Ada' },
    ])
  })

  test('ends the token from before: within its grace it shows what it showed, after that nothing', async () => {
    for (const [rotationGrace, found] of [
      ['10s', { cart: ['coat'] }],
      [false, {}],
    ] as const) {
      const sessions = memorySessions({ rotationGrace })
      const before = await storedSession(sessions, { cart: ['coat'] })
      const work = await sessions.load(before)
      await bag(work).signIn('ada')
      bag(work).name = 'Ada'
      await work.commit()
      const fixated = await sessions.load(before)
      expect([fixated.userId, fixated.authenticatedAt, { ...bag(fixated) }]).toEqual([
        undefined,
        undefined,
        found,
      ])
    }
  })

  test('shows the new token and the user at once, and stores them with the commit', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const before = await storedSession(sessions, { a: 1 })
    store.writes.length = 0
    const work = await sessions.load(before)
    await bag(work).signIn('ada')
    const { id, userId } = bag(work)
    expect([id === before, userId]).toEqual([false, 'ada'])
    expect(store.writes).toEqual([])
    await work.commit()
    expect(work.outcome).toEqual({ action: 'issue', token: id })
  })

  test('makes a session of an empty one', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, {}, 'ada')
    expect((await sessions.load(token)).userId).toBe('ada')
  })

  test('as somebody else on a session that is signed in moves it to them', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, {}, 'ada')
    const work = await sessions.load(token)
    await bag(work).signIn('bob')
    const after = await committedToken(work)
    expect((await sessions.load(token)).userId).toBeUndefined()
    expect((await sessions.load(after)).userId).toBe('bob')
    expect(await sessions.user('ada').list()).toEqual([])
  })

  test('waits for a save that is under way, and the token that is told leads to the session', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = sessions.begin()
    bag(work).a = 1
    let signingIn: Promise<void> | undefined
    store.beforeWrite = async () => {
      signingIn ??= bag(work).signIn('ada', { keep: true })
    }
    await bag(work).save()
    await signingIn
    const token = await committedToken(work)
    const read = await sessions.load(token)
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', { a: 1 }])
  })

  test('is not lost to a sign-out that nobody waited for', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { old: 1 }, 'bob')
    const work = await sessions.load(before)
    const signingOut = bag(work).signOut()
    await bag(work).signIn('ada')
    await signingOut
    const token = await committedToken(work)
    const read = await sessions.load(token)
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', {}])
  })

  test('as the user whose session it is takes it back from whoever rotated it meanwhile', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 }, 'ada')
    const [work, thief] = [await sessions.load(token), await sessions.load(token)]
    await bag(thief).rotate()
    const stolen = await committedToken(thief)
    await bag(work).signIn('ada')
    const kept = await committedToken(work)
    expect([(await sessions.load(stolen)).isNew, (await sessions.load(token)).isNew]).toEqual([true, true])
    expect(await readData(sessions, kept)).toEqual({ cart: 1 })
    expect(await sessions.user('ada').list()).toHaveLength(1)
  })

  test('that is sent twice at once keeps what is named, in either answer', async () => {
    for (const opens of [true, false]) {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { cart: ['coat'], planted: 1 })
      const [first, second] = [await sessions.load(token), await sessions.load(token)]
      expect([first, second].map((work) => (opens ? bag(work).planted : 1))).toEqual([1, 1])
      await first.signIn('ada', { keep: ['cart'] })
      await second.signIn('ada', { keep: ['cart'] })
      await first.commit()
      await second.commit()
      for (const { id } of [first, second]) {
        const read = await sessions.load(id)
        expect([read.userId, { ...bag(read) }]).toEqual(['ada', { cart: ['coat'] }])
      }
    }
  })

  test('by a token from before a rotation begins a session that holds nothing of that one, whatever it names', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    for (const rotate of ['rotate', 'signIn'] as const) {
      for (const user of [undefined, 'ada']) {
        const sessions = memorySessions()
        const before = await storedSession(sessions, { cart: ['coat'] }, user)
        vi.advanceTimersByTime(1)
        const rotating = await sessions.load(before)
        await (rotate === 'rotate' ? bag(rotating).rotate() : bag(rotating).signIn('ada'))
        const now = await committedToken(rotating)
        for (const opens of [true, false]) {
          const late = await sessions.load(before)
          if (opens) bag(late).planted = 1
          await late.signIn('ada', { keep: true })
          expect([late.userId, late.isNew, { ...bag(late) }]).toEqual(['ada', true, {}])
          const own = await sessions.load(await committedToken(late))
          expect([own.userId, own.publicId === rotating.publicId, { ...bag(own) }]).toEqual([
            'ada',
            false,
            {},
          ])
          expect((await sessions.load(now)).isFormer).toBe(false)
        }
      }
    }
  })

  test.each(['before it ends', 'after it has ended'])(
    'by a token from before a rotation, %s, brings back nothing of the session',
    async (when) => {
      const sessions = memorySessions()
      const before = await storedSession(sessions, { secret: 1 }, 'ada')
      const rotating = await sessions.load(before)
      await bag(rotating).rotate()
      await rotating.commit()
      const late = await sessions.load(before)
      bag(late).mine = 1
      if (when === 'before it ends') await bag(late).signIn('ada')
      await sessions.user('ada').revoke(rotating.publicId)
      if (when === 'after it has ended') await bag(late).signIn('ada')
      bag(late).mine = 2
      expect(await readData(sessions, await committedToken(late))).toEqual({ mine: 2 })
    },
  )

  test('that nobody waited for is stored by the commit', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    void bag(work).signIn('ada')
    const token = await committedToken(work)
    expect((await sessions.load(token)).userId).toBe('ada')
  })

  test('as somebody else, that nobody waited for, is stored by the commit', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { cart: ['coat'] }, 'ada')
    const work = await sessions.load(before)
    void bag(work).signIn('bob')
    const after = await committedToken(work)
    expect(work.outcome).toEqual({ action: 'issue', token: after })
    expect((await sessions.load(after)).userId).toBe('bob')
    expect((await sessions.load(before)).isNew).toBe(true)
  })

  test.each<[string, unknown]>([
    ['an empty text', ''],
    ['256 bytes', 'é'.repeat(128)],
    ['a NUL at the end', 'admin\0'],
    ['a NUL within', 'admin\0x'],
    ['half of a surrogate pair', 'admin\ud83e'],
    ['a number of 256 digits', 10n ** 255n],
    ['undefined', undefined],
    ['null', null],
    ['an object', { id: 1 }],
    ['a boolean', true],
  ])('with %s for an id is refused', async (_name, userId) => {
    const work = memorySessions().begin()
    await expect(bag(work).signIn(userId as string)).rejects.toMatchObject({ code: 'ERR_SESSION_USER_ID' })
    expect(work.userId).toBeUndefined()
    expect(work.commit()).toBeUndefined()
  })

  test('keeps what is set right after it, although nobody has waited for it yet', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    bag(work).planted = true
    void bag(work).signIn('ada')
    bag(work).role = 'admin'
    const token = await committedToken(work)
    expect(await readData(sessions, token)).toEqual({ role: 'admin' })
  })

  test.each<[string, string | number | bigint, string]>([
    ['a number', 42, '42'],
    ['zero', 0, '0'],
    ['a BigInt', 2n ** 64n, '18446744073709551616'],
    ['255 bytes', `${'é'.repeat(127)}x`, `${'é'.repeat(127)}x`],
  ])('takes %s for an id', async (_name, userId, text) => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, {}, userId as string)
    expect((await sessions.load(token)).userId).toBe(text)
    expect(await sessions.user(userId).list()).toHaveLength(1)
  })
})

describe('signing in on a session that ended meanwhile', () => {
  test('gets a new session, with what this request put there and nothing else', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { secret: 'of the old one', count: 1, draft: 'old' })
    const work = await sessions.load(before)
    bag(work).name = 'Ada'
    bag(work).count = 2
    await bag(work).signIn('ada', { keep: true })
    await bag(await sessions.load(before)).destroy()
    const ended = work.publicId
    const token = await committedToken(work)
    const read = await sessions.load(token)
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', { name: 'Ada', count: 2 }])
    expect(read.publicId).not.toBe(ended)
    expect(token).not.toBe(before)
    expect(await readData(sessions, before)).toEqual({})
  })

  test('does so too if the request found out before', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { old: 1 })
    const work = await sessions.load(before)
    await bag(await sessions.load(before)).destroy()
    bag(work).early = 1
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_GONE', status: 401 })
    await bag(work).signIn('ada')
    bag(work).name = 'Ada'
    const read = await sessions.load(await committedToken(work))
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', { name: 'Ada' }])
  })

  test('does not outlive a revocation that came after it was stored', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    await bag(work).signIn('ada')
    await bag(work).save()
    expect(await sessions.user('ada').revokeAll()).toBe(1)
    bag(work).late = 1
    await work.commit()
    expect(await sessions.user('ada').list()).toEqual([])
    expect(work.outcome.action).not.toBe('issue')
  })
})

describe('rotating', () => {
  test('gives a new token; data, user, publicId and beginning stay', async () => {
    const sessions = memorySessions({ rotationGrace: false })
    const before = await storedSession(sessions, { a: 1 }, 'ada')
    const work = await sessions.load(before)
    const { publicId, createdAt } = work
    await bag(work).rotate()
    const after = await committedToken(work)
    expect(after).not.toBe(before)
    const read = await sessions.load(after)
    expect([read.publicId, read.createdAt, read.userId, { ...bag(read) }]).toEqual([
      publicId,
      createdAt,
      'ada',
      { a: 1 },
    ])
    expect((await sessions.load(before)).userId).toBeUndefined()
  })

  test('an empty session stores nothing', async () => {
    const work = memorySessions().begin()
    await bag(work).rotate()
    await work.commit()
    expect(work.outcome.action).toBe('keep')
  })

  test('a session that ended meanwhile does not bring it back', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { a: 1 }, 'ada')
    const work = await sessions.load(before)
    await sessions.user('ada').revokeAll()
    await bag(work).rotate()
    await work.commit()
    expect(work.outcome.action).toBe('keep')
    expect(await sessions.user('ada').list()).toEqual([])
  })
})
