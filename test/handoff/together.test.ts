import { randomBytes } from 'node:crypto'
import type express from 'express'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createSessions, MemoryStore, type Sessions, type SessionsOptions } from 'coatcheck'
import { Visitor } from './visitor.ts'
import { secret, type Seen, serveWorld, type World } from './world.ts'

// What hub and site have in common, and what ends with what, as docs/handoff.md says.

afterEach(() => {
  vi.useRealTimers()
})

async function seen(visitor: Visitor, url: string): Promise<Seen> {
  return JSON.parse((await visitor.open(url)).text) as Seen
}

/** A browser that is signed in at the hub and at the site `shop`. */
async function atShop(world: World): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.post(`${world.hub.origin}/sign-in`, { user: 'ada' })
  await visitor.open(`${world.sites['shop']!.origin}/members`)
  return visitor
}

/** Another process of the site `shop`, with options of its own. */
function processOfShop(world: World, options: Partial<SessionsOptions>): Sessions {
  const sessions = createSessions({ store: world.store, secret, sweep: false, clientId: 'shop', ...options })
  sessions.on('storeError', () => undefined)
  onTestFinished(() => sessions.close())
  return sessions
}

function tokenAtShop(world: World, visitor: Visitor): string {
  const cookie = decodeURIComponent(visitor.jar(world.sites['shop']!.origin).get('sid')!)
  return /^s:(coat_[\w-]+)\./.exec(cookie)![1]!
}

describe('the sessions of sites end', () => {
  it('when a limit ends the one of the hub', async () => {
    const world = await serveWorld({ sessions: { sessionsPerUser: { most: 1 } } })
    const shop = world.sites['shop']!.origin
    const [first, second] = [await atShop(world), await atShop(world)]
    expect((await seen(first, `${shop}/`)).userId).toBeNull()
    expect((await seen(second, `${shop}/`)).userId).toBe('ada')
  })

  it('when revokeAll spares the one of the hub', async () => {
    const { world, visitor } = await worldWithRevocation()
    await visitor.post(`${world.hub.origin}/end-others`)
    expect((await seen(visitor, `${world.hub.origin}/`)).userId).toBe('ada')
    expect((await seen(visitor, `${world.sites['shop']!.origin}/`)).userId).toBeNull()
  })

  it('never alone of all, by revokeAll at the site', async () => {
    const { world, visitor } = await worldWithRevocation()
    const shop = world.sites['shop']!.origin
    const answer = await visitor.post(`${shop}/end-others`)
    expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('ERR_SESSION_OPTION')])
    expect((await seen(visitor, `${shop}/`)).userId).toBe('ada')
  })

  async function worldWithRevocation(): Promise<{ world: World; visitor: Visitor }> {
    const before: express.RequestHandler = async (request, response, next) => {
      if (request.path !== '/end-others') return next()
      const apps = [world.hub, ...Object.values(world.sites)]
      const { sessions } = apps.find(({ origin }) => origin === `http://${request.headers.host}`)!
      await sessions.user(request.session.userId!).revokeAll({ except: request.session })
      response.json({})
    }
    const world = await serveWorld({ before })
    return { world, visitor: await atShop(world) }
  }
})

describe('a site', () => {
  it('reads the hub’s data only with the key of the hub', async () => {
    const encryption = randomBytes(32)
    const world = await serveWorld({ sessions: { encryption } })
    const token = tokenAtShop(world, await atShop(world))
    const userBy = async (options: Partial<SessionsOptions>) =>
      (await processOfShop(world, options).load(token)).session!.userId
    expect(await userBy({ encryption })).toBe('ada')
    expect(await userBy({ encryption: randomBytes(32) })).toBeUndefined()
    expect(await userBy({})).toBeUndefined()
  })

  it('extends the session of the hub, by the lifetime that the site has', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const world = await serveWorld({ store: new MemoryStore(), sessions: { lifetime: { idle: '1h' } } })
    const visitor = await atShop(world)
    const root = async () => (await world.hub.sessions.user('ada').list())[0]!
    const before = await root()
    vi.setSystemTime(Date.now() + 1_200_000)
    const sessions = processOfShop(world, { lifetime: { idle: '2h' } })
    await (await sessions.load(tokenAtShop(world, visitor))).commit()
    const after = await root()
    expect(before.expiresAt.getTime() - before.seenAt.getTime()).toBe(3_600_000)
    expect(after.seenAt.getTime() - before.seenAt.getTime()).toBe(1_200_000)
    expect(after.expiresAt.getTime() - after.seenAt.getTime()).toBe(7_200_000)
  })

  it('sees what the hub shared when its session began', async () => {
    let share: string[] = []
    const world: World = await serveWorld({
      hub: {
        clients: (clientId) => ({
          redirectUris: [`${world.sites[clientId]!.origin}/handoff/callback`],
          share,
        }),
      },
    })
    const shop = world.sites['shop']!.origin
    const visitor = await atShop(world)
    share = ['fullName']
    expect((await seen(visitor, `${shop}/`)).root!.data).toEqual({})
    await visitor.post(`${shop}/handoff/sign-out`)
    expect((await seen(visitor, `${shop}/members`)).root!.data).toEqual({ fullName: 'Name of ada' })
  })
})
