import { describe, vi } from 'vitest'
import type { CookieObject, Handler } from './express-session-types.ts'
import { fromNow } from './row-store.ts'
import { secret, sideBySide, type Side } from './sides.ts'
import { type Answer, type Ask, routes, type Served } from './visited.ts'

const count: Handler = (request, response) => {
  request.session['views'] = Number(request.session['views'] ?? 0) + 1
  response.end(`views: ${String(request.session['views'])}`)
}

/** The first visit's answer under these options. */
async function visit(side: Side, options: object, ask?: Ask): Promise<Answer> {
  return (await side.serve({ ...options }, count)).get('/', ask)
}

sideBySide(
  'the row holds all attributes of the `cookie` that can be stored',
  async (side) => {
    const store = side.store()
    const cookie = {
      domain: 'example.com',
      httpOnly: false,
      maxAge: 60_000,
      priority: 'high',
      sameSite: 'lax',
    }
    await visit(side, { store, cookie: { ...cookie, partitioned: true, secure: false } })
    return store.only()
  },
  {
    both: {
      cookie: {
        originalMaxAge: 60_000,
        expires: 'in 60 s',
        domain: 'example.com',
        httpOnly: false,
        partitioned: true,
        path: '/',
        priority: 'high',
        sameSite: 'lax',
        secure: false,
      },
      views: 1,
    },
  },
)

describe('`cookie`: wrong values', () => {
  /** When these options are refused, and with which words. */
  async function refusal(side: Side, options: object): Promise<string> {
    let app: Served
    try {
      app = await side.serve({ ...options }, count)
    } catch (error) {
      return `at start-up: ${(error as Error).name}`
    }
    // express-session never answers some of these requests, so it is the error that is waited for.
    const answered = app.get('/').catch(() => undefined)
    await Promise.race([answered, vi.waitUntil(() => app.errors.length > 0, { interval: 5 })])
    return `by the first request: ${app.errors.join()}`
  }

  for (const [statement, cookie, theirs] of [
    ['`maxAge` as text', { maxAge: '600000' }, 'by the first request: maxAge must be a number or Date'],
    ['`maxAge` true', { maxAge: true }, 'by the first request: maxAge must be a number or Date'],
    ['`cookie` as text', 'session', 'by the first request: argument options must be a object'],
  ] as const) {
    sideBySide(`${statement} is refused`, (side) => refusal(side, { cookie }), {
      theirs,
      ours: 'at start-up: TypeError',
      reason: 'wrong options throw at start-up',
    })
  }

  for (const [statement, cookie, theirs] of [
    ['`sameSite`', { sameSite: 'sometimes' }, 'by the first request: option sameSite is invalid'],
    ['`priority`', { priority: 'urgent' }, 'by the first request: option priority is invalid'],
    ['`domain`', { domain: 'a;b' }, 'by the first request: option domain is invalid'],
  ] as const) {
    sideBySide(`another word for ${statement} is refused`, (side) => refusal(side, { cookie }), {
      theirs,
      ours: 'at start-up: TypeError',
      reason: 'wrong options throw at start-up',
    })
  }
})

describe('`cookie` as a function of the request', () => {
  sideBySide(
    'makes each new session its cookie',
    async (side) => {
      const cookie = (request: { url: string }) => ({ maxAge: request.url === '/long' ? 600_000 : 60_000 })
      const app = await side.serve({ cookie }, count)
      return [...(await app.get('/long')).cookies, ...(await app.get('/short')).cookies]
    },
    {
      both: [
        'connect.sid=#1; Path=/; Expires=in 600 s; HttpOnly',
        'connect.sid=#2; Path=/; Expires=in 60 s; HttpOnly',
      ],
    },
  )

  sideBySide(
    'a session keeps the length of life that it began with',
    async (side) => {
      const cookie = (request: { url: string }) => ({ maxAge: request.url === '/long' ? 600_000 : 60_000 })
      const app = await side.serve({ cookie }, count)
      return (await app.get('/short', { cookie: await app.get('/long') })).cookies
    },
    { both: ['connect.sid=#1; Path=/; Expires=in 600 s; HttpOnly'] },
  )

  sideBySide(
    'its `path` decides for which requests there is a session',
    async (side) => {
      const cookie = (request: { url: string }) => ({
        path: request.url.startsWith('/shop') ? '/shop' : '/other',
      })
      const app = await side.serve({ cookie, saveUninitialized: true }, (request, response) => {
        response.end(typeof request.session)
      })
      const [shop, elsewhere] = [await app.get('/shop/cart'), await app.get('/elsewhere')]
      return [shop.body, shop.cookies, elsewhere.body, elsewhere.cookies]
    },
    { both: ['object', ['connect.sid=#1; Path=/shop; HttpOnly'], 'undefined', []] },
  )

  sideBySide(
    'what it throws reaches the error handler',
    async (side) => {
      const cookie = () => {
        throw new Error('no cookies today')
      }
      const { status, body } = await visit(side, { cookie })
      return { status, body }
    },
    { both: { status: 500, body: 'error: no cookies today' } },
  )

  sideBySide(
    'it may know from the request whether to be secure',
    async (side) => {
      const cookie = (request: { headers: Record<string, string> }) => ({
        secure: request.headers['x-forwarded-proto'] === 'https',
      })
      const app = await side.serve({ cookie, proxy: true }, count)
      const secure = await app.get('/', { headers: { 'X-Forwarded-Proto': 'https' } })
      return [...secure.cookies, ...(await app.get('/')).cookies]
    },
    { both: ['connect.sid=#1; Path=/; HttpOnly; Secure', 'connect.sid=#2; Path=/; HttpOnly'] },
  )
})

describe('`cookie.path`', () => {
  const kind: Handler = (request, response) => response.end(typeof request.session)

  sideBySide(
    '/app: a request of /apple has no session, as browsers do not send the cookie there',
    async (side) => (await (await side.serve({ cookie: { path: '/app' } }, kind)).get('/apple')).body,
    { theirs: 'object', ours: 'undefined', reason: 'paths as in RFC 6265' },
  )

  sideBySide(
    'the cookie of another path is not set',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store, cookie: { path: '/app' }, saveUninitialized: true }, kind)
      return [(await app.get('/')).cookies, (await app.get('/app')).cookies, store.writes]
    },
    { both: [[], ['connect.sid=#1; Path=/app; HttpOnly'], ['set #1']] },
  )
})

describe('`secure` and `proxy`', () => {
  const https = { headers: { 'X-Forwarded-Proto': 'https' } }
  const trusting: Handler = (request, _response, next) => {
    ;(request as unknown as { app: { set(name: string, value: unknown): void } }).app.set('trust proxy', 1)
    next()
  }
  const insecure = 'Path=/; HttpOnly'
  const secure = 'Path=/; HttpOnly; Secure'

  const cases: readonly [statement: string, options: object, ask: Ask, trust: boolean, sent: string | undefined][] = [
    ['`secure` true, no TLS', { cookie: { secure: true } }, {}, false, undefined],
    ['`secure` true, a proxy that nobody trusts', { cookie: { secure: true } }, https, false, undefined],
    ["`secure` true, a proxy that Express trusts", { cookie: { secure: true } }, https, true, secure],
    ['`secure` true, `proxy` true', { cookie: { secure: true }, proxy: true }, https, false, secure],
    ['`secure` true, `proxy` true, no TLS', { cookie: { secure: true }, proxy: true }, {}, false, undefined],
    ['`secure` true, `proxy` false', { cookie: { secure: true }, proxy: false }, https, false, undefined],
    ['`secure` true, `proxy` false, though Express trusts it', { cookie: { secure: true }, proxy: false }, https, true, undefined],
    ['`secure` true, `proxy` undefined, Express trusts it', { cookie: { secure: true }, proxy: undefined }, https, true, secure],
    ["`secure` 'auto', `proxy` true", { cookie: { secure: 'auto' }, proxy: true }, https, false, secure],
    ["`secure` 'auto', `proxy` true, no TLS", { cookie: { secure: 'auto' }, proxy: true }, {}, false, insecure],
    ["`secure` 'auto', `proxy` false", { cookie: { secure: 'auto' }, proxy: false }, https, true, insecure],
    ["`secure` 'auto', Express trusts the proxy", { cookie: { secure: 'auto' } }, https, true, secure],
    ["`secure` 'auto', nobody trusts the proxy", { cookie: { secure: 'auto' } }, https, false, insecure],
    ['`secure` false, `proxy` true', { cookie: { secure: false }, proxy: true }, https, false, insecure],
    ["`sameSite` 'auto' alone, `proxy` true", { cookie: { sameSite: 'auto' }, proxy: true }, https, false, `${insecure}; SameSite=None`],
    ["`sameSite` 'auto' alone, `proxy` false", { cookie: { sameSite: 'auto' }, proxy: false }, https, false, `${insecure}; SameSite=Lax`],
    ["both 'auto', `proxy` true", { cookie: { secure: 'auto', sameSite: 'auto' }, proxy: true }, https, false, `${secure}; SameSite=None`],
    ["both 'auto', no TLS", { cookie: { secure: 'auto', sameSite: 'auto' } }, {}, false, `${insecure}; SameSite=Lax`],
    ["`secure` 'auto' with `sameSite` 'strict', `proxy` true", { cookie: { secure: 'auto', sameSite: 'strict' }, proxy: true }, https, false, `${secure}; SameSite=Strict`],
  ] // prettier-ignore
  for (const [statement, options, ask, trust, sent] of cases) {
    sideBySide(
      statement,
      async (side) => {
        const app = await side.serve({ ...options }, count, { before: trust ? [trusting] : [] })
        return (await app.get('/', ask)).cookies
      },
      { both: sent === undefined ? [] : [`connect.sid=#1; ${sent}`] },
    )
  }

  for (const [forwarded, isSecure] of [
    ['https, http', true],
    ['http, https', false],
    ['HTTPS', true],
    [' https ,http', true],
    ['', false],
    ['httpss', false],
  ] as const) {
    sideBySide(
      `\`proxy\` true: X-Forwarded-Proto "${forwarded}" is ${isSecure ? '' : 'not '}secure`,
      async (side) => {
        const app = await side.serve({ cookie: { secure: true }, proxy: true }, count)
        return (await app.get('/', { headers: { 'X-Forwarded-Proto': forwarded } })).cookies.length
      },
      { both: isSecure ? 1 : 0 },
    )
  }

  for (const proxy of [true, false, undefined]) {
    sideBySide(
      `a server that speaks TLS itself is secure, with \`proxy\` ${String(proxy)}`,
      async (side) => {
        const options = { proxy, cookie: { secure: true, sameSite: 'auto' } }
        return (await (await side.serve(options, count, { tls: true })).get('/')).cookies
      },
      { both: ['connect.sid=#1; Path=/; HttpOnly; Secure; SameSite=None'] },
    )
  }

  sideBySide(
    '`secure` true, no TLS: the session is stored though no cookie is set',
    async (side) => {
      const store = side.store()
      await visit(side, { store, cookie: { secure: true } })
      return store.writes
    },
    { both: ['set #1'] },
  )
})

describe('`req.session.cookie`', () => {
  /** The answer to a first visit whose handler does `act`, and what is stored then. */
  async function after(side: Side, cookie: object | undefined, act: Handler) {
    const store = side.store()
    const app = await side.serve({ store, ...(cookie ? { cookie } : {}) }, (request, response, next) => {
      request.session['name'] = 'Ada'
      act(request, response, next)
      if (!response.writableEnded) response.end()
    })
    const { cookies, body } = await app.get('/')
    const { expires, originalMaxAge } = (store.only() as { cookie: Record<string, unknown> }).cookie
    return { cookies, body, expires, originalMaxAge }
  }

  sideBySide(
    '`maxAge` is what is left, in milliseconds',
    async (side) => {
      const seen = await after(side, { maxAge: 600_000 }, ({ session: { cookie } }, response) => {
        response.end(String(Math.round(cookie.maxAge! / 10_000)))
      })
      return seen.body
    },
    { both: '60' },
  )

  sideBySide(
    '`maxAge` can be given to one visitor',
    (side) =>
      after(side, { maxAge: 600_000 }, ({ session: { cookie } }) => {
        cookie.maxAge = 3_600_000
      }),
    {
      both: {
        cookies: ['connect.sid=#1; Path=/; Expires=in 3600 s; HttpOnly'],
        body: '',
        expires: 'in 3600 s',
        originalMaxAge: 3_600_000,
      },
    },
  )

  sideBySide(
    '`expires` can be given to one visitor, and becomes the length of life',
    (side) =>
      after(side, undefined, ({ session: { cookie } }) => {
        cookie.expires = new Date(Date.now() + 3_600_000)
      }),
    {
      both: {
        cookies: ['connect.sid=#1; Path=/; Expires=in 3600 s; HttpOnly'],
        body: '',
        expires: 'in 3600 s',
        originalMaxAge: 3_600_000,
      },
    },
  )

  for (const none of [null, false] as const) {
    sideBySide(
      `\`expires\` ${none}: the cookie lasts as long as the browser`,
      (side) =>
        after(side, { maxAge: 600_000 }, ({ session: { cookie } }) => {
          cookie.expires = none
        }),
      {
        both: {
          cookies: ['connect.sid=#1; Path=/; HttpOnly'],
          body: '',
          expires: none,
          originalMaxAge: none as null,
        },
      },
    )
  }

  const rowCookie = {
    originalMaxAge: 60_000,
    expires: new Date(Date.now() + 60_000).toISOString(),
    httpOnly: true,
    path: '/a',
  }
  for (const [what, assigned, attributes, length] of [
    ['with a `maxAge`', { maxAge: 60_000 }, 'Path=/; Expires=in 60 s; HttpOnly; Secure', 60_000],
    [
      'with attributes',
      { sameSite: 'auto', path: '/a' },
      'Path=/a; Expires=in 600 s; HttpOnly; Secure; SameSite=None',
      600_000,
    ],
    ['as a row has it', rowCookie, 'Path=/a; Expires=in 60 s; HttpOnly; Secure', 60_000],
    [
      'as a row has it, until the browser closes',
      { ...rowCookie, originalMaxAge: null, expires: null },
      'Path=/a; HttpOnly; Secure',
      null,
    ],
    ['that is empty', {}, 'Path=/; Expires=in 600 s; HttpOnly; Secure', 600_000],
  ] as const) /* prettier-ignore */ {
    for (const save of [false, true]) {
      sideBySide(
        `a plain object ${what} in its place becomes a cookie${save ? ', and is saved as one' : ''}`,
        async (side) => {
          const store = side.store()
          const cookie = { maxAge: 600_000, secure: 'auto' }
          const app = await side.serve({ store, cookie, proxy: true }, (request, response) => {
            Object.assign(request.session, { name: 'Ada', cookie: { ...assigned } })
            if (save) request.session.save(() => response.end())
            else response.end()
          })
          const { status, cookies } = await app.get('/', { headers: { 'X-Forwarded-Proto': 'https' } })
          const { name, cookie: stored } = store.only() as { name: string; cookie: CookieObject }
          return { status, cookies, name, length: stored.originalMaxAge }
        },
        {
          theirs: {
            status: 200,
            cookies: ['connect.sid=#1'],
            name: 'Ada',
            length: (assigned as Partial<CookieObject>).originalMaxAge,
          },
          ours: { status: 200, cookies: [`connect.sid=#1; ${attributes}`], name: 'Ada', length },
          reason: 'cookie attributes come from the configuration only',
        },
      )
    }
  }

  sideBySide(
    '`expires` null: the cookie is set once and not again',
    async (side) => {
      const app = await side.serve({ cookie: { maxAge: 600_000 } }, (request, response) => {
        request.session['views'] = Number(request.session['views'] ?? 0) + 1
        request.session.cookie.expires = null
        response.end()
      })
      const first = await app.get('/')
      return [first.cookies, (await app.get('/', { cookie: first })).cookies]
    },
    { both: [['connect.sid=#1; Path=/; HttpOnly'], []] },
  )

  sideBySide(
    '`originalMaxAge` is the length of life, kept through the store',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store, cookie: { maxAge: 600_000 } }, (request, response) => {
        request.session['views'] = Number(request.session['views'] ?? 0) + 1
        response.end(String(Math.round(request.session.cookie.originalMaxAge! / 1_000)))
      })
      const first = await app.get('/')
      const second = await app.get('/', { cookie: first })
      return [first.body, second.body, second.cookies, store.only()]
    },
    {
      both: [
        '600',
        '600',
        ['connect.sid=#1; Path=/; Expires=in 600 s; HttpOnly'],
        { cookie: { originalMaxAge: 600_000, expires: 'in 600 s', httpOnly: true, path: '/' }, views: 2 },
      ],
    },
  )

  const extending = routes({
    '/': count,
    '/extend': (request, response) => {
      request.session.cookie.maxAge = 3_600_000
      response.end()
    },
    '/rest': (request, response) => response.end(fromNow(request.session.cookie.expires as Date, new Date())),
  })

  sideBySide(
    '`maxAge` assigned on an existing session is stored, and its cookie is not set for that alone',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store, cookie: { maxAge: 600_000 } }, extending)
      const first = await app.get('/')
      const extended = await app.get('/extend', { cookie: first })
      return [extended.cookies, store.only(), (await app.get('/rest', { cookie: first })).body]
    },
    {
      both: [
        [],
        { cookie: { originalMaxAge: 3_600_000, expires: 'in 3600 s', httpOnly: true, path: '/' }, views: 1 },
        'in 3600 s',
      ],
    },
  )

  sideBySide(
    'an unchanged session is touched: its stored expiry moves',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store, cookie: { maxAge: 600_000 } }, extending)
      const first = await app.get('/')
      for (const [id, row] of store.rows) {
        const stored = JSON.parse(row) as { cookie: { expires: string } }
        stored.cookie.expires = new Date(Date.now() + 30_000).toISOString()
        store.rows.set(id, JSON.stringify(stored))
      }
      const { body, cookies } = await app.get('/rest', { cookie: first })
      return [body, cookies, store.only(), store.writes]
    },
    {
      both: [
        'in 30 s',
        [],
        { cookie: { originalMaxAge: 600_000, expires: 'in 600 s', httpOnly: true, path: '/' }, views: 1 },
        ['set #1', 'touch #1'],
      ],
    },
  )

  for (const [attribute, value, sent] of [
    ['domain', 'shop.example.com', 'Domain=shop.example.com; Path=/; HttpOnly'],
    ['path', '/shop', 'Path=/shop; HttpOnly'],
    ['httpOnly', false, 'Path=/'],
    ['sameSite', 'lax', 'Path=/; HttpOnly; SameSite=Lax'],
    ['priority', 'high', 'Path=/; HttpOnly; Priority=High'],
    ['partitioned', true, 'Path=/; HttpOnly; Partitioned'],
  ] as const) {
    sideBySide(
      `\`${attribute}\` can be given to one visitor`,
      async (side) => {
        const seen = await after(side, undefined, ({ session: { cookie } }) => {
          Object.assign(cookie, { [attribute]: value })
        })
        return seen.cookies
      },
      { both: [`connect.sid=#1; ${sent}`] },
    )
  }

  sideBySide(
    '`secure` given to one visitor without TLS keeps the cookie back',
    async (side) => {
      const seen = await after(side, undefined, ({ session: { cookie } }) => {
        cookie.secure = true
      })
      return seen.cookies
    },
    { both: [] },
  )

  sideBySide(
    'a word that no cookie can have, given to one visitor, reaches the error handler',
    async (side) => {
      const app = await side.serve({ secret }, (request, response) => {
        request.session['name'] = 'Ada'
        request.session.cookie.sameSite = 'sometimes'
        response.end()
      })
      const { status } = await app.get('/')
      await app.firstError
      return { status, errors: app.errors.length }
    },
    {
      theirs: { status: 200, errors: 1 },
      ours: { status: 500, errors: 1 },
      reason: 'a failed save is no 200',
    },
  )

  sideBySide(
    '`data` and `toJSON()` are its attributes, `serialize()` writes it',
    async (side) => {
      const seen = await after(
        side,
        { maxAge: null, sameSite: 'lax' },
        ({ session: { cookie } }, response) => {
          response.end(
            JSON.stringify([Object.keys(cookie.data).sort(), cookie.toJSON(), cookie.serialize('a', 'b;c')]),
          )
        },
      )
      return JSON.parse(seen.body) as unknown
    },
    {
      both: [
        [
          'domain',
          'expires',
          'httpOnly',
          'originalMaxAge',
          'partitioned',
          'path',
          'priority',
          'sameSite',
          'secure',
        ],
        { originalMaxAge: null, expires: null, httpOnly: true, path: '/', sameSite: 'lax' },
        'a=b%3Bc; Path=/; HttpOnly; SameSite=Lax',
      ],
    },
  )
})
