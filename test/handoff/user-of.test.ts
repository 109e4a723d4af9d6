import { createSessions, MemoryStore, type Sessions, type SessionStore } from 'coatcheck'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { bag, committedToken, secret, storedSession } from '../core/works.ts'
import { childIds, issuedCode, redeemAtOnce } from './codes.ts'
import { slowedStore } from './wrapped-store.ts'

// With `userOf`, as with Passport, a row can lose its user, and the same user can sign in on it again.

interface Apps {
  readonly hub: Sessions
  readonly shop: Sessions
  readonly store: MemoryStore
}

/** A hub with `userOf`, and its site. Each call of the one that `slowed` names waits for `before`. */
function apps(slowed?: 'hub' | 'shop', before: () => Promise<unknown> = async () => undefined): Apps {
  const store = new MemoryStore()
  const slow = slowedStore(store, before)
  const storeOf = (name: 'hub' | 'shop'): SessionStore => (name === slowed ? slow : store)
  const options = { secret, sweep: false } as const
  return {
    hub: createSessions({ ...options, store: storeOf('hub'), userOf: 'user' }),
    shop: createSessions({ ...options, store: storeOf('shop'), clientId: 'shop' }),
    store,
  }
}

/** Each step of these is at a moment of its own, as it is in life. */
function takeTime(): void {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

async function setUser({ store }: Apps, token: string, user: string | undefined): Promise<string> {
  vi.setSystemTime(Date.now() + 10)
  const hub = createSessions({ store, secret, sweep: false, userOf: 'user' })
  const work = await hub.load(token)
  bag(work).user = user
  const next = await committedToken(work)
  vi.setSystemTime(Date.now() + 10)
  return next
}

/** Hands a user of the hub off to the site; gives the token there, or `undefined` if it is refused. */
async function handOff({ hub, shop }: Apps, token: string): Promise<string | undefined> {
  const [result] = await redeemAtOnce(shop, await issuedCode(hub, token), 1)
  return result?.is === 'child' ? result.found.token : undefined
}

async function userAt(sessions: Sessions, token: string): Promise<string | undefined> {
  return (await sessions.load(token)).userId
}

describe("with userOf at the hub, a site's session", () => {
  it.each([undefined, 'bob'])(
    'ends when %s takes the place of its user, and does not come back with that user',
    async (other) => {
      takeTime()
      const given = apps()
      const token = await storedSession(given.hub, { user: 'ada' })
      const child = (await handOff(given, token))!
      expect(await userAt(given.shop, child)).toBe('ada')
      const without = await setUser(given, token, other)
      expect(await userAt(given.shop, child)).toBeUndefined()
      const again = await setUser(given, without, 'ada')
      expect(await userAt(given.hub, again)).toBe('ada')
      expect(await userAt(given.shop, child)).toBeUndefined()
      expect(await given.hub.user('ada').list()).toMatchObject([{ sites: [] }])
      // And the user gets there again.
      expect(await userAt(given.shop, (await handOff(given, again))!)).toBe('ada')
    },
  )

  it('ends with update() too, and the sites of other browsers stay', async () => {
    takeTime()
    const given = apps()
    const [token, elsewhere] = [
      await storedSession(given.hub, { user: 'ada' }),
      await storedSession(given.hub, { user: 'ada' }),
    ]
    const [child, other] = [(await handOff(given, token))!, (await handOff(given, elsewhere))!]
    const work = await given.hub.load(token)
    await bag(work).update((session) => delete (session as { user?: string }).user)
    await setUser(given, token, 'ada')
    expect(await userAt(given.shop, child)).toBeUndefined()
    expect(await userAt(given.shop, other)).toBe('ada')
  })

  it('stays when the user proves again who they are, and when other data changes', async () => {
    takeTime()
    const given = apps()
    const token = await storedSession(given.hub, { user: 'ada' })
    const child = (await handOff(given, token))!
    const work = await given.hub.load(token)
    await bag(work).signIn('ada')
    bag(work).cart = ['coat']
    await work.commit()
    expect(await userAt(given.shop, child)).toBe('ada')
  })

  it('that cannot be ended keeps the user from being signed out: nothing is stored', async () => {
    takeTime()
    let isDown = false
    const given = apps('hub', async () => {
      if (isDown) throw new Error('connection refused')
    })
    const token = await storedSession(given.hub, { user: 'ada' })
    given.hub.on('storeError', () => undefined)
    const child = (await handOff(given, token))!
    const work = await given.hub.load(token)
    bag(work).user = undefined
    isDown = true
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    isDown = false
    expect([await userAt(given.hub, token), await userAt(given.shop, child)]).toEqual(['ada', 'ada'])
    await work.commit()
    await setUser(given, token, 'ada')
    expect(await userAt(given.shop, child)).toBeUndefined()
  })

  it('is not made of a code from before the sign-out', async () => {
    takeTime()
    const given = apps()
    const token = await storedSession(given.hub, { user: 'ada' })
    const issued = await issuedCode(given.hub, token)
    const again = await setUser(given, await setUser(given, token, undefined), 'ada')
    expect(await redeemAtOnce(given.shop, issued, 1)).toEqual([{ is: 'refused', why: 'root has ended' }])
    expect(await childIds(given.store)).toEqual([])
    expect(await userAt(given.hub, again)).toBe('ada')
  })

  it('does not come back if the user signs out between any two steps of the redemption', async () => {
    takeTime()
    for (const step of [1, 2, 3, 4, 5, 6]) {
      let calls = 0
      const given = apps('shop', async () => {
        if (++calls === step) await setUser(given, token, undefined)
      })
      const token = await storedSession(given.hub, { user: 'ada' })
      const child = await handOff(given, token)
      while (calls < step) await given.shop.load(token)
      await setUser(given, token, 'ada')
      const user = child === undefined ? undefined : await userAt(given.shop, child)
      expect(user, `step ${step}`).toBeUndefined()
      expect(await childIds(given.store), `step ${step}`).toEqual([])
    }
  })

  it('does not come back if it is made between any two steps of the sign-out', async () => {
    takeTime()
    for (const step of [1, 2, 3, 4, 5]) {
      let calls = -Infinity
      let child: string | undefined
      const given = apps('hub', async () => {
        if (++calls !== step) return
        const hub = createSessions({ store: given.store, secret, sweep: false, userOf: 'user' })
        child = await handOff({ ...given, hub }, token)
      })
      const token = await storedSession(given.hub, { user: 'ada' })
      const work = await given.hub.load(token)
      bag(work).user = undefined
      calls = 0
      await work.commit()
      while (calls < step) await given.hub.load(token)
      await setUser(given, token, 'ada')
      const user = child === undefined ? undefined : await userAt(given.shop, child)
      expect(user, `step ${step}`).toBeUndefined()
      expect(await childIds(given.store), `step ${step}`).toEqual([])
    }
  })
})
