import { expect } from 'vitest'
import type { SessionStore } from 'coatcheck'
import { flowFormOf, Signer } from '../../dist/core/signer.js'
import type { WorkContext } from '../../dist/core/session/work-context.js'
import { type Exchanged, nextOf, Visitor } from './visitor.ts'
import { type App, secret, type Seen, type SiteApp, type World } from './world.ts'

/*
 * A sign-in by hand-off, one step at a time. So an attack can come between any two.
 */

/** A browser whose user is signed in at the hub. */
export async function signedInAtHub({ hub }: Pick<World, 'hub'>, user = 'ada'): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.post(`${hub.origin}/sign-in`, { user })
  return visitor
}

/** Begins a flow. @returns the address at the hub that the site sends the browser to */
export async function begin(visitor: Visitor, site: SiteApp, returnTo = '/members'): Promise<string> {
  const query = new URLSearchParams({ returnTo }).toString()
  const begun = await visitor.open(`${site.origin}/handoff/sign-in?${query}`, { follow: false })
  expect(begun.status, begun.text).toBe(303)
  return nextOf(begun)
}

/** Asks the hub for a code. @returns the address of the site's callback, with the code */
export async function authorize(visitor: Visitor, address: string): Promise<string> {
  const answer = await visitor.open(address, { follow: false })
  expect(answer.status, answer.text).toBe(303)
  const next = nextOf(answer)
  expect(codeIn(next), `a code in ${next}`).toMatch(/^[\w-]{43}$/)
  return next
}

/** Begins a flow, and asks the hub for its code. @returns the address of the site's callback, with the code */
export async function codeFor(visitor: Visitor, site: SiteApp, returnTo?: string): Promise<string> {
  return authorize(visitor, await begin(visitor, site, returnTo))
}

export function codeIn(address: string): string {
  return new URL(address).searchParams.get('code') ?? ''
}

/** The address with some of its parameters replaced, or removed. */
export function withQuery(address: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const url = new URL(address)
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return url.href
}

export async function seenAt(visitor: Visitor, { origin }: App, path = '/'): Promise<Seen> {
  const { text, status } = await visitor.open(origin + path)
  expect(status, text).toBe(200)
  return JSON.parse(text) as Seen
}

/** Who is signed in there. */
export async function userAt(visitor: Visitor, app: App): Promise<string | null> {
  return (await seenAt(visitor, app)).userId
}

/** The publicIds of all live child sessions. */
export async function children(store: SessionStore): Promise<string[]> {
  const { items } = await store.list({ limit: 1_000, data: false })
  return items.filter(({ rootId }) => rootId !== undefined).map(({ id }) => id)
}

/** Asserts that the hand-off was refused, and that nobody got a session by it. */
export async function expectRefused(
  world: World,
  answer: Exchanged,
  expected: { readonly status?: number; readonly message?: string } = {},
): Promise<void> {
  const { status = 400, message = 'nobody was signed in' } = expected
  expect([answer.status, answer.headers.get('location')], answer.text).toEqual([status, null])
  expect(answer.text).toContain(message)
  expect(await children(world.store)).toEqual([])
}

/** What a site keeps in the browser during a flow. */
export interface StoredFlow {
  readonly state: string
  readonly verifier: string
  readonly nonce: string
  readonly returnTo: string
  readonly begunAt: number
}

/** The names of the cookies that keep flows. */
export function flowCookies(visitor: Visitor, { origin }: App): string[] {
  return [...visitor.jar(origin).keys()].filter((name) => /^(?:__Host-)?handoff\./.test(name))
}

/** The flow that the browser has begun last. */
export function flowOf(visitor: Visitor, site: SiteApp): StoredFlow {
  const value = visitor.jar(site.origin).get(flowCookies(visitor, site).at(-1)!)!
  return JSON.parse(Buffer.from(value.split('.')[0]!, 'base64url').toString()) as StoredFlow
}

/** Signs the cookie of a flow, as only whoever knows the secret can. */
export function signedFlow(flow: object, { clientId }: SiteApp): string {
  const text = Buffer.from(JSON.stringify(flow)).toString('base64url')
  return new Signer(secret, flowFormOf(clientId)).sign(text)
}

/** What the site's own code works on. */
export function contextOf({ sessions }: App): WorkContext {
  return sessions as unknown as WorkContext
}
