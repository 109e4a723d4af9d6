import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type InsertWrite, MemoryStore, type SessionWrite, type WriteResult } from 'coatcheck'
import { SQLiteStore } from 'coatcheck/sqlite'
import { Signer } from '../../../dist/core/signer.js'
import {
  begin,
  children,
  codeFor,
  codeIn,
  flowCookies,
  flowOf,
  seenAt,
  signedInAtHub,
  userAt,
  withQuery,
} from '../moves.ts'
import { nextOf, Visitor } from '../visitor.ts'
import { type App, secret, serveWorld, type WorldOptions } from '../world.ts'

async function worldOfTwo(options: WorldOptions = {}) {
  const world = await serveWorld(options)
  return { world, hub: world.hub, shop: world.sites['shop']!, blog: world.sites['blog']! }
}

/** A store that spoils the texts of codes when they are first written. */
class NotingStore extends MemoryStore {
  corrupt: ((text: string) => string) | undefined

  override write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return super.write(writes.map((write) => (write.type === 'insert' ? this.#spoilt(write) : write)))
  }

  #spoilt(write: InsertWrite): SessionWrite {
    if (!this.corrupt || write.hash !== undefined) return write
    const content = JSON.parse(Buffer.from(write.data).toString()) as { text: string }
    const text = this.corrupt(content.text)
    assert.notEqual(text, content.text)
    return { ...write, data: Buffer.from(JSON.stringify({ ...content, text })) }
  }
}

/** The token in a browser's cookie. */
function tokenIn(visitor: Visitor, { origin }: App): string {
  const value = decodeURIComponent(visitor.jar(origin).get('sid')!)
  const token = new Signer(secret).verify(value)?.token
  expect(token).toMatch(/^coat_/)
  return token!
}

/** A browser with a token in its cookie, signed with the secret that all apps share. */
function holding({ origin }: App, token: string): Visitor {
  const visitor = new Visitor()
  visitor.jar(origin).set('sid', encodeURIComponent(new Signer(secret).sign(token)))
  return visitor
}

/** Asserts that a token finds nothing there, and that its id is not taken over. */
async function expectNothing(app: App, token: string): Promise<void> {
  const seen = await seenAt(holding(app, token), app)
  expect([seen.userId, seen.root], token).toEqual([null, null])
  expect(token, 'no session takes the id over').not.toContain(seen.publicId)
}

describe('a token', () => {
  it('of one app is nothing at any other, though all of them sign with one secret', async () => {
    const { world, hub, shop, blog } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    for (const site of [shop, blog]) await visitor.open(`${site.origin}/members`)
    for (const from of [hub, shop, blog]) {
      const token = tokenIn(visitor, from)
      expect(await userAt(holding(from, token), from)).toBe('ada')
      for (const to of [hub, shop, blog]) if (to !== from) await expectNothing(to, token)
    }
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('of a child gets no code at the hub', async () => {
    const { world, hub, shop, blog } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    const address = await begin(visitor, blog)
    const asked = await holding(hub, tokenIn(visitor, shop)).open(address, { follow: false })
    expect(nextOf(asked)).toContain(`${hub.origin}/sign-in?`)
  })

  it('of a child is nothing with the id of another root in it, or of none', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const [visitor, phone, bob] = [
      await signedInAtHub(world),
      await signedInAtHub(world),
      await signedInAtHub(world, 'bob'),
    ]
    for (const each of [visitor, bob]) await each.open(`${shop.origin}/members`)
    const token = tokenIn(visitor, shop)
    const [prefix, id, rootId, rest] = [
      token.slice(0, 5),
      token.slice(5, 21),
      token.slice(21, 37),
      token.slice(37),
    ]
    expect([prefix, rest.length]).toEqual(['coat_', 32])
    const { publicId } = await seenAt(visitor, hub)
    expect(rootId).toBe(publicId)
    const idOf = async (each: Visitor, app: App) => (await seenAt(each, app)).publicId
    const ids = [await idOf(phone, hub), await idOf(bob, hub), await idOf(bob, shop), id, 'A'.repeat(16)]
    for (const other of ids) await expectNothing(shop, `${prefix}${id}${other}${rest}`)
    await expectNothing(shop, `${prefix}${id}${rest}`)
    await expectNothing(shop, `${prefix}${rootId}${id}${rest}`)
    await expectNothing(shop, `${prefix}${await idOf(bob, shop)}${rootId}${rest}`)
    // The hub's token, as that of a child of itself.
    const hubs = tokenIn(visitor, hub)
    await expectNothing(shop, `${hubs.slice(0, 21)}${rootId}${hubs.slice(21)}`)
    await expectNothing(hub, `${hubs.slice(0, 21)}${rootId}${hubs.slice(21)}`)
    expect(await userAt(holding(shop, token), shop)).toBe('ada')
  })

  it('beside that of another user, planted by an attacker, gets no code at the hub', async () => {
    const { hub, shop } = await worldOfTwo()
    const [visitor, attacker] = [await signedInAtHub({ hub }), await signedInAtHub({ hub }, 'mallory')]
    const address = await begin(visitor, shop)
    const [own, planted] = [visitor, attacker].map((each) => `sid=${each.jar(hub.origin).get('sid')}`)
    for (const cookie of [`${own}; ${planted}`, `${planted}; ${own}`]) {
      const asked = await visitor.clone().open(address, { headers: { cookie }, follow: false })
      expect(nextOf(asked)).toContain(`${hub.origin}/sign-in?`)
    }
  })

  it('of an attacker, planted at a site, stops a sign-in there, and is not mixed with it', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const [visitor, attacker] = [await signedInAtHub(world), await signedInAtHub(world, 'mallory')]
    await attacker.open(`${shop.origin}/members`)
    const callback = await codeFor(visitor, shop)
    const [name] = flowCookies(visitor, shop)
    const planted = `sid=${attacker.jar(shop.origin).get('sid')}`
    const cookie = `${planted}; ${name}=${visitor.jar(shop.origin).get(name!)}`
    // The browser has not begun it as that user.
    const answer = await visitor.clone().open(callback, { headers: { cookie }, follow: false })
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('Another user has signed in')])
    await visitor.open(callback)
    expect([await userAt(visitor, shop), await userAt(attacker, shop)]).toEqual(['ada', 'mallory'])
    expect((await hub.sessions.user('ada').list())[0]!.sites).toHaveLength(1)
  })

  it('from before a rotation gets no code at the hub, and no session at a site', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const thief = visitor.clone()
    await visitor.post(`${hub.origin}/rotate`)
    // It still finds the session, as requests in flight have to.
    expect(await userAt(thief, hub)).toBe('ada')
    const refused = await thief.open(await begin(thief, shop), { follow: false })
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('ERR_SESSION_ROTATED')])
    expect(await children(world.store)).toEqual([])
  })

  it('from before a rotation redeems no code at a site: the code stays for the current one', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world, 'bob')
    await visitor.post(`${shop.origin}/sign-in-here`, { user: 'bob' })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    onTestFinished(() => void vi.useRealTimers())
    vi.setSystemTime(Date.now() + 600_000)
    await visitor.post(`${world.hub.origin}/sign-in`, { user: 'bob' })
    const begun = nextOf(await visitor.open(`${shop.origin}/fresh`, { follow: false }))
    const thief = visitor.clone()
    await visitor.post(`${shop.origin}/rotate`)
    const callback = nextOf(await visitor.open(begun, { follow: false }))
    expect((await thief.open(callback, { follow: false })).status).toBe(409)
    expect(await children(world.store)).toEqual([])
    expect((await visitor.open(callback, { follow: false })).status).toBe(303)
    expect((await seenAt(visitor, shop)).root?.userId).toBe('bob')
  })

  it('of a rotated child ends with its root, and so does the one from before', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    const [former, stepping] = [visitor.clone(), visitor.clone()]
    await visitor.post(`${shop.origin}/rotate`)
    expect(tokenIn(visitor, shop)).not.toBe(tokenIn(former, shop))
    const before = await seenAt(visitor, shop)
    expect(await seenAt(former, shop)).toMatchObject({ userId: 'ada', publicId: before.publicId })
    // A step-up with the old token would begin a session that outlives the root.
    const stepped = await stepping.post(`${shop.origin}/sign-in-here`, { user: 'ada' })
    expect([stepped.status, tokenIn(stepping, shop)]).toEqual([409, tokenIn(former, shop)])
    // An old token may not end the sessions of all sites.
    const refused = await former.post(`${shop.origin}/handoff/sign-out?everywhere`)
    expect([refused.status, await userAt(visitor, hub)]).toEqual([409, 'ada'])
    await visitor.post(`${hub.origin}/sign-out`)
    for (const each of [visitor, former, stepping]) expect(await userAt(each, shop)).toBeNull()
    expect(await children(world.store)).toEqual([])
  })

  it('of a child does not go on without its root, once somebody signs in as another user with it', async () => {
    const { world, hub, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    const child = visitor.clone()
    await visitor.post(`${shop.origin}/sign-in-here`, { user: 'bob' })
    expect(await seenAt(visitor, shop)).toMatchObject({ userId: 'bob', root: null })
    expect(await userAt(child, shop)).toBeNull()
    await visitor.post(`${hub.origin}/sign-out`)
    // That user never came from the hub.
    expect(await userAt(visitor, shop)).toBe('bob')
  })
})

describe('what the store keeps', () => {
  /** Every value of every table, in all spellings in which one could take it for a secret. */
  function dump(file: string): string[] {
    const database = new DatabaseSync(file, { readOnly: true })
    try {
      const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
      const rows = tables.flatMap(({ name }) => database.prepare(`SELECT * FROM "${String(name)}"`).all())
      return rows.flatMap((row) => Object.values(row)).flatMap(spellings)
    } finally {
      database.close()
    }
  }

  function spellings(value: SQLOutputValue): string[] {
    if (value === null) return []
    if (!(value instanceof Uint8Array)) return [value.toString()]
    const bytes = Buffer.from(value)
    const all = (['utf8', 'latin1', 'hex', 'base64', 'base64url'] as const).map((encoding) =>
      bytes.toString(encoding),
    )
    return [...all, ...textsIn(all[0]!)]
  }

  /** The texts within JSON. */
  function textsIn(text: string): string[] {
    const texts: string[] = []
    try {
      JSON.parse(text, (_, value: unknown) => {
        if (typeof value === 'string') texts.push(value, ...textsIn(value))
        return value
      })
    } catch {
      // It is no JSON.
    }
    return texts
  }

  async function worldOnDisk() {
    const folder = mkdtempSync(join(tmpdir(), 'coatcheck-handoff-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'sessions.db')
    const { world, hub, shop, blog } = await worldOfTwo({ store: new SQLiteStore(file) })
    const visitor = await signedInAtHub(world)
    const [used, unused] = [await codeFor(visitor, shop), await codeFor(visitor, blog)]
    const flows = [flowOf(visitor, shop), flowOf(visitor, blog)]
    const cookies = [shop, blog].flatMap((site) =>
      flowCookies(visitor, site).map((name) => visitor.jar(site.origin).get(name)!),
    )
    await visitor.open(used)
    return { world, hub, shop, blog, visitor, used, unused, flows, cookies, values: dump(file) }
  }

  it('holds no code, no verifier and no token, in any column or note', async () => {
    const { hub, shop, visitor, used, unused, flows, cookies, values } = await worldOnDisk()
    const secrets = [
      codeIn(used),
      codeIn(unused),
      ...flows.flatMap(({ verifier, state }) => [verifier, state]),
      ...cookies,
      ...[hub, shop].map((app) => tokenIn(visitor, app)),
      ...[hub, shop].map((app) => tokenIn(visitor, app).slice(-32)),
    ]
    // To show that it would be seen: the nonce and the hash of the verifier are there.
    expect(values.some((value) => value.includes(flows[0]!.nonce))).toBe(true)
    for (const canary of secrets) {
      expect(canary.length).toBeGreaterThan(30)
      const inOtherForms = [
        canary,
        Buffer.from(canary).toString('hex'),
        Buffer.from(canary, 'base64url').toString('hex'),
      ]
      for (const form of inOtherForms) expect(values.filter((value) => value.includes(form))).toEqual([])
    }
  })

  it('is no code and no token, whoever reads it', async () => {
    const { world, hub, shop, blog, visitor, unused, values } = await worldOnDisk()
    const before = await children(world.store)
    const short = [...new Set(values)].filter((value) => value !== '' && value.length <= 200)
    expect(short.length).toBeGreaterThan(50)
    for (const value of short) {
      const code = await visitor.clone().open(withQuery(unused, { code: value }))
      expect([code.status, code.headers.get('location')], value).toEqual([400, null])
      for (const app of [hub, shop, blog]) expect(await userAt(holding(app, value), app), value).toBeNull()
    }
    expect(await children(world.store)).toEqual(before)
    await visitor.open(unused)
    expect(await userAt(visitor, blog)).toBe('ada')
  })
})

describe('a row of a code', () => {
  it('that is corrupt gives nothing, as if there were no such code', async () => {
    const store = new NotingStore()
    const { shop, world } = await worldOfTwo({ store })
    const visitor = await signedInAtHub(world)
    for (const corrupt of [
      () => '',
      () => '{',
      () => 'null',
      () => '[]',
      () => '"x"',
      () => '{}',
      () => '{"grant":{},"state":{"is":"issued"}}',
      (text: string) => text.replace('"issued"', '"__proto__"'),
      (text: string) => text.replace('{"is":"issued"}', 'null'),
      (text: string) => text.replace('{"is":"issued"}', '{"is":"used"}'),
      (text: string) => text.replace('"state"', '"State"'),
      (text: string) => text.replace('"grant":{', '"grant":null,"g":{'),
      (text: string) => text.replace(/"challenge":"[^"]*"/, '"challenge":null'),
      (text: string) => text.replace(/"share":\[[^\]]*\]/, '"share":"secretOfHub"'),
      (text: string) => text.replace(/"userId":"ada"/, '"userId":1'),
      (text: string) => text.replace(/"rootId":"[^"]*"/, '"rootId":["x"]'),
    ]) {
      store.corrupt = corrupt
      const callback = await codeFor(visitor, shop)
      store.corrupt = undefined
      const answer = await visitor.open(callback)
      expect([answer.status, answer.text], corrupt.toString()).toEqual([
        400,
        expect.stringContaining('The code is unknown'),
      ])
      expect((await new Visitor().open(callback)).status).toBe(400)
    }
    expect(await children(store)).toEqual([])
  })
})
