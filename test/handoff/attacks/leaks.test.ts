import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { SessionEvents, Sessions } from 'coatcheck'
import { Signer } from '../../../dist/core/signer.js'
import { CommandedStore } from '../../adapters/commanded-store.ts'
import { begin, codeFor, codeIn, flowCookies, flowOf, signedInAtHub, withQuery } from '../moves.ts'
import { type Exchanged, Visitor } from '../visitor.ts'
import { type App, secret, type SiteApp, serveWorld } from '../world.ts'

const eventNames = ['created', 'committed', 'rotated', 'destroyed', 'forged', 'expired', 'storeError'] as const satisfies (keyof SessionEvents)[] // prettier-ignore

/** All that the library says to the app: by events, warnings and the console. */
function listenTo(apps: readonly App[]): string[] {
  const heard: string[] = []
  const hear = (...given: unknown[]) => void heard.push(given.map(text).join(' '))
  for (const { sessions } of apps)
    for (const name of eventNames) sessions.on(name as 'created', hear as Parameters<Sessions['on']>[1])
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
    const spy = vi.spyOn(console, method).mockImplementation(hear)
    onTestFinished(() => spy.mockRestore())
  }
  return heard
}

/** A value as it is logged, with all that hangs on it. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { depth: 12, showHidden: true, getters: true })
}

/** Everything that must stay between one browser and one app. */
function secretsOf(visitor: Visitor, site: SiteApp, hub: App): string[] {
  const flow = flowOf(visitor, site)
  const cookies = flowCookies(visitor, site).map((name) => visitor.jar(site.origin).get(name)!)
  return [flow.verifier, flow.nonce, flow.state, ...cookies, ...tokens(visitor, [hub, site])]
}

function tokens(visitor: Visitor, apps: readonly App[]): string[] {
  return apps.flatMap(({ origin }) => {
    const value = visitor.jar(origin).get('sid')
    const token = value && new Signer(secret).verify(decodeURIComponent(value))?.token
    return token ? [token, token.slice(-32)] : []
  })
}

function expectNone(texts: readonly string[], canaries: readonly string[]): void {
  for (const canary of canaries) {
    expect(canary.length).toBeGreaterThan(30)
    expect(texts.filter((each) => each.includes(canary))).toEqual([])
  }
}

const isOfHandoff = ({ url }: Exchanged) => /\/(?:handoff\/|authorize)/.test(new URL(url).pathname)

describe('a code, a verifier, a nonce and a token', () => {
  it('are in no error, event, warning or line of the console, and in no page', async () => {
    const store = new CommandedStore()
    const { hub, sites } = await serveWorld({ store })
    const [shop, blog] = [sites['shop']!, sites['blog']!]
    const heard = listenTo([hub, shop, blog])
    const visitor = await signedInAtHub({ hub })
    const canaries: string[] = []
    const keep = (callback: string) => void canaries.push(codeIn(callback), ...secretsOf(visitor, shop, hub))
    const refused: Exchanged[] = []
    const refuse = async (address: string, from = visitor) =>
      void refused.push(await from.open(address, { follow: false }))

    // A sign-in, its reload, and a step-up.
    const callback = await codeFor(visitor, shop)
    keep(callback)
    await visitor.open(callback)
    await visitor.open(callback)
    canaries.push(...tokens(visitor, [shop]))
    await visitor.post(`${hub.origin}/rotate`)
    canaries.push(...tokens(visitor, [hub]))
    await visitor.post(`${shop.origin}/handoff/sign-out`)

    // Every way in which it is refused.
    const stranger = new Visitor()
    const open = await codeFor(visitor, shop)
    keep(open)
    await refuse(withQuery(open, { iss: undefined }))
    await refuse(withQuery(open, { code: codeIn(callback) }))
    await refuse(withQuery(open, { error: codeIn(open) }))
    await refuse(withQuery(open, { error: 'server_error', error_description: codeIn(open) }))
    await refuse(withQuery(open, { code: `${codeIn(open)}x` }))
    await refuse(withQuery(open, { state: codeIn(open) }))
    await refuse(open, stranger)
    const other = new URL(await begin(stranger, shop))
    await refuse(withQuery(open, { state: other.searchParams.get('state')! }), stranger)
    await refuse(open)
    for (const name of ['client_id', 'redirect_uri'])
      await refuse(withQuery(other.href, { [name]: codeIn(open) }))

    // The store fails at each call of a redemption.
    for (const down of ['find', 'insert', 'update', 'remove'] as const) {
      await visitor.post(`${shop.origin}/basket`)
      const failing = await codeFor(visitor, shop)
      keep(failing)
      store.down.add(down)
      await refuse(failing)
      store.down.delete(down)
    }
    const late = await codeFor(visitor, shop)
    keep(late)
    await visitor.post(`${hub.origin}/sign-out`)
    await refuse(late)

    expect(refused.map(({ status }) => status).filter((status) => status === 503)).toHaveLength(4)
    expect(refused.filter(({ status }) => status < 400)).toEqual([])
    const errors = [hub, shop, blog].flatMap(({ errors }) => errors)
    expect(errors.length).toBeGreaterThanOrEqual(13)
    expect(heard.length).toBeGreaterThan(5)
    const pages = [...visitor.log, ...stranger.log, ...refused].map((exchanged) => exchanged.text)
    expectNone([...errors.map(text), ...heard, ...pages], [...new Set(canaries)])
  })

  it('are in no address but that of the callback, which no page has: the code goes nowhere else', async () => {
    const { hub, sites } = await serveWorld()
    const visitor = await signedInAtHub({ hub })
    const first = await codeFor(visitor, sites['shop']!)
    const secrets = secretsOf(visitor, sites['shop']!, hub)
    await visitor.open(first)
    await visitor.open(`${sites['blog']!.origin}/members`)
    await visitor.open(`${sites['shop']!.origin}/members`)
    const codes = visitor.log.filter(({ url }) => url.includes('code=')).map(({ url }) => codeIn(url))
    expect(codes).toHaveLength(2)
    const others = visitor.log.filter(({ url }) => !url.includes('/handoff/callback?'))
    expectNone(
      others.map(({ url }) => url),
      codes,
    )
    // The verifier and the tokens are in none at all.
    const [verifier, , , ...rest] = secrets
    expectNone(
      visitor.log.map(({ url }) => url),
      [verifier!, ...rest],
    )
    // The callback always leads on, so no page has its address, and history does not either.
    const callbacks = visitor.log.filter(({ url }) => url.includes('/handoff/callback?'))
    expect(callbacks.map(({ status, text: page }) => [status, page])).toEqual([
      [303, ''],
      [303, ''],
    ])
  })

  it('are in no Referer and no cache: every answer says so, an error too', async () => {
    const { hub, sites } = await serveWorld()
    const shop = sites['shop']!
    const visitor = await signedInAtHub({ hub })
    const callback = await codeFor(visitor, shop)
    await visitor.open(withQuery(callback, { iss: 'https://evil.test' }))
    await visitor.open(callback)
    await visitor.open(callback)
    await new Visitor().open(callback)
    await visitor.post(`${shop.origin}/handoff/sign-out`)
    await visitor.open(`${shop.origin}/members`)
    await visitor.open(`${hub.origin}/authorize?client_id=none`)
    await visitor.open(callback, { method: 'PUT', headers: { origin: shop.origin } })
    await visitor.open(`${shop.origin}/handoff/sign-in?returnTo=//evil.test`)
    await visitor.post(`${shop.origin}/handoff/sign-out`)
    await visitor.open(`${shop.origin}/quiet`)
    await visitor.post(
      `${shop.origin}/handoff/sign-out`,
      {},
      { headers: { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' } },
    )
    const answers = visitor.log.filter(isOfHandoff)
    expect(answers.length).toBeGreaterThan(12)
    for (const { headers, url, status } of answers.filter(({ status }) => status !== 403)) {
      expect(headers.get('referrer-policy'), `${status} ${url}`).toBe('no-referrer')
      expect(headers.get('cache-control'), `${status} ${url}`).toBe('no-store')
    }
  })
})
