import { createSessions, MemoryStore, SessionError, type Sessions, type UnitOfWork } from 'coatcheck'
import { createHub, createSite } from 'coatcheck/handoff'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { bag, committedToken, secret, storedSession } from '../core/works.ts'
import { childIds, type IssuedCode, issuedCode, redeemAtOnce } from './codes.ts'
import { answer, keepCookies, loaded, locationOf, pageRequest } from './without-http.ts'
import { slowedStore } from './wrapped-store.ts'

/** A hub and its site on one store. Each call of the site to the store waits for `before`. */
function appsOn(before: () => Promise<void>) {
  const store = new MemoryStore()
  const hub = createSessions({ store, secret, sweep: false })
  const shop = createSessions({ store: slowedStore(store, before), secret, sweep: false, clientId: 'shop' })
  return { hub, shop, store }
}

/** What others do while a site redeems a code. */
interface Meanwhile {
  readonly hub: Sessions
  readonly store: MemoryStore
  readonly issued: IssuedCode
  /** The token of the root. */
  readonly token: string
}

const meanwhile: Readonly<Record<string, (given: Meanwhile) => Promise<unknown>>> = {
  'the user signs out at the hub': async ({ hub, token }) => bag(await hub.load(token)).signOut(),
  'another user signs in at the hub': async ({ hub, token }) => {
    const work = await hub.load(token)
    await bag(work).signIn('bob')
    await work.commit()
  },
  'the session at the hub is revoked': async ({ hub, token }) =>
    hub.user('ada').revoke((await hub.load(token)).publicId),
  'all sessions of the user are revoked': async ({ hub }) => hub.user('ada').revokeAll(),
  'all sessions of the user but the one at the hub are revoked': async ({ hub, token }) => {
    const work = await hub.load(token)
    await hub.user('ada').revokeAll({ except: bag(work) })
  },
  'the code is presented by another browser': async ({ store, issued: { code, presented } }) => {
    const process = createSessions({ store, secret, sweep: false, clientId: 'shop' })
    await redeemAtOnce(process, { code, presented: { ...presented, nonce: 'of another browser' } }, 1)
  },
}

describe('no code gives a session that stays', () => {
  it.each(Object.entries(meanwhile))('if, between any two steps of its redemption, %s', async (_, act) => {
    // It reads the code, marks it, stores the child, and looks again. After that, the browser has the session already.
    for (const step of [1, 2, 3, 4, 5]) {
      let calls = 0
      const { hub, shop, store } = appsOn(async () => {
        if (++calls === step) await act({ hub, store, issued, token })
      })
      const token = await storedSession(hub, {}, 'ada')
      const issued = await issuedCode(hub, token)
      const [result] = await redeemAtOnce(shop, issued, 1)
      expect(calls, `step ${step}`).toBeGreaterThanOrEqual(Math.min(step, 4))
      const user = result!.is === 'child' && (await shop.load(result!.found.token)).userId
      expect([result!.is, user], `step ${step}`).toEqual(
        step === 5 ? ['child', undefined] : ['refused', false],
      )
      expect(await childIds(store), `step ${step}`).toEqual([])
    }
  })
})

describe('a revocation reaches a code that is issued after it', () => {
  const [issuer, redirectUri] = ['https://hub.test', 'https://shop.test/handoff/callback']

  it('by a request that the hub had begun before', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const { hub: sessions, shop } = appsOn(async () => undefined)
    const hub = createHub(sessions, {
      issuer,
      signInPage: '/sign-in',
      clients: { shop: { redirectUris: [redirectUri] } },
    })
    const site = createSite(shop, { hub: issuer, redirectUri })
    const token = await storedSession(sessions, {}, 'ada')
    vi.setSystemTime(Date.now() + 1_000)
    const [thief, user] = await Promise.all([loaded(sessions, { token }), loaded(sessions, { token })])
    vi.setSystemTime(Date.now() + 1_000)
    await sessions.user('ada').revokeAll({ except: bag(user) })
    vi.setSystemTime(Date.now() + 1_000)
    // The user goes on, and the thief's request reaches the end of the hub's work only now.
    expect(await signedInBy(user)).toBe('ada')
    expect(await signedInBy(thief)).toBeUndefined()

    /** As whom the site knows a browser that a request of the hub sends there. */
    async function signedInBy(work: UnitOfWork): Promise<string | undefined> {
      const cookies = new Map<string, string>()
      const begun = await answer(site, shop, `${new URL(redirectUri).origin}/handoff/sign-in`)
      keepCookies(cookies, begun.response)
      const current = work === user ? await loaded(sessions, { token: await committedToken(user) }) : work
      const authorized = await hub.respond(pageRequest(locationOf(begun.response)), current.session!)
      await current.commit()
      try {
        const back = await answer(site, shop, locationOf(authorized!), { cookies })
        return (await shop.load(back.work.id)).userId
      } catch (error) {
        if (error instanceof SessionError && error.code === 'ERR_SESSION_HANDOFF_FAILED') return undefined
        throw error
      }
    }
  })
})
