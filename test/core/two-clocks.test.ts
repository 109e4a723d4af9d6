import { MemoryStore, type SessionStore } from 'coatcheck'
import { describe, expect, it } from 'vitest'
import { twoClocksStore } from '../properties/two-clocks.ts'
import { bag, memorySessions, storedSession } from './works.ts'

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
      // One that begins right after is refused too, as long as nobody can tell which of them came first.
      for (let attempt = 1; attempt <= 100; attempt++) {
        const later = await sessions.load(await storedSession(sessions, { cart: ['coat'] }))
        await bag(later).signIn(user)
        if (await Promise.resolve(later.commit()).then(() => true, () => false)) break // prettier-ignore
      }
      expect(await sessions.user(user).list()).toHaveLength(1)
    }
  })
})
