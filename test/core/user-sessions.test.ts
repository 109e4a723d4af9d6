import { describe, expect, test, vi } from 'vitest'
import { hashOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

describe("a user's sessions", () => {
  test('are listed with what each holds, and not those of others', async () => {
    const sessions = memorySessions()
    await storedSession(sessions, { device: 'phone' }, 'ada')
    await storedSession(sessions, { device: 'laptop' }, 'ada')
    await storedSession(sessions, { device: 'tablet' }, 'bob')
    await storedSession(sessions, { device: 'nobody' })
    const list = await sessions.user('ada').list()
    expect(list).toHaveLength(2)
    expect(new Set(list.map(({ data }) => (data as { device?: string }).device))).toEqual(
      new Set(['laptop', 'phone']),
    )
    for (const info of list) {
      expect(info).toEqual({
        publicId: expect.stringMatching(/^[\w-]{16}$/) as string,
        userId: 'ada',
        sites: [],
        createdAt: expect.any(Date) as Date,
        authenticatedAt: info.createdAt,
        seenAt: expect.any(Date) as Date,
        expiresAt: expect.any(Date) as Date,
        data: expect.any(Object) as object,
      })
      expect(info.expiresAt.getTime()).toBeGreaterThan(info.seenAt.getTime())
    }
    expect(await sessions.user('carol').list()).toEqual([])
  })

  test('are listed with the one seen last first', async () => {
    const sessions = memorySessions()
    const tokens: string[] = []
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      for (const n of [1, 2, 3]) {
        vi.setSystemTime(n * 1_000)
        tokens.push(await storedSession(sessions, { n }, 'ada'))
      }
      vi.setSystemTime(4_000)
      const used = await sessions.load(tokens[1]!)
      used.touch()
      await used.commit()
      const seen = (await sessions.user('ada').list()).map((info) => info.seenAt.getTime())
      expect(seen).toEqual([4_000, 3_000, 1_000])
    } finally {
      vi.useRealTimers()
    }
  })

  test('are all listed, also if they are many', async () => {
    const sessions = memorySessions()
    await Promise.all(Array.from({ length: 250 }, (_, n) => storedSession(sessions, { n }, 'ada')))
    const list = await sessions.user('ada').list()
    expect(new Set(list.map(({ publicId }) => publicId)).size).toBe(250)
  })

  test('show no token and no hash', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, {}, 'ada')
    const shown = JSON.stringify(await sessions.user('ada').list())
    expect(shown).not.toContain(token)
    expect(shown).not.toContain(Buffer.from(hashOf(token)).toString('base64url'))
  })

  test('are the same by a number and by its text', async () => {
    const sessions = memorySessions()
    await storedSession(sessions, {}, 42)
    expect(await sessions.user('42').list()).toHaveLength(1)
    expect(await sessions.user(42n).list()).toHaveLength(1)
  })

  test('of a user without a name are a mistake that is told', () => {
    const sessions = memorySessions()
    for (const userId of ['', 'ada\0', 'ada\ud83e', undefined, null, {}]) {
      expect(() => sessions.user(userId as string)).toThrow(
        expect.objectContaining({ code: 'ERR_SESSION_USER_ID' }) as Error,
      )
    }
  })
})

describe('revoking one session', () => {
  test('ends it, in every app, and leaves the others', async () => {
    const store = new WatchedStore()
    const [app, other] = [memorySessions({ store }), memorySessions({ store })]
    const [phone, laptop] = [await storedSession(app, {}, 'ada'), await storedSession(app, {}, 'ada')]
    const { publicId } = await app.load(phone)
    expect(await other.user('ada').revoke(publicId)).toBe(true)
    expect((await app.load(phone)).userId).toBeUndefined()
    expect((await app.load(laptop)).userId).toBe('ada')
    expect(await other.user('ada').revoke(publicId)).toBe(false)
  })

  test("never ends another user's", async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, {}, 'ada')
    const { publicId } = await sessions.load(token)
    expect(await sessions.user('bob').revoke(publicId)).toBe(false)
    expect((await sessions.load(token)).userId).toBe('ada')
  })

  test('ends it although a rotation moves it at that moment', async () => {
    const store = new WatchedStore()
    const [app, other] = [memorySessions({ store }), memorySessions({ store })]
    const token = await storedSession(app, {}, 'ada')
    const work = await app.load(token)
    let rotated = false
    store.beforeWrite = async ([write]) => {
      if (write?.type !== 'remove' || rotated) return
      rotated = true
      await bag(work).rotate()
      await work.commit()
    }
    expect(await other.user('ada').revoke(work.publicId)).toBe(true)
    expect(rotated).toBe(true)
    expect(await app.user('ada').list()).toEqual([])
    expect((await app.load(work.id)).userId).toBeUndefined()
  })

  test('is final against a late save', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 }, 'ada')
    const late = await sessions.load(token)
    bag(late).late = 1
    await sessions.user('ada').revoke(late.publicId)
    await late.commit()
    expect(await readData(sessions, token)).toEqual({})
    expect(await sessions.user('ada').list()).toEqual([])
  })
})

describe('revoking all sessions', () => {
  test('ends them, tells how many, and leaves those of others', async () => {
    const sessions = memorySessions()
    const tokens = [
      await storedSession(sessions, {}, 'ada'),
      await storedSession(sessions, {}, 'ada'),
      await storedSession(sessions, {}, 'bob'),
    ]
    expect(await sessions.user('ada').revokeAll()).toBe(2)
    const users = await Promise.all(tokens.map(async (token) => (await sessions.load(token)).userId))
    expect(users).toEqual([undefined, undefined, 'bob'])
    expect(await sessions.user('ada').revokeAll()).toBe(0)
  })

  test('leaves the session in hand if asked to', async () => {
    const sessions = memorySessions()
    const [mine, other] = [await storedSession(sessions, {}, 'ada'), await storedSession(sessions, {}, 'ada')]
    const work = await sessions.load(mine)
    expect(await sessions.user('ada').revokeAll({ except: bag(work) })).toBe(1)
    expect((await sessions.load(other)).userId).toBeUndefined()
    await work.commit()
    expect(work.outcome.action).toBe('issue')
    expect((await sessions.load(work.id)).userId).toBe('ada')
  })

  test('gives the session in hand another token, so that whoever else has the old one is out', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const work = await sessions.load(token)
    await sessions.user('ada').revokeAll({ except: bag(work) })
    const thief = await sessions.load(token)
    expect([thief.isNew, thief.userId]).toEqual([true, undefined])
    expect(await readData(sessions, work.id)).toEqual({ n: 1 })
  })

  test("gives no other token to a session in hand that is somebody else's", async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 }, 'bob')
    const work = await sessions.load(token)
    await sessions.user('ada').revokeAll({ except: bag(work) })
    await work.commit()
    expect([work.action, (await sessions.load(token)).userId]).toEqual(['keep', 'bob'])
  })

  test('leaves the session with a publicId, also after it was rotated', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, {}, 'ada'))
    await storedSession(sessions, {}, 'ada')
    await bag(work).rotate()
    await work.commit()
    expect(await sessions.user('ada').revokeAll({ except: work.publicId })).toBe(1)
    expect((await sessions.load(work.id)).userId).toBe('ada')
  })

  test.each(['the publicId', 'what list() gives', 'the session in hand'])(
    'leaves no way in by the token from before a rotation of the session that it spares, by %s',
    async (how) => {
      for (const encryption of [undefined, Buffer.alloc(32, 1)]) {
        const sessions = memorySessions(encryption && { encryption })
        const before = await storedSession(sessions, { n: 1 }, 'ada')
        const work = await sessions.load(before)
        await bag(work).rotate()
        const token = await committedToken(work)
        expect((await sessions.load(before)).userId).toBe('ada')
        const user = sessions.user('ada')
        const [listed] = await user.list()
        const hand = await sessions.load(token)
        await user.revokeAll({
          except: how === 'the publicId' ? work.publicId : how === 'what list() gives' ? listed! : bag(hand),
        })
        expect((await sessions.load(before)).isNew).toBe(true)
        const now = await sessions.load(await committedToken(hand))
        expect([now.userId, now.publicId, { ...bag(now) }]).toEqual(['ada', work.publicId, { n: 1 }])
        const [after] = await user.list()
        const isInHand = how === 'the session in hand'
        expect(isInHand || after!.expiresAt.getTime()).toBe(isInHand || listed!.expiresAt.getTime())
        expect(now.id === token).toBe(!isInHand)
      }
    },
  )

  test('leaves no way in by the token of a visitor on whose session its request signs in', async () => {
    for (const order of ['signIn, then revokeAll', 'signIn and a save, then revokeAll']) {
      const sessions = memorySessions()
      const before = await storedSession(sessions, { n: 1 })
      const work = await sessions.load(before)
      await bag(work).signIn('ada', { keep: true })
      if (order.includes('save')) await bag(work).save()
      await sessions.user('ada').revokeAll({ except: bag(work) })
      const token = await committedToken(work)
      expect([order, (await sessions.load(before)).isNew]).toEqual([order, true])
      expect((await sessions.load(token)).userId).toBe('ada')
    }
  })

  test('does nothing to a session that is spared by its publicId, and is not the user’s', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { n: 1 }, 'bob')
    const work = await sessions.load(before)
    await bag(work).rotate()
    await work.commit()
    await sessions.user('ada').revokeAll({ except: work.publicId })
    expect((await sessions.load(before)).userId).toBe('bob')
  })

  test('ends the session too where the request came by the token from before a rotation: nobody knows who has the new one', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { n: 1 }, 'ada')
    const rotating = await sessions.load(before)
    await bag(rotating).rotate()
    const token = await committedToken(rotating)
    const late = await sessions.load(before)
    expect(await sessions.user('ada').revokeAll({ except: bag(late) })).toBe(1)
    await late.commit()
    expect([late.outcome.action, (await sessions.load(token)).isNew]).toEqual(['keep', true])
  })
})

test('revokeAll looks again until no session is left: one that moves on meanwhile may be where it has looked', async () => {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  const token = await storedSession(sessions, { n: 1 }, 'ada')
  const { removeByUser } = store
  let moved: string | undefined
  // Some databases read on from where they waited, and miss a row that went behind that.
  store.removeByUser = async (...user) => {
    if (moved !== undefined) return removeByUser.call(store, ...user)
    const work = await sessions.load(token)
    await bag(work).rotate()
    moved = await committedToken(work)
    return 0
  }
  const ended: unknown[] = []
  sessions.on('destroyed', (event) => ended.push(event.reason))
  expect(await sessions.user('ada').revokeAll()).toBe(1)
  expect((await sessions.load(moved!)).isNew).toBe(true)
  expect(ended).toEqual(['revoke'])
})
