import { createSessions } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { bag, committedToken, storedSession } from '../core/works.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

afterEach(() => void vi.useRealTimers())

const minute = 60_000
const day = 86_400_000

/** Does something as an app would whose clock is off by so much. */
async function atSkew<Result>(skew: number, act: () => Promise<Result>): Promise<Result> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + skew })
  try {
    return await act()
  } finally {
    vi.useRealTimers()
  }
}

onEachServer('apps with clocks of their own', ({ server }) => {
  let url: string

  beforeAll(async () => {
    url = await freshDatabase(server)
  })

  function openApp() {
    const sessions = createSessions({
      store: new MySQLStore(url),
      secret: 'the same secret in every app',
      lifetime: { idle: '1h', absolute: '2h' },
      sweep: { every: '1h' },
    })
    onTestFinished(() => sessions.close())
    return sessions
  }

  describe.each([10 * minute, -10 * minute, day, -day])('an app whose clock is off by %i ms', (skew) => {
    // Users of this round's own. A sign-in soon after a revocation of the same user may be refused where the database is
    // slow to answer, because that time counts as if the sign-in had begun earlier.
    const [ada, bob] = [`ada ${skew}`, `bob ${skew}`]
    test('sees no session as expired that is live, and lets none live longer', async () => {
      const sessions = openApp()
      const token = await storedSession(sessions, { n: 1 }, ada)
      const [before] = await sessions.user(ada).list()
      await atSkew(skew, async () => {
        const work = await sessions.load(token)
        expect([work.userId, work.createdAt]).toEqual([ada, before!.createdAt])
        bag(work).n = 2
        await work.commit()
      })
      const [after] = await sessions.user(ada).list()
      const lives = after!.expiresAt.getTime() - after!.seenAt.getTime()
      expect([lives, after!.createdAt, after!.authenticatedAt]).toEqual([
        60 * minute,
        before!.createdAt,
        before!.authenticatedAt,
      ])
      expect(after!.seenAt.getTime()).toBeGreaterThanOrEqual(before!.seenAt.getTime())
      expect(after!.seenAt.getTime() - before!.seenAt.getTime()).toBeLessThan(10 * minute)
      await sessions.user(ada).revokeAll()
    })

    test('dates what it stores by the database, and is reached by a revocation of another', async () => {
      const sessions = openApp()
      await atSkew(skew, async () => {
        const login = sessions.begin()
        await bag(login).signIn(bob)
        const token = await committedToken(login)
        expect((await sessions.load(token)).userId).toBe(bob)
      })
      const [info] = await sessions.user(bob).list()
      expect(Math.abs(info!.authenticatedAt!.getTime() - Date.now())).toBeLessThan(10 * minute)
      const late = await atSkew(skew, async () => {
        const work = sessions.begin()
        await bag(work).signIn(bob)
        return work
      })
      expect(await sessions.user(bob).revokeAll()).toBe(1)
      await atSkew(skew, async () => {
        await expect(late.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
      })
      expect(await sessions.user(bob).list()).toEqual([])
    })
  })
})
