import { MySQLStore } from 'coatcheck/mysql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authorize, begin, children, codeFor, signedInAtHub, userAt } from '../handoff/moves.ts'
import { type Exchanged, nextOf, type Visitor } from '../handoff/visitor.ts'
import { type Seen, serveWorld, type World } from '../handoff/world.ts'
import { type Wrap, wrappedStore } from '../handoff/wrapped-store.ts'
import { databases, freshDatabase } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'

// The database fails at each of its calls in a hand-off, which is one statement each: so the user gets an error of ours, and
// is signed in as before, or at the next attempt, but never by half.

/** A request of the hand-off. */
interface Asked {
  /** Whether the user is signed in at the shop before, as at the blog. Else the shop knows a visitor with a basket. */
  readonly isAtShop: boolean
  /** Does what comes before it. @returns what sends it */
  prepare(given: Given): Promise<() => Promise<Exchanged>>
  /** The apps at which it ends the user's session. */
  readonly ends: readonly AppName[]
  /** Whether it signs the user in at the shop. */
  readonly signsIn?: boolean
}

interface Given extends World {
  readonly visitor: Visitor
}

const appNames = ['hub', 'shop', 'blog'] as const
type AppName = (typeof appNames)[number]

const requests: Readonly<Record<string, Asked>> = {
  'the hub issues a code': {
    isAtShop: false,
    ends: [],
    async prepare({ visitor, sites }) {
      const address = await begin(visitor, sites['shop']!)
      return () => visitor.open(address, { follow: false })
    },
  },
  'a site redeems a code': {
    isAtShop: false,
    ends: [],
    signsIn: true,
    async prepare({ visitor, sites }) {
      const address = await codeFor(visitor, sites['shop']!)
      return () => visitor.open(address, { follow: false })
    },
  },
  'a site that knows the user already redeems a code': {
    isAtShop: true,
    ends: [],
    async prepare({ visitor, sites }) {
      const begun = await visitor.open(`${sites['shop']!.origin}/again`, { follow: false })
      const address = await authorize(visitor, nextOf(begun))
      return () => visitor.open(address, { follow: false })
    },
  },
  'a site shows a page': {
    isAtShop: true,
    ends: [],
    prepare:
      async ({ visitor, sites }) =>
      () =>
        visitor.open(`${sites['shop']!.origin}/members`),
  },
  'a site signs its user out': {
    isAtShop: true,
    ends: ['shop'],
    prepare:
      async ({ visitor, sites }) =>
      () =>
        visitor.post(`${sites['shop']!.origin}/handoff/sign-out`, {}, { follow: false }),
  },
  'a site signs its user out everywhere': {
    isAtShop: true,
    ends: appNames,
    prepare:
      async ({ visitor, sites }) =>
      () =>
        visitor.post(`${sites['shop']!.origin}/handoff/sign-out?everywhere`, {}, { follow: false }),
  },
  'the hub signs its user out': {
    isAtShop: true,
    ends: appNames,
    prepare:
      async ({ visitor, hub }) =>
      () =>
        visitor.post(`${hub.origin}/sign-out`, {}, { follow: false }),
  },
}

let database: DatabaseServer
beforeAll(async () => {
  const mariadb = databases().find(({ name }) => name === 'MariaDB')!
  database = await mariadb.start()
})
afterAll(() => database?.stop())

/** How a call of the database fails. */
interface Fault {
  readonly title: string
  /** Whether the database is away until it is healed. Else a read that failed is sent again, and may succeed. */
  readonly lasts: boolean
  fail<Answer>(call: () => Promise<Answer>): Promise<Answer>
  /** After that, all is well again. */
  heal(): Promise<unknown>
}

const faults: readonly Fault[] = [
  {
    title: 'killed right before it',
    lasts: true,
    async fail(call) {
      await database.crash!()
      return call()
    },
    heal: () => database.restart!(),
  },
  {
    title: 'cut off right after it, so that its answer is lost',
    lasts: false,
    async fail(call) {
      await call()
      throw new Error('The connection was lost before the answer came.')
    },
    heal: async () => undefined,
  },
]

describe.each(faults)('if MariaDB, at each statement, is $title', ({ lasts, fail, heal }) => {
  test.each(Object.entries(requests))('while %s, nobody is half signed in', async (_title, asked) => {
    const url = await freshDatabase(database.url)
    /** The calls of the request, and the one of them that fails. */
    let [calls, failing] = [0, 0]
    const wrap: Wrap = (call) => (++calls === failing ? fail(call) : call())
    const world = await serveWorld({
      store: wrappedStore(new MySQLStore(url), wrap),
      // As long as it may be: no test has to be faster than the grace.
      sessions: { rotationGrace: '5m' },
    })
    let statements = 0
    for (let wasFelt = true; wasFelt;) {
      const visitor = await visitorBefore(world, asked)
      const given = { ...world, visitor }
      const send = await asked.prepare(given)
      const copy = visitor.clone()
      const childrenBefore = await children(world.store)
      ;[calls, failing] = [0, statements + 1]
      const answer = await send()
      wasFelt = calls >= failing
      failing = 0
      const title = `statement ${statements + 1}: ${answer.status} ${answer.text}`
      const isAcknowledged = answer.status < 400
      checkIsNamed(answer, title, { mustFail: wasFelt && lasts })
      if (wasFelt) {
        statements++
        await heal()
      }
      await allAnswer(world)
      await checkNoneIsHalf(given, asked, { title, isAcknowledged })
      if (!isAcknowledged) await send()
      // A code that was used gives nothing again, so that the browser has to begin again.
      await checkNoneIsHalf(given, asked, { title, isAcknowledged: isAcknowledged || !asked.signsIn })
      const most = childrenBefore.length + 1
      expect((await children(world.store)).length, `${title}: sessions by one code`).toBeLessThanOrEqual(most)
      await checkAllBeginAgain(given, asked, title)
      await checkCodeIsUsed(world, copy, answer.url)
      await checkAllEnd(given, title)
    }
    expect(statements).toBeGreaterThan(0)
  })
})

/** A user of the hub and of the blog, who is also signed in at the shop, or has a basket there. */
async function visitorBefore(world: World, { isAtShop }: Asked): Promise<Visitor> {
  const visitor = await signedInAtHub(world)
  await visitor.post(`${world.sites['shop']!.origin}/basket`)
  for (const name of isAtShop ? ['shop', 'blog'] : ['blog'])
    await visitor.open(`${world.sites[name]!.origin}/members`)
  return visitor
}

/** Whatever is no success is an error of ours that says to try again. */
function checkIsNamed(
  { status, text }: Exchanged,
  title: string,
  { mustFail }: { readonly mustFail: boolean },
): void {
  if (status < 400 && !mustFail) return
  expect(status, title).toBe(503)
  expect((JSON.parse(text) as { code: string }).code, title).toMatch(/^ERR_SESSION_STORE_/)
}

/** From whatever the browser has, it is signed in everywhere. */
async function checkAllBeginAgain(
  { visitor, ...world }: Given,
  { ends }: Asked,
  title: string,
): Promise<void> {
  if (ends.includes('hub')) await visitor.post(`${world.hub.origin}/sign-in`, { user: 'ada' })
  for (const { origin } of Object.values(world.sites)) {
    const { url, text } = await visitor.open(`${origin}/members`)
    expect([url, (JSON.parse(text) as Seen).userId], title).toEqual([`${origin}/members`, 'ada'])
  }
}

async function checkAllEnd({ visitor, ...world }: Given, title: string): Promise<void> {
  await visitor.post(`${world.hub.origin}/sign-out`)
  for (const name of appNames) expect(await userAt(visitor, appOf(world, name)), title).toBeNull()
  expect(await children(world.store), title).toEqual([])
}

/** Waits until all apps reach the database. */
async function allAnswer({ hub, sites }: World): Promise<void> {
  for (const { sessions } of [hub, ...Object.values(sites)])
    await expect.poll(() => sessions.ready().then(() => true, String)).toBe(true)
}

/** The user is signed in or out at all of the apps that the request is about, and as before at the others. */
async function checkNoneIsHalf(
  { visitor, ...world }: Given,
  { ends, isAtShop, signsIn = false }: Asked,
  { title, isAcknowledged }: { readonly title: string; readonly isAcknowledged: boolean },
): Promise<void> {
  const users: Partial<Record<AppName, string | null>> = {}
  for (const name of appNames) users[name] = await userAt(visitor, appOf(world, name))
  const before = { hub: 'ada', shop: isAtShop ? 'ada' : null, blog: 'ada' }
  const ended = Object.fromEntries(ends.map((name) => [name, null]))
  const after = { ...before, ...(ends.length > 0 ? ended : signsIn && { shop: 'ada' }) }
  expect(isAcknowledged ? [after] : [before, after], title).toContainEqual(users)
}

/** Whoever has a copy of the browser's cookies from before gets no session for the code that was used since. */
async function checkCodeIsUsed(world: World, copy: Visitor, address: string): Promise<void> {
  if (!address.includes('/handoff/callback')) return
  const before = await children(world.store)
  const session = copy.jar(new URL(address).origin).get('sid')
  await copy.open(address, { follow: false })
  expect([await children(world.store), copy.jar(new URL(address).origin).get('sid')]).toEqual([
    before,
    session,
  ])
}

function appOf({ hub, sites }: World, name: AppName): World['hub'] | World['sites'][string] {
  return name === 'hub' ? hub : sites[name]!
}
