import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import {
  begin,
  children,
  codeFor,
  expectRefused,
  flowOf,
  signedInAtHub,
  userAt,
  withQuery,
} from '../moves.ts'
import { nextOf, Visitor } from '../visitor.ts'
import { type App, type Seen, serveWorld } from '../world.ts'

const listed = 'https://shop.example/handoff/callback'
const listedWithPort = 'https://blog.example:8443/handoff/callback?tenant=1'

async function worldOfOne() {
  const world = await serveWorld({ clients: ['shop'] })
  return { world, hub: world.hub, shop: world.sites['shop']! }
}

describe('the return address of a code', () => {
  async function hubOfOthers() {
    const clients = {
      shop: { redirectUris: [listed] },
      blog: { redirectUris: [listedWithPort] },
    }
    const world = await serveWorld({ clients: [], hub: { clients } })
    const visitor = await signedInAtHub(world)
    const query = {
      response_type: 'code',
      client_id: 'shop',
      state: 'state',
      nonce: 'nonce',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    }
    const ask = (redirectUri: string | undefined, clientId = 'shop') =>
      visitor.open(
        withQuery(`${world.hub.origin}/authorize`, {
          ...query,
          client_id: clientId,
          redirect_uri: redirectUri,
        }),
        { follow: false },
      )
    return { world, visitor, ask }
  }

  it('is the listed one, whole', async () => {
    const { ask } = await hubOfOthers()
    expect(nextOf(await ask(listed))).toMatch(
      /^https:\/\/shop\.example\/handoff\/callback\?code=[\w-]{43}&state=state&iss=/,
    )
    expect(nextOf(await ask(listedWithPort, 'blog'))).toMatch(
      /^https:\/\/blog\.example:8443\/handoff\/callback\?tenant=1&code=/,
    )
  })

  it.each<[string, readonly string[]]>([
    ['missing', ['']],
    [
      'a longer one that begins so',
      [`${listed}/`, `${listed}/more`, `${listed}?x=1`, `${listed}.html`, `${listed};x`],
    ],
    [
      'a shorter one',
      [listed.slice(0, -1), 'https://shop.example/handoff/', 'https://shop.example/', 'https://shop.example'],
    ],
    [
      'on a host that begins or ends so',
      [
        'https://shop.example.evil.test/handoff/callback',
        'https://evilshop.example/handoff/callback',
        'https://www.shop.example/handoff/callback',
        'https://example/handoff/callback',
      ],
    ],
    [
      'with user information',
      [
        'https://user@shop.example/handoff/callback',
        'https://user:password@shop.example/handoff/callback',
        'https://shop.example@evil.test/handoff/callback',
        'https://shop.example:443@evil.test/handoff/callback',
        'https://@shop.example/handoff/callback',
      ],
    ],
    [
      'on a look-alike of the host (IDN)',
      [
        'https://shоp.example/handoff/callback',
        'https://xn--shp-tcd.example/handoff/callback',
        'https://ｓｈｏｐ.example/handoff/callback',
        'https://shop。example/handoff/callback',
        'https://shop.example\u200b/handoff/callback',
        'https://shop\u00ad.example/handoff/callback',
        'https://shop%2Eexample/handoff/callback',
      ],
    ],
    ['with a dot at the end of the host', ['https://shop.example./handoff/callback']],
    [
      'with a path that leads elsewhere, or back',
      [
        `${listed}/../callback`,
        `${listed}/..`,
        'https://shop.example/handoff/../handoff/callback',
        'https://shop.example/handoff/./callback',
        'https://shop.example/handoff//callback',
        'https://shop.example//handoff/callback',
        'https://shop.example/handoff/%63allback',
        'https://shop.example/handoff%2Fcallback',
        'https://shop.example/handoff/%2e%2e/handoff/callback',
        'https://shop.example/handoff\\callback',
        'https://shop.example\\handoff\\callback',
      ],
    ],
    [
      'in other letters',
      [
        'HTTPS://shop.example/handoff/callback',
        'https://SHOP.example/handoff/callback',
        'https://shop.example/Handoff/callback',
        'https://shop.example/handoff/CALLBACK',
      ],
    ],
    [
      'with another port, or with the default one',
      [
        'https://shop.example:443/handoff/callback',
        'https://shop.example:/handoff/callback',
        'https://shop.example:8443/handoff/callback',
        'https://shop.example:80/handoff/callback',
      ],
    ],
    [
      'of another scheme',
      [
        listed.replace('https:', 'http:'),
        listed.replace('https:', 'ftp:'),
        listed.replace('https:', ''),
        'javascript:alert(1)',
        `javascript://shop.example/handoff/callback`,
        `data:text/html,${listed}`,
      ],
    ],
    ['with a fragment', [`${listed}#`, `${listed}#x`]],
    [
      'with blanks or control characters',
      [
        ` ${listed}`,
        `${listed} `,
        `${listed}\t`,
        `${listed}\r\nLocation: https://evil.test`,
        `${listed}\0`,
        `https://shop.\texample/handoff/callback`,
      ],
    ],
    ['a pattern', ['*', 'https://*.example/handoff/callback', 'https://shop.example/*']],
    ['that of another site', [listedWithPort]],
    ['two in one', [`${listed},https://evil.test/`, `${listed} https://evil.test/`]],
    ["somebody else's", ['https://evil.test/handoff/callback', '//evil.test', '/handoff/callback']],
  ])('is refused if it is %s', async (_, addresses) => {
    const { ask } = await hubOfOthers()
    for (const address of addresses) {
      const answer = await ask(address)
      expect([answer.status, answer.headers.get('location')], address).toEqual([400, null])
      expect(answer.text).toContain('redirect_uri is not listed for this site')
    }
  })

  it('is refused if its own query is left out, or another', async () => {
    const { ask } = await hubOfOthers()
    const base = 'https://blog.example:8443/handoff/callback'
    for (const query of ['', '?', '?tenant=2', '?tenant=1&x', '?tenant=1&code=x', '?TENANT=1', '?tenant=%31'])
      expect((await ask(base + query, 'blog')).status, query).toBe(400)
  })

  it('is refused if it, or the name of the site, comes twice or under another name', async () => {
    const { world, visitor } = await hubOfOthers()
    const query = new URLSearchParams({
      response_type: 'code', client_id: 'shop', redirect_uri: listed,
      state: 's', nonce: 'n', code_challenge: 'a'.repeat(43), code_challenge_method: 'S256',
    }) // prettier-ignore
    const ask = (more: string, less?: string) => {
      const rest = new URLSearchParams(query)
      if (less !== undefined) rest.delete(less)
      return visitor.open(`${world.hub.origin}/authorize?${rest.toString()}${more}`, { follow: false })
    }
    const evil = encodeURIComponent('https://evil.test/')
    const own = encodeURIComponent(listed)
    expect((await ask('')).status).toBe(303)
    for (const [more, less] of [
      [`&redirect_uri=${evil}`],
      [`&redirect_uri=${own}`],
      [`&redirect_uri=`],
      [`&client_id=blog`],
      [`&client_id=shop`],
      [`&redirect_uri[]=${own}`, 'redirect_uri'],
      [`&redirect_uri%00=${own}`, 'redirect_uri'],
      [`&REDIRECT_URI=${own}`, 'redirect_uri'],
      [`&client_id[]=shop`, 'client_id'],
    ] as const) {
      const answer = await ask(more, less)
      expect([answer.status, answer.headers.get('location')], more).toEqual([400, null])
    }
    // Others, twice, are an error that the site gets: never a code.
    for (const name of [
      'state',
      'nonce',
      'code_challenge',
      'code_challenge_method',
      'response_type',
      'prompt',
      'max_age',
    ])
      for (const twice of [`&${name}=x&${name}=x`, `&${name}=&${name}=`]) {
        const next = new URL(nextOf(await ask(twice, name)))
        expect([next.origin, next.searchParams.get('error'), next.searchParams.has('code')], twice).toEqual([
          'https://shop.example',
          'invalid_request',
          false,
        ])
      }
  })

  it('is never the one of another site', async () => {
    const { ask } = await hubOfOthers()
    expect((await ask(listed, 'blog')).status).toBe(400)
    for (const clientId of [
      '__proto__',
      'constructor',
      'toString',
      'hasOwnProperty',
      'valueOf',
      '',
      'SHOP',
      'shop ',
      'x'.repeat(65),
    ]) {
      const answer = await ask(listed, clientId)
      expect([answer.status, answer.headers.get('location')], clientId).toEqual([400, null])
      expect(answer.text).toContain('client_id names no site of this hub')
    }
  })
})

/** Addresses that lead to another host in some browser, server or library. */
const foreign = [
  'https://evil.test/', 'http://evil.test', '//evil.test', '///evil.test', '////evil.test/', '/\\evil.test', '\\\\evil.test', '\\/evil.test',
  '/\t/evil.test', '/\n/evil.test', '\t//evil.test', ' //evil.test', '/%09/evil.test\t', '/.//evil.test', '/..//evil.test', '/x/..//evil.test',
  '/%2e//evil.test', 'https:evil.test', 'https:/evil.test', 'https:\\\\evil.test', 'javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'data:text/html,x',
  'vbscript:x', 'blob:https://evil.test/x', 'view-source:https://evil.test', 'evil.test', 'www.evil.test/x', '.evil.test', '@evil.test', ':443@evil.test',
  '/\r\nLocation: https://evil.test', '/\0', '//evil.test@shop.test', 'https://shop@evil.test/', '//%65vil.test', '/\u2028/evil.test', '//evil。test',
  'null', '', 'undefined', `/${'a'.repeat(5_000)}`, '?x', '#x', '/\u{1f36a}\\evil.test', 'file:///etc/passwd', 'about:blank',
] // prettier-ignore

/** Asserts that a browser stays at the app when it follows this address. */
function expectAt({ origin }: App, location: string | null, given: string): void {
  expect(location, given).not.toBeNull()
  expect(location!, given).toMatch(/^\/(?![/\\])[\x21-\x7e]*$/)
  expect(location!, given).not.toContain('\\')
  expect(new URL(location!, origin).origin, given).toBe(origin)
}

describe('where the browser goes on', () => {
  it('is at the site, whatever the address of the sign-in says', async () => {
    const { world, shop } = await worldOfOne()
    const known = await signedInAtHub(world)
    await known.open(`${shop.origin}/members`)
    for (const returnTo of foreign) {
      const query = new URLSearchParams({ returnTo }).toString()
      // Somebody who is signed in already is sent there at once.
      const at = await known.open(`${shop.origin}/handoff/sign-in?${query}`, { follow: false })
      expectAt(shop, at.headers.get('location'), returnTo)
      const visitor = await signedInAtHub(world)
      const done = await visitor.open(await codeFor(visitor, shop, returnTo), { follow: false })
      expectAt(shop, done.headers.get('location'), returnTo)
    }
  })

  it('is at the site, whatever the address of the sign-out says', async () => {
    const { world, shop } = await worldOfOne()
    for (const returnTo of foreign) {
      const query = new URLSearchParams({ returnTo }).toString()
      const visitor = await signedInAtHub(world)
      for (const everywhere of ['', '&everywhere']) {
        await visitor.open(`${shop.origin}/members`)
        const address = `${shop.origin}/handoff/sign-out?${query}${everywhere}`
        const out = await visitor.post(address, {}, { follow: false })
        expect(out.status, out.text).toBe(303)
        expectAt(shop, out.headers.get('location'), returnTo)
      }
    }
  })

  it('is never in the address of the callback: it was kept before', async () => {
    const { world, shop } = await worldOfOne()
    for (const name of ['returnTo', 'return_to', 'redirect_uri', 'next', 'url']) {
      const visitor = await signedInAtHub(world)
      const callback = `${await codeFor(visitor, shop, '/quiet?page=2')}&${name}=https://evil.test/`
      const done = await visitor.open(callback, { follow: false })
      expect([done.status, done.headers.get('location')]).toEqual([303, '/quiet?page=2'])
      const again = await visitor.open(callback, { follow: false })
      expect([again.status, again.headers.get('location')]).toEqual([303, '/quiet?page=2'])
    }
  })

  it('is the start page if it is given twice', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    const twice = await visitor.open(`${shop.origin}/handoff/sign-in?returnTo=/members&returnTo=/quiet`)
    expect(twice.url).toBe(`${shop.origin}/`)
    expect((JSON.parse(twice.text) as Seen).userId).toBe('ada')
  })

  it('is never another host where the site is asked under a path that looks like one', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    // Node's own client sends it as it is.
    for (const path of [
      '//evil.test/members',
      '/\\evil.test',
      '//evil.test/..//members',
      'http://evil.test/members',
    ]) {
      const { port } = new URL(shop.origin)
      const answer = await new Promise<{ status: number; location: string | undefined }>(
        (resolve, reject) => {
          const headers = { host: 'evil.test', accept: 'text/html', 'sec-fetch-dest': 'document' }
          httpRequest({ host: '127.0.0.1', port, path, headers }, (response) => {
            void text(response).then(() =>
              resolve({ status: response.statusCode!, location: response.headers.location }),
            )
          })
            .on('error', reject)
            .end()
        },
      )
      expect(answer.status, path).toBeLessThan(500)
      expect(answer.location ?? '', path).not.toContain('evil.test')
    }
    expect(await userAt(visitor, shop)).toBeNull()
  })

  it('is not out of the site where it holds the addresses of the hand-off', async () => {
    const { world, shop } = await worldOfOne()
    for (const path of [
      '/handoff/sign-in',
      '/handoff/callback',
      '/handoff/sign-out',
      '/handoff/sign-in?returnTo=/handoff/sign-in',
    ]) {
      const visitor = await signedInAtHub(world)
      const query = new URLSearchParams({ returnTo: path }).toString()
      const end = await visitor.open(`${shop.origin}/handoff/sign-in?${query}`)
      expect(end.url.startsWith(`${shop.origin}/`), path).toBe(true)
      expect(await userAt(visitor, shop), path).toBe('ada')
    }
  })
})

describe('a sign-out', () => {
  it('is refused from the page of another site, and by a link', async () => {
    const { world, hub, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    for (const headers of [
      { origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
      { origin: hub.origin, 'sec-fetch-site': 'same-site' },
    ]) {
      const refused = await visitor.post(`${shop.origin}/handoff/sign-out?everywhere`, {}, { headers })
      expect(refused.status).toBe(403)
    }
    expect((await visitor.open(`${shop.origin}/handoff/sign-out?everywhere`)).status).toBe(405)
    expect([await userAt(visitor, shop), await userAt(visitor, hub)]).toEqual(['ada', 'ada'])
  })
})

describe('a frame, a script and a part of a page', () => {
  const destinations = ['iframe', 'frame', 'fencedframe', 'embed', 'object', 'empty', 'image', 'script', 'style', 'worker', 'serviceworker', 'video', '', 'Document', 'document, iframe', 'webidentity'] // prettier-ignore

  it('get no code from the hub', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    const address = await begin(visitor, shop)
    for (const destination of destinations) {
      const headers = { 'sec-fetch-dest': destination, origin: shop.origin }
      for (const asked of [address, withQuery(address, { prompt: 'none' })]) {
        const answer = await visitor.open(asked, { headers, follow: false })
        expect([answer.status, answer.headers.get('location')], destination).toEqual([400, null])
        expect(answer.text).toContain('as a whole page')
        expect(answer.headers.get('access-control-allow-origin')).toBeNull()
      }
    }
    expect(await children(world.store)).toEqual([])
  })

  it('begin no sign-in at a site', async () => {
    const { shop } = await worldOfOne()
    const visitor = new Visitor()
    for (const destination of destinations) {
      const headers = { 'sec-fetch-dest': destination }
      const quiet = await visitor.open(`${shop.origin}/quiet`, { headers, follow: false })
      expect(quiet.status, destination).toBe(200)
      const members = await visitor.open(`${shop.origin}/members`, { headers, follow: false })
      expect([members.status, members.headers.get('location')], destination).toEqual([401, null])
    }
    expect(visitor.jar(shop.origin).size).toBe(0)
  })

  it('cannot show any answer of the hand-off', async () => {
    const { world, hub, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    await visitor.post(`${shop.origin}/handoff/sign-out`)
    await visitor.open(`${shop.origin}/handoff/callback?code=x&state=x`)
    await visitor.open(`${hub.origin}/authorize?client_id=shop`)
    await visitor.open(`${hub.origin}/authorize`, { method: 'PUT' })
    const answers = visitor.log.filter(({ url }) => /\/(?:handoff\/|authorize)/.test(url))
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303, 400, 400, 405])
    for (const { headers, url } of answers) expect(headers.get('x-frame-options'), url).toBe('DENY')
    // The pages of errors are the app's: its own policy has to hold for them.
    for (const { headers, url } of answers.filter(({ status }) => status !== 400))
      expect(headers.get('content-security-policy'), url).toBe("default-src 'none'; frame-ancestors 'none'")
  })
})

describe('a request by another method', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s gets no code, and redeems none',
    async (method) => {
      const { world, shop } = await worldOfOne()
      const visitor = await signedInAtHub(world)
      const address = await begin(visitor, shop)
      const asked = await visitor.open(address, {
        method,
        follow: false,
        headers: { origin: world.hub.origin },
      })
      expect([asked.status, asked.headers.get('allow')]).toEqual([405, 'GET'])
      const callback = nextOf(await visitor.open(address, { follow: false }))
      const redeemed = await visitor.open(callback, {
        method,
        follow: false,
        headers: { origin: shop.origin },
      })
      expect([redeemed.status, redeemed.headers.get('allow')]).toEqual([405, 'GET'])
      expect(await children(world.store)).toEqual([])
      expect(flowOf(visitor, shop).state).toBe(new URL(callback).searchParams.get('state'))
    },
  )

  it('HEAD gets no code either', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    const asked = await visitor.open(await begin(visitor, shop), { method: 'HEAD', follow: false })
    expect([asked.status, asked.headers.get('location')]).toEqual([405, null])
  })
})

describe('the answer of the hub', () => {
  it('is refused without a code, or with one of another form', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    for (const code of [
      undefined,
      '',
      'x',
      'a'.repeat(42),
      'a'.repeat(44),
      `${'a'.repeat(42)}=`,
      'a'.repeat(6_000),
    ])
      await expectRefused(world, await visitor.open(withQuery(callback, { code })), {
        message: 'has no code',
      })
    await expectRefused(world, await visitor.open(`${callback}&code=${'a'.repeat(43)}`), {
      message: 'has no code',
    })
    await expectRefused(world, await visitor.open(withQuery(callback, { code: 'a'.repeat(43) })), {
      message: 'The code is unknown',
    })
    await visitor.open(callback)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('is not shown as it is, if it is an error', async () => {
    const { world, shop } = await worldOfOne()
    const visitor = await signedInAtHub(world)
    const callback = withQuery(await codeFor(visitor, shop), { code: undefined })
    for (const error of [
      '<script>alert(1)</script>',
      'Call +1 555',
      'x'.repeat(41),
      'a b',
      '\r\n',
      'Ünicode',
    ])
      await expectRefused(world, await visitor.open(withQuery(callback, { error })), {
        status: 403,
        message: 'The hub has not signed the user in here: an unknown error.',
      })
    const described = withQuery(callback, {
      error: 'access_denied',
      error_description: 'Call +1 555',
      error_uri: 'https://evil.test',
    })
    const { text: shown } = await visitor.open(described)
    expect(shown).toContain('access_denied.')
    expect(shown).not.toMatch(/555|evil/)
  })
})
