import { SessionError } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { express4Framework, express5Framework, frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve, settle, type ServeOptions } from './serve.ts'

type CookieOption = NonNullable<NonNullable<ServeOptions['sessions']>['cookie']>

const app: Middleware = async (request, response) => {
  const { session } = request
  if (request.url?.startsWith('/set')) session.seen = 'yes'
  if (request.url?.startsWith('/sign-in')) await session.signIn('ada')
  if (request.url?.startsWith('/sign-out')) await session.signOut()
  return response.end(JSON.stringify({ ...session, user: session.userId }))
}

describe.each(frameworks)('in $name, a cookie that is a function of the request', (framework) => {
  const isExpress = framework === express5Framework || framework === express4Framework
  const behindProxy: Partial<ServeOptions> = isExpress
    ? {
        before: [
          (request, _response, next) => {
            ;(request as unknown as { app: { set(name: string, value: unknown): void } }).app.set(
              'trust proxy',
              true,
            )
            next()
          },
        ],
      }
    : { session: { proxy: true } }

  const open = (cookie: CookieOption, options: Partial<ServeOptions> = {}) =>
    serve({ framework, handler: app, ...options, sessions: { cookie, ...options.sessions } })

  const get = (url: string, headers: Record<string, string> = {}) => fetch(url, { headers })

  test('gets the request of the framework, so that each tenant has a domain of its own', async () => {
    const hostOf = (request: { hostname?: string | undefined; headers: NodeJS.Dict<string | string[]> }) =>
      isExpress ? request.hostname! : String(request.headers['x-forwarded-host'])
    const { url } = await open((request) => ({ domain: hostOf(request) }), behindProxy)
    const at = (host: string, proto: string) =>
      get(`${url}/set`, { 'x-forwarded-host': host, 'x-forwarded-proto': proto })
    const attributesAt = async (host: string, proto = 'https') =>
      (await at(host, proto)).headers.getSetCookie().map((cookie) => cookie.replace(/=s%3A[^;]+/, '='))
    expect(await attributesAt('one.example.com')).toEqual([
      '__Secure-sid=; Domain=one.example.com; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
    expect(await attributesAt('two.example.org')).toEqual([
      '__Secure-sid=; Domain=two.example.org; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
    expect(await attributesAt('two.example.org', 'http')).toEqual([
      'sid=; Domain=two.example.org; Path=/; HttpOnly; SameSite=Lax',
    ])
    expect(await attributesAt('one.example.com')).toEqual([
      '__Secure-sid=; Domain=one.example.com; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  test('runs once for each request: what it returns names the cookie that is read, set and cleared', async () => {
    let asked = 0
    // Whoever asks twice for one request gets the attributes of another.
    const { url } = await open(({ url: path = '' }) => {
      const name = new URLSearchParams(path.split('?')[1]).get('name')!
      return { name, path: `/${(asked++).toString()}` }
    })
    const set = await get(`${url}/set?name=a`)
    expect(set.headers.getSetCookie()[0]).toMatch(/^a=s%3A.*; Path=\/0;/)
    const cookie = cookieOf(set)
    expect(await (await get(`${url}/read?name=a`, { cookie })).json()).toEqual({ seen: 'yes' })
    expect(await (await get(`${url}/read?name=b`, { cookie })).json()).toEqual({})
    expect(asked).toBe(3)
    const cleared = await get(`${url}/sign-out?name=a`, { cookie })
    expect(cleared.headers.getSetCookie()).toEqual([
      'a=; Max-Age=0; Path=/3; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax',
    ])
    expect(asked).toBe(4)
  })

  test('does not run for a request that gets no session', async () => {
    let asked = 0
    const { url } = await open(() => ({ name: `n${asked++}` }), {
      session: { skip: () => true },
      handler: (_, response) => response.end(),
    })
    expect((await get(url)).status).toBe(200)
    expect(asked).toBe(0)
  })

  test.each<[string, () => unknown, RegExp]>([
    ['nothing', () => undefined, /function cookie was given undefined/],
    ['null', () => null, /function cookie was given null/],
    ['a text', () => 'example.com', /function cookie was given a text/],
    ['an array', () => [{}], /function cookie was given an array/],
    ['a promise', () => Promise.resolve({}), /returned a promise/],
    ['a promise that is rejected', () => Promise.reject(new Error('no tenant')), /returned a promise/],
    // oxlint-disable-next-line unicorn/no-thenable -- such as the queries of some database libraries
    ['a thenable', () => ({ then: (done: (value: object) => void) => done({}) }), /returned a promise/],
    ['an unknown attribute', () => ({ maxAge: 1 }), /function cookie has no option "maxAge"/],
    ['a public suffix', () => ({ domain: 'co.uk' }), /public suffix/],
    ['a wrong type', () => ({ domain: 7 }), /cookie\.domain must be a host name/],
    ['a path without a slash', () => ({ path: 'app' }), /begin with '\/'/],
    ['contradictions', () => ({ sameSite: 'none', secure: false }), /secure true/],
    ['an attribute that adds another', () => ({ path: '/; Domain=evil.test' }), /cannot be made/],
  ])(
    'that returns %s is an error for next(), and nothing is stored or lost',
    async (_what, result, message) => {
      let broken = false
      const { url, store, errors } = await open((() => (broken ? result() : {})) as CookieOption)
      const cookie = cookieOf(await get(`${url}/set`))
      broken = true
      const writes = store.writes.length
      // Twice: an error must not be taken for a result that is known.
      for (const path of ['/set', '/sign-out']) {
        const response = await get(url + path, { cookie })
        expect([response.status, await response.text()]).toEqual([500, 'app error page: ERR_SESSION_OPTION'])
        expect(response.headers.getSetCookie()).toEqual([])
      }
      expect(errors).toHaveLength(2)
      for (const error of errors) {
        expect(error).toBeInstanceOf(SessionError)
        expect((error as SessionError).message).toMatch(message)
      }
      expect(store.writes).toHaveLength(writes)
      broken = false
      await settle() // a promise that is rejected must not end the process
      expect(await (await get(`${url}/read`, { cookie })).json()).toEqual({ seen: 'yes' })
    },
  )

  test('that throws an error of the app has next() get that very error', async () => {
    const missing = Object.assign(new Error('no such tenant'), { status: 404 })
    const { url, errors } = await open(() => {
      throw missing
    })
    expect((await get(url)).status).toBe(500)
    expect(errors).toEqual([missing])
    expect(errors[0]).toBe(missing)
  })

  test.each<[unknown, RegExp]>([
    [undefined, /threw undefined/],
    ['route', /threw a text/],
    ['router', /threw a text/],
    [null, /threw null/],
  ])('that throws %j never lets the request pass', async (thrown, message) => {
    const { url, errors } = await open(() => {
      // oxlint-disable-next-line typescript/only-throw-error -- what is tested
      throw thrown
    })
    const response = await get(url)
    expect([response.status, await response.text()]).toEqual([500, 'app error page: ERR_SESSION_OPTION'])
    expect((errors[0] as SessionError).message).toMatch(message)
  })
})
