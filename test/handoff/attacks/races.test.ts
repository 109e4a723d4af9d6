import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MemoryStore, type SessionWrite, type WriteResult } from 'coatcheck'
import { redeemCode } from '../../../dist/core/handoff/redeem.js'
import { children, codeFor, codeIn, contextOf, flowOf, seenAt, signedInAtHub, userAt } from '../moves.ts'
import { type Exchanged, nextOf } from '../visitor.ts'
import { serveWorld } from '../world.ts'

/** A write that is held back. */
interface Held {
  /** Resolves when it has come. */
  readonly reached: Promise<void>
  letGo(): void
}

/** A store that holds back a write that a test chooses: before it is stored, or its answer. */
class HoldingStore extends MemoryStore {
  /** The removals of every child that was ever to be stored. */
  readonly removals: SessionWrite[] = []
  #held:
    | {
        readonly is: (write: SessionWrite) => boolean
        readonly side: 'before' | 'after'
        reach(): void
        readonly go: Promise<void>
      }
    | undefined

  hold(side: 'before' | 'after', is: (write: SessionWrite) => boolean): Held {
    const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    this.#held = { is, side, reach: () => reached.resolve(), go: go.promise }
    return { reached: reached.promise, letGo: () => go.resolve() }
  }

  override async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    for (const write of writes)
      if (write.type === 'insert' && write.rootId !== undefined)
        this.removals.push({ type: 'remove', id: write.id, userId: write.userId })
    const held = this.#held && writes.some(this.#held.is) ? this.#held : undefined
    if (!held) return super.write(writes)
    this.#held = undefined
    if (held.side === 'after') {
      const results = await super.write(writes)
      held.reach()
      await held.go
      return results
    }
    held.reach()
    await held.go
    return super.write(writes)
  }
}

/** The steps of a redemption that write. */
const steps = {
  'the code is marked as used': (write) =>
    write.type === 'update' && Buffer.from(write.data).includes('used'),
  'the child is stored': (write) => write.type === 'insert' && write.rootId !== undefined,
} satisfies Record<string, (write: SessionWrite) => boolean>

/** All places between two steps: before and after each write. */
const places = (Object.keys(steps) as (keyof typeof steps)[]).flatMap((step) =>
  (['before', 'after'] as const).map((side) => [side, step] as const),
)

async function worldOnHold() {
  const store = new HoldingStore()
  const world = await serveWorld({ store })
  const [hub, shop] = [world.hub, world.sites['shop']!]
  const visitor = await signedInAtHub(world)
  const { publicId } = await seenAt(visitor, hub)
  const callback = await codeFor(visitor, shop)
  /** Redeems the code, and does something else between two steps of it. */
  const redeemWhile = async (
    [side, step]: (typeof places)[number],
    meanwhile: () => Promise<unknown>,
  ): Promise<Exchanged> => {
    const held = store.hold(side, steps[step])
    const answer = visitor.open(callback, { follow: false })
    await held.reached
    await meanwhile()
    held.letGo()
    return answer
  }
  return { store, world, hub, shop, visitor, publicId, callback, redeemWhile }
}

describe.each(places)('a redemption held up %s %s', (...place) => {
  it('gives nobody a session if all of the user’s sessions are revoked meanwhile', async () => {
    const { store, hub, shop, visitor, redeemWhile } = await worldOnHold()
    const answer = await redeemWhile(place, () => hub.sessions.user('ada').revokeAll())
    expect([answer.status, answer.headers.get('location')], answer.text).toEqual([400, null])
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })

  it('gives nobody a session if all are revoked but the one at the hub, which it came from', async () => {
    const { store, hub, shop, visitor, publicId, redeemWhile } = await worldOnHold()
    const answer = await redeemWhile(place, () => hub.sessions.user('ada').revokeAll({ except: publicId }))
    expect([answer.status, answer.headers.get('location')], answer.text).toEqual([400, null])
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
    expect(await userAt(visitor, hub)).toBe('ada')
    // A sign-in that begins now is not affected.
    await visitor.open(`${shop.origin}/members`)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('gives nobody a session if the user signs out at the hub meanwhile', async () => {
    const { store, hub, shop, visitor, redeemWhile } = await worldOnHold()
    const answer = await redeemWhile(place, () => visitor.clone().post(`${hub.origin}/sign-out`))
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('signed out at the hub')])
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
    // Nor is a row left that could only not be found.
    expect(await store.write(store.removals)).toEqual(store.removals.map(() => 'gone'))
  })

  it('gives nobody a session if another user signs in at the hub meanwhile', async () => {
    const { store, hub, shop, visitor, redeemWhile } = await worldOnHold()
    const answer = await redeemWhile(place, () =>
      visitor.clone().post(`${hub.origin}/sign-in`, { user: 'bob' }),
    )
    expect([answer.status, answer.headers.get('location')], answer.text).toEqual([400, null])
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })

  it('gives nobody a session if its code leaks meanwhile', async () => {
    const { store, shop, visitor, callback, redeemWhile } = await worldOnHold()
    const { verifier } = flowOf(visitor, shop)
    const presented = {
      clientId: 'shop',
      redirectUri: `${shop.origin}/handoff/callback`,
      verifier,
      nonce: 'another',
    }
    const content = { returnTo: '/', data: {}, lifetime: { idle: 60_000, absolute: 60_000 } }
    const answer = await redeemWhile(place, async () => {
      const redeemed = await redeemCode(contextOf(shop), codeIn(callback), presented, content)
      expect(redeemed).toEqual({ is: 'refused', why: 'leaked' })
    })
    expect([answer.status, answer.text]).toEqual([
      400,
      expect.stringContaining('came to another browser too'),
    ])
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })
})

describe.each(['before', 'after'] as const)('a step-up held up %s the code is marked as used', (side) => {
  async function steppingUp() {
    const { store, world, hub, shop, visitor, publicId, callback } = await worldOnHold()
    await visitor.open(callback)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 })
    onTestFinished(() => void vi.useRealTimers())
    const { returnTo } = JSON.parse((await visitor.open(`${shop.origin}/fresh`)).text) as { returnTo: string }
    const proved = await visitor.post(`${hub.origin}/sign-in`, { user: 'ada', returnTo }, { follow: false })
    const fresh = nextOf(await visitor.open(nextOf(proved), { follow: false }))
    const redeemWhile = async (meanwhile: () => Promise<unknown>): Promise<Exchanged> => {
      const held = store.hold(side, steps['the code is marked as used'])
      const answer = visitor.open(fresh, { follow: false })
      await held.reached
      await meanwhile()
      held.letGo()
      return answer
    }
    return { store, world, hub, shop, visitor, publicId, redeemWhile }
  }

  it('gives nobody a session if all are revoked meanwhile, but the one at the hub', async () => {
    const { store, hub, shop, visitor, publicId, redeemWhile } = await steppingUp()
    const before = visitor.clone()
    await redeemWhile(() => hub.sessions.user('ada').revokeAll({ except: publicId }))
    for (const each of [visitor, before]) expect(await userAt(each, shop)).toBeNull()
    expect(await children(store)).toEqual([])
  })

  it('gives nobody a session if the site’s own is revoked meanwhile', async () => {
    const { store, hub, shop, visitor, redeemWhile } = await steppingUp()
    const [child] = await children(store)
    await redeemWhile(() => hub.sessions.user('ada').revoke(child!))
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })

  it('gives nobody a session if another user signs in at the hub meanwhile', async () => {
    const { store, hub, shop, visitor, redeemWhile } = await steppingUp()
    await redeemWhile(() => visitor.clone().post(`${hub.origin}/sign-in`, { user: 'bob' }))
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })

  it('passes', async () => {
    const { shop, visitor, redeemWhile } = await steppingUp()
    expect((await redeemWhile(async () => undefined)).status).toBe(303)
    expect(await seenAt(visitor, shop, '/fresh')).toMatchObject({
      userId: 'ada',
      authenticatedAt: Date.now(),
    })
  })
})

describe('a redemption that is over', () => {
  it('is undone by a revocation that comes before the browser has its answer', async () => {
    const { store, hub, shop, visitor, publicId, callback } = await worldOnHold()
    // The redirect and the cookie, before anything is done with them.
    const answer = await visitor.open(callback, { follow: false })
    expect(answer.status).toBe(303)
    await hub.sessions.user('ada').revokeAll({ except: publicId })
    expect([await userAt(visitor, shop), await children(store)]).toEqual([null, []])
  })

  it('is not begun by a revocation that came before the code: the user has signed in since', async () => {
    const { hub, shop, visitor, publicId } = await worldOnHold()
    await hub.sessions.user('ada').revokeAll({ except: publicId })
    await visitor.open(`${shop.origin}/members`)
    expect(await userAt(visitor, shop)).toBe('ada')
  })
})
