import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import {
  express4Framework,
  express5Framework,
  type Framework,
  frameworks,
  type Middleware,
} from './frameworks.ts'
import { cookieOf, secret, serve, type ServeOptions } from './serve.ts'

/** One action a path. */
const app: Middleware = async (request, response) => {
  if (request.url === '/unopened') return response.end('unopened')
  const { session } = request
  if (request.url === '/set') session.seen = 'yes'
  if (request.url === '/sign-in') await session.signIn(7, { keep: ['seen'] })
  if (request.url === '/sign-in-as-8') await session.signIn(8)
  if (request.url === '/sign-out') await session.signOut()
  if (request.url === '/destroy') await session.destroy()
  if (request.url === '/rotate') await session.rotate()
  if (request.url === '/regenerate') await session.regenerate()
  if (request.url === '/null') Object.assign(request, { session: null })
  return response.end(JSON.stringify({ ...request.session, user: request.session?.userId }))
}

const serveApp = (framework: Framework, options: Partial<ServeOptions> = {}) =>
  serve({ framework, handler: app, ...options })

const get = (url: string, cookie?: string, headers: Record<string, string> = {}) =>
  fetch(url, { headers: cookie === undefined ? headers : { cookie, ...headers } })

const attributesOf = (cookie: string) => cookie.split('; ').slice(1).sort()

/** A cookie value as cookie-signature writes it. */
function signed(token: string, key = secret): string {
  const signature = createHmac('sha256', key).update(token).digest('base64').replace(/=+$/, '')
  return encodeURIComponent(`s:${token}.${signature}`)
}

const tokenOf = (cookie: string) => decodeURIComponent(cookie).slice('sid=s:'.length).split('.', 1)[0]!

describe.each(frameworks)('in $name,', (framework) => {
  test('a session without data has no row and no cookie', async () => {
    const { url, store } = await serveApp(framework)
    for (const path of ['/read', '/unopened', '/sign-out', '/destroy', '/rotate', '/regenerate', '/null']) {
      const response = await get(url + path)
      expect([path, response.status, response.headers.getSetCookie()]).toEqual([path, 200, []])
      expect(response.headers.get('cache-control')).toBe(null)
    }
    expect(store.writes).toEqual([])
  })

  test('the first data sets the cookie, and reading or storing more sets none', async () => {
    const { url, store } = await serveApp(framework)
    const first = await get(`${url}/set`)
    expect(first.headers.getSetCookie()).toHaveLength(1)
    const [cookie] = first.headers.getSetCookie()
    expect(cookie).toMatch(/^sid=s%3Acoat_[\w-]{48}\.[\w%]{40,}; /)
    expect(attributesOf(cookie!)).toEqual(['HttpOnly', 'Path=/', 'SameSite=Lax'])
    expect(cookieOf(first)).toBe(`sid=${signed(tokenOf(cookieOf(first)))}`)
    for (const path of ['/read', '/unopened', '/set']) {
      const response = await get(url + path, cookieOf(first))
      expect([response.status, response.headers.getSetCookie()]).toEqual([200, []])
    }
    expect(store.writes.map(({ type }) => type)).toEqual(['insert'])
  })

  test.each(['/sign-in', '/rotate'])(
    '%s gives a new token, and without a grace the old one leads nowhere',
    async (path) => {
      const { url } = await serveApp(framework, { sessions: { rotationGrace: false } })
      const before = cookieOf(await get(`${url}/set`))
      const rotated = await get(url + path, before)
      const after = cookieOf(rotated)
      expect(tokenOf(after)).not.toBe(tokenOf(before))
      expect(await rotated.json()).toMatchObject({ seen: 'yes' })
      expect(await (await get(`${url}/read`, after)).json()).toMatchObject({ seen: 'yes' })
      expect(await (await get(`${url}/read`, before)).json()).toEqual({})
    },
  )

  test('within its grace an old token gets no cookie, whatever is done with it, so that the new one stays', async () => {
    const store = new CommandedStore()
    const old = 'an old secret that is retired'
    const { url } = await serveApp(framework, { store, sessions: { secret: [secret, old] } })
    // Signed by the old secret: such a one is renewed otherwise.
    const before = `sid=${signed(tokenOf(cookieOf(await get(`${url}/set`))), old)}`
    const after = cookieOf(await get(`${url}/rotate`, before))
    for (const path of ['/read', '/set', '/unopened']) {
      expect((await get(url + path, before)).headers.getSetCookie(), path).toEqual([])
    }
    expect(await (await get(`${url}/read`, before)).json()).toEqual({ seen: 'yes' })
    expect(await (await get(`${url}/read`, after)).json()).toMatchObject({ seen: 'yes' })
  })

  test.each(['/destroy', '/sign-out', '/null', '/regenerate'])(
    '%s clears the cookie by the attributes that it was set with, and ends the session',
    async (path) => {
      const { url, store } = await serveApp(framework, {
        sessions: { cookie: { domain: 'example.com', path: '/', sameSite: 'strict', priority: 'high' } },
      })
      const set = await get(`${url}/set`)
      const cleared = await get(url + path, cookieOf(set))
      const [cookie] = cleared.headers.getSetCookie()
      expect(cleared.headers.getSetCookie()).toHaveLength(1)
      expect(cookie).toMatch(/^sid=; /)
      expect(attributesOf(cookie!).filter((attribute) => !/^(Max-Age|Expires)=/.test(attribute))).toEqual(
        attributesOf(set.headers.getSetCookie()[0]!),
      )
      expect(cookie).toMatch(/Max-Age=0(;|$)/)
      expect(cookie).toContain('Expires=Thu, 01 Jan 1970 00:00:00 GMT')
      expect(cleared.headers.get('cache-control')).toBe('no-store')
      expect(await store.stored()).toEqual([])
      expect(await (await get(`${url}/read`, cookieOf(set))).json()).toEqual({})
    },
  )

  test.each([
    [undefined, 'no-store'],
    ['public, max-age=60', 'no-store'],
    ['private, max-age=60', 'private, max-age=60'],
    ['no-cache, no-store', 'no-cache, no-store'],
    ['public, private', 'no-store'],
    ['private, s-maxage=60', 'no-store'],
    ['private="x-name", max-age=60', 'no-store'],
    ['private = "set-cookie", max-age=60', 'no-store'],
    ['private=set-cookie', 'no-store'],
    ['max-age=60, no-cache="set-cookie"', 'no-store'],
    ['max-age=60, extension="a, private, b"', 'no-store'],
  ])('beside our Set-Cookie a Cache-Control of %j becomes %j', async (given, sent) => {
    const { url } = await serve({
      framework,
      handler: (request, response) => {
        request.session.seen = 'yes'
        if (request.url === '/head')
          response.writeHead(200, given === undefined ? {} : { 'cache-control': given })
        else if (given !== undefined) response.setHeader('Cache-Control', given)
        response.end()
      },
    })
    expect((await get(url)).headers.get('cache-control')).toBe(sent)
    expect((await get(`${url}/head`)).headers.get('cache-control')).toBe(sent)
  })

  /** Headers that some caches heed in place of Cache-Control. */
  const targeted = {
    'CDN-Cache-Control': 'max-age=60',
    'Cloudflare-CDN-Cache-Control': 'max-age=60',
    'Vercel-CDN-Cache-Control': 'max-age=60',
    'Netlify-CDN-Cache-Control': 'public, durable, max-age=60',
    'X-LiteSpeed-Cache-Control': 'public, max-age=60',
    'Surrogate-Control': 'max-age=60',
    'Edge-Control': 'cache-maxage=60s',
    'X-Accel-Expires': '60',
  }

  test('beside our Set-Cookie no header of a CDN stays, and without it each does', async () => {
    const { url } = await serve({
      framework,
      handler: (request, response) => {
        if (request.url !== '/unopened') request.session.seen = 'yes'
        const headers = { ...targeted, 'X-Mine': 'stays' }
        if (request.url === '/head') response.writeHead(200, headers)
        else for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
        response.end()
      },
    })
    const sent = async (path: string) => {
      const { headers } = await get(url + path)
      return Object.keys({ ...targeted, 'X-Mine': '' }).filter((name) => headers.has(name))
    }
    expect(await sent('/')).toEqual(['X-Mine'])
    expect(await sent('/head')).toEqual(['X-Mine'])
    expect(await sent('/unopened')).toEqual([...Object.keys(targeted), 'X-Mine'])
  })

  test('what others set at the last moment changes nothing of that', async () => {
    const { url } = await serve({
      framework,
      after: [
        (_request, response, next) => {
          // As the package on-headers does.
          const { writeHead } = response
          response.writeHead = function (this: unknown, ...head: unknown[]) {
            response.setHeader('Cache-Control', 'public, max-age=60')
            response.setHeader('Surrogate-Control', 'max-age=60')
            response.removeHeader('Vary')
            return Reflect.apply(writeHead, this, head)
          } as typeof writeHead
          next()
        },
      ],
      handler: app,
    })
    const { headers } = await get(`${url}/set`)
    expect(['cache-control', 'surrogate-control', 'vary'].map((name) => headers.get(name))).toEqual([
      'no-store',
      null,
      'Cookie',
    ])
  })

  test.each([
    [undefined, 'Cookie'],
    ['Accept-Encoding', 'Accept-Encoding, Cookie'],
    [['Accept-Encoding', 'Origin'], 'Accept-Encoding, Origin, Cookie'],
    ['accept, COOKIE', 'accept, COOKIE'],
    ['*', '*'],
  ])(
    'a Vary of %j becomes %j where the handler looked at the session, visitor or not',
    async (given, sent) => {
      const { url } = await serve({
        framework,
        handler: (request, response) => {
          if (request.url !== '/unopened') void request.session.seen
          if (request.url === '/set') request.session.seen = 'yes'
          if (request.url === '/head')
            response.writeHead(200, given === undefined ? {} : { vary: given as string })
          else if (given !== undefined) response.setHeader('Vary', given)
          response.end()
        },
      })
      const vary = async (path: string, cookie?: string) =>
        (await get(url + path, cookie)).headers.get('vary')
      const cookie = cookieOf(await get(`${url}/set`))
      for (const path of ['/', '/set', '/head']) {
        expect([path, await vary(path), await vary(path, cookie)]).toEqual([path, sent, sent])
      }
      expect(await vary('/unopened', cookie)).toBe(given === undefined ? null : [given].flat().join(', '))
    },
  )

  test('a Cache-Control stays as it is where no cookie of ours goes along', async () => {
    const { url } = await serve({
      framework,
      handler: (request, response) => {
        response.setHeader('Cache-Control', 'public, max-age=60')
        response.end(String(request.session.seen))
      },
    })
    expect((await get(url)).headers.get('cache-control')).toBe('public, max-age=60')
  })

  test.each(['/read', '/unopened', '/set'])(
    'an old signature is renewed by the next response, %s included, and works until the old secret is dropped',
    async (path) => {
      const store = new CommandedStore()
      const old = 'an old secret that is retired'
      const [before, between, after] = await Promise.all([
        serveApp(framework, { store, sessions: { secret: old } }),
        serveApp(framework, { store, sessions: { secret: [secret, old] } }),
        serveApp(framework, { store }),
      ])
      const cookie = cookieOf(await get(`${before.url}/set`))
      const response = await get(between.url + path, cookie)
      const renewed = cookieOf(response)
      expect(renewed).toBe(`sid=${signed(tokenOf(cookie))}`)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(cookieOf(await get(between.url + path, renewed))).toBe('')
      expect(await (await get(`${after.url}/read`, renewed)).json()).toEqual({ seen: 'yes' })
      expect(await (await get(`${after.url}/read`, cookie)).json()).toEqual({})
    },
  )

  test('of several cookies of our name, two of two users are nobody, and a sign-out ends both', async () => {
    const { url, store } = await serveApp(framework)
    const cookies = [cookieOf(await get(`${url}/sign-in`)), cookieOf(await get(`${url}/sign-in`))]
    expect(await (await get(`${url}/read`, cookies.join('; '))).json()).toEqual({ user: '7' })
    cookies.push(cookieOf(await get(`${url}/sign-in-as-8`)))
    const read = await get(`${url}/read`, cookies.join('; '))
    expect([await read.json(), read.headers.getSetCookie()]).toEqual([{}, []])
    await get(`${url}/sign-out`, cookies.join('; '))
    expect(await store.stored()).toEqual([])
  })

  test('of several cookies of our name the valid one wins, in any order', async () => {
    const { url } = await serveApp(framework)
    const valid = cookieOf(await get(`${url}/set`))
    const others = [
      'sid=',
      'sid=%',
      'sid=garbage',
      'sid=s%3Aunsigned.',
      `sid=${signed('some-other-token')}`,
      `sid=${signed(tokenOf(valid), 'a secret that is not ours')}`,
      'SID=s%3Aother-case',
      'xsid=1',
    ]
    for (const other of others) {
      for (const cookie of [`${other}; ${valid}`, `${valid}; ${other}`, `a=b; ${other};${valid};c=d`]) {
        const response = await get(`${url}/read`, cookie)
        expect([cookie, await response.json()]).toEqual([cookie, { seen: 'yes' }])
        expect(response.headers.getSetCookie()).toEqual([])
      }
    }
  })

  test('a signed token that leads to no session is never adopted', async () => {
    const { url, store } = await serveApp(framework)
    const planted = `sid=${signed('A'.repeat(36))}`
    const response = await get(`${url}/set`, planted)
    expect(tokenOf(cookieOf(response))).not.toBe('A'.repeat(36))
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
    expect(await (await get(`${url}/read`, planted)).json()).toEqual({})
  })

  test('a token without our signature is not looked up', async () => {
    const { url, store } = await serveApp(framework)
    const valid = cookieOf(await get(`${url}/set`))
    store.down.add('find')
    for (const cookie of [
      `sid=${tokenOf(valid)}`,
      `${valid}x`,
      valid.slice(0, -1),
      valid.replace('s%3A', ''),
    ]) {
      const response = await get(`${url}/read`, cookie)
      expect([response.status, await response.json()]).toEqual([200, {}])
    }
  })

  test('two apps on one store share a session, and one ends it for both', async () => {
    const store = new CommandedStore()
    const [one, other] = await Promise.all([serveApp(framework, { store }), serveApp(framework, { store })])
    const cookie = cookieOf(await get(`${one.url}/set`))
    expect(await (await get(`${other.url}/read`, cookie)).json()).toEqual({ seen: 'yes' })
    await get(`${other.url}/sign-out`, cookie)
    expect(await (await get(`${one.url}/read`, cookie)).json()).toEqual({})
  })
})

describe.each(frameworks)('in $name, behind a proxy', (framework) => {
  const isExpress = framework === express5Framework || framework === express4Framework
  const trusting: Partial<ServeOptions> = isExpress
    ? { before: [(request, _, next) => (trustProxy(request), next())] }
    : { session: { proxy: true } }
  const https = { 'x-forwarded-proto': 'https' }

  test('a request by https gets the Secure cookie __Host-sid, one by http the cookie sid', async () => {
    const { url } = await serveApp(framework, trusting)
    const [secure] = (await get(`${url}/set`, undefined, https)).headers.getSetCookie()
    expect(secure).toMatch(/^__Host-sid=s/)
    expect(attributesOf(secure!)).toEqual(['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure'])
    const [plain] = (
      await get(`${url}/set`, undefined, { 'x-forwarded-proto': 'http' })
    ).headers.getSetCookie()
    expect(plain).toMatch(/^sid=s/)
  })

  test('a cookie sid that was planted by http is not read by https', async () => {
    const { url } = await serveApp(framework, trusting)
    const plain = cookieOf(await get(`${url}/set`))
    expect(await (await get(`${url}/read`, plain, https)).json()).toEqual({})
    expect(await (await get(`${url}/read`, `__Host-${plain}`, https)).json()).toEqual({ seen: 'yes' })
  })

  test('the first item of X-Forwarded-Proto counts', async () => {
    const { url } = await serveApp(framework, trusting)
    const cookieFor = async (proto: string) =>
      cookieOf(await get(`${url}/set`, undefined, { 'x-forwarded-proto': proto }))
    expect(await cookieFor('https, http')).toMatch(/^__Host-sid=/)
    expect(await cookieFor('http, https')).toMatch(/^sid=/)
  })

  test('X-Forwarded-Proto says nothing while the proxy is not trusted', async () => {
    const { url } = await serveApp(framework)
    expect(cookieOf(await get(`${url}/set`, undefined, https))).toMatch(/^sid=/)
  })
})

test('cookie.secure true sets no cookie by http, and warns of it once', async () => {
  const warnings: Error[] = []
  const listener = (warning: Error) => void warnings.push(warning)
  process.on('warning', listener)
  try {
    const { url } = await serveApp(frameworks[0]!, { sessions: { cookie: { secure: true } } })
    for (const path of ['/set', '/sign-in'])
      expect((await get(url + path)).headers.getSetCookie()).toEqual([])
    const ours = warnings.filter(
      (warning) => 'code' in warning && warning.code === 'COATCHECK_INSECURE_REQUEST',
    )
    expect(ours).toHaveLength(1)
  } finally {
    process.off('warning', listener)
  }
})

/** Express reads `trust proxy` from the app, which is there on the request. */
function trustProxy(request: object): void {
  ;(request as { app: { set(name: string, value: unknown): void } }).app.set('trust proxy', true)
}
