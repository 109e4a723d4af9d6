import { describe, expect, it } from 'vitest'
import type { SessionError } from 'coatcheck'
import type { ClientFunction, HubOptions } from 'coatcheck/handoff'
import { authorize, begin, children, signedInAtHub, userAt, withQuery } from '../moves.ts'
import { nextOf } from '../visitor.ts'
import { serveWorld } from '../world.ts'

async function asking(hubOptions: Partial<HubOptions>) {
  const world = await serveWorld({ clients: ['shop'], hub: hubOptions })
  const shop = world.sites['shop']!
  const visitor = await signedInAtHub(world)
  return { world, hub: world.hub, shop, visitor, address: await begin(visitor, shop) }
}

/** What frameworks would take for a wish to go on, and others. */
const thrown: readonly unknown[] = [undefined, null, 'route', 'router', 0, '', false, 'text', {}, Symbol('x')]

/** Asserts that a function which does any of these gives no code, but an error that names the function. */
async function expectErrors(
  name: 'clients' | 'consent',
  ways: readonly (() => unknown)[],
  message: RegExp,
): Promise<void> {
  let way: () => unknown
  const { world, hub, shop, visitor, address } = await asking({ [name]: () => way() })
  for (way of ways) {
    hub.errors.length = 0
    const answer = await visitor.open(address, { follow: false })
    expect([answer.status, answer.headers.get('location')], answer.text).toEqual([500, null])
    const [error] = hub.errors as Error[]
    expect(error).toBeInstanceOf(Error)
    expect(error!.message).toMatch(message)
  }
  expect([await userAt(visitor, shop), await children(world.store)]).toEqual([null, []])
}

/** Throws, and rejects with, each of these. */
function failing(reasons: readonly unknown[]): (() => unknown)[] {
  return reasons.flatMap((reason) => [
    () => {
      throw reason
    },
    () => Promise.reject(reason as Error),
  ])
}

describe('consent', () => {
  it('that is refused gives the site an error, and no code', async () => {
    const { world, shop, visitor, address } = await asking({ consent: () => false })
    const answer = new URL(nextOf(await visitor.open(address, { follow: false })))
    expect([answer.searchParams.get('error'), answer.searchParams.has('code')]).toEqual([
      'access_denied',
      false,
    ])
    const refused = await visitor.open(answer.href)
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('access_denied')])
    expect([await userAt(visitor, shop), await children(world.store)]).toEqual([null, []])
  })

  it('that fails gives no code', async () => {
    await expectErrors('consent', failing(thrown), /^consent of createHub failed with .*no Error/)
    await expectErrors('consent', failing([new Error('mine')]), /^mine$/)
  })

  it('that is no answer, nor a path of the app, gives no code', async () => {
    const answers: readonly unknown[] = [
      'https://evil.test/', '//evil.test', '/\\evil.test', 'https:evil.test', 'javascript:alert(1)', '/\n/evil.test', 'evil', '', ' ', './x',
      '?x', '#x', '/.//evil.test', undefined, null, 0, 1, 'true', {}, [], ['/consent'], () => true, Symbol('x'), new Date(),
    ] // prettier-ignore
    await expectErrors(
      'consent',
      answers.map((answer) => () => answer),
      /^consent of createHub returned/,
    )
  })

  it('is asked of the session that asks, and its page cannot be left out', async () => {
    const asked: string[] = []
    const { hub, visitor, address } = await asking({
      consent: ({ clientId, session }) => {
        asked.push(`${clientId} ${String(session.userId)}`)
        return session.remark === 'yes' ? true : '/consent?site=shop'
      },
    })
    const page = new URL(nextOf(await visitor.open(address, { follow: false })))
    expect([page.origin, page.pathname, page.searchParams.get('site')]).toEqual([
      hub.origin,
      '/consent',
      'shop',
    ])
    const back = new URL(page.searchParams.get('returnTo')!, hub.origin).href
    // The way back is the same question again, so nothing is gained by going there at once, nor by other parameters.
    for (const more of [{}, { consent: 'true', remark: 'yes' }, { prompt: undefined }]) {
      const again = nextOf(await visitor.open(withQuery(back, more), { follow: false }))
      expect(new URL(again).pathname).toBe('/consent')
    }
    const silent = nextOf(await visitor.open(withQuery(back, { prompt: 'none' }), { follow: false }))
    expect(new URL(silent).searchParams.get('error')).toBe('consent_required')
    expect(new Set(asked)).toEqual(new Set(['shop ada']))
  })
})

describe('a function of clients', () => {
  it('gets no names but those that a site may have', async () => {
    const names: string[] = []
    const { hub, visitor, address } = await asking({
      clients: (clientId) => {
        names.push(clientId)
        return undefined
      },
    })
    for (const clientId of ['__proto__', '-x', '.x', 'a b', 'a/b', 'a\0', 'ü', 'x'.repeat(65), '']) {
      const answer = await visitor.open(withQuery(address, { client_id: clientId }), { follow: false })
      expect([answer.status, answer.headers.get('location')], clientId).toEqual([400, null])
    }
    expect([names, hub.errors.length]).toEqual([[], 9])
  })

  it('that fails gives no code', async () => {
    await expectErrors('clients', failing(thrown), /^clients of createHub failed with .*no Error/)
    await expectErrors('clients', failing([new Error('mine')]), /^mine$/)
  })

  it.each([undefined, null])('that finds %s names no site', async (found) => {
    const { visitor, address } = await asking({ clients: (() => found) as unknown as ClientFunction })
    expect((await visitor.open(address, { follow: false })).status).toBe(400)
  })

  it('that returns something else gives no code', async () => {
    const junk: readonly unknown[] = [
      1, true, '', 'https://shop.test/', [], {}, new Map(), new Date(), () => ({}),
      { redirectUris: [] }, { redirectUris: 'https://shop.test/' }, { redirectUris: [1] }, { redirectUris: { includes: () => true } },
      { redirectUris: ['*'] }, { redirectUris: ['http://shop.test/'] },
      { redirectUris: ['https://shop.test'] }, { redirectUris: ['https://user@shop.test/'] }, { redirectUris: ['https://shop.test/#x'] },
      { redirectUris: ['javascript:alert(1)'] }, { redirectUris: ['/handoff/callback'] }, { redirectUris: ['https://shop.test/'], scope: 'all' },
      { redirectUris: ['https://shop.test/'], share: 'name' }, { redirectUris: ['https://shop.test/'], share: [1] },
    ] // prettier-ignore
    await expectErrors(
      'clients',
      junk.map((found) => () => found),
      /createHub/,
    )
  })

  it('that looks a name up in an object finds what all objects have: it gives no code', async () => {
    const clients: Record<string, never> = {}
    const { world, hub, visitor, address } = await asking({ clients: (clientId) => clients[clientId] })
    for (const clientId of ['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf']) {
      const answer = await visitor.open(withQuery(address, { client_id: clientId }), { follow: false })
      expect([answer.status, answer.headers.get('location')], clientId).toEqual([500, null])
    }
    for (const error of hub.errors) expect((error as SessionError).code).toBe('ERR_SESSION_OPTION')
    expect(await children(world.store)).toEqual([])
  })
})

describe('what the hub shares', () => {
  it('is what it names, of its own session alone, whatever the site or its visitors write', async () => {
    const { shop, visitor, address } = await asking({})
    await visitor.post(`${shop.origin}/remark`, { remark: 'planted' })
    for (const form of [
      { root: '{"share":["secretOfHub"]}' },
      { 'root[share][]': 'secretOfHub' },
      { userId: 'bob' },
      { ['__proto__']: 'x' },
    ])
      await visitor.post(`${shop.origin}/remark`, form as unknown as Record<string, string>)
    await visitor.open(await authorize(visitor, address))
    const { text } = await visitor.open(`${shop.origin}/`)
    const { root, userId, remark } = JSON.parse(text) as {
      root: { data: object }
      userId: string
      remark: unknown
    }
    expect([root.data, userId, remark]).toEqual([{ fullName: 'Name of ada' }, 'ada', null])
    const written = await visitor.post(`${shop.origin}/remark`, { root: 'x' })
    expect([written.status, written.text]).toEqual([
      500,
      expect.stringContaining('ERR_SESSION_RESERVED_NAME'),
    ])
    const after = JSON.parse((await visitor.open(`${shop.origin}/`)).text) as { root: { data: object } }
    expect(after.root.data).toEqual({ fullName: 'Name of ada' })
  })
})
