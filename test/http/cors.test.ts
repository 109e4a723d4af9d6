import http from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import connect from 'connect'
import incumbent from 'cors'
import express from 'express'
import express4 from 'express4'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createSessions, MemoryStore, SessionError, type SessionsOptions, type SiteFunction } from 'coatcheck'
import cors, { type CorsMiddleware, type CorsOptions } from 'coatcheck/cors'

/** What one exchange came to: its status, the headers that CORS is about, and who answered. */
interface Outcome {
  status: number
  headers: Record<string, string>
  /** The handler's text, or the message and code of the error that reached `next`. */
  body: string
}

type Asked = { method?: string; headers?: Record<string, string | string[]>; path?: string }

let respond: http.RequestListener
const server = http.createServer((request, response) => respond(request, response))
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())))

function send({ method = 'GET', headers = {}, path = '/' }: Asked): Promise<Outcome> {
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port, host: '127.0.0.1', method, headers, path, agent: false },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => (body += text))
        response.on('end', () => {
          const kept = Object.entries(response.headers).filter(([name]) =>
            /^access-control|^vary$|^content-length$/.test(name),
          )
          resolve({
            status: response.statusCode ?? 0,
            headers: Object.fromEntries(kept) as Record<string, string>,
            body,
          })
        })
      },
    )
    request.on('error', reject).end()
  })
}

/** Sends a request through the middleware alone, over bare `http`. */
function through(middleware: CorsMiddleware<http.IncomingMessage>, asked: Asked, vary?: string | string[]) {
  respond = (request, response) => {
    if (vary !== undefined) response.setHeader('Vary', vary)
    middleware(request, response, (error) => {
      response.statusCode = error ? 500 : 200
      const text = error instanceof SessionError ? `${error.code} ${error.message}` : String(error)
      response.end(error ? text : 'handled')
    })
  }
  return send(asked)
}

const mine = 'https://app.example.com'
const theirs = 'https://evil.test'
const get = (origin?: string): Asked => ({ headers: origin === undefined ? {} : { origin } })
const preflight = (origin?: string, asks = 'X-One, X-Two'): Asked => ({
  method: 'OPTIONS',
  headers: {
    ...(origin === undefined ? {} : { origin }),
    'access-control-request-method': 'PUT',
    'access-control-request-headers': asks,
  },
})
const requests: readonly Asked[] = [get(mine), preflight(mine), { method: 'OPTIONS', headers: { origin: mine } }, { method: 'HEAD', headers: { origin: mine } }] // prettier-ignore
/** A few: test/drop-in/cors.test.ts compares them all, without a framework. */
const configurations: readonly (CorsOptions | undefined)[] = [
  undefined,
  { origin: false },
  { origin: ['https://other.example.com', /\.example\.com$/], credentials: true, exposedHeaders: 'X-Total' },
  { origin: (_origin, callback) => void setImmediate(() => callback(null, true)) },
  { origin: (_origin, callback) => callback(new Error('the list is down')) },
  { origin: [mine], preflightContinue: true },
  { origin: [mine], optionsSuccessStatus: 200, maxAge: 600 },
]

const allowNothing = (outcome: Outcome) =>
  Object.keys(outcome.headers).filter((name) => name.startsWith('access-control'))

test('Vary is not doubled by two of them', async () => {
  const twice: CorsMiddleware = (request, response, next) =>
    cors({ origin: [mine] })(request, response, () => cors({ origin: true })(request, response, next))
  expect((await through(twice, get(mine))).headers['vary']).toBe('Origin')
})

describe('an origin function', () => {
  test('answers at once or later, by returning, if it declares no callback', async () => {
    const answers: CorsOptions['origin'][] = [
      (origin: unknown) => origin === mine,
      async (origin: unknown) => origin === mine,
      async (origin: unknown) => (origin === mine ? [mine] : undefined),
      (origin: unknown) => (origin === mine ? /example\.com$/ : null),
      (origin: unknown) => (origin === mine ? true : undefined),
    ]
    for (const origin of answers) {
      const middleware = cors({ origin, credentials: true })
      expect((await through(middleware, get(mine))).headers).toMatchObject({
        'access-control-allow-origin': mine,
        'access-control-allow-credentials': 'true',
      })
      const denied = await through(middleware, get(theirs))
      expect(denied).toMatchObject({ status: 200, headers: { vary: 'Origin' } })
      expect(allowNothing(denied)).toEqual([])
    }
  })

  const failure = new Error('the list is down')
  test.each<[string, CorsOptions['origin']]>([
    ['throws', () => { throw failure }], // prettier-ignore
    ['rejects', () => Promise.reject(failure)],
    ['calls back with an error later', (_origin, callback) => void setImmediate(callback, failure)],
  ])('that %s is an error for next', async (_what, origin) => {
    const outcome = await through(cors({ origin }), preflight(mine))
    expect(outcome).toMatchObject({ status: 500, body: 'Error: the list is down' })
    expect(allowNothing(outcome)).toEqual([])
  })

  test.each<[string, unknown]>([
    ['the place in a list', -1],
    ['an object', {}],
    ['a list of such', [[7]]],
  ])('that returns %s is an error for next, and allows nobody', async (_what, value) => {
    const outcome = await through(cors({ origin: (_origin: unknown) => value }), get(mine))
    expect(outcome.status).toBe(500)
    expect(outcome.body).toContain('ERR_SESSION_OPTION')
    expect(allowNothing(outcome)).toEqual([])
  })

  test('does not see what the next handler throws', () => {
    const middleware = cors({ origin: (_origin, callback) => callback(null, true) })
    const response = { setHeader: () => undefined, end: () => undefined }
    const calls: unknown[] = []
    const next = (error?: unknown) => {
      calls.push(error)
      throw new Error('from the handler')
    }
    expect(() => middleware({ method: 'GET', headers: { origin: mine } }, response, next)).toThrow(
      'from the handler',
    )
    expect(calls).toEqual([undefined])
  })
})

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['a text', mine],
])('a function of the request that returns %s in place of options opens nothing', async (_what, given) => {
  for (const middleware of [cors((_request) => given), cors(async (_request) => given)]) {
    const outcome = await through(middleware, get(mine))
    expect(outcome.status).toBe(500)
    expect(outcome.body).toContain('ERR_SESSION_OPTION')
    expect(allowNothing(outcome)).toEqual([])
  }
})

describe('cors(sessions)', () => {
  const sessionsWith = (sites?: SessionsOptions['sites']) => {
    const sessions = createSessions({
      store: new MemoryStore(),
      secret: 'a secret of the tests',
      sweep: false,
      ...(sites && { sites }),
    })
    onTestFinished(() => sessions.close())
    return sessions
  }
  const sites = [mine, 'https://*.example.org', 'https://**.example.net']
  const strangers = [
    theirs,
    'null',
    'https://example.org',
    'https://a.b.example.org',
    `${mine}/`,
    `${mine}, ${theirs}`,
  ]

  // First of these: a process warns of it once.
  test('tells once, outside of production, why a preflight was refused', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    vi.stubEnv('NODE_ENV', 'production')
    onTestFinished(() => void vi.unstubAllEnvs())
    const middleware = cors(sessionsWith(sites))
    await through(middleware, preflight(theirs))
    expect(warn).not.toHaveBeenCalled()
    vi.stubEnv('NODE_ENV', 'development')
    for (const origin of [theirs, 'https://other.test']) await through(middleware, preflight(origin))
    expect(warn.mock.calls).toEqual([
      [
        "A preflight was refused (403). sites does not trust the Origin 'https://evil.test'. If that is a site of yours, list it: sites: ['https://evil.test'].",
        { code: 'COATCHECK_CORS_DENIED' },
      ],
    ])
  })

  test.each([mine, 'https://a.example.org', 'https://a.b.example.net'])(
    'lets %s read with credentials, and remembers preflights',
    async (origin) => {
      const middleware = cors(sessionsWith(sites))
      expect(await through(middleware, preflight(origin))).toEqual({
        status: 204,
        body: '',
        headers: {
          'access-control-allow-origin': origin,
          'access-control-allow-credentials': 'true',
          'access-control-allow-methods': 'GET, HEAD, PUT, PATCH, POST, DELETE',
          'access-control-allow-headers': 'X-One, X-Two',
          'access-control-max-age': '600',
          'content-length': '0',
          vary: 'Origin, Access-Control-Request-Headers',
        },
      })
      expect(await through(middleware, get(origin))).toMatchObject({
        status: 200,
        body: 'handled',
        headers: {
          'access-control-allow-origin': origin,
          'access-control-allow-credentials': 'true',
          vary: 'Origin',
        },
      })
    },
  )

  test.each(strangers)('lets %s read nothing, and ends its preflights with a 403', async (origin) => {
    const middleware = cors(sessionsWith(sites))
    const outcome = await through(middleware, get(origin))
    expect(outcome).toMatchObject({ status: 200, body: 'handled', headers: { vary: 'Origin' } })
    expect(allowNothing(outcome)).toEqual([])
    expect(await through(middleware, preflight(origin))).toEqual({
      status: 403,
      body: '',
      headers: { 'content-length': '0', vary: 'Origin' },
    })
  })

  test('leaves OPTIONS requests that are no preflights to the app', async () => {
    const middleware = cors(sessionsWith(sites))
    for (const headers of [
      {},
      { 'access-control-request-method': 'PUT' },
      { origin: mine },
      { origin: theirs },
    ]) {
      expect(await through(middleware, { method: 'OPTIONS', headers })).toMatchObject({
        status: 200,
        body: 'handled',
      })
    }
  })

  test('allows and exposes the headers and methods that its options name', async () => {
    const middleware = cors(sessionsWith(sites), {
      methods: ['GET', 'REPORT'],
      allowedHeaders: ['Content-Type'],
      exposedHeaders: ['X-Total', 'X-Page'],
      maxAge: 5,
    })
    expect((await through(middleware, preflight(mine))).headers).toMatchObject({
      'access-control-allow-methods': 'GET, REPORT',
      'access-control-allow-headers': 'Content-Type',
      'access-control-max-age': '5',
      vary: 'Origin',
    })
    const { headers } = await through(middleware, get(mine))
    expect(headers).toMatchObject({ 'access-control-expose-headers': 'X-Total, X-Page', vary: 'Origin' })
  })

  test('lets pages of sites into a private network only if that is said', async () => {
    const asking = { ...preflight(mine) }
    asking.headers = { ...asking.headers, 'access-control-request-private-network': 'true' }
    const name = 'access-control-allow-private-network'
    expect((await through(cors(sessionsWith(sites)), asking)).headers).not.toHaveProperty(name)
    const allowing = cors(sessionsWith(sites), { privateNetwork: true })
    expect((await through(allowing, asking)).headers).toMatchObject({
      [name]: 'true',
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network',
    })
    expect((await through(allowing, preflight(mine))).headers).not.toHaveProperty(name)
    expect(
      (await through(allowing, { ...asking, headers: { ...asking.headers, origin: theirs } })).headers,
    ).not.toHaveProperty(name)
  })

  test.each<[string, SiteFunction]>([
    ['at once', (origin) => origin === mine],
    ['later', async (origin) => Promise.resolve(origin === mine)],
  ])('asks a function of sites, which answers %s', async (_when, decide) => {
    const middleware = cors(sessionsWith(decide))
    expect((await through(middleware, get(mine))).headers).toMatchObject({
      'access-control-allow-origin': mine,
      vary: 'Origin',
    })
    expect(await through(middleware, preflight(mine))).toMatchObject({ status: 204 })
    for (const origin of [theirs, 'null', `${mine}, ${theirs}`]) {
      const outcome = await through(middleware, get(origin))
      expect([allowNothing(outcome), outcome.headers['vary']]).toEqual([[], 'Origin'])
      expect(await through(middleware, preflight(origin))).toMatchObject({ status: 403 })
    }
  })

  test('tells a function the method that a preflight asks for, the path, and the host', async () => {
    const asked: unknown[] = []
    const middleware = cors(
      sessionsWith((_origin, request) => {
        asked.push(request)
        return true
      }),
    )
    await through(middleware, { ...preflight(mine), path: '/a?b' })
    const { port } = server.address() as AddressInfo
    expect(asked).toEqual([{ method: 'PUT', path: '/a', host: `127.0.0.1:${port}` }])
  })

  test('a function of sites that fails is an error for next, and allows nobody', async () => {
    const middleware = cors(sessionsWith(() => Promise.reject(new Error('no database'))))
    for (const asked of [get(mine), preflight(mine)]) {
      const outcome = await through(middleware, asked)
      expect(outcome).toMatchObject({ status: 500, body: 'Error: no database', headers: { vary: 'Origin' } })
      expect(allowNothing(outcome)).toEqual([])
    }
  })

  test('counts an entry with paths there only, by the whole path, wherever it is mounted', async () => {
    const sessions = sessionsWith([{ origin: mine, paths: ['/api/*'] }])
    const app = express()
    app.use(['/api', '/admin'], cors(sessions), (_request, response) => void response.send('handled'))
    respond = app
    const allowed = async (path: string) => !allowNothing(await send({ ...get(mine), path })).length
    expect(
      await Promise.all(['/api/cart', '/api/../admin', '/admin', '/admin/api/cart'].map(allowed)),
    ).toEqual([false, true, true, true])
    expect((await send({ ...preflight(mine), path: '/api/cart' })).status).toBe(204)
    expect((await send({ ...preflight(mine), path: '/admin' })).status).toBe(403)
  })

  test('throws at start-up if there are no sites', () => {
    for (const sessions of [sessionsWith(), sessionsWith([])])
      expect(() => cors(sessions)).toThrow(/sites: \['https:\/\/app\.example\.com'\]/)
  })

  test.each([
    [{ exposedHeaders: ['*'] }, /exposedHeaders .* has '\*', which does not count with credentials/],
    [{ exposedHeaders: 'X-Total' }, /exposedHeaders .* must be an array of names/],
    [{ allowedHeaders: ['X One'] }, /allowedHeaders .* must be an array of names/],
    [{ methods: ['GET\r\nX: y'] }, /methods .* must be an array of names/],
    [{ maxAge: '600' }, /maxAge .* must be a whole number of seconds, not "600"/],
    [{ privateNetwork: 'yes' }, /privateNetwork .* must be true or false, not "yes"/],
    [{ origin: true }, /has no option "origin"/],
  ])('refuses the options %j at start-up', (options, message) => {
    expect(() => cors(sessionsWith(sites), options as never)).toThrow(message)
  })
})

/** The page of an error has its stack in it, and the stack is each one's own. */
const comparable = (outcome: Outcome) => (outcome.status === 500 ? { status: 500 } : outcome)

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
])('on %s', (_name, framework) => {
  test.each(configurations)('as the cors package does it: %o', async (options) => {
    const appWith = (middleware: express.RequestHandler) => {
      const app = framework()
      app.set('env', 'test')
      app.use(middleware)
      app.all('/', (_request, response) => void response.send('handled'))
      return app
    }
    for (const asked of requests) {
      respond = appWith(incumbent(options as incumbent.CorsOptions))
      const theirAnswer = await send(asked)
      respond = appWith(cors(options))
      const outcome = await send(asked)
      expect(comparable(outcome)).toEqual(comparable(theirAnswer))
    }
  })

  test('on one route, with its own OPTIONS', async () => {
    const app = framework()
    app.options('/api', cors({ origin: [mine] }))
    app.get('/api', cors({ origin: [mine] }), (_request, response) => void response.send('handled'))
    respond = app
    expect((await send({ ...preflight(mine), path: '/api' })).headers['access-control-allow-origin']).toBe(
      mine,
    )
    expect((await send({ ...get(mine), path: '/api' })).headers['access-control-allow-origin']).toBe(mine)
    expect(allowNothing(await send({ ...get(mine), path: '/' }))).toEqual([])
  })

  test('a function reads what Express adds to the request', async () => {
    const app = framework()
    app.use(
      cors<express.Request>((request) => ({
        origin: request.hostname === '127.0.0.1' && request.get('x-key') === 'k',
      })),
    )
    app.get('/', (_request, response) => void response.send('handled'))
    respond = app
    const { headers } = await send({ headers: { origin: mine, 'x-key': 'k' } })
    expect(headers['access-control-allow-origin']).toBe(mine)
  })
})

test('require gives the function itself', () => {
  expect(createRequire(import.meta.url)('coatcheck/cors')).toBe(cors)
})

test('connect takes it', async () => {
  const app = connect()
  app.use(cors({ origin: [mine], credentials: true }))
  app.use((_request, response) => response.end('handled'))
  respond = app
  expect(await send(get(mine))).toMatchObject({
    status: 200,
    body: 'handled',
    headers: { 'access-control-allow-origin': mine },
  })
  expect(await send(preflight(theirs))).toMatchObject({ status: 204, body: '' })
})
