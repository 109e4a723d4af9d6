import { describe, expect, it } from 'vitest'
import type { HandoffMiddleware, HubOptions } from 'coatcheck/handoff'
import { seenAt, signedInAtHub } from '../moves.ts'
import { type Exchanged, isRedirect, type VisitOptions, Visitor } from '../visitor.ts'
import { serveWorld, type WorldOptions } from '../world.ts'

/** A client that keeps no cookies, or only some. */
class Forgetful extends Visitor {
  readonly #keeps: (name: string, origin: string) => boolean

  constructor(keeps: (name: string, origin: string) => boolean = () => false) {
    super()
    this.#keeps = keeps
  }

  override async send(address: string, options?: VisitOptions): Promise<Exchanged> {
    const exchanged = await super.send(address, options)
    const { origin } = new URL(address)
    const jar = this.jar(origin)
    for (const name of jar.keys()) if (!this.#keeps(name, origin)) jar.delete(name)
    return exchanged
  }
}

async function worldOfOne(options: WorldOptions = {}) {
  const world = await serveWorld({ clients: ['shop'], ...options })
  return { world, hub: world.hub, shop: world.sites['shop']! }
}

describe('a silent check', () => {
  it('ends for a client that keeps no cookies', async () => {
    const { shop } = await worldOfOne()
    const client = new Forgetful()
    const end = await client.open(`${shop.origin}/quiet`)
    expect(client.log.map(({ status }) => status)).toEqual([303, 303, 400])
    expect(end.text).toContain('it keeps no cookies')
  })

  it('does not begin for a client that says nothing of how it loads pages, such as a robot', async () => {
    const { shop } = await worldOfOne()
    const headers = { accept: 'text/html' }
    const response = await fetch(`${shop.origin}/quiet`, { redirect: 'manual', headers })
    expect([response.status, response.headers.getSetCookie()]).toEqual([200, []])
    await response.body?.cancel()
  })

  it('does not keep a visitor from the page while the hub is away', async () => {
    const { shop } = await worldOfOne()
    const visitor = new Visitor()
    const away = await visitor.open(`${shop.origin}/quiet`, { follow: false })
    expect([away.status, away.headers.has('location')]).toEqual([303, true])
    expect((await seenAt(visitor, shop, '/quiet')).userId).toBeNull()
  })

  it('is not repeated for ten minutes, nor after a sign-out', async () => {
    const { world, shop } = await worldOfOne()
    const stranger = new Visitor()
    await seenAt(stranger, shop, '/quiet')
    const before = stranger.log.length
    for (let visit = 0; visit < 5; visit++) await seenAt(stranger, shop, '/quiet')
    expect(stranger.log.slice(before).filter(isRedirect)).toEqual([])
    const visitor = await signedInAtHub(world)
    await seenAt(visitor, shop, '/quiet')
    await visitor.post(`${shop.origin}/handoff/sign-out`)
    const after = visitor.log.length
    expect((await seenAt(visitor, shop, '/quiet')).userId).toBeNull()
    expect(visitor.log.slice(after).filter(isRedirect)).toEqual([])
  })

  it.each<[string, Partial<HubOptions>]>([
    ['refuses this site to the user', { consent: () => false }],
    ['would have to ask the user', { consent: () => '/consent' }],
  ])('shows the page, and is not repeated, where the hub %s', async (_, hub) => {
    const { world, shop } = await worldOfOne({ hub })
    const visitor = await signedInAtHub(world)
    expect((await seenAt(visitor, shop, '/quiet')).userId).toBeNull()
    const before = visitor.log.length
    expect((await seenAt(visitor, shop, '/quiet')).userId).toBeNull()
    expect(visitor.log).toHaveLength(before + 1)
  })
})

describe('a page for signed-in users', () => {
  it('leads a client that keeps no cookies to the sign-in page', async () => {
    const { hub, shop } = await worldOfOne()
    const client = new Forgetful()
    const end = await client.open(`${shop.origin}/members`)
    expect([end.status, new URL(end.url).origin, new URL(end.url).pathname]).toEqual([
      200,
      hub.origin,
      '/sign-in',
    ])
    expect(client.log).toHaveLength(3)
  })

  it.each([
    ['no cookies', () => false, 'it keeps no cookies', [303, 303, 400]],
    [
      'the cookies of the flow, but not that of the session',
      (name: string) => name.startsWith('handoff'),
      'has not sent the cookie of the session',
      [303, 303, 303, 303, 303, 303, 400],
    ],
  ] as const)(
    'ends in an error for a client that keeps %s of the site',
    async (_, keeps, message, statuses) => {
      const { hub, shop } = await worldOfOne()
      const client = new Forgetful((name, origin) => origin === hub.origin || keeps(name))
      await client.post(`${hub.origin}/sign-in`, { user: 'ada' }, { follow: false })
      const end = await client.open(`${shop.origin}/members`)
      expect(client.log.slice(1).map(({ status }) => status)).toEqual(statuses)
      expect(end.text).toContain(message)
    },
  )

  it('makes no loop where it is asked before the addresses of the hand-off', async () => {
    const checks = new Map<string | undefined, HandoffMiddleware>()
    const { world, shop } = await worldOfOne({
      before: (request, response, next) => {
        const check = checks.get(request.headers.host)
        if (check) check(request, response, next)
        else next()
      },
    })
    checks.set(new URL(shop.origin).host, shop.site.signedIn())
    const visitor = await signedInAtHub(world)
    expect((await seenAt(visitor, shop)).userId).toBe('ada')
  })
})
