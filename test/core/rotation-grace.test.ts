import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createToken, idOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

/** A session that Ada is signed in with, raised to an administrator's rights with a rotation. */
async function raised() {
  const sessions = memorySessions()
  const before = await storedSession(sessions, { cart: { coat: 1 } }, 'ada')
  const work = await sessions.load(before)
  bag(work).admin = true
  await bag(work).rotate()
  const after = await committedToken(work)
  return { sessions, before, after }
}

describe('a request with the token from before a rotation', () => {
  test('finds the session, as it was before, and tells the browser nothing', async () => {
    const { sessions, before, after } = await raised()
    const late = await sessions.load(before)
    expect({ ...bag(late) }).toEqual({ cart: { coat: 1 } })
    expect([late.userId, late.publicId]).toEqual(['ada', (await sessions.load(after)).publicId])
    await late.commit()
    expect(late.outcome).toEqual({ action: 'keep', token: before })
    expect(late.isFormer).toBe(true)
  })

  test('that changes something changes the session, and still sees no more of it', async () => {
    const { sessions, before, after } = await raised()
    const late = await sessions.load(before)
    ;(bag(late).cart as Record<string, number>).hat = 1
    await bag(late).save()
    expect({ ...bag(late) }).toEqual({ cart: { coat: 1, hat: 1 } })
    bag(late).second = 2
    await late.commit()
    expect({ ...bag(late) }).toEqual({ cart: { coat: 1, hat: 1 }, second: 2 })
    expect(await readData(sessions, after)).toEqual({ cart: { coat: 1, hat: 1 }, second: 2, admin: true })
    await late.commit()
    await bag(late).reload()
    expect({ ...bag(late) }).toEqual({ cart: { coat: 1 } })
  })

  test('that updates it goes on from what the update made of what it saw', async () => {
    const { sessions, before, after } = await raised()
    const current = await sessions.load(after)
    bag(current).n = 10
    await current.commit()
    const late = await sessions.load(before)
    const given = await bag(late).update((session) => {
      const held = session as { n?: number; admin?: boolean }
      held.n = (held.n ?? 0) + 1
      return [held.n, held.admin]
    })
    expect([given, { ...bag(late) }]).toEqual([[1, undefined], { cart: { coat: 1 }, n: 1 }])
    expect(await readData(sessions, after)).toEqual({ cart: { coat: 1 }, admin: true, n: 11 })
    ;(bag(late).cart as Record<string, number>).hat = 1
    await late.commit()
    expect(await readData(sessions, after)).toEqual({ cart: { coat: 1, hat: 1 }, admin: true, n: 11 })
    bag(late).n = 5
    await late.commit()
    expect(await readData(sessions, after)).toMatchObject({ admin: true, n: 5 })
  })

  test('that was loaded before the rotation and commits after it loses nothing either, and learns nothing', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const [slow, quick] = [await sessions.load(token), await sessions.load(token)]
    bag(quick).admin = true
    await bag(quick).rotate()
    const after = await committedToken(quick)
    bag(slow).slow = 1
    await bag(slow).save()
    expect({ ...bag(slow) }).toEqual({ n: 1, slow: 1 })
    expect(slow.outcome.action).toBe('keep')
    expect(await readData(sessions, after)).toEqual({ n: 1, slow: 1, admin: true })
  })

  test('that rotated in parallel, and stored nothing, sees no more of it either, also when it looks again', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const [slow, quick] = [await sessions.load(token), await sessions.load(token)]
    bag(quick).admin = true
    await bag(quick).rotate()
    await quick.commit()
    await bag(slow).rotate()
    await slow.commit()
    expect({ ...bag(slow) }).toEqual({ n: 1 })
    await bag(slow).reload()
    expect({ ...bag(slow) }).toEqual({ n: 1 })
  })

  test('sees nothing of what it took in to store something and then could not', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    sessions.on('storeError', () => undefined)
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const [slow, quick] = [await sessions.load(token), await sessions.load(token)]
    bag(quick).admin = true
    await bag(quick).rotate()
    const after = await committedToken(quick)
    bag(slow).slow = 1
    let updates = 0
    store.beforeWrite = async () => {
      if (++updates === 2) throw new Error('connection reset')
    }
    await expect(slow.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    expect({ ...bag(slow) }).toEqual({ n: 1, slow: 1 })
    await slow.commit()
    expect(await readData(sessions, after)).toEqual({ n: 1, slow: 1, admin: true })
  })

  test('that ends an anonymous one ends it, however it moves on meanwhile', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { n: 1 })
    const rotated = async (from: string): Promise<string> => {
      const work = await sessions.load(from)
      await bag(work).rotate()
      return committedToken(work)
    }
    const ending = await sessions.load(token)
    let newest = await rotated(token)
    let removals = 0
    store.beforeWrite = async ([write]) => {
      // Found under its new key, it gets another before it is removed there.
      if (write!.type === 'remove' && ++removals === 2) newest = await rotated(newest)
    }
    await bag(ending).destroy()
    expect((await sessions.load(newest)).isNew).toBe(true)
  })

  test('sees nothing of the user who signed in with the rotation, and changes nothing of theirs', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    const login = await sessions.load(token)
    await bag(login).signIn('ada', { keep: true })
    bag(login).name = 'Ada'
    const after = await committedToken(login)
    const late = await sessions.load(token)
    expect([late.userId, late.authenticatedAt, { ...bag(late) }]).toEqual([undefined, undefined, { cart: 1 }])
    bag(late).planted = true
    await late.commit()
    expect(late.outcome.action).toBe('keep')
    expect(await readData(sessions, after)).toEqual({ cart: 1, name: 'Ada' })
  })

  test.each(['in the same millisecond', 'later', 'later, encrypted'])(
    'is nobody after another proof of who its user is, %s: it sees nothing of theirs, and changes nothing',
    async (when) => {
      vi.useFakeTimers({ toFake: ['Date'] })
      onTestFinished(() => void vi.useRealTimers())
      const encryption = when.endsWith('encrypted') ? { encryption: Buffer.alloc(32, 1) } : {}
      const sessions = memorySessions(encryption)
      const token = await storedSession(sessions, { email: 'ada@example.com' }, 'ada')
      if (when !== 'in the same millisecond') vi.advanceTimersByTime(1)
      const stepUp = await sessions.load(token)
      await bag(stepUp).signIn('ada')
      const after = await committedToken(stepUp)
      const late = await sessions.load(token)
      expect([late.userId, late.authenticatedAt, { ...bag(late) }]).toEqual([undefined, undefined, {}])
      // In the same millisecond there is no grace: then it leads nowhere.
      expect(late.isNew).toBe(when === 'in the same millisecond')
      bag(late).planted = 1
      await late.commit()
      expect(late.outcome.action).toBe(when === 'in the same millisecond' ? 'issue' : 'keep')
      expect(await readData(sessions, after)).toEqual({ email: 'ada@example.com' })
    },
  )

  test('is nobody after a login as somebody else by the data', async () => {
    const sessions = memorySessions({ userOf: 'user' })
    const token = await storedSession(sessions, { user: 'ada', note: 'of Ada' })
    const login = await sessions.load(token)
    Object.assign(bag(login), { user: 'bob', note: 'of Bob' })
    const after = await committedToken(login)
    const late = await sessions.load(token)
    expect([late.userId, { ...bag(late) }]).toEqual([undefined, {}])
    expect(await readData(sessions, after)).toEqual({ user: 'bob', note: 'of Bob' })
  })

  test('changes nothing, and learns nothing, of what came of a later proof by the same user', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { email: 'ada@example.com' }, 'ada')
    const first = (await sessions.load(token)).authenticatedAt
    await expect.poll(() => Date.now()).toBeGreaterThan(first!.getTime())
    const inFlight = await sessions.load(token)
    const stepUp = await sessions.load(token)
    await bag(stepUp).signIn('ada')
    bag(stepUp).secret = 'after'
    const after = await committedToken(stepUp)
    for (const late of [inFlight, await sessions.load(token)]) {
      bag(late).email = 'eve@example.com'
      await expect(
        bag(late).update((session) => (session as { secret?: string }).secret),
      ).rejects.toMatchObject({
        code: 'ERR_SESSION_GONE',
      })
    }
    expect(await readData(sessions, after)).toEqual({ email: 'ada@example.com', secret: 'after' })
  })

  test('gives way to the one from after it, where the browser sends both', async () => {
    const sessions = memorySessions()
    const before = await storedSession(sessions, { n: 1 })
    const login = await sessions.load(before)
    await bag(login).signIn('ada')
    const after = await committedToken(login)
    for (const tokens of [
      [before, after],
      [after, before],
    ] as const) {
      const work = await sessions.load(...tokens)
      expect([work.userId, work.isFormer]).toEqual(['ada', false])
    }
  })

  test('leaves the cookie of somebody who signed in meanwhile alone, though it ends what it saw', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 })
    const [ending, login] = [await sessions.load(token), await sessions.load(token)]
    await bag(login).signIn('ada')
    const after = await committedToken(login)
    await bag(ending).destroy()
    expect(ending.outcome.action).toBe('keep')
    expect((await sessions.load(after)).userId).toBe('ada')
  })

  describe.each(['destroy', 'signOut', 'regenerate'] as const)('that would end the session (%s)', (end) => {
    test.each(['rotate', 'signIn'] as const)('is refused after a %s, and ends nothing', async (how) => {
      for (const user of [undefined, 'ada']) {
        const sessions = memorySessions()
        const token = await storedSession(sessions, { n: 1 }, user)
        const other = await sessions.load(token)
        await (how === 'rotate' ? bag(other).rotate() : bag(other).signIn('ada', { keep: true }))
        const after = await committedToken(other)
        const late = await sessions.load(token)
        // Where there is no grace, the old token leads nowhere, and there is nothing to be ended.
        if (late.isNew) continue
        await expect(bag(late)[end]()).rejects.toMatchObject({ code: 'ERR_SESSION_ROTATED', status: 409 })
        await late.commit()
        expect(late.outcome).toEqual({ action: 'keep', token })
        expect(await readData(sessions, after)).toEqual({ n: 1 })
        expect((await sessions.load(after)).isFormer).toBe(false)
      }
    })

    test('fails by the commit where nobody waited for it; then the answer of an error handler goes out', async () => {
      const { sessions, before, after } = await raised()
      const late = await sessions.load(before)
      void bag(late)[end]()
      await expect(late.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_ROTATED' })
      await late.commit()
      expect(late.outcome.action).toBe('keep')
      expect((await sessions.load(after)).userId).toBe('ada')
    })

    test('ends it with the new token', async () => {
      const { sessions, before, after } = await raised()
      await bag(await sessions.load(after))[end]()
      expect([(await sessions.load(before)).isNew, (await sessions.load(after)).isNew]).toEqual([true, true])
    })
  })

  test('that would end the session with the commit is refused, once', async () => {
    const { sessions, before, after } = await raised()
    const late = await sessions.load(before)
    late.end()
    await expect(late.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_ROTATED' })
    await late.commit()
    expect(late.outcome.action).toBe('keep')
    expect((await sessions.load(after)).userId).toBe('ada')
  })

  test('that began with the token of now ends the session that was rotated meanwhile', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const [ending, other] = [await sessions.load(token), await sessions.load(token)]
    await bag(other).rotate()
    const after = await committedToken(other)
    await bag(ending).signOut()
    expect([(await sessions.load(after)).isNew, ending.outcome.action]).toEqual([true, 'clear'])
  })

  test('finds nothing once the session has ended', async () => {
    const { sessions, before, after } = await raised()
    await bag(await sessions.load(after)).destroy()
    expect((await sessions.load(before)).isNew).toBe(true)
    const other = await raised()
    await other.sessions.user('ada').revokeAll()
    expect((await other.sessions.load(other.before)).isNew).toBe(true)
  })

  test('that rotates, too, leaves the new token good', async () => {
    const { sessions, before, after } = await raised()
    const late = await sessions.load(before)
    bag(late).late = 1
    await bag(late).rotate()
    await late.commit()
    expect(late.outcome).toEqual({ action: 'keep', token: before })
    expect(await readData(sessions, after)).toEqual({ cart: { coat: 1 }, admin: true, late: 1 })
  })

  test('that signs in gets a session of its own: both answers bring a token that stays good', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    const inFlight = await sessions.load(token)
    const first = await sessions.load(token)
    await bag(first).signIn('ada')
    const one = await committedToken(first)
    const second = await sessions.load(token)
    await bag(second).signIn('ada', { keep: ['cart'] })
    const two = await committedToken(second)
    await bag(inFlight).signIn('ada', { keep: ['cart'] })
    const three = await committedToken(inFlight)
    expect(new Set([one, two, three]).size).toBe(3)
    for (const kept of [one, two, three]) expect((await sessions.load(kept)).userId).toBe('ada')
    // What the one that began before it saw is its own to go on with; what the other one saw is not.
    expect([await readData(sessions, two), await readData(sessions, three)]).toEqual([{}, { cart: 1 }])
  })

  test('that signs in says at once under which token', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    const other = await sessions.load(token)
    await bag(other).rotate()
    await other.commit()
    const work = await sessions.load(token)
    await bag(work).signIn('ada')
    const { id } = work
    expect(await committedToken(work)).toBe(id)
  })

  test('that was loaded before the rotation and signs in gets a session of its own, too', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    const [work, other] = [await sessions.load(token), await sessions.load(token)]
    await bag(other).rotate()
    const rotated = await committedToken(other)
    await bag(work).signIn('ada', { keep: ['cart'] })
    const signedIn = await committedToken(work)
    for (const [each, userId] of [
      [rotated, undefined],
      [signedIn, 'ada'],
    ] as const) {
      const read = await sessions.load(each)
      expect([read.isFormer, read.userId, bag(read).cart]).toEqual([false, userId, 1])
    }
  })

  test('that only reads moves no expiry', async () => {
    const sessions = memorySessions({ touchAfter: '1ms', lifetime: { idle: '1h' } })
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const work = await sessions.load(token)
    await bag(work).rotate()
    await work.commit()
    const [{ expiresAt } = { expiresAt: undefined }] = await sessions.user('ada').list()
    const late = await sessions.load(token)
    bag(late).touch()
    await late.commit()
    expect((await sessions.user('ada').list())[0]!.expiresAt).toEqual(expiresAt)
  })
})

describe('what a token led to before a rotation', () => {
  /** A session that was rotated with a grace, and what was asked since. */
  async function moved(options: Parameters<typeof memorySessions>[0] = {}) {
    const store = new WatchedStore()
    const token = await storedSession(memorySessions({ store }), { n: 1 })
    const rotating = await memorySessions({ store }).load(token)
    await bag(rotating).rotate()
    const after = await committedToken(rotating)
    store.finds.length = 0
    return { store, before: token, after, sessions: memorySessions({ store, ...options }) }
  }

  test('is found by the very look that finds what it leads to now', async () => {
    const { store, sessions, before, after } = await moved()
    expect((await sessions.load(after)).isFormer).toBe(false)
    expect((await sessions.load(before)).isFormer).toBe(true)
    expect(idOf(after)).toBe(idOf(before))
    expect(store.finds).toEqual([idOf(after), idOf(before)])
  })

  test('counts only if no other token of the request leads to a session as it is now', async () => {
    const { sessions, before, after } = await moved()
    for (const tokens of [
      [before, after],
      [after, before],
    ] as const) {
      const work = await sessions.load(...tokens)
      expect([work.id, work.isFormer]).toEqual([after, false])
    }
    const work = await sessions.load('nowhere', before)
    expect([work.id, work.isFormer]).toEqual([before, true])
  })

  test('a dead token costs one look, and no second', async () => {
    const { store, sessions, after } = await moved()
    expect((await sessions.load(createToken(idOf(after)))).isNew).toBe(true)
    expect(store.finds).toHaveLength(1)
  })

  test('is nothing without a grace', async () => {
    const { sessions, before } = await moved({ rotationGrace: false })
    for (const tokens of [[before], [before, 'nowhere']]) {
      expect((await sessions.load(...tokens)).isNew).toBe(true)
    }
  })
})
