import cookieParser from 'cookie-parser'
import { sign } from 'cookie-signature'
import { describe } from 'vitest'
import type { Handler } from './express-session-types.ts'
import { deprecationsOf, secret, sideBySide, thrownBy } from './sides.ts'
import { routes } from './visited.ts'

const unsetting = routes({
  '/null': (request, response) => {
    ;(request as { session: unknown }).session = null
    response.end()
  },
  '/delete': (request, response) => {
    delete (request as { session?: unknown }).session
    response.end()
  },
  '/opened': (request, response) => {
    request.session['views'] = 1
    ;(request as { session: unknown }).session = null
    response.end()
  },
})

/** Counts visits at `/`, and answers without a look at the session elsewhere. */
const count: Handler = (request, response) => {
  if (request.url !== '/') return response.end('nothing to see')
  request.session['views'] = Number(request.session['views'] ?? 0) + 1
  return response.end(`views: ${String(request.session['views'])}`)
}

describe('`secret`', () => {
  sideBySide(
    'a list that the app changes later rotates: new cookies by the new secret, and old ones no more once theirs is gone',
    async (side) => {
      const secrets = ['the first secret']
      const app = await side.serve({ secret: secrets }, count)
      const first = await app.get('/')
      secrets.unshift('the second secret')
      const second = await app.get('/')
      const both = [
        (await app.get('/', { cookie: first })).body,
        (await app.get('/', { cookie: second })).body,
      ]
      secrets.pop()
      return [
        both,
        (await app.get('/', { cookie: first })).body,
        (await app.get('/', { cookie: second })).body,
      ]
    },
    {
      theirs: [['views: 2', 'views: 2'], 'views: 1', 'views: 3'],
      ours: [['views: 2', 'views: 2'], 'views: 1', 'views: 3'],
      reason: 'old signatures are renewed',
    },
  )

  sideBySide(
    'a string signs the cookie as the package cookie-signature does',
    async (side) => {
      let id = ''
      const app = await side.serve({}, (request, response) => {
        id = request.sessionID
        request.session['name'] = 'Ada'
        response.end()
      })
      const { jar } = await app.get('/')
      return jar === `connect.sid=${encodeURIComponent(`s:${sign(id, secret)}`)}`
    },
    { both: true },
  )

  for (const [kind, key] of Object.entries({
    'a Buffer': Buffer.from('bytes that only these tests use'),
    'a list': ['the newest secret', 'an older secret'],
    'a list of Buffers': [Buffer.from('the newest secret'), Buffer.from('an older secret')],
  })) {
    sideBySide(
      `${kind} signs by the first and knows its own signature again`,
      async (side) => {
        const app = await side.serve({ secret: key }, count)
        const first = await app.get('/')
        return [first.cookies, (await app.get('/', { cookie: first })).body]
      },
      { both: [['connect.sid=#1; Path=/; HttpOnly'], 'views: 2'] },
    )
  }

  sideBySide(
    'a list verifies by all, and signs again what an older one had signed',
    async (side) => {
      const store = side.store()
      const before = await side.serve({ store, secret: 'an older secret' }, count)
      const after = await side.serve({ store, secret: ['the newest secret', 'an older secret'] }, count)
      const second = await after.get('/', { cookie: await before.get('/') })
      return [second.body, second.cookies]
    },
    {
      theirs: ['views: 2', []],
      ours: ['views: 2', ['connect.sid=#1; Path=/; HttpOnly']],
      reason: 'old signatures are renewed',
    },
  )

  sideBySide(
    'a list: an answer that leaves the session alone sets no cookie, whichever secret signed it',
    async (side) => {
      const store = side.store()
      const leave: Handler = (request, response) => {
        request.session = null as unknown as typeof request.session
        response.end()
      }
      const before = await side.serve({ store, secret: 'an older secret' }, count)
      const after = await side.serve({ store, secret: ['the newest secret', 'an older secret'] }, leave)
      return (await after.get('/', { cookie: await before.get('/') })).cookies
    },
    { both: [] },
  )

  sideBySide(
    'a secret that is no longer in the list verifies nothing',
    async (side) => {
      const store = side.store()
      const before = await side.serve({ store, secret: 'an older secret' }, count)
      const after = await side.serve({ store, secret: ['the newest secret'] }, count)
      const second = await after.get('/', { cookie: await before.get('/') })
      return [second.body, second.cookies]
    },
    { both: ['views: 1', ['connect.sid=#2; Path=/; HttpOnly']] },
  )

  sideBySide(
    'an empty list is refused when the middleware is made',
    ({ session }) => thrownBy(() => session({ secret: [], resave: false, saveUninitialized: false })),
    { both: 'TypeError: secret option array must contain one or more strings' },
  )

  const text = 'a secret of some length'
  for (const [kind, value] of Object.entries({
    'a function': () => text,
    'a number': 5,
    'a list in a list, which `Buffer.from` takes for a byte of zero': [[text]],
    'the JSON of a Buffer': Buffer.from(text).toJSON(),
  })) {
    sideBySide(
      `${kind} is refused`,
      ({ session }) => thrownBy(() => session({ secret: value, resave: false, saveUninitialized: false })),
      {
        theirs: undefined, // until the first cookie is set
        ours: 'SessionError: secret must be a text, bytes, a KeyObject, or a list of those.',
        reason: 'wrong options throw at start-up',
      },
    )
  }

  sideBySide(
    'left out, each request fails that brings no `req.secret`',
    async (side) => {
      const app = await side.serveWith(
        () => side.session({ resave: false, saveUninitialized: false }),
        (_request, response) => response.end('reached the handler'),
      )
      const { status, body } = await app.get('/')
      return { status, body }
    },
    { both: { status: 500, body: 'error: secret option required for sessions' } },
  )

  for (const [kind, value] of Object.entries({ undefined, 'an empty text': '' })) {
    sideBySide(
      `${kind}, as an unset environment variable leaves it, is noticed`,
      async (side) => {
        let app
        try {
          app = await side.serve({ secret: value }, (_request, response) =>
            response.end('reached the handler'),
          )
        } catch {
          return 'at start-up'
        }
        const { status, body } = await app.get('/')
        return `by the first request: ${status} ${body}`
      },
      {
        theirs: 'by the first request: 500 error: secret option required for sessions',
        ours: 'at start-up',
        reason: 'wrong options throw at start-up',
      },
    )
  }

  sideBySide(
    'left out, `req.secret` of cookie-parser takes its place',
    async (side) => {
      const app = await side.serveWith(
        () => side.session({ resave: false, saveUninitialized: false }),
        count,
        { before: [cookieParser('the secret of cookie-parser')], secret: 'the secret of cookie-parser' },
      )
      const first = await app.get('/')
      return [first.cookies, (await app.get('/', { cookie: first })).body]
    },
    { both: [['connect.sid=#1; Path=/; HttpOnly'], 'views: 2'] },
  )

  sideBySide(
    'given, it goes before `req.secret`',
    async (side) => {
      const app = await side.serve({}, count, { before: [cookieParser('the secret of cookie-parser')] })
      return (await app.get('/')).cookies
    },
    { both: ['connect.sid=#1; Path=/; HttpOnly'] },
  )
})

describe('`name` and `key`', () => {
  sideBySide(
    'a cookie of another name is not looked at',
    async (side) => {
      const store = side.store()
      const shop = await side.serve({ store, name: 'shop' }, count)
      const other = await side.serve({ store, name: 'other' }, count)
      return (await other.get('/', { cookie: await shop.get('/') })).body
    },
    { both: 'views: 1' },
  )
})

describe('`genid`', () => {
  sideBySide(
    'makes the id from the request',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store, genid: (request: { url: string }) => `id-of-${request.url.slice(1)}` },
        (request, response) => {
          request.session['name'] = 'Ada'
          response.end(`${request.sessionID} ${request.session.id}`)
        },
      )
      return [(await app.get('/alpha')).body, (await app.get('/beta')).body, [...store.rows.keys()]]
    },
    { both: ['id-of-alpha id-of-alpha', 'id-of-beta id-of-beta', ['id-of-alpha', 'id-of-beta']] },
  )

  sideBySide(
    'any text is signed, encoded and read again',
    async (side) => {
      const app = await side.serve({ genid: () => 'ä; %=. " s:1' }, count)
      const first = await app.get('/')
      return [first.jar, (await app.get('/', { cookie: first })).body]
    },
    { both: [`connect.sid=${encodeURIComponent(`s:${sign('ä; %=. " s:1', secret)}`)}`, 'views: 2'] },
  )

  sideBySide(
    'makes the id of a regenerated session too',
    async (side) => {
      let made = 0
      for (const id of ['made-1', 'made-2']) side.visited.ids.name(id)
      const store = side.store()
      const app = await side.serve({ store, genid: () => `made-${++made}` }, (request, response, next) => {
        request.session.regenerate((error) => {
          if (error) return next(error)
          request.session['name'] = 'Ada'
          response.end(request.sessionID)
        })
      })
      return [(await app.get('/')).body, [...store.rows.keys()]]
    },
    { both: ['made-2', ['made-2']] },
  )

  sideBySide(
    'left out, an id has 24 random bytes in base64url',
    async (side) => {
      const ids: string[] = []
      const app = await side.serve({}, (request, response) => {
        ids.push(request.sessionID)
        response.end()
      })
      await app.get('/')
      await app.get('/')
      return [/^[\w-]{32}$/.test(ids[0]!), ids[0] !== ids[1]]
    },
    { both: [true, true] },
  )

  sideBySide(
    'what it throws reaches the error handler, and the server goes on',
    async (side) => {
      let fail = true
      const genid = () => {
        if (fail) throw new Error('no ids today')
        return 'an-id'
      }
      const app = await side.serve({ genid }, count)
      const { status, body } = await app.get('/')
      fail = false
      return [status, body, (await app.get('/')).body]
    },
    { both: [500, 'error: no ids today', 'views: 1'] },
  )

  sideBySide(
    'what it throws for an id that is not stored reaches the error handler too',
    async (side) => {
      const genid = () => {
        throw new Error('no ids today')
      }
      const app = await side.serve({ genid }, count)
      const { status, body } = await app.get('/', { cookie: `connect.sid=s:${sign('unknown', secret)}` })
      return [status, body]
    },
    { both: [500, 'error: no ids today'] },
  )

  sideBySide(
    'is asked once for each session that begins, not by one that ends',
    async (side) => {
      let made = 0
      const ids: string[] = []
      for (const id of ['id1', 'id2', 'id3', 'id4']) side.visited.ids.name(id)
      const store = side.store()
      const app = await side.serve(
        { store, saveUninitialized: true, genid: () => `id${String(++made)}` },
        routes({
          '/set': (request, response) => response.end(request.sessionID),
          '/destroy': (request, response) => {
            ids.push(request.sessionID)
            request.session.destroy(() => {
              ids.push(request.sessionID)
              response.end()
            })
          },
        }),
      )
      const first = await app.get('/set')
      await app.get('/destroy', { cookie: first })
      const second = await app.get('/set')
      await app.get('/destroy')
      return { second: second.body, ids, made, writes: store.writes }
    },
    {
      theirs: {
        second: 'id2',
        ids: ['id1', 'id1', 'id3', 'id3'],
        made: 3,
        writes: ['set #1', 'destroy #1', 'set #2', 'destroy #3'],
      },
      ours: {
        second: 'id2',
        ids: ['id1', 'id1', 'id3', 'id3'],
        made: 3,
        writes: ['set #1', 'destroy #1', 'set #2', 'destroy #3'],
      },
      reason: 'destroy clears the cookie',
    },
  )

  for (const id of [42, null, undefined]) {
    sideBySide(
      `an id that is ${String(id)} is neither stored nor sent`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, saveUninitialized: true, genid: () => id }, count)
        const { status, body, cookies } = await app.get('/')
        return { status, body, cookies, writes: store.writes }
      },
      { both: { status: 200, body: 'views: 1', cookies: [], writes: [] } },
    )
  }

  sideBySide(
    'what is no function is refused when the middleware is made',
    ({ session }) =>
      thrownBy(() => session({ secret, genid: 'uuid', resave: false, saveUninitialized: false })),
    { both: 'TypeError: genid option must be a function' },
  )
})

describe('`resave`', () => {
  const looking = routes({
    '/': count,
    '/look': (request, response) => response.end(`views: ${String(request.session['views'])}`),
  })

  for (const [resave, writes] of [
    [true, ['set #1', 'set #1']],
    [false, ['set #1', 'touch #1']],
  ] as const) {
    sideBySide(
      `${resave}: an unchanged session is ${resave ? 'stored again' : 'only touched'}`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, resave }, looking)
        await app.get('/look', { cookie: await app.get('/') })
        return store.writes
      },
      { both: [...writes] },
    )
  }

  for (const resave of [true, false]) {
    sideBySide(
      `${resave}: a store without touch is ${resave ? 'given an unchanged session again' : 'left alone'}`,
      async (side) => {
        const store = Object.assign(side.store(), { touch: undefined })
        const app = await side.serve({ store, resave }, looking)
        await app.get('/look', { cookie: await app.get('/') })
        return store.writes
      },
      { both: resave ? ['set #1', 'set #1'] : ['set #1'] },
    )
  }

  for (const resave of [true, false]) {
    sideBySide(
      `${resave}: a changed session is stored once`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, resave }, looking)
        await app.get('/', { cookie: await app.get('/') })
        return [store.writes, store.only()]
      },
      {
        both: [
          ['set #1', 'set #1'],
          { cookie: { expires: null, originalMaxAge: null, httpOnly: true, path: '/' }, views: 2 },
        ],
      },
    )
  }

  for (const resave of [true, false]) {
    sideBySide(
      `${resave}: a new session that nobody changed is not stored if \`saveUninitialized\` is false`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, resave }, looking)
        await app.get('/look')
        return store.writes
      },
      { both: [] },
    )
  }

  sideBySide(
    'left out, it is announced as deprecated and true',
    async (side) => {
      const store = side.store()
      const deprecations = await deprecationsOf(() =>
        side.session({ secret, saveUninitialized: false, store: new side.session.MemoryStore() }),
      )
      const middleware = side.session({ secret, saveUninitialized: false, store })
      const app = await side.serveWith(() => middleware, looking, { secret })
      await app.get('/look', { cookie: await app.get('/') })
      return { deprecations, writes: store.writes }
    },
    {
      theirs: {
        deprecations: ['undefined resave option; provide resave option'],
        writes: ['set #1', 'set #1'],
      },
      ours: { deprecations: [], writes: ['set #1', 'touch #1'] },
      reason: 'safer defaults',
    },
  )
})

describe('`saveUninitialized`', () => {
  const look: Handler = (request, response) => response.end(Object.keys(request.session).join())

  sideBySide(
    'left out, it is announced as deprecated and true',
    async (side) => {
      const store = side.store()
      const deprecations = await deprecationsOf(() =>
        side.session({ secret, resave: false, store: new side.session.MemoryStore() }),
      )
      const middleware = side.session({ secret, resave: false, store })
      const app = await side.serveWith(() => middleware, look, { secret })
      const { cookies } = await app.get('/')
      return { deprecations, cookies, writes: store.writes }
    },
    {
      theirs: {
        deprecations: ['undefined saveUninitialized option; provide saveUninitialized option'],
        cookies: ['connect.sid=#1; Path=/; HttpOnly'],
        writes: ['set #1'],
      },
      ours: { deprecations: [], cookies: [], writes: [] },
      reason: 'safer defaults',
    },
  )
})

describe('`store`', () => {
  sideBySide(
    'left out, sessions are in a MemoryStore of their own',
    async (side) => {
      const handler: Handler = (request, response, next) => {
        if (!(request.sessionStore instanceof side.session.MemoryStore))
          return next(new Error('another store'))
        return count(request, response, next)
      }
      const [one, other] = [await side.serve({}, handler), await side.serve({}, handler)]
      const first = await one.get('/')
      return [(await one.get('/', { cookie: first })).body, (await other.get('/', { cookie: first })).body]
    },
    { both: ['views: 2', 'views: 1'] },
  )

  sideBySide(
    'given, it is at `req.sessionStore` and holds the sessions of every app that it is given to',
    async (side) => {
      const store = side.store()
      const handler: Handler = (request, response, next) => {
        if (request.sessionStore !== store) return next(new Error('another store'))
        return count(request, response, next)
      }
      const [one, other] = [await side.serve({ store }, handler), await side.serve({ store }, handler)]
      return (await other.get('/', { cookie: await one.get('/') })).body
    },
    { both: 'views: 2' },
  )
})

describe('`unset`', () => {
  sideBySide(
    'another word is refused when the middleware is made',
    ({ session }) =>
      thrownBy(() => session({ secret, unset: 'forget', resave: false, saveUninitialized: false })),
    { both: 'TypeError: unset option must be "destroy" or "keep"' },
  )

  for (const saveUninitialized of [false, true]) {
    sideBySide(
      `'destroy' tells the store of a session that was never stored too, saveUninitialized: ${String(saveUninitialized)}`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, unset: 'destroy', saveUninitialized }, unsetting)
        const statuses = [
          (await app.get('/null')).status,
          (await app.get('/delete')).status,
          (await app.get('/opened')).status,
          (await app.get('/null', { cookie: `connect.sid=s:${sign('unknown', secret)}` })).status,
        ]
        return { statuses, writes: store.writes }
      },
      {
        both: {
          statuses: [200, 200, 200, 200],
          writes: ['destroy #1', 'destroy #2', 'destroy #3', 'destroy #4'],
        },
      },
    )
  }

  sideBySide(
    "'destroy' passes the error of the store on, also for a session that was never stored",
    async (side) => {
      const store = side.store()
      store.failures.destroy = new Error('boom!')
      const app = await side.serve({ store, unset: 'destroy' }, unsetting)
      const { status } = await app.get('/null')
      await app.firstError
      return { status, errors: app.errors.length, writes: store.writes }
    },
    {
      theirs: { status: 200, errors: 1, writes: ['destroy #1'] },
      ours: { status: 503, errors: 1, writes: ['destroy #1'] },
      reason: 'a failed save is no 200',
    },
  )
})
