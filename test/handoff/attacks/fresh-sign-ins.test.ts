import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { RequestSession, SessionStore } from 'coatcheck'
import type { BeginOptions } from 'coatcheck/handoff'
import { SQLiteStore } from 'coatcheck/sqlite'
import { authorize, children, seenAt, signedInAtHub, userAt, withQuery } from '../moves.ts'
import { nextOf, Visitor } from '../visitor.ts'
import { serveWorld, type SiteApp, type World } from '../world.ts'

const minute = 60_000
const day = 1_440 * minute

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
})

afterEach(() => {
  vi.useRealTimers()
})

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds)
}

/** A user who has signed in at the hub ten minutes ago. `/again` of the site asks them to prove who they are. */
async function tenMinutesLater(store?: SessionStore) {
  let options: BeginOptions = {}
  const sites: Record<string, SiteApp> = {}
  const world: World = await serveWorld({
    clients: ['shop'],
    ...(store && { store }),
    before: (request, response, next) => {
      if (request.path !== '/again') return next()
      const shop = sites['shop']!
      const asked = new Request(shop.origin + request.url, {
        headers: { cookie: request.headers.cookie ?? '' },
      })
      const answer = shop.site.begin(asked, request.session as RequestSession, { returnTo: '/', ...options })
      for (const [name, value] of answer.headers) response.appendHeader(name, value)
      response.status(answer.status).end()
    },
  })
  Object.assign(sites, world.sites)
  const shop = sites['shop']!
  const visitor = await signedInAtHub(world)
  pass(10 * minute)
  /** Begins a flow. @returns the address at the hub */
  const begin = async (asked: BeginOptions): Promise<string> => {
    options = asked
    return nextOf(await visitor.open(`${shop.origin}/again`, { follow: false }))
  }
  return { world, hub: world.hub, shop, visitor, begin }
}

async function expectStale(
  { shop, visitor, world }: { shop: SiteApp; visitor: Visitor; world: World },
  callback: string,
): Promise<void> {
  const before = await children(world.store)
  const events: string[] = []
  for (const name of ['created', 'destroyed'] as const) shop.sessions.on(name, () => void events.push(name))
  const answer = await visitor.open(callback, { follow: false })
  expect([answer.status, answer.text]).toEqual([
    400,
    expect.stringContaining('has not proved again who they are'),
  ])
  expect(await children(world.store)).toEqual(before)
  expect(before).toEqual([])
  expect(events).toEqual(['created', 'destroyed'])
  expect(await userAt(visitor, shop)).toBeNull()
}

const asked = [
  ['prompt=login', { prompt: 'login' }],
  ['max_age', { within: '5m' }],
] as const satisfies [string, BeginOptions][]

describe.each(asked)('a sign-in that was asked for with %s', (_, options) => {
  it.each([
    ['removed', { prompt: undefined, max_age: undefined }],
    ['emptied', { prompt: '', max_age: '' }],
    ['replaced by prompt=none and a long time', { prompt: 'none', max_age: '999999999' }],
    ['replaced by a time long past', { prompt: undefined, max_age: undefined, authenticated_after: '0' }],
  ])('is refused by the site if the user has that %s', async (_, changed) => {
    const { begin, ...rest } = await tenMinutesLater()
    const callback = await authorize(rest.visitor, withQuery(await begin(options), changed))
    await expectStale(rest, callback)
  })

  it('is refused by the site if the user has removed what the hub notes for its own page', async () => {
    const { begin, ...rest } = await tenMinutesLater()
    const { hub, visitor } = rest
    const page = new URL(nextOf(await visitor.open(await begin(options), { follow: false })))
    expect(page.pathname).toBe('/sign-in')
    const back = new URL(page.searchParams.get('returnTo')!, hub.origin).href
    expect(new URL(back).searchParams.get('authenticated_after')).toBe(String(Date.now()))
    // Without proof, the hub asks again.
    expect(nextOf(await visitor.open(back, { follow: false }))).toContain('/sign-in?')
    for (const after of [undefined, '0']) {
      const callback = await authorize(visitor, withQuery(back, { authenticated_after: after }))
      await expectStale(rest, callback)
    }
  })

  it.each([4 * minute, -4 * minute, -day])(
    'is refused by the site if it is stale, where the clock of the app that completes it is off by %i ms',
    async (skew) => {
      const folder = mkdtempSync(join(tmpdir(), 'coatcheck-handoff-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const file = join(folder, 'sessions.db')
      const { shop, visitor, begin, world } = await tenMinutesLater(new SQLiteStore(file))
      await visitor.open(`${shop.origin}/members`)
      // SQLite has a clock of its own, so this is how time passes there: a minute more than the user may take.
      const database = new DatabaseSync(file)
      const age = 'within' in options ? 6 * minute : minute
      database.exec(`UPDATE coatcheck_sessions SET authenticated_at = authenticated_at - ${age}`)
      database.close()
      const before = await children(world.store)
      const callback = await authorize(
        visitor,
        withQuery(await begin(options), { prompt: undefined, max_age: undefined }),
      )
      pass(skew)
      const answer = await visitor.open(callback, { follow: false })
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('has not proved again')])
      expect(await children(world.store)).toEqual(before)
    },
  )

  it('goes on once the user has proved who they are', async () => {
    const { hub, shop, visitor, begin } = await tenMinutesLater()
    const page = new URL(nextOf(await visitor.open(await begin(options), { follow: false })))
    pass(minute)
    await visitor.post(`${hub.origin}/sign-in`, { user: 'ada', returnTo: page.searchParams.get('returnTo')! })
    expect(await seenAt(visitor, shop)).toMatchObject({ userId: 'ada', authenticatedAt: Date.now() })
  })
})

describe('a page for users who have just signed in', () => {
  it('does not take the session of a stale sign-in, however it came about', async () => {
    const { hub, shop, visitor } = await tenMinutesLater()
    await visitor.open(`${shop.origin}/members`)
    expect(await userAt(visitor, shop)).toBe('ada')
    const page = await visitor.open(`${shop.origin}/fresh`)
    expect([new URL(page.url).origin, new URL(page.url).pathname]).toEqual([hub.origin, '/sign-in'])
    const refused = await visitor.open(`${shop.origin}/fresh`, { headers: { 'sec-fetch-dest': 'empty' } })
    expect(refused.status).toBe(401)
  })

  it('does not take the token of a site for fresh because the user has proved who they are for another', async () => {
    const world = await serveWorld()
    const [shop, blog] = [world.sites['shop']!, world.sites['blog']!]
    const visitor = await signedInAtHub(world)
    for (const site of [shop, blog]) await visitor.open(`${site.origin}/members`)
    const before = await seenAt(visitor, shop)
    // A thief has the token of one site, and not that of the hub.
    const thief = new Visitor([[shop.origin, visitor.jar(shop.origin)]])
    pass(10 * minute)
    const page = JSON.parse((await visitor.open(`${blog.origin}/fresh`)).text) as { returnTo: string }
    const fresh = await visitor.post(`${world.hub.origin}/sign-in`, { user: 'ada', returnTo: page.returnTo })
    expect(fresh.url).toBe(`${blog.origin}/fresh`)
    for (const each of [thief, visitor]) {
      const refused = await each
        .clone()
        .open(`${shop.origin}/fresh`, { headers: { 'sec-fetch-dest': 'empty' } })
      expect(refused.status).toBe(401)
      expect((await seenAt(each, shop)).authenticatedAt).toBe(before.authenticatedAt)
    }
    // What the hub says is told as it is.
    const { root } = await seenAt(visitor, shop)
    expect(root).toMatchObject({ authenticatedAt: new Date().toISOString() })
    // The user's own browser asks the hub, which shows no form: then the session has a new token.
    const passed = await visitor.open(`${shop.origin}/fresh`)
    expect([passed.url, JSON.parse(passed.text)]).toEqual([
      `${shop.origin}/fresh`,
      expect.objectContaining({ publicId: before.publicId, authenticatedAt: Date.now() }),
    ])
    const stolen = await thief.open(`${shop.origin}/fresh`, { follow: false })
    expect([stolen.status, new URL(nextOf(stolen)).origin]).toEqual([303, world.hub.origin])
    pass(minute)
    expect(await userAt(thief, shop)).toBeNull()
    expect(await userAt(visitor, shop)).toBe('ada')
  })
})
