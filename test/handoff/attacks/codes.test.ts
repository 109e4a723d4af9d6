import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SessionId } from 'coatcheck'
import { issueCode } from '../../../dist/core/handoff/code.js'
import { challengeOf, redeemCode } from '../../../dist/core/handoff/redeem.js'
import {
  authorize,
  begin,
  children,
  codeFor,
  codeIn,
  contextOf,
  expectRefused,
  flowOf,
  signedFlow,
  signedInAtHub,
  userAt,
  withQuery,
} from '../moves.ts'
import { nextOf, Visitor } from '../visitor.ts'
import { type Seen, serveWorld } from '../world.ts'

afterEach(() => {
  vi.useRealTimers()
})

async function worldOfTwo() {
  const world = await serveWorld()
  return { world, hub: world.hub, shop: world.sites['shop']!, blog: world.sites['blog']! }
}

describe('a code', () => {
  it('gives one session to a hundred requests at once', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const all = Array.from({ length: 100 }, () => visitor.clone())
    const answers = await Promise.all(all.map((each) => each.open(callback, { follow: false })))
    const users = await Promise.all(all.map((each) => userAt(each, shop)))
    expect(users.filter((user) => user === 'ada')).toHaveLength(1)
    expect(await children(world.store)).toHaveLength(1)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]))
  })

  it('gives nothing when it is replayed, with or without the cookies of its flow', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const thief = visitor.clone()
    await visitor.open(callback)
    const again = await thief.open(callback, { follow: false })
    expect([again.status, nextOf(again)]).toEqual([303, `${shop.origin}/members`])
    expect(await userAt(thief, shop)).toBeNull()
    expect((await new Visitor().open(callback)).status).toBe(400)
    expect(await children(world.store)).toHaveLength(1)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('gives nothing when its minute is over', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const [late, early] = [await codeFor(visitor, shop), await codeFor(visitor, shop)]
    vi.setSystemTime(Date.now() + 59_999)
    expect((await visitor.clone().open(early, { follow: false })).status).toBe(303)
    vi.setSystemTime(Date.now() + 1)
    const [child] = await children(world.store)
    const refused = await visitor.clone().open(late, { follow: false })
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('older than a minute')])
    expect(await children(world.store)).toEqual([child])
  })

  it('gives nothing when a flow that somebody kept beyond its five minutes is a quarter of an hour old', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const address = await begin(visitor, shop)
    const inTime = visitor.clone()
    // The clocks of the processes of a site may differ by ten minutes.
    vi.setSystemTime(Date.now() + 899_999)
    const [one, other] = [await authorize(visitor, address), await authorize(inTime, address)]
    expect((await inTime.open(other, { follow: false })).status).toBe(303)
    await shop.sessions.user('ada').revokeAll()
    vi.setSystemTime(Date.now() + 1)
    // The jar of these tests keeps cookies beyond their Max-Age, as an attacker's may.
    await expectRefused(world, await visitor.open(one), { message: 'more than five minutes ago' })
  })

  it('gives nothing at another site, whose flow has the same state, verifier and nonce', async () => {
    const { world, shop, blog } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = new URL(await codeFor(visitor, shop))
    const { state } = flowOf(visitor, shop)
    // Only whoever knows the secret can make such a cookie.
    visitor.jar(blog.origin).set(`handoff.${state.slice(0, 12)}`, signedFlow(flowOf(visitor, shop), blog))
    const atBlog = `${blog.origin}${callback.pathname}${callback.search}`
    await expectRefused(world, await visitor.open(atBlog), { message: 'The code is for another site' })
    // It had no effect, nor has a browser without a flow there.
    expect((await new Visitor().open(atBlog)).status).toBe(400)
    expect((await visitor.open(callback.href, { follow: false })).status).toBe(303)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it("gives nothing in another browser, with that browser's own state", async () => {
    const { world, shop } = await worldOfTwo()
    const [victim, thief] = [await signedInAtHub(world), new Visitor()]
    const callback = await codeFor(victim, shop)
    const { searchParams } = new URL(await begin(thief, shop))
    const injected = withQuery(callback, { state: searchParams.get('state')! })
    await expectRefused(world, await thief.open(injected), { message: 'the flow of another browser' })
    // A wrong verifier has no effect: the victim's flow goes on.
    await victim.open(callback)
    expect(await userAt(victim, shop)).toBe('ada')
  })

  it("gives nothing when it takes the place of the browser's own code", async () => {
    const { world, shop } = await worldOfTwo()
    const [victim, attacker] = [await signedInAtHub(world), await signedInAtHub(world, 'mallory')]
    const [own, injected] = [await codeFor(victim, shop), await codeFor(attacker, shop)]
    await expectRefused(world, await victim.open(withQuery(own, { code: codeIn(injected) })), {
      message: 'the flow of another browser',
    })
    await victim.open(own)
    expect(await userAt(victim, shop)).toBe('ada')
  })

  it('does not sign a victim in as the attacker who has sent them its address (login CSRF)', async () => {
    const { world, shop } = await worldOfTwo()
    const attacker = await signedInAtHub(world, 'mallory')
    const callback = await codeFor(attacker, shop)
    for (const victim of [new Visitor(), await signedInAtHub(world)]) {
      await expectRefused(world, await victim.open(callback), { message: 'This browser has not begun it' })
      expect(await userAt(victim, shop)).toBeNull()
    }
  })

  it('is of the session that it was issued for: not of the one that the user has now', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    await visitor.post(`${hub.origin}/sign-out`)
    await visitor.post(`${hub.origin}/sign-in`, { user: 'ada' })
    await expectRefused(world, await visitor.open(callback), { message: 'has signed out at the hub' })
  })

  it('gives nothing once another user has signed in at the hub', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    await visitor.post(`${hub.origin}/sign-in`, { user: 'bob' })
    await expectRefused(world, await visitor.open(callback), { message: 'has signed out at the hub' })
    expect(await userAt(visitor, shop)).toBeNull()
  })

  it('does not replace another user who has signed in at the site meanwhile', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    await visitor.post(`${shop.origin}/sign-in-here`, { user: 'bob' })
    await expectRefused(world, await visitor.open(callback), { message: 'Another user has signed in here' })
    expect(await userAt(visitor, shop)).toBe('bob')
  })

  it('replaces a user who was signed in at the site when the flow began', async () => {
    const { world, hub, shop } = await worldOfTwo()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const visitor = new Visitor()
    await visitor.post(`${shop.origin}/sign-in-here`, { user: 'bob' })
    const before = visitor.clone()
    vi.setSystemTime(Date.now() + 600_000)
    await visitor.post(`${hub.origin}/sign-in`, { user: 'ada' })
    const { text } = await visitor.open(`${shop.origin}/fresh`)
    expect([(JSON.parse(text) as Seen).userId, await userAt(before, shop)]).toEqual(['ada', null])
    expect(await children(world.store)).toHaveLength(1)
  })

  it('is not taken from another hub, nor from one that does not say who it is (RFC 9207)', async () => {
    const { world, shop } = await worldOfTwo()
    const other = await serveWorld()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const { origin } = world.hub
    for (const iss of [
      undefined,
      '',
      other.hub.origin,
      `${origin}/`,
      origin.toUpperCase(),
      `${origin}.evil.test`,
    ])
      await expectRefused(world, await visitor.open(withQuery(callback, { iss })), {
        message: 'Another hub has answered',
      })
    const repeated = `${callback}&iss=${encodeURIComponent(origin)}`
    await expectRefused(world, await visitor.open(repeated), { message: 'Another hub has answered' })
    // Nor an error: it would end the flow.
    const error = withQuery(callback, { iss: other.hub.origin, code: undefined, error: 'access_denied' })
    await expectRefused(world, await visitor.open(error), { message: 'Another hub has answered' })
    await visitor.open(callback)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it.each([
    ['none', { code_challenge: undefined }],
    ['none, and no method', { code_challenge: undefined, code_challenge_method: undefined }],
    ['an empty one', { code_challenge: '' }],
    ['a short one', { code_challenge: 'a'.repeat(42) }],
    ['a long one', { code_challenge: 'a'.repeat(44) }],
    ['one of other characters', { code_challenge: `${'a'.repeat(42)}=` }],
    ['the method plain', { code_challenge_method: 'plain' }],
    ['no method, which means plain', { code_challenge_method: undefined }],
    ['another method', { code_challenge_method: 's256' }],
  ])('is not issued with %s for a challenge (PKCE downgrade)', async (_, parameters) => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const address = withQuery(await begin(visitor, shop), parameters)
    const answer = new URL(nextOf(await visitor.open(address, { follow: false })))
    expect(answer.searchParams.get('error')).toBe('invalid_request')
    expect(answer.searchParams.has('code')).toBe(false)
    const refused = await visitor.open(answer.href)
    expect([refused.status, await userAt(visitor, shop)]).toEqual([403, null])
    expect(await children(world.store)).toEqual([])
  })

  it('gives nothing to whoever has sent it to another browser, and knows its verifier', async () => {
    const { world, shop } = await worldOfTwo()
    const [victim, attacker] = [await signedInAtHub(world), new Visitor()]
    // The attacker's own flow. The victim's browser asks for its code, and shows an error in place of a session.
    const address = await begin(attacker, shop)
    const callback = await authorize(victim, address)
    await expectRefused(world, await victim.open(callback), { message: 'This browser has not begun it' })
    // What the page of that error loads may tell its address to others.
    await expectRefused(world, await attacker.open(callback), {
      message: 'came to another browser too',
    })
    expect(await userAt(attacker, shop)).toBeNull()
  })
})

describe('a redeemed code', () => {
  async function redeemed() {
    const world = await serveWorld()
    const shop = world.sites['shop']!
    const visitor = await signedInAtHub(world)
    const hubs = await visitor.open(`${world.hub.origin}/`)
    const { publicId } = JSON.parse(hubs.text) as { publicId: string }
    const verifier = randomBytes(32).toString('base64url')
    const presented = {
      clientId: 'shop',
      redirectUri: `${shop.origin}/handoff/callback`,
      verifier,
      nonce: 'of this browser',
    }
    const grant = {
      clientId: presented.clientId,
      redirectUri: presented.redirectUri,
      challenge: challengeOf(verifier),
      nonce: presented.nonce,
      rootId: publicId as SessionId,
      userId: 'ada',
      readAt: undefined,
      age: 0,
      share: [],
    }
    const code = await issueCode(contextOf(world.hub), grant)
    const content = { returnTo: '/members', data: {}, lifetime: { idle: 60_000, absolute: 60_000 } }
    const redeem = (changed: Partial<typeof presented> = {}) =>
      redeemCode(contextOf(shop), code, { ...presented, ...changed }, content)
    return { world, shop, redeem }
  }

  it('ends its session if its verifier comes with the nonce of another browser: both have leaked', async () => {
    const { world, redeem } = await redeemed()
    expect(await redeem()).toMatchObject({ is: 'child' })
    expect(await children(world.store)).toHaveLength(1)
    expect(await redeem({ nonce: 'of another browser' })).toEqual({ is: 'refused', why: 'leaked' })
    expect(await children(world.store)).toEqual([])
    expect(await redeem()).toEqual({ is: 'refused', why: 'leaked' })
  })

  it('gives no session any more if it leaked before it was used', async () => {
    const { world, redeem } = await redeemed()
    expect(await redeem({ nonce: 'of another browser' })).toEqual({ is: 'refused', why: 'leaked' })
    expect(await redeem()).toEqual({ is: 'refused', why: 'leaked' })
    expect(await children(world.store)).toEqual([])
  })

  it.each([
    ['a wrong verifier', { verifier: 'another' }, 'wrong verifier'],
    ['a wrong verifier and a wrong nonce', { verifier: 'another', nonce: 'another' }, 'wrong verifier'],
    ['an empty verifier', { verifier: '' }, 'wrong verifier'],
    ['another site', { clientId: 'blog', nonce: 'another' }, 'of another site'],
    [
      'another return address',
      { redirectUri: 'https://shop.test/', nonce: 'another' },
      'of another return address',
    ],
  ])('is not affected by %s', async (_, changed, why) => {
    const { world, redeem } = await redeemed()
    expect(await redeem(changed)).toEqual({ is: 'refused', why })
    expect(await redeem()).toMatchObject({ is: 'child' })
    const before = await children(world.store)
    expect(await redeem(changed)).toEqual({ is: 'refused', why })
    expect(await children(world.store)).toEqual(before)
    expect(before).toHaveLength(1)
    expect(await redeem()).toEqual({ is: 'repeated', returnTo: '/members' })
  })
})
