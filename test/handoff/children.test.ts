import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Visitor } from './visitor.ts'
import { type Seen, serveWorld, type World } from './world.ts'

async function seen(visitor: Visitor, url: string): Promise<Seen> {
  return JSON.parse((await visitor.open(url)).text) as Seen
}

/** A browser that is signed in at the hub and at the site `shop`. */
async function atShop(world: World, user = 'ada'): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.post(`${world.hub.origin}/sign-in`, { user })
  await visitor.open(`${world.sites['shop']!.origin}/members`)
  return visitor
}

describe("a site's session", () => {
  it('is changed and signed out of at the site alone', async () => {
    const world = await serveWorld()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    const visitor = await atShop(world)
    await visitor.post(`${shop}/remark`, { remark: 'mine' })
    expect((await seen(visitor, `${shop}/`)).remark).toBe('mine')
    expect((await seen(visitor, `${hub}/`)).remark).toBeNull()
    await visitor.post(`${shop}/sign-out-here`)
    expect((await seen(visitor, `${shop}/`)).userId).toBeNull()
    expect((await seen(visitor, `${hub}/`)).userId).toBe('ada')
  })

  it('stays a child when the same user proves again who they are', async () => {
    const world = await serveWorld()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    const visitor = await atShop(world)
    const before = await seen(visitor, `${shop}/`)
    await visitor.post(`${shop}/sign-in-here`, { user: 'ada' })
    const after = await seen(visitor, `${shop}/`)
    expect(after.publicId).toBe(before.publicId)
    expect(after.root!.publicId).toBe(before.root!.publicId)
    expect(after.authenticatedAt).toBeGreaterThanOrEqual(before.authenticatedAt!)
    expect((await seen(visitor, `${hub}/`)).authenticatedAt).toBe(before.authenticatedAt)
    await visitor.post(`${hub}/sign-out`)
    expect((await seen(visitor, `${shop}/`)).userId).toBeNull()
  })

  it('stays, with its data and a new token, when the user proves at the hub again who they are', async () => {
    const world = await serveWorld()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    const visitor = await atShop(world)
    await visitor.post(`${shop}/remark`, { remark: 'mine' })
    const before = await seen(visitor, `${shop}/`)
    const token = visitor.jar(shop).get('sid')
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    vi.setSystemTime(Date.now() + 600_000)
    const asked = await visitor.open(`${shop}/fresh`)
    const { returnTo } = JSON.parse(asked.text) as { returnTo: string }
    const fresh = await visitor.post(`${hub}/sign-in`, { user: 'ada', returnTo })
    const after = JSON.parse(fresh.text) as Seen
    expect([fresh.url, after.publicId, after.remark]).toEqual([`${shop}/fresh`, before.publicId, 'mine'])
    expect(after.authenticatedAt).toBeGreaterThan(before.authenticatedAt!)
    expect(visitor.jar(shop).get('sid')).not.toBe(token)
  })

  it('is left behind when another user signs in at the site', async () => {
    const world = await serveWorld()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    const visitor = await atShop(world)
    await visitor.post(`${shop}/sign-in-here`, { user: 'bob' })
    expect(await seen(visitor, `${shop}/`)).toMatchObject({ userId: 'bob', root: null })
    expect(await world.hub.sessions.user('ada').list()).toMatchObject([{ sites: [] }])
    await visitor.post(`${hub}/sign-out`)
    expect((await seen(visitor, `${shop}/`)).userId).toBe('bob')
  })

  it('ends when another user signs in at the hub', async () => {
    const world = await serveWorld()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    const visitor = await atShop(world)
    await visitor.post(`${hub}/sign-in`, { user: 'bob' })
    expect((await seen(visitor, `${shop}/`)).userId).toBeNull()
    expect((await seen(visitor, `${shop}/members`)).userId).toBe('bob')
  })

  it('is one session of the user more in no limit', async () => {
    const world = await serveWorld({ sessions: { sessionsPerUser: { most: 1 } } })
    const visitor = await atShop(world)
    const blog = world.sites['blog']!.origin
    expect((await seen(visitor, `${blog}/members`)).userId).toBe('ada')
    await visitor.post(`${world.sites['shop']!.origin}/sign-in-here`, { user: 'ada' })
    expect((await seen(visitor, `${world.hub.origin}/`)).userId).toBe('ada')
    expect((await seen(visitor, `${blog}/`)).userId).toBe('ada')
  })

  it('cannot be spared by revokeAll, because it ends with the root', async () => {
    const world = await serveWorld()
    const visitor = await atShop(world)
    const { publicId, root } = await seen(visitor, `${world.sites['shop']!.origin}/`)
    const user = world.hub.sessions.user('ada')
    await expect(user.revokeAll({ except: publicId })).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
    expect(await user.revokeAll({ except: root!.publicId })).toBe(1)
    expect((await seen(visitor, `${world.hub.origin}/`)).userId).toBe('ada')
    expect((await seen(visitor, `${world.sites['shop']!.origin}/`)).userId).toBeNull()
  })

  it('is ended by its publicId', async () => {
    const world = await serveWorld()
    const visitor = await atShop(world)
    const { publicId } = await seen(visitor, `${world.sites['shop']!.origin}/`)
    expect(await world.hub.sessions.user('ada').revoke(publicId)).toBe(true)
    expect((await seen(visitor, `${world.sites['shop']!.origin}/`)).userId).toBeNull()
    expect((await seen(visitor, `${world.hub.origin}/`)).userId).toBe('ada')
  })

  it("is the root's user's, whatever userOf finds in its data", async () => {
    const world = await serveWorld({ sessions: { userOf: 'passport.user' }, before: signInByData })
    const visitor = new Visitor()
    const [shop, hub] = [world.sites['shop']!.origin, world.hub.origin]
    await visitor.open(`${hub}/?data=ada`)
    expect((await seen(visitor, `${shop}/members`)).userId).toBe('ada')
    await visitor.post(`${shop}/remark`, { remark: 'mine' })
    expect(await seen(visitor, `${shop}/`)).toMatchObject({ userId: 'ada', remark: 'mine' })
    await visitor.open(`${hub}/?data=`)
    expect((await seen(visitor, `${shop}/`)).userId).toBeNull()
  })
})

/** As Passport does, without a sign-in of coatcheck's. */
function signInByData(
  request: { readonly query: Record<string, unknown>; readonly session: object },
  _response: unknown,
  next: () => void,
): void {
  const { data } = request.query
  const session = request.session as { passport?: object }
  if (data === '') delete session.passport
  else if (data !== undefined) session.passport = { user: data }
  next()
}
