import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStore } from 'coatcheck'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { keepsOutShared } from '../../dist/http/caching.js'
import { frameworks } from '../adapters/frameworks.ts'
import type { Handler, SessionModule, SideRequest, StoreObject } from './express-session-types.ts'
import { Side, sideBySide } from './sides.ts'
import { type Answer, routes } from './visited.ts'
import { loadAnew } from '../load-anew.ts'

const require = createRequire(import.meta.url)
const plain = frameworks.at(-1)!
const kind: Handler = (request, response) => response.end(typeof request.session)
const change = (request: SideRequest) =>
  (request.session['views'] = Number(request.session['views'] ?? 0) + 1)
const count: Handler = (request, response) => response.end(`views: ${change(request)}`)
const saved = (request: SideRequest) =>
  new Promise<string>((resolve) => void request.session.save((error) => resolve(error ? 'failed' : 'saved')))

describe('the target of a request', () => {
  const targets = [
    '', '/', '?a=1', '/?a=1', '/app', '/app/', '/app/x', '/app?x=/y', '/app#x', '/other', '/other/app', '/APP', '/any/where', '//app', '/app/../other', '/%61pp',
    'http://a.example', 'http://a.example/', 'http://a.example?a=1', 'http://a.example/app', 'http://a.example/app/x?a=http://b/c',
    'http://a.example/other', 'HTTPS://A.example:8080/app', 'http://user:password@a.example/app', 'http://[::1]:80/app',
    '*', 'app',
  ] // prettier-ignore
  const paths = [undefined, null, '', '/', '/app', '/app/', 'app']

  sideBySide(
    `decides whether there is a session, whatever its form and the cookie's path: ${targets.length * paths.length} cases`,
    async (side) => {
      const seen: Record<string, string> = {}
      for (const path of paths) {
        const to: Handler = (request, _response, next) => {
          request.url = decodeURIComponent(String(request.headers['target']))
          next()
        }
        const app = await side.serve({ cookie: { path } }, kind, { before: [to], framework: plain })
        for (const target of targets) {
          const { body } = await app.get('/', { headers: { target: encodeURIComponent(target) } })
          seen[`${path} ${target}`] = body
        }
      }
      return [
        Object.values(seen).filter((body) => body === 'object').length,
        seen['/app http://a.example/app'],
      ]
    },
    { both: [116, 'object'] },
  )

  sideBySide(
    'in absolute form, as clients of proxies send it, leads to the session under Express',
    async (side) => {
      const app = await side.serve({ cookie: { path: '/app' } }, count)
      const first = await app.get('http://a.example/app/page')
      return (await app.get('http://a.example/app/page', { cookie: first })).body
    },
    { both: 'views: 2' },
  )
})

describe('`cookie`', () => {
  for (const value of [null, undefined, false, 0, '']) {
    sideBySide(
      `${JSON.stringify(value)} is as if it were left out`,
      async (side) => {
        const app = await side.serve({ cookie: value, store: side.store() }, count)
        const first = await app.get('/')
        return [...first.cookies, (await app.get('/', { cookie: first })).body]
      },
      { both: ['connect.sid=#1; Path=/; HttpOnly', 'views: 2'] },
    )
  }

  for (const secure of [1, 'true', 'yes', {}, []]) {
    sideBySide(
      `\`secure\` ${JSON.stringify(secure)} is as true: no cookie on an insecure request`,
      async (side) => (await (await side.serve({ cookie: { secure } }, count)).get('/')).cookies,
      { both: [] },
    )
  }
})

describe('`Cache-Control` beside the session cookie', () => {
  const headers: readonly [caching: string, keepsOut: boolean][] = [
    ['private', true],
    ['private, max-age=60', true],
    ['max-age=60,private', true],
    ['NO-STORE, no-cache', true],
    ['no-cache, no-store, must-revalidate', true],
    ['public, no-cache="Set-Cookie"', false],
    ['max-age=60, private="x-other, set-cookie"', false],
    ['public, private', false],
    ['private, s-maxage=60', false],
    ['extension="a, private, b"', false],
    ['extension="a", private', true],
    ['public', false],
    ['public, max-age=0', false],
    ['public, max-age=31536000, immutable', false],
    ['s-maxage=10', false],
    ['max-age=60', false],
    ['no-cache', false],
    ['no-cache="x-other"', false],
    ['private="x-other"', false],
    ['x-private-data', false],
  ]

  for (const [caching] of headers) {
    for (const by of ['setHeader', 'writeHead']) {
      sideBySide(
        `${caching} that the app has set by ${by} stays`,
        async (side) => {
          const app = await side.serve({}, (request, response) => {
            change(request)
            if (by === 'setHeader') response.setHeader('Cache-Control', caching)
            else response.writeHead(200, { 'Cache-Control': caching })
            response.end()
          })
          const { raw, cookies } = await app.get('/')
          return [raw.headers['cache-control'], cookies.length]
        },
        { both: [caching, 1] },
      )
    }
  }

  test.each(headers)('%s keeps the cookie out of shared caches: %s', (caching, keepsOut) => {
    expect(keepsOutShared(caching)).toBe(keepsOut)
  })

  test('one that lets shared caches keep it is warned of, once', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    // Anew, since the tests before this one have been warned.
    const { cacheControlWithCookie: added } = loadAnew(
      'http/caching.js',
    ) as typeof import('../../dist/http/caching.js')
    expect(added('private', true)).toBeUndefined()
    expect(warn).not.toHaveBeenCalled()
    expect([added('public', true), added('public, max-age=1', true), added('public', false)]).toEqual([
      undefined,
      undefined,
      'no-store',
    ])
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('"Cache-Control: public"'), { code: 'COATCHECK_SHARED_CACHE' }],
    ])
  })

  sideBySide(
    'and what is for a CDN alone stay as the app has set them',
    async (side) => {
      const app = await side.serve({}, (request, response) => {
        change(request)
        response.setHeader('Cache-Control', 'private')
        response.setHeader('CDN-Cache-Control', 'max-age=60')
        response.setHeader('Surrogate-Control', 'max-age=60')
        response.end()
      })
      const { headers } = (await app.get('/')).raw
      return [headers['cdn-cache-control'], headers['surrogate-control'], headers.vary]
    },
    { both: ['max-age=60', 'max-age=60', undefined] },
  )

  test('what is for a CDN alone is warned of, once', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    const { overrulesCacheControl: overrules } = loadAnew(
      'http/caching.js',
    ) as typeof import('../../dist/http/caching.js')
    expect(overrules('cdn-cache-control', 'no-store', true)).toBe(false)
    expect(overrules('x-other', 'max-age=60', true)).toBe(false)
    expect(warn).not.toHaveBeenCalled()
    expect(overrules('surrogate-control', 'max-age=60', true)).toBe(false)
    expect(overrules('surrogate-control', 'max-age=61', true)).toBe(false)
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('"surrogate-control: max-age=60"'), { code: 'COATCHECK_SHARED_CACHE' }],
    ])
  })

  sideBySide(
    'is no-store where the app has set none',
    async (side) => (await (await side.serve({}, count)).get('/')).raw.headers['cache-control'],
    { theirs: undefined, ours: 'no-store', reason: 'answers with a cookie are not to be cached' },
  )
})

sideBySide(
  'of several cookies of its name the first decides, also where they are of two users',
  async (side) => {
    const handler: Handler = (request, response) => {
      if (request.url !== '/') request.session['user'] = request.url
      response.end(String(request.session['user']))
    }
    const app = await side.serve({ userOf: 'user' }, handler)
    const [ada, bob] = [(await app.get('/ada')).jar, (await app.get('/bob')).jar]
    const userOf = async (cookie: string) => (await app.get('/', { cookie })).body
    return [await userOf(`${ada}; ${bob}`), await userOf(`${bob}; ${ada}`)]
  },
  { both: ['/ada', '/bob'] },
)

describe('a new session', () => {
  /** Everything that begins a session, on requests without a cookie. */
  const beginnings = routes({
    '/change': count,
    '/save': async (request, response) => {
      change(request)
      response.end(await saved(request))
    },
    '/regenerate': (request, response) => {
      request.session.regenerate(() => response.end(`views: ${change(request)}`))
    },
    '/generate': (request, response) => {
      request.sessionStore.generate(request)
      response.end(`views: ${change(request)}`)
    },
    '/switch': (request, response) => {
      request.sessionID = 'another'
      request.session = request.sessionStore.createSession(request, {
        cookie: { originalMaxAge: null, expires: null },
        user: 'ada',
      })
      response.end()
    },
    '/null': (request, response) => {
      Object.assign(request, { session: null })
      request.sessionStore.generate(request)
      response.end(`views: ${change(request)}`)
    },
  })
  const paths = ['/change', '/save', '/regenerate', '/generate', '/switch', '/null']
  const bodies = ['views: 1', 'saved', 'views: 1', 'views: 1', '', 'views: 1']

  for (const saveUninitialized of [false, true]) {
    const begin = async (side: Side, store: StoreObject, options: object = {}) => {
      const app = await side.serve({ store, saveUninitialized, ...options }, beginnings)
      const answers: Answer[] = []
      for (const path of paths) answers.push(await app.get(path))
      return answers.map(({ status, body, cookies }) =>
        status === 200 && cookies.length === 1 ? body : status,
      )
    }
    const where = `where saveUninitialized is ${saveUninitialized}`

    sideBySide(
      `is not read before it is stored, ${where}`,
      async (side) => {
        const store = new side.session.MemoryStore()
        const get = vi.spyOn(store, 'get')
        return [await begin(side, store), get.mock.calls.length]
      },
      { both: [bodies, 0] },
    )

    for (const [which, get] of [
      [
        'throws for what it does not know',
        () => {
          throw new Error('no such file')
        },
      ],
      ['never answers', () => undefined],
    ] as const) {
      sideBySide(
        `begins on a store whose get ${which}, ${where}`,
        (side) => begin(side, Object.assign(new side.session.MemoryStore(), { get })),
        { both: bodies },
      )
    }

    sideBySide(
      `begins by a genid that gives the same again, ${where}`,
      (side) => begin(side, new side.session.MemoryStore(), { genid: () => 'the same' }),
      { both: bodies },
    )
  }

  sideBySide(
    'begins on session-file-store without a line in its log',
    async (side) => {
      const path = await mkdtemp(join(tmpdir(), 'coatcheck-files-'))
      onTestFinished(() => rm(path, { recursive: true, force: true }))
      const FileStore = (
        require('session-file-store') as (session: SessionModule) => new (options: object) => StoreObject
      )(side.session)
      const lines: string[] = []
      const store = new FileStore({ path, reapInterval: -1, logFn: (line: string) => lines.push(line) })
      const get = vi.spyOn(store, 'get')
      const app = await side.serve({ store }, beginnings)
      for (const each of ['/change', '/save', '/switch']) await app.get(each)
      const first = await app.get('/change')
      const second = await app.get('/change', { cookie: first })
      return [second.body, lines, get.mock.calls.length > 0]
    },
    { both: ['views: 2', [], true] },
  )

  sideBySide(
    'that was saved and emptied again has its cookie',
    async (side) => {
      const app = await side.serve({ store: side.store() }, async (request, response) => {
        change(request)
        await saved(request)
        delete request.session['views']
        response.end()
      })
      return (await app.get('/')).cookies
    },
    { theirs: [], ours: ['connect.sid=#1; Path=/; HttpOnly'], reason: 'what is stored has its cookie' },
  )

  sideBySide(
    'that was saved before its id was made a number has its cookie',
    async (side) => {
      const app = await side.serve({ store: side.store() }, async (request, response) => {
        change(request)
        await saved(request)
        Object.assign(request, { sessionID: 42 })
        response.end()
      })
      return (await app.get('/')).cookies
    },
    { theirs: [], ours: ['connect.sid=#1; Path=/; HttpOnly'], reason: 'what is stored has its cookie' },
  )
})

describe('another session for the request', () => {
  /** As an app that also takes ids from a header, for its mobile clients. */
  const byHeader: Handler = (request, _response, next) => {
    const id = request.headers['x-session']
    if (typeof id !== 'string') return next()
    request.sessionStore.get(id, (error, session) => {
      if (error || !session) return next(error)
      request.sessionID = id
      request.session = request.sessionStore.createSession(request, session)
      next()
    })
  }
  const handler = routes({
    '/': count,
    '/id': (request, response) => response.end(request.sessionID),
    '/end': (request, response) => void request.session.destroy(() => response.end()),
    '/renew': (request, response) =>
      void request.session.regenerate(() => response.end(`views: ${change(request)}`)),
    '/reload': (request, response) =>
      void request.session.reload((error) => response.end(error ? 'failed' : 'reloaded')),
  })
  /** Visits by cookie, then by the same session's id in a header. */
  async function visits(side: Side, store: unknown, ...paths: string[]) {
    const app = await side.serve({ store }, handler, { after: [byHeader] })
    const first = await app.get('/')
    const { body: id } = await app.get('/id', { cookie: first })
    const bodies: string[] = []
    for (const path of paths) bodies.push((await app.get(path, { headers: { 'x-session': id } })).body)
    return [...bodies, (await app.get('/', { cookie: first })).body]
  }
  const all = [
    [
      ['/', '/'],
      ['views: 2', 'views: 3', 'views: 4'],
    ],
    [
      ['/end', '/'],
      ['', 'views: 1', 'views: 1'],
    ],
    [['/renew'], ['views: 1', 'views: 1']],
    [
      ['/reload', '/'],
      ['reloaded', 'views: 2', 'views: 3'],
    ],
  ] as const

  for (const [paths, bodies] of all) {
    sideBySide(`by its id in a header: ${paths.join()}`, (side) => visits(side, side.store(), ...paths), {
      theirs: [...bodies],
      ours: [...bodies],
      reason: 'destroy clears the cookie',
    })

    test(`by its id in a header, on a store of coatcheck's: ${paths.join()}`, async () => {
      expect(await visits(new Side('coatcheck/express'), new MemoryStore(), ...paths)).toEqual([...bodies])
    })
  }

  test("keeps its user, on a store of coatcheck's", async () => {
    const side = new Side('coatcheck/express')
    interface Bound {
      boundUserId?: string
      signIn(user: string): Promise<void>
    }
    const bound = (request: SideRequest) => request.session as unknown as Bound
    const app = await side.serve(
      { store: new MemoryStore() },
      routes({
        '/sign-in': async (request, response) => {
          await bound(request).signIn('ada')
          await saved(request)
          response.end(request.sessionID)
        },
        '/count': count,
        '/who': (request, response) => response.end(bound(request).boundUserId),
      }),
      { after: [byHeader] },
    )
    const first = await app.get('/sign-in')
    await app.get('/count', { headers: { 'x-session': first.body } })
    expect((await app.get('/who', { cookie: first })).body).toBe('ada')
  })

  sideBySide(
    'is not begun by its id alone',
    async (side) => {
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
      onTestFinished(() => warn.mockRestore())
      const app = await side.serve({ store: side.store() }, (request, response) => {
        change(request)
        request.sessionID = 'another'
        response.end()
      })
      const { jar } = await app.get('/')
      return [
        jar.includes('another'),
        warn.mock.calls.map(([, options]) => (options as { code: string }).code),
      ]
    },
    {
      theirs: [true, []],
      ours: [false, ['COATCHECK_SESSION_ID']],
      reason: 'assigning `req.sessionID` does not switch the session',
    },
  )
})

sideBySide(
  'a new session that is changed after the first byte fails no response',
  async (side) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    const store = side.store()
    const app = await side.serve({ store }, (request, response) => {
      response.write('a long ')
      change(request)
      response.end('page')
    })
    const answers = [await app.get('/'), await app.get('/')]
    return [
      answers.map(({ status, body, complete, cookies }) => [status, body, complete, cookies]),
      store.rows.size,
      warn.mock.calls.map(([, options]) => (options as { code: string }).code),
    ]
  },
  {
    theirs: [Array(2).fill([200, 'a long page', true, []]), 2, []],
    ours: [Array(2).fill([200, 'a long page', true, []]), 0, ['COATCHECK_LATE_SESSION']],
    reason: 'what is stored has its cookie',
  },
)

for (const method of ['destroy', 'regenerate'] as const) {
  sideBySide(
    `saving a session after its ${method}()`,
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/end': async (request, response) => {
            const { session } = request
            await new Promise<void>((resolve) => void session[method](() => resolve()))
            session.save((error) => response.end(String((error as { code?: string } | null)?.code)))
          },
        }),
      )
      const first = await app.get('/')
      const { body } = await app.get('/end', { cookie: first })
      return [body, 'views' in ((store.readable()['#1'] as object | undefined) ?? {})]
    },
    {
      theirs: ['undefined', true],
      ours: ['ERR_SESSION_REPLACED', false],
      reason: 'ended sessions never come back',
    },
  )
}

test('a genid that gives an id which is taken is asked again, on a store of coatcheck’s', async () => {
  const side = new Side('coatcheck/express')
  const ids = ['first', 'first', 'second']
  const app = await side.serve({ store: new MemoryStore(), genid: () => ids.shift() }, count)
  const [first, second] = [await app.get('/'), await app.get('/')]
  expect([second.status, (await app.get('/', { cookie: first })).body]).toEqual([200, 'views: 2'])
})

test('a genid that always gives an id which is taken fails the request, on a store of coatcheck’s', async () => {
  const side = new Side('coatcheck/express')
  const app = await side.serve({ store: new MemoryStore(), genid: () => 'the same' }, count)
  const [first, second] = [await app.get('/'), await app.get('/')]
  expect([first.status, second.status]).toEqual([200, 503])
})
