// The requests of a hand-off in which apps are killed, and what must hold for a user who may never have got the answer.
import assert from 'node:assert/strict'
import type { Cast } from '../cast.ts'
import { assertOneOf, nobody } from '../requests.ts'
import { HandoffClient } from './client.ts'
import { type AppName, appNames, siteNames } from './names.ts'

export interface HandoffRequest {
  readonly title: string
  readonly at: AppName
  /** Whether the user is signed in at the shop before, as at the blog. Else the shop knows a visitor. */
  readonly isAtShop: boolean
  /** Does what comes before it. @returns its path */
  path(client: HandoffClient): Promise<string>
  /** Throws if something is not as it must be, before the request is repeated or after it. */
  check(client: HandoffClient): Promise<void>
}

const requests: readonly HandoffRequest[] = [
  {
    title: 'code from the hub',
    at: 'hub',
    isAtShop: false,
    path: (client) => client.begun('shop'),
    async check(client) {
      assert.deepEqual(await client.now(), client.before)
      if (!client.acknowledged) client.next = (await client.again()).headers.get('location')!
      await client.follow('shop', client.next!)
      await client.assertSignedIn('shop', 'blog')
      await client.signOutAtHub()
    },
  },
  {
    title: 'sign-in at a site',
    at: 'shop',
    isAtShop: false,
    path: (client) => client.authorized('shop'),
    check: checkRedemption,
  },
  {
    title: 'sign-in at a site that knows the user already',
    at: 'shop',
    isAtShop: true,
    path: (client) => client.authorized('shop'),
    check: checkRedemption,
  },
  {
    title: 'sign-out at a site',
    at: 'shop',
    isAtShop: true,
    path: async () => '/shop/handoff/sign-out',
    check: (client) => checkEnding(client, 'shop'),
  },
  {
    title: 'sign-out everywhere, at a site',
    at: 'shop',
    isAtShop: true,
    path: async () => '/shop/handoff/sign-out?everywhere',
    check: (client) => checkEnding(client, ...appNames),
  },
  {
    title: 'sign-out at the hub',
    at: 'hub',
    isAtShop: true,
    path: async ({ name }) => `/sign-out/${name}`,
    check: (client) => checkEnding(client, ...appNames),
  },
]

export const handoffCast: Cast = {
  program: 'test/crashes/handoff/app.ts',
  requests: requests.map((request) => ({
    title: request.title,
    attempt: (place, tally) => new HandoffClient(place, request, tally),
  })),
}

/**
 * A browser that lost the answer is known there as before, or as nobody. Loading the address again, or else beginning
 * again, signs it in. The code gives one session in all.
 */
async function checkRedemption(client: HandoffClient): Promise<void> {
  const { acknowledged, before, childrenBefore } = client
  const { shop, ...others } = await client.now()
  if (acknowledged) {
    await client.assertSignedIn('shop')
    // Of a visitor what the site keeps, of a user all.
    assert.equal(shop['left'], 'old')
  } else assertOneOf(shop, [before.shop, nobody])
  assert.deepEqual(others, { hub: before.hub, blog: before.blog })
  await client.again()
  assert.ok((await client.children()).length <= childrenBefore.length + 1, 'a code gave two sessions')
  if ((await client.now()).shop['userId'] === undefined) await client.handOff('shop')
  await client.assertSignedIn('shop', 'blog')
  const children = await client.children()
  const jar = await client.againByFormer()
  assert.equal(jar.cookies.get('sid'), client.formerJar.cookies.get('sid'), 'a used code gave a session')
  assert.deepEqual(await client.children(), children)
  await client.signOutAtHub()
}

/**
 * Acknowledged it is final; otherwise it has happened or has not, at all of these apps alike, and trying again ends it.
 * At the others nothing happens. The user can sign in again at each.
 */
async function checkEnding(client: HandoffClient, ...ended: readonly AppName[]): Promise<void> {
  const { acknowledged, before } = client
  const now = await client.now()
  const expected = (hasEnded: boolean) =>
    Object.fromEntries(
      appNames.map((app) => [app, hasEnded && ended.includes(app) ? nobody : before[app]] as const),
    )
  assertOneOf(now, acknowledged ? [expected(true)] : [expected(false), expected(true)])
  await client.again()
  for (const views of [await client.now(), await client.byFormer()]) assert.deepEqual(views, expected(true))
  if (ended.includes('hub')) {
    assert.deepEqual(await client.listed(), [])
    await client.signInAtHub()
  }
  for (const site of siteNames) if (ended.includes(site)) await client.handOff(site)
  await client.assertSignedIn(...siteNames)
  const former = await client.byFormer()
  for (const app of ended) assert.deepEqual(former[app], nobody, `${app} came back`)
}
