import http from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import connect from 'connect'
import incumbent from 'cors'
import express from 'express'
import express4 from 'express4'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSessions, MemoryStore, SessionError } from 'coatcheck'
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
const requests: [what: string, asked: Asked][] = [
  ['a request of an allowed origin', get(mine)],
  ['a preflight of an allowed origin', preflight(mine)],
  ['an OPTIONS of an allowed origin that is no preflight', { method: 'OPTIONS', headers: { origin: mine } }],
  ['a HEAD of an allowed origin', { method: 'HEAD', headers: { origin: mine } }],
]
const lists: [what: string, options: CorsOptions | undefined][] = [
  ['no options', undefined],
  ['empty options', {}],
  ['a wildcard', { origin: '*' }],
  ['true', { origin: true }],
  ['false', { origin: false }],
  ['an origin left undefined', { origin: undefined }],
  ['a fixed origin with credentials', { origin: mine, credentials: true }],
  ['a list', { origin: ['https://other.example.com', mine] }],
  ['an expression', { origin: /^https:\/\/[a-z]+\.example\.com$/ }],
  ['a mixed list', { origin: ['https://other.example.com', /\.example\.com$/], credentials: true }],
  ['a callback that allows', { origin: (_origin, callback) => callback(null, true), credentials: true }],
  ['a callback that names', { origin: (_origin, callback) => callback(null, mine) }],
  ['a callback that lists', { origin: (_origin, callback) => callback(null, [mine, theirs]) }],
  ['a late callback', { origin: (_origin, callback) => void setImmediate(() => callback(null, true)) }],
  ['a callback that fails', { origin: (_origin, callback) => callback(new Error('the list is down')) }],
  ['methods as text', { origin: [mine], methods: 'GET, PURGE' }],
  ['methods as a list', { origin: [mine], methods: ['GET', 'PURGE'] }],
  ['no methods', { origin: [mine], methods: [] }],
  ['allowed headers as text', { origin: [mine], allowedHeaders: 'X-One,X-Two' }],
  ['allowed headers as a list', { allowedHeaders: ['X-One', 'X-Two'] }],
  ['allowed headers by their other name', { headers: ['X-One'] } as CorsOptions],
  ['no allowed headers', { allowedHeaders: [] }],
  ['exposed headers as text', { exposedHeaders: 'X-Total' }],
  ['exposed headers as a list', { origin: [mine], exposedHeaders: ['X-Total', 'X-Page'] }],
  ['no exposed headers', { exposedHeaders: [] }],
  ['a preflight age', { origin: [mine], maxAge: 600 }],
  ['a preflight age of nothing', { maxAge: 0 }],
  ['a preflight age as text', { maxAge: '600' }],
  ['a preflight age of no text', { maxAge: '' }],
  ['preflights for the next handler', { origin: [mine], preflightContinue: true }],
  ['another status', { origin: [mine], optionsSuccessStatus: 200 }],
]

describe('as the cors package does it, to status, headers and body', () => {
  describe.each(lists)('%s', (_name, options) => {
    test.each(requests)('%s', async (_what, asked) => {
      const theirAnswer = await through(incumbent(options as incumbent.CorsOptions), asked)
      expect(await through(cors(options), asked)).toEqual(theirAnswer)
    })
  })

  const open: [string, CorsOptions | undefined][] = [
    ['no options', undefined],
    [
      'a wildcard with all the rest',
      { origin: '*', exposedHeaders: 'X-Total', maxAge: 5, methods: 'GET', headers: 'X-One' },
    ],
    ['false', { origin: false }],
  ]
  test.each(open)('without an Origin: %s', async (_name, options) => {
    for (const asked of [get(), preflight(), get('null'), preflight('null'), get('x y')]) {
      const theirAnswer = await through(incumbent(options as incumbent.CorsOptions), asked)
      expect(await through(cors(options), asked)).toEqual(theirAnswer)
    }
  })

  test('options by a function that calls back, and its error', async () => {
    const byMethod = (
      request: http.IncomingMessage,
      callback: (error: Error | null, options?: { origin: string[] }) => void,
    ) => {
      if (request.method === 'DELETE') callback(new Error('not today'))
      else setImmediate(() => callback(null, { origin: [mine] }))
    }
    for (const asked of [get(mine), preflight(mine), get(theirs), { method: 'DELETE' }]) {
      expect(await through(cors(byMethod), asked)).toEqual(await through(incumbent(byMethod), asked))
    }
  })

  test('options by a function that gives none', async () => {
    const ours = await through(
      cors((_request, callback) => callback(null)),
      get(mine),
    )
    expect(ours.headers).toMatchObject({ 'access-control-allow-origin': '*' })
  })
})

const allowNothing = (outcome: Outcome) =>
  Object.keys(outcome.headers).filter((name) => name.startsWith('access-control'))

describe('unlike the cors package', () => {
  const selective: [string, CorsOptions][] = [
    ['a list', { origin: [mine], credentials: true, maxAge: 5, exposedHeaders: 'X-Total' }],
    ['an expression', { origin: /^https:\/\/app\.example\.com$/, credentials: true }],
    ['one origin with credentials', { origin: mine, credentials: true }],
    ['a function that returns false', { origin: (origin) => origin === mine, credentials: true }],
    [
      'a callback of false',
      { origin: (origin, callback) => callback(null, origin === mine), credentials: true },
    ],
    [
      'a callback of nothing',
      { origin: (origin, callback) => (origin === mine ? callback(null, true) : callback(null)) },
    ],
    ['an empty list', { origin: [] }],
    ['a list that the options inherit', Object.create({ origin: [mine] }) as CorsOptions],
  ]
  test.each(selective)(
    'a denied origin gets no allow header, and caches are told: %s',
    async (_name, options) => {
      for (const origin of [theirs, undefined]) {
        const outcome = await through(cors(options), get(origin))
        expect(allowNothing(outcome)).toEqual([])
        expect(outcome).toMatchObject({ status: 200, body: 'handled', headers: { vary: 'Origin' } })
      }
    },
  )

  test.each(selective)('a denied preflight ends here, with nothing allowed: %s', async (_name, options) => {
    for (const origin of [theirs, undefined]) {
      const outcome = await through(cors(options), preflight(origin))
      expect(allowNothing(outcome)).toEqual([])
      expect(outcome).toMatchObject({
        status: 204,
        body: '',
        headers: { vary: 'Origin, Access-Control-Request-Headers' },
      })
    }
  })

  test('a denied preflight goes on if preflights are for the next handler', async () => {
    const outcome = await through(cors({ origin: [mine], preflightContinue: true }), preflight(theirs))
    expect(outcome).toMatchObject({ status: 200, body: 'handled' })
    expect(allowNothing(outcome)).toEqual([])
  })

  test('a fixed origin without credentials is the same answer to all, so nothing varies', async () => {
    for (const origin of [mine, theirs, undefined]) {
      const outcome = await through(cors({ origin: mine }), get(origin))
      expect(outcome.headers['access-control-allow-origin']).toBe(mine)
      expect(outcome.headers['vary']).toBeUndefined()
    }
  })

  test('what a function answers varies, even if it answers * each time', async () => {
    const outcome = await through(cors({ origin: () => '*' }), get(mine))
    expect(outcome.headers).toMatchObject({ 'access-control-allow-origin': '*', vary: 'Origin' })
  })

  test.each([/^https:\/\/app\.example\.com$/g, /https:\/\/app\.example\.com$/y, /app\.example\.com$/gi])(
    'the expression %s says the same each time',
    async (pattern) => {
      const middlewares = [
        cors({ origin: pattern }),
        cors({ origin: [pattern] }),
        cors({ origin: () => pattern }),
      ]
      for (const middleware of middlewares) {
        for (let round = 0; round < 4; round++) {
          const outcome = await through(middleware, get(mine))
          expect(outcome.headers['access-control-allow-origin']).toBe(mine)
        }
      }
      expect(pattern.lastIndex).toBe(0)
    },
  )

  test('a sticky expression still matches from the start only', async () => {
    const outcome = await through(cors({ origin: /example\.com$/y }), get(mine))
    expect(allowNothing(outcome)).toEqual([])
  })

  test("['*'] is a wildcard, and reflects nothing", async () => {
    for (const origin of [mine, 'null', undefined]) {
      const outcome = await through(cors({ origin: ['*', mine] }), get(origin))
      expect(outcome.headers['access-control-allow-origin']).toBe('*')
      expect(outcome.headers['vary']).toBeUndefined()
    }
  })

  test('an empty text allows no header', async () => {
    const outcome = await through(cors({ allowedHeaders: '' }), preflight(mine))
    expect(outcome.headers['access-control-allow-headers']).toBeUndefined()
  })

  test('a list may hold wildcards, as sites do', async () => {
    const middleware = cors({ origin: ['https://*.example.com'], credentials: true })
    expect((await through(middleware, get(mine))).headers['access-control-allow-origin']).toBe(mine)
    expect(allowNothing(await through(middleware, get('https://example.com')))).toEqual([])
  })
})

describe('hostile origins', () => {
  const hostile = [
    'null',
    '*',
    'app.example.com',
    'https://app.example.com/',
    'https://app.example.com.',
    'https://APP.example.com',
    'https://app.example.com:443',
    'https://app.example.com@evil.test',
    'https://evil.test/https://app.example.com',
    'https://evil.test?https://app.example.com',
    'https://app.example.com, https://evil.test',
    'https://evil.test https://app.example.com',
    'https://evil.test\\.app.example.com',
    `https://${'a.'.repeat(4_000)}app.example.com`,
  ]
  const trusting: [string, CorsOptions][] = [
    ['true', { origin: true }],
    ['a loose expression', { origin: /app\.example\.com|null|\*/ }],
    ['a list with everything', { origin: [true, /./] }],
    ['a function that says true', { origin: () => true, credentials: true }],
    ['a callback that says true', { origin: (_origin, callback) => callback(null, true), credentials: true }],
    ['a list', { origin: [mine], credentials: true }],
  ]
  describe.each(trusting)('are not reflected by %s', (_name, options) => {
    test.each(hostile)('%s', async (origin) => {
      const outcome = await through(cors(options), get(origin))
      expect(outcome.status).toBe(200)
      expect(allowNothing(outcome)).toEqual([])
    })
  })

  test('are not reflected from two Origin headers', async () => {
    respond = (request, response) => cors({ origin: true })(request, response, () => response.end())
    expect(allowNothing(await send({ headers: { origin: [mine, theirs] } }))).toEqual([])
  })

  test('null is allowed where it is listed by name, and only without credentials', async () => {
    for (const origin of [
      'null',
      ['null', mine],
      [true, 'null'],
      () => 'null',
      () => ['null'],
    ] as CorsOptions['origin'][]) {
      const outcome = await through(cors({ origin }), get('null'))
      expect(outcome.headers).toMatchObject({ 'access-control-allow-origin': 'null', vary: 'Origin' })
    }
    const reflecting = cors({ origin: (origin) => origin ?? false, credentials: true })
    expect(allowNothing(await through(reflecting, get('null')))).toEqual([])
    expect((await through(reflecting, get(mine))).headers['access-control-allow-origin']).toBe(mine)
  })

  test.each(['X-One\r\nSet-Cookie: a=b', 'X-One\nX', 'X One', 'X-One, é', 'X-One;', '<b>'])(
    'asked-for headers that are no list of names are not given back: %j',
    (asks) => {
      const headers: Record<string, string> = {}
      const response = {
        statusCode: 0,
        getHeader: (name: string) => headers[name],
        setHeader: (name: string, value: string) => (headers[name] = value),
        end: () => undefined,
      }
      cors()(
        { method: 'OPTIONS', headers: { origin: mine, 'access-control-request-headers': asks } },
        response,
        () => {},
      )
      expect(response.statusCode).toBe(204)
      expect(headers).toMatchObject({
        'Access-Control-Allow-Origin': '*',
        Vary: 'Access-Control-Request-Headers',
      })
      expect(headers).not.toHaveProperty('Access-Control-Allow-Headers')
    },
  )
})

describe('Vary', () => {
  test.each([
    ['Accept', 'Accept, Origin'],
    ['accept , ORIGIN', 'accept , ORIGIN'],
    ['X-Origin', 'X-Origin, Origin'],
    ['*', '*'],
    ['Accept, *', 'Accept, *'],
    [['Accept', 'Cookie'], 'Accept,Cookie, Origin'],
  ])('%j becomes %j', async (before, after) => {
    const outcome = await through(cors({ origin: [mine] }), get(theirs), before)
    expect(outcome.headers['vary']?.replaceAll(/\s*,\s*/g, ',')).toBe(after.replaceAll(/\s*,\s*/g, ','))
  })

  test('is not doubled by two of them', async () => {
    const twice: CorsMiddleware = (request, response, next) =>
      cors({ origin: [mine] })(request, response, () => cors({ origin: true })(request, response, next))
    expect((await through(twice, get(mine))).headers['vary']).toBe('Origin')
  })
})

describe('an origin function', () => {
  test('gets the request beside the origin, and answers at once or later', async () => {
    const answers: CorsOptions<http.IncomingMessage>['origin'][] = [
      (origin, request) => request.url === '/open' && origin === mine,
      async (origin, request) => request.url === '/open' && origin === mine,
      async (_origin, request) => (request.url === '/open' ? [mine] : undefined),
      (_origin, request) => (request.headers.host && request.url === '/open' ? /example\.com$/ : null),
      (_origin, { url }) => (url === '/open' ? mine : false),
    ]
    for (const origin of answers) {
      const middleware = cors({ origin, credentials: true })
      const allowed = await through(middleware, { ...get(mine), path: '/open' })
      expect(allowed.headers).toMatchObject({
        'access-control-allow-origin': mine,
        'access-control-allow-credentials': 'true',
      })
      const denied = await through(middleware, { ...get(mine), path: '/closed' })
      expect(denied).toMatchObject({ status: 200, headers: { vary: 'Origin' } })
      expect(allowNothing(denied)).toEqual([])
    }
  })

  test('gets a request that is one in all that a handler does with it', async () => {
    const middleware = cors<http.IncomingMessage & { tenant?: string }>({
      origin: (_origin, request) => {
        request.tenant = 'blue'
        return (
          request instanceof http.IncomingMessage &&
          'socket' in request &&
          request.socket.remoteAddress === '127.0.0.1'
        )
      },
    })
    respond = (request: http.IncomingMessage & { tenant?: string }, response) =>
      middleware(request, response, () => response.end(request.tenant))
    const outcome = await send(get(mine))
    expect(outcome.headers['access-control-allow-origin']).toBe(mine)
    expect(outcome.body).toBe('blue')
  })

  test('is given undefined where there is no Origin', async () => {
    const asked: unknown[] = []
    await through(cors({ origin: (origin) => asked.push(origin) > 1 }), get())
    expect(asked).toEqual([undefined])
  })

  const failure = new Error('the list is down')
  test.each<[string, CorsOptions['origin']]>([
    ['throws', () => { throw failure }], // prettier-ignore
    ['rejects', () => Promise.reject(failure)],
    ['calls back with an error', (_origin, callback) => callback(failure)],
    ['calls back with an error later', (_origin, callback) => void setImmediate(callback, failure)],
  ])('that %s is an error for next', async (_what, origin) => {
    const outcome = await through(cors({ origin }), preflight(mine))
    expect(outcome).toMatchObject({ status: 500, body: 'Error: the list is down' })
    expect(allowNothing(outcome)).toEqual([])
  })

  test.each<[string, unknown]>([
    ['*', '*'],
    ['a list with *', [mine, '*']],
    ['a number', 7],
    ['an object', {}],
    ['a wildcard that trusts a whole top-level domain', ['https://*.com']],
  ])('that answers %s, with credentials, is an error for next', async (_what, value) => {
    const outcome = await through(cors({ origin: () => value as string, credentials: true }), get(mine))
    expect(outcome.status).toBe(500)
    expect(outcome.body).toContain('ERR_SESSION_OPTION')
    expect(allowNothing(outcome)).toEqual([])
  })

  test('answers once, however often it calls back', async () => {
    const middleware = cors({
      origin: (_origin, callback) => {
        callback(null, false)
        callback(null, true)
        callback(failure)
      },
    })
    const outcome = await through(middleware, get(mine))
    expect(outcome).toMatchObject({ status: 200, body: 'handled' })
    expect(allowNothing(outcome)).toEqual([])
  })

  test('that calls back may return what means nothing', async () => {
    const origin = (_origin: string | undefined, callback: (error: null, allow: boolean) => void) =>
      setTimeout(() => callback(null, true))
    const outcome = await through(cors({ origin: origin as unknown as () => boolean }), get(mine))
    expect(outcome.headers['access-control-allow-origin']).toBe(mine)
  })

  test('does not see what the next handler throws', () => {
    const middleware = cors({ origin: (_origin, callback) => callback(null, true) })
    const response = {
      statusCode: 0,
      getHeader: () => undefined,
      setHeader: () => undefined,
      end: () => undefined,
    }
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

const unsafe: [options: unknown, message: string][] = [
  [{ origin: '*', credentials: true }, 'List the origins that you trust'],
  [{ credentials: true }, 'List the origins that you trust'],
  [{ origin: true, credentials: true }, 'List the origins that you trust'],
  [{ origin: ['*'], credentials: true }, 'List the origins that you trust'],
  [{ origin: [mine, '*'], credentials: true }, 'List the origins that you trust'],
  [{ origin: [true], credentials: true }, 'List the origins that you trust'],
  [{ origin: 'null', credentials: true }, "'null' with credentials"],
  [{ origin: [mine, 'null'], credentials: true }, "'null' with credentials"],
  [{ origin: 'app.example.com' }, "Write 'https://app.example.com'"],
  [{ origin: 'https://app.example.com/' }, "Write 'https://app.example.com'"],
  [{ origin: ['https://App.example.com'] }, "Write 'https://app.example.com'"],
  [{ origin: ['https://*.com'] }, 'top-level domain'],
  [{ origin: 7 }, 'origin must be'],
  [{ origin: [mine, 7] }, 'origin must be'],
  [{ origin: { [mine]: true } }, 'origin must be'],
  [{ orgin: mine }, 'no option "orgin"'],
  [{ credentials: 'true' }, 'credentials must be true or false'],
  [{ methods: 7 }, 'methods must be'],
  [{ methods: ['GET', 7] }, 'methods must be'],
  [{ methods: 'GET POST' }, 'methods must be'],
  [{ methods: ['GET\r\nX-Evil: 1'] }, 'methods must be'],
  [{ methods: '*', origin: [mine], credentials: true }, 'List the names'],
  [{ allowedHeaders: { 'X-One': true } }, 'allowedHeaders must be'],
  [{ allowedHeaders: 'X-One\nX-Evil: 1' }, 'allowedHeaders must be'],
  [{ headers: ['X One'] }, 'allowedHeaders must be'],
  [{ exposedHeaders: [null, {}] }, 'exposedHeaders must be'],
  [{ maxAge: 1.5 }, 'maxAge must be'],
  [{ maxAge: -1 }, 'maxAge must be'],
  [{ maxAge: NaN }, 'maxAge must be'],
  [{ maxAge: '10m' }, 'maxAge must be'],
  [{ preflightContinue: 1 }, 'preflightContinue must be'],
  [{ optionsSuccessStatus: 199 }, 'optionsSuccessStatus must be'],
  [{ optionsSuccessStatus: 404 }, 'optionsSuccessStatus must be'],
  [{ optionsSuccessStatus: '204' }, 'optionsSuccessStatus must be'],
  ['https://app.example.com', 'cors takes an object of options'],
  [[mine], 'cors takes an object of options'],
]

describe('configuration that is unsafe or cannot work', () => {
  test.each(unsafe)('throws at start-up: %o', (options, message) => {
    const configure = () => cors(options as CorsOptions)
    expect(configure).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    expect(configure).toThrow(message)
  })

  test.each(unsafe)('is an error for next when a function gives it: %o', async (options, message) => {
    const given = options as CorsOptions
    for (const middleware of [
      cors((_request, callback) => callback(null, given)),
      cors(() => given),
      cors(async () => given),
    ]) {
      const outcome = await through(middleware, get(mine))
      expect(outcome.status).toBe(500)
      expect(outcome.body).toContain('ERR_SESSION_OPTION')
      expect(outcome.body).toContain(message)
      expect(allowNothing(outcome)).toEqual([])
    }
  })

  test('a function that forgets to return its options opens nothing', async () => {
    const outcome = await through(
      cors(() => {}),
      get(mine),
    )
    expect(outcome.status).toBe(500)
    expect(allowNothing(outcome)).toEqual([])
  })

  test('the options given are neither changed nor looked at again', async () => {
    const options = Object.freeze({ origin: [mine], methods: Object.freeze(['GET']) })
    const middleware = cors(options)
    options.origin.push(theirs)
    expect(allowNothing(await through(middleware, get(theirs)))).toEqual([])
  })
})

describe('cors(sessions)', () => {
  const sessionsWith = (sites?: string[]) =>
    createSessions({
      store: new MemoryStore(),
      secret: 'a secret of the tests',
      sweep: false,
      ...(sites && { sites }),
    })

  test('lets the sites read with credentials, and remembers preflights', async () => {
    const sessions = sessionsWith([mine, 'https://*.example.org'])
    const middleware = cors(sessions)
    for (const origin of [mine, 'https://a.b.example.org']) {
      expect(await through(middleware, preflight(origin))).toEqual({
        status: 204,
        body: '',
        headers: {
          'access-control-allow-origin': origin,
          'access-control-allow-credentials': 'true',
          'access-control-allow-methods': 'GET,HEAD,PUT,PATCH,POST,DELETE',
          'access-control-allow-headers': 'X-One, X-Two',
          'access-control-max-age': '600',
          'content-length': '0',
          vary: 'Origin, Access-Control-Request-Headers',
        },
      })
    }
    for (const origin of [theirs, 'null', 'https://example.org', undefined]) {
      const outcome = await through(middleware, get(origin))
      expect(outcome).toMatchObject({ status: 200, body: 'handled', headers: { vary: 'Origin' } })
      expect(allowNothing(outcome)).toEqual([])
    }
    await sessions.close()
  })

  test('throws at start-up if there are no sites', async () => {
    for (const sessions of [sessionsWith(), sessionsWith([])]) {
      expect(() => cors(sessions)).toThrow(/sites: \['https:\/\/app\.example\.com'\]/)
      await sessions.close()
    }
  })
})

/** The page of an error has its stack in it, and the stack is each one's own. */
const comparable = (outcome: Outcome) => (outcome.status === 500 ? { status: 500 } : outcome)

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
])('on %s', (_name, framework) => {
  test.each(lists)('as the cors package does it: %s', async (_what, options) => {
    const appWith = (middleware: express.RequestHandler) => {
      const app = framework()
      app.set('env', 'test')
      app.use(middleware)
      app.all('/', (_request, response) => void response.send('handled'))
      return app
    }
    for (const [, asked] of requests) {
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
      cors<express.Request>({
        origin: (_origin, request) => request.hostname === '127.0.0.1' && request.get('x-key') === 'k',
      }),
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
  expect(allowNothing(await send(preflight(theirs)))).toEqual([])
})
