import { describe, expect, it } from 'vitest'
import { nextOf, Visitor } from './visitor.ts'
import { type Seen, serveWorld, type World } from './world.ts'

async function seen(visitor: Visitor, url: string): Promise<Seen> {
  return JSON.parse((await visitor.open(url)).text) as Seen
}

async function signedInAtHub({ hub }: World, user = 'ada'): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.post(`${hub.origin}/sign-in`, { user })
  return visitor
}

describe('one login across unrelated domains', () => {
  it('signs a user in at the hub once, and two sites know them without a form', async () => {
    const world = await serveWorld()
    const { hub, sites } = world
    const visitor = new Visitor()
    const asked = await visitor.open(`${sites['shop']!.origin}/members`)
    const { page, returnTo } = JSON.parse(asked.text) as { page: string; returnTo: string }
    expect([page, asked.url.startsWith(hub.origin)]).toEqual(['sign-in', true])
    const shop = await visitor.post(`${hub.origin}/sign-in`, { user: 'ada', returnTo })
    expect(shop.url).toBe(`${sites['shop']!.origin}/members`)
    const atShop = JSON.parse(shop.text) as Seen
    const atBlog = await seen(visitor, `${sites['blog']!.origin}/members`)
    const atHub = await seen(visitor, `${hub.origin}/`)
    for (const site of [atShop, atBlog]) {
      expect(site.userId).toBe('ada')
      expect(site.root).toMatchObject({
        publicId: atHub.publicId,
        userId: 'ada',
        data: { fullName: 'Name of ada' },
      })
      expect(site.root!.data).not.toHaveProperty('secretOfHub')
      expect(site.authenticatedAt).toBe(atHub.authenticatedAt)
    }
    expect(new Set([atShop.publicId, atBlog.publicId, atHub.publicId]).size).toBe(3)
    const list = await hub.sessions.user('ada').list()
    expect(list).toMatchObject([
      { publicId: atHub.publicId, sites: [{ clientId: 'blog' }, { clientId: 'shop' }] },
    ])
  })

  it('shows what the hub has stored last', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const { hub, sites } = world
    await visitor.open(`${sites['shop']!.origin}/members`)
    await visitor.post(`${hub.origin}/rename`, { name: 'Countess' })
    expect((await seen(visitor, `${sites['shop']!.origin}/`)).root!.data).toEqual({ fullName: 'Countess' })
  })

  it('sends HEAD of a page for members to the hub as it sends GET', async () => {
    const { sites } = await serveWorld()
    const members = `${sites['shop']!.origin}/members`
    const asked = { follow: false, headers: { accept: 'text/html' } }
    for (const method of ['GET', 'HEAD']) {
      const answer = await new Visitor().open(members, { ...asked, method })
      expect([answer.status, answer.headers.has('location')], method).toEqual([303, true])
    }
  })

  it('ends one site alone, or all', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const { hub, sites } = world
    const [shop, blog] = [sites['shop']!.origin, sites['blog']!.origin]
    await visitor.open(`${shop}/members`)
    await visitor.open(`${blog}/members`)
    const out = await visitor.post(`${shop}/handoff/sign-out?returnTo=/quiet`)
    expect([out.url, (JSON.parse(out.text) as Seen).userId]).toEqual([`${shop}/quiet`, null])
    expect([
      (await seen(visitor, `${blog}/`)).userId,
      (await seen(visitor, `${hub.origin}/`)).userId,
    ]).toEqual(['ada', 'ada'])
    await visitor.open(`${shop}/members`)
    await visitor.post(`${hub.origin}/sign-out`)
    for (const origin of [shop, blog, hub.origin])
      expect((await seen(visitor, `${origin}/`)).userId).toBeNull()
  })

  it('ends all from a site, and comes back to a safe address there', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const { hub, sites } = world
    const [shop, blog] = [sites['shop']!.origin, sites['blog']!.origin]
    await visitor.open(`${shop}/members`)
    await visitor.open(`${blog}/members`)
    const out = await visitor.post(`${shop}/handoff/sign-out?everywhere&returnTo=//evil.test/`)
    expect(out.url).toBe(`${shop}/`)
    for (const origin of [shop, blog, hub.origin])
      expect((await seen(visitor, `${origin}/`)).userId).toBeNull()
  })

  it('does not say that it has ended all where the session of the site is over', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const shop = world.sites['shop']!.origin
    await visitor.open(`${shop}/members`)
    const { publicId } = await seen(visitor, `${shop}/`)
    await world.hub.sessions.user('ada').revoke(publicId)
    const { status, text } = await visitor.post(`${shop}/handoff/sign-out?everywhere`)
    expect([status, JSON.parse(text)]).toMatchObject([400, { code: 'ERR_SESSION_HANDOFF_FAILED' }])
    expect((await seen(visitor, `${world.hub.origin}/`)).userId).toBe('ada')
  })

  it('asks the hub silently, once', async () => {
    const world = await serveWorld()
    const shop = world.sites['shop']!.origin
    const stranger = new Visitor()
    expect((await seen(stranger, `${shop}/quiet?page=2`)).userId).toBeNull()
    const hops = stranger.log.length
    expect(hops).toBe(4)
    await stranger.open(`${shop}/quiet`)
    expect(stranger.log.length).toBe(hops + 1)
    const visitor = await signedInAtHub(world)
    const known = await visitor.open(`${shop}/quiet?page=2`)
    expect([known.url, (JSON.parse(known.text) as Seen).userId]).toEqual([`${shop}/quiet?page=2`, 'ada'])
  })

  it('keeps of the visitor what is named, and ends the session before', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const shop = world.sites['shop']!.origin
    await visitor.post(`${shop}/basket`)
    await visitor.post(`${shop}/remark`, { remark: 'planted' })
    const before = visitor.clone()
    const after = await seen(visitor, `${shop}/members`)
    expect([after.basket, after.remark]).toEqual([['lamp'], null])
    const old = await seen(before, `${shop}/`)
    expect([old.basket, old.userId]).toEqual([null, null])
  })

  it('does not send a browser to and fro that keeps no cookie of the session', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const shop = world.sites['shop']!.origin
    const keep = visitor.jar(shop)
    keep.set = (name, value) => (name === 'sid' ? keep : Map.prototype.set.call(keep, name, value))
    const answer = await visitor.open(`${shop}/members`)
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      400,
      { code: 'ERR_SESSION_HANDOFF_FAILED' },
    ])
    expect(visitor.log.filter(({ url }) => url.includes('/authorize'))).toHaveLength(2)
  })

  it('takes a step-up for no sign that the browser keeps no cookie', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    const shop = world.sites['shop']!.origin
    await visitor.open(`${shop}/members`)
    await visitor.open(`${shop}/again`)
    await visitor.post(`${world.hub.origin}/sign-out`)
    const answer = await visitor.open(`${shop}/members`)
    expect((JSON.parse(answer.text) as { page: string }).page).toBe('sign-in')
  })

  it('refuses a malformed option of a step-up when the app starts', async () => {
    const { site } = (await serveWorld()).sites['shop']!
    expect(() => site.signedIn({ within: '5 minutes' as '5m' })).toThrow('signedIn: within must be')
    expect(() => site.signedIn({ maxAge: '5m' } as object)).toThrow('signedIn has no option "maxAge"')
  })

  it('leads a reload of the callback on, and nobody else', async () => {
    const world = await serveWorld()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${world.sites['shop']!.origin}/members`)
    const callback = visitor.log.find(({ url }) => url.includes('/handoff/callback'))!
    expect(nextOf(await visitor.open(callback.url, { follow: false }))).toBe(
      `${world.sites['shop']!.origin}/members`,
    )
    expect((await new Visitor().open(callback.url)).status).toBe(400)
    expect((await seen(visitor, `${world.sites['shop']!.origin}/`)).userId).toBe('ada')
  })
})
