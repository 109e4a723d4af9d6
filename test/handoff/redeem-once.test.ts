import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSessions, MemoryStore, type Sessions, type SessionStore } from 'coatcheck'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { describe, expect, it, onTestFinished } from 'vitest'
import { secret, storedSession } from '../core/works.ts'
import { type PlaceName, places } from '../properties/places.ts'
import { databases, freshDatabase } from '../servers/databases.ts'
import { ownProcess } from '../servers/owned.ts'
import { freshRedis } from '../servers/redis-places.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import type { Redeemed } from '../../dist/core/handoff/redeem.js'
import { childIds, type IssuedCode, issuedCode, redeemAtOnce } from './codes.ts'
import { nextOf, Visitor } from './visitor.ts'
import { type Seen, serveWorld } from './world.ts'

/** A kind of store. `open` gives a function that opens a store on one new database, as each app does. */
interface Kind {
  readonly title: string
  open(): Promise<() => SessionStore>
}

/** A database that processes share. */
interface SharedKind {
  readonly title: string
  readonly place: PlaceName
  make(): Promise<string>
}

const shared: readonly SharedKind[] = [
  { title: 'SQLite', place: 'sqlite', make: newFile },
  { title: 'Redis', place: 'redis', make: async () => freshRedis() },
  ...databases().map(({ name, server }): SharedKind => ({
    title: name,
    place: 'mysql',
    make: () => freshDatabase(server),
  })),
]

const kinds: readonly Kind[] = [
  {
    title: 'in memory',
    open: async () => {
      const store = new MemoryStore()
      return () => store
    },
  },
  {
    title: 'on PostgreSQL',
    open: async () => {
      const url = await freshPostgreSQL()
      return () => new PostgreSQLStore(url)
    },
  },
  ...shared.map(({ title, place, make }): Kind => ({
    title: `on ${title}`,
    open: async () => {
      const where = await make()
      return () => places[place].open(where)
    },
  })),
]

async function newFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-redeem-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'sessions.db')
}

describe.each(kinds)('a code, $title', ({ open }) => {
  /** The hub, and a site in several processes, each with a store of its own. */
  async function apps(): Promise<{ hub: Sessions; sites: readonly Sessions[]; store: SessionStore }> {
    const opened = await open()
    const store = opened()
    const hub = createSessions({ store, secret, sweep: false })
    const sites = Array.from({ length: 4 }, () =>
      createSessions({ store: opened(), secret, sweep: false, clientId: 'shop' }),
    )
    onTestFinished(async () => void (await Promise.all([hub, ...sites].map((app) => app.close()))))
    return { hub, sites, store }
  }

  it('gives one session when 100 redeem it at once', async () => {
    const { hub, sites, store } = await apps()
    const issued = await issuedCode(hub, await storedSession(hub, {}, 'ada'))
    const results = (await Promise.all(sites.map((site) => redeemAtOnce(site, issued, 25)))).flat()
    const children = results.flatMap((result) => (result.is === 'child' ? [result.found] : []))
    expect(children).toHaveLength(1)
    const others = results.filter(({ is }) => is !== 'child')
    expect(others).toEqual(others.map(() => ({ is: 'repeated', returnTo: '/members' })))
    expect(await childIds(store)).toEqual([children[0]!.record.id])
    expect((await sites[3]!.load(children[0]!.token)).userId).toBe('ada')
  })

  it('that leaked gives no session when it is redeemed from two browsers at once', async () => {
    const { hub, sites, store } = await apps()
    const issued = await issuedCode(hub, await storedSession(hub, {}, 'ada'))
    const leaked: IssuedCode = { ...issued, presented: { ...issued.presented, nonce: 'of another browser' } }
    const results = (
      await Promise.all(sites.map((site, index) => redeemAtOnce(site, index % 2 === 0 ? issued : leaked, 25)))
    ).flat()
    expect(await childIds(store)).toEqual([])
    expect(await signedInBy(sites[0]!, results)).toEqual([])
    expect((await redeemAtOnce(sites[0]!, issued, 1))[0]).toEqual({ is: 'refused', why: 'leaked' })
  })

  it('gives no session that outlives a revocation at the same time', async () => {
    const { hub, sites, store } = await apps()
    const root = await storedSession(hub, {}, 'ada')
    const codes = await Promise.all(Array.from({ length: 20 }, () => issuedCode(hub, root)))
    const { publicId } = await hub.load(root)
    const [results] = await Promise.all([
      Promise.all(codes.map((issued, index) => redeemAtOnce(sites[index % 4]!, issued, 5))),
      hub.user('ada').revokeAll({ except: publicId }),
    ])
    expect(await childIds(store)).toEqual([])
    expect(await signedInBy(sites[0]!, results.flat())).toEqual([])
    // The root was spared: only what began before is over.
    expect((await hub.load(root)).userId).toBe('ada')
  })

  it('gives no session when its root ends at the same time', async () => {
    const { hub, sites, store } = await apps()
    const root = await storedSession(hub, {}, 'ada')
    const codes = await Promise.all(Array.from({ length: 20 }, () => issuedCode(hub, root)))
    const { publicId } = await hub.load(root)
    const [results] = await Promise.all([
      Promise.all(codes.map((issued, index) => redeemAtOnce(sites[index % 4]!, issued, 5))),
      hub.user('ada').revoke(publicId),
    ])
    expect(await childIds(store)).toEqual([])
    expect(await signedInBy(sites[0]!, results.flat())).toEqual([])
  })

  it('gives one session over HTTP when 100 requests of the browser redeem it at once', async () => {
    const store = (await open())()
    const world = await serveWorld({ store })
    const shop = world.sites['shop']!
    const visitor = new Visitor()
    await visitor.post(`${world.hub.origin}/sign-in`, { user: 'ada' })
    const begun = await visitor.open(`${shop.origin}/members`, { follow: false })
    const authorized = await visitor.open(nextOf(begun), { follow: false })
    const browsers = Array.from({ length: 100 }, () => visitor.clone())
    const answers = await Promise.all(browsers.map((browser) => browser.send(nextOf(authorized))))
    expect(answers.map((answer) => [answer.status, nextOf(answer)])).toEqual(
      answers.map(() => [303, `${shop.origin}/members`]),
    )
    const winners = browsers.filter((browser) => browser.jar(shop.origin).has('sid'))
    expect(winners).toHaveLength(1)
    const seen = JSON.parse((await winners[0]!.open(`${shop.origin}/`)).text) as Seen
    expect(await childIds(store)).toEqual([seen.publicId])
    expect(seen.userId).toBe('ada')
  })
})

describe.each(shared)('a code, in three processes on one database of $title', ({ place, make }) => {
  async function startRedeemer(where: string): Promise<ChildProcess> {
    const child = ownProcess(fork(join(import.meta.dirname, 'redeemer.ts'), [place, where]))
    onTestFinished(async () => {
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    })
    await once(child, 'message')
    return child
  }

  it('gives one session when 99 redeem it at once', async () => {
    const where = await make()
    const store = places[place].open(where)
    const hub = createSessions({ store, secret, sweep: false })
    onTestFinished(() => hub.close())
    const root = await storedSession(hub, {}, 'ada')
    const redeemers = await Promise.all([1, 2, 3].map(() => startRedeemer(where)))
    for (let round = 1; round <= 3; round++) {
      const issued = await issuedCode(hub, root)
      const answers = redeemers.map((child) => once(child, 'message') as Promise<[string[]]>)
      for (const child of redeemers) child.send({ issued, times: 33 })
      const results = (await Promise.all(answers)).flatMap(([result]) => result)
      expect(results).toHaveLength(99)
      expect(results.filter((result) => result !== 'repeated')).toHaveLength(1)
      expect(await childIds(store)).toHaveLength(round)
    }
  })
})

/** The users whom the tokens of children open a session of. */
async function signedInBy(site: Sessions, results: readonly Redeemed[]): Promise<string[]> {
  const tokens = results.flatMap((result) => (result.is === 'child' ? [result.found.token] : []))
  const works = await Promise.all(tokens.map((token) => site.load(token)))
  return works.flatMap(({ userId }) => userId ?? [])
}
