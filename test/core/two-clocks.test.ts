import { MemoryStore, type SessionStore } from 'coatcheck'
import { describe, expect, it } from 'vitest'
import { twoClocksStore } from '../properties/two-clocks.ts'
import { bag, committedToken, memorySessions, storedSession } from './works.ts'

/** Sign-ins on enough sessions that both clocks have some. */
const many = Array.from({ length: 16 }, (_, index) => `user ${index}`)

describe.each([
  ['of one clock', () => new MemoryStore()],
  ['of two clocks', twoClocksStore],
] as [string, () => SessionStore][])('with times %s', (_, open) => {
  it('a revocation stops each sign-in that began before it, and none that began after', async () => {
    const store = open()
    const sessions = memorySessions({ store })
    for (const user of many) {
      const begun = await sessions.load(await storedSession(sessions, { cart: ['coat'] }))
      await sessions.user(user).revokeAll()
      await bag(begun).signIn(user)
      await expect(begun.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
      const token = await storedSession(sessions, { cart: ['coat'] })
      // Times are cut to milliseconds, so what begins in the same one counts as before.
      const revokedAt = performance.now()
      while (performance.now() < revokedAt + 3) await Promise.resolve()
      const later = await sessions.load(token)
      await bag(later).signIn(user)
      await committedToken(later)
      expect(await sessions.user(user).list()).toHaveLength(1)
    }
  })
})
