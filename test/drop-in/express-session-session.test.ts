import { sign } from 'cookie-signature'
import { describe } from 'vitest'
import type { Handler, SessionObject, SideRequest } from './express-session-types.ts'
import { secret, sideBySide, thrownBy } from './sides.ts'
import { routes } from './visited.ts'

const count: Handler = (request, response) => {
  request.session['views'] = Number(request.session['views'] ?? 0) + 1
  response.end(`views: ${String(request.session['views'])}`)
}

const cookieRow = { expires: null, originalMaxAge: null, httpOnly: true, path: '/' }

describe('`req.session.regenerate(callback)`', () => {
  const regenerating = routes({
    '/': count,
    '/regenerate': (request, response, next) => {
      const before = request.session
      before['secret'] = 'of the old session'
      before.regenerate((error) => {
        if (error) return next(error)
        const seen = {
          other: request.session !== before,
          otherId: request.sessionID !== before.id,
          sameIds: request.sessionID === request.session.id,
          keys: Object.keys(request.session),
        }
        request.session['user'] = 'ada'
        return response.end(JSON.stringify(seen))
      })
    },
  })

  sideBySide(
    'puts a new, empty session with a new id at `req.session`, and ends the old one',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, regenerating)
      const first = await app.get('/')
      const second = await app.get('/regenerate', { cookie: first })
      return {
        seen: JSON.parse(second.body) as unknown,
        cookies: second.cookies,
        rows: store.readable(),
        old: (await app.get('/', { cookie: first })).cookies,
        writes: store.writes,
      }
    },
    {
      both: {
        seen: { other: true, otherId: true, sameIds: true, keys: ['cookie'] },
        cookies: ['connect.sid=#2; Path=/; HttpOnly'],
        rows: { '#2': { cookie: cookieRow, user: 'ada' } },
        old: ['connect.sid=#3; Path=/; HttpOnly'],
        writes: ['set #1', 'destroy #1', 'set #2', 'set #3'],
      },
    },
  )

  sideBySide(
    'the new session is stored and sent also if nobody changes it',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/regenerate': (request, response) => void request.session.regenerate(() => response.end()),
        }),
      )
      const { cookies } = await app.get('/regenerate', { cookie: await app.get('/') })
      return [cookies, store.readable()]
    },
    { both: [['connect.sid=#2; Path=/; HttpOnly'], { '#2': { cookie: cookieRow } }] },
  )

  sideBySide(
    'a store that fails to remove the old one tells the callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, regenerating)
      const first = await app.get('/')
      store.failures.destroy = new Error('the disk is full')
      const { status } = await app.get('/regenerate', { cookie: first })
      return { status, errors: app.errors.length }
    },
    {
      theirs: { status: 500, errors: 1 },
      ours: { status: 503, errors: 1 },
      reason: 'errors carry a status',
    },
  )
})

describe('`req.session.destroy(callback)`', () => {
  const destroying = routes({
    '/': count,
    '/destroy': (request, response, next) => {
      const { session } = request
      session.destroy((error) => {
        if (error) return next(error)
        return response.end(`then ${typeof request.session}, ${typeof request.sessionID}`)
      })
      response.setHeader('At-Once', typeof request.session)
    },
    '/without-callback': (request, response) => {
      request.session.destroy()
      response.end()
    },
  })

  sideBySide(
    'takes it off the request at once and out of the store before the callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, destroying)
      const first = await app.get('/')
      const second = await app.get('/destroy', { cookie: first })
      return {
        body: second.body,
        atOnce: second.headers['at-once'],
        rows: store.readable(),
        writes: store.writes,
        cookies: second.cookies,
      }
    },
    {
      theirs: {
        body: 'then undefined, string',
        atOnce: 'undefined',
        rows: {},
        writes: ['set #1', 'destroy #1'],
        cookies: [],
      },
      ours: {
        body: 'then undefined, string',
        atOnce: 'undefined',
        rows: {},
        writes: ['set #1', 'destroy #1'],
        cookies: ['connect.sid=; Path=/; Expires=1970; HttpOnly'],
      },
      reason: 'destroy clears the cookie',
    },
  )

  sideBySide(
    'needs no callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, destroying)
      const { status } = await app.get('/without-callback', { cookie: await app.get('/') })
      return [status, store.readable()]
    },
    { theirs: [200, {}], ours: [200, {}], reason: 'destroy clears the cookie' },
  )

  sideBySide(
    'leaves the cookie of a visitor who had none alone',
    async (side) => {
      const app = await side.serve({}, destroying)
      const { status, cookies } = await app.get('/destroy')
      return [status, cookies]
    },
    { both: [200, []] },
  )

  sideBySide(
    'a store that fails tells the callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, destroying)
      const first = await app.get('/')
      store.failures.destroy = new Error('the disk is full')
      const { status } = await app.get('/destroy', { cookie: first })
      return { status, errors: app.errors.length, rows: Object.keys(store.readable()) }
    },
    {
      theirs: { status: 500, errors: 1, rows: ['#1'] },
      ours: { status: 503, errors: 1, rows: ['#1'] },
      reason: 'errors carry a status',
    },
  )

  sideBySide(
    'the store is told of a session that was never stored too',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, destroying)
      const body = (await app.get('/destroy')).body
      await app.get('/without-callback')
      return { body, writes: store.writes }
    },
    { both: { body: 'then undefined, string', writes: ['destroy #1', 'destroy #2'] } },
  )

  sideBySide(
    'a store that fails for a session that was never stored tells the callback, which answers as it likes',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response) => {
        request.session.destroy((error) => response.end(`told: ${String(error instanceof Error)}`))
      })
      store.failures.destroy = new Error('boom!')
      const { status, body } = await app.get('/')
      return { status, body, writes: store.writes }
    },
    { both: { status: 200, body: 'told: true', writes: ['destroy #1'] } },
  )

  sideBySide(
    'a session that a parallel request destroys stays destroyed',
    async (side) => {
      const store = side.store()
      let finish: () => void = () => undefined
      const waiting = new Promise<void>((resolve) => (finish = resolve))
      let arrived: () => void = () => undefined
      const arrival = new Promise<void>((resolve) => (arrived = resolve))
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/destroy': (request, response) => void request.session.destroy(() => response.end()),
          '/slow': async (request, response) => {
            request.session['draft'] = 'half a letter'
            arrived()
            await waiting
            response.end()
          },
        }),
      )
      const first = await app.get('/')
      const slow = app.get('/slow', { cookie: first })
      await arrival
      await app.get('/destroy', { cookie: first })
      finish()
      await slow
      return store.readable()
    },
    {
      theirs: { '#1': { cookie: cookieRow, views: 1, draft: 'half a letter' } },
      ours: {},
      reason: 'ended sessions never come back',
    },
  )
})

describe('`req.session.reload(callback)`', () => {
  sideBySide(
    'drops what was not saved and shows what others stored',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/reload': (request, response, next) => {
            request.session['views'] = 100
            for (const [id, row] of store.rows) {
              store.rows.set(id, JSON.stringify({ ...(JSON.parse(row) as object), note: 'by another app' }))
            }
            request.session.reload((error) => {
              if (error) return next(error)
              const { views, note, id } = request.session
              return response.end(JSON.stringify([views, note, id === request.sessionID]))
            })
          },
        }),
      )
      const { body, cookies } = await app.get('/reload', { cookie: await app.get('/') })
      return [body, cookies, store.only()]
    },
    { both: ['[1,"by another app",true]', [], { cookie: cookieRow, views: 1, note: 'by another app' }] },
  )

  sideBySide(
    'puts the stored session at `req.session`, whose changes are stored',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/reload': (request, response, next) => {
            const before = request.session
            before.reload((error) => {
              if (error) return next(error)
              request.session['after'] = true
              return response.end(String(request.session === before))
            })
          },
        }),
      )
      const { body } = await app.get('/reload', { cookie: await app.get('/') })
      return [body, store.only()]
    },
    {
      theirs: ['false', { cookie: cookieRow, views: 1, after: true }],
      ours: ['true', { cookie: cookieRow, views: 1, after: true }],
      reason: 'reload fills the same object',
    },
  )

  sideBySide(
    'of a session that is not stored any more fails',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/reload': (request, response, next) => {
            store.rows.clear()
            request.session.reload((error) => (error ? next(error) : response.end()))
          },
        }),
      )
      const { status, body } = await app.get('/reload', { cookie: await app.get('/') })
      return { status, body, rows: store.readable() }
    },
    {
      theirs: {
        status: 500,
        body: 'error: failed to load session',
        rows: {},
      },
      ours: {
        status: 401,
        body: 'error: There is no stored session to reload: it has ended, or was never saved.',
        rows: {},
      },
      reason: 'ended sessions never come back',
    },
  )

  sideBySide(
    'of a session that was never stored fails',
    async (side) => {
      const app = await side.serve({}, (request, response, next) => {
        request.session.reload((error) => (error ? next(error) : response.end()))
      })
      const { status, body } = await app.get('/')
      return { status, body }
    },
    {
      theirs: { status: 500, body: 'error: failed to load session' },
      ours: {
        status: 401,
        body: 'error: There is no stored session to reload: it has ended, or was never saved.',
      },
      reason: 'errors carry a status',
    },
  )

  sideBySide(
    'a store that fails tells the callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/reload': (request, response) => {
            store.failures.get = new Error('the line is down')
            request.session.reload((error) => response.end(String(error instanceof Error)))
          },
        }),
      )
      return (await app.get('/reload', { cookie: await app.get('/') })).body
    },
    { both: 'true' },
  )

  sideBySide(
    'a hundred times over is as good as once',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/reload': (request, response, next) => {
            let left = 100
            const again = (error?: unknown): unknown => {
              if (error) return next(error)
              if (left-- > 0) return request.session.reload(again)
              request.session['views'] = 'many'
              return request.session.save((failure) => (failure ? next(failure) : response.end('saved')))
            }
            again()
          },
        }),
      )
      const { body } = await app.get('/reload', { cookie: await app.get('/') })
      return [body, store.writes, store.only()]
    },
    { both: ['saved', ['set #1', 'set #1', 'touch #1'], { cookie: cookieRow, views: 'many' }] },
  )
})

describe('`req.session.save(callback)`', () => {
  sideBySide(
    'stores at once, and nothing is stored again at the end',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response, next) => {
        request.session['name'] = 'Ada'
        request.session.save((error) => (error ? next(error) : response.end(JSON.stringify(store.writes))))
      })
      const { body, cookies } = await app.get('/')
      return [body, cookies, store.writes, store.only()]
    },
    {
      both: [
        JSON.stringify(['set #1']),
        ['connect.sid=#1; Path=/; HttpOnly'],
        ['set #1'],
        { cookie: cookieRow, name: 'Ada' },
      ],
    },
  )

  sideBySide(
    'what changes after it is stored at the end',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response, next) => {
        request.session['name'] = 'Ada'
        request.session.save((error) => {
          request.session['name'] = 'Grace'
          return error ? next(error) : response.end()
        })
      })
      await app.get('/')
      return [store.writes, store.only()]
    },
    { both: [['set #1', 'set #1'], { cookie: cookieRow, name: 'Grace' }] },
  )

  sideBySide(
    'after a reload, nothing is stored again at the end either',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/both': (request, response, next) => {
            request.session.reload((error) => {
              if (error) return next(error)
              request.session['name'] = 'Ada'
              return request.session.save((failure) => (failure ? next(failure) : response.end()))
            })
          },
        }),
      )
      await app.get('/both', { cookie: await app.get('/') })
      return [store.writes, store.only()]
    },
    { both: [['set #1', 'set #1', 'touch #1'], { cookie: cookieRow, views: 1, name: 'Ada' }] },
  )

  sideBySide(
    'needs no callback',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response) => {
        request.session['name'] = 'Ada'
        request.session.save()
        response.end()
      })
      await app.get('/')
      return [store.writes, store.only()]
    },
    { both: [['set #1'], { cookie: cookieRow, name: 'Ada' }] },
  )

  sideBySide(
    'a store that fails tells the callback',
    async (side) => {
      const store = side.store()
      store.failures.set = new Error('the disk is full')
      const app = await side.serve({ store }, (request, response) => {
        request.session['name'] = 'Ada'
        request.session.save((error) => {
          delete store.failures.set
          response.statusCode = error instanceof Error ? 507 : 200
          response.end()
        })
      })
      const { status } = await app.get('/')
      return { status, rows: Object.keys(store.readable()) }
    },
    {
      theirs: { status: 507, rows: [] },
      ours: { status: 507, rows: ['#1'] },
      reason: 'headers wait for the save',
    },
  )
})

describe('`req.session.touch()` and `resetMaxAge()`', () => {
  for (const method of ['touch', 'resetMaxAge'] as const) {
    sideBySide(
      `\`${method}()\` gives the session its whole life again`,
      async (side) => {
        const store = side.store()
        const app = await side.serve(
          { store, cookie: { maxAge: 600_000 } },
          routes({
            '/': count,
            '/touch': (request, response) => {
              const left = () => Math.round(request.session.cookie.maxAge! / 10_000)
              const before = left()
              request.session[method]()
              response.end(JSON.stringify([before, left()]))
            },
          }),
        )
        const first = await app.get('/')
        for (const [id, row] of store.rows) {
          const stored = JSON.parse(row) as { cookie: { expires: string } }
          stored.cookie.expires = new Date(Date.now() + 30_000).toISOString()
          store.rows.set(id, JSON.stringify(stored))
        }
        return (await app.get('/touch', { cookie: first })).body
      },
      { both: '[3,60]' },
    )
  }
})

describe('what the methods return', () => {
  // There, `save` and `reload` return nothing, once the middleware has wrapped them.
  for (const method of ['regenerate', 'destroy', 'touch', 'resetMaxAge'] as const) {
    sideBySide(
      `\`${method}\` returns the session, for chaining`,
      async (side) => {
        const app = await side.serve(
          {},
          routes({
            '/': count,
            '/act': (request, response) => {
              const { session } = request
              const answer = () => response.end(String(returned === session))
              const immediate = method === 'touch' || method === 'resetMaxAge'
              const returned: SessionObject = immediate
                ? session[method]()
                : session[method](() => void setImmediate(answer))
              if (immediate) answer()
            },
          }),
        )
        return (await app.get('/act', { cookie: await app.get('/') })).body
      },
      method === 'destroy'
        ? { theirs: 'true', ours: 'true', reason: 'destroy clears the cookie' }
        : { both: 'true' },
    )
  }
})

describe('`req.session.id`, `req.sessionID`, `req.sessionStore`, `req.session.req`', () => {
  sideBySide(
    'are of this request, and the id cannot be changed',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response) => {
        const { session } = request
        session['name'] = 'Ada'
        const { id } = session
        const thrown = thrownBy(() => Object.assign(session, { id: 'chosen' }))
        response.end(
          JSON.stringify({
            same: id === request.sessionID && session.id === id,
            refused: thrown !== undefined,
            store: request.sessionStore === store,
            request: session.req === request,
          }),
        )
      })
      return JSON.parse((await app.get('/')).body) as unknown
    },
    { both: { same: true, refused: true, store: true, request: true } },
  )

  sideBySide(
    '`req.sessionID` is the one that the cookie brought',
    async (side) => {
      let id = ''
      const app = await side.serve(
        {},
        routes({
          '/': count,
          '/id': (request, response) => {
            id = request.sessionID
            response.end()
          },
        }),
      )
      const first = await app.get('/')
      await app.get('/id', { cookie: first })
      return first.jar === `connect.sid=${encodeURIComponent(`s:${sign(id, secret)}`)}`
    },
    { both: true },
  )
})

describe('the session as a plain object', () => {
  const looking = (look: (request: SideRequest) => unknown) =>
    routes({
      '/': count,
      '/look': (request, response, next) => {
        Promise.resolve(look(request)).then(
          (seen) => response.end(JSON.stringify(seen)),
          (error: unknown) => next(error),
        )
      },
    })
  const done = (act: (callback: (error?: unknown) => void) => unknown) =>
    new Promise<void>((resolve, reject) => {
      act((error) => (error ? reject(error as Error) : resolve()))
    })

  for (const [statement, act] of Object.entries({
    'as it was read': () => undefined,
    'after save': (request: SideRequest) => done((callback) => request.session.save(callback)),
    'after reload': (request: SideRequest) => done((callback) => request.session.reload(callback)),
    'after touch': (request: SideRequest) => request.session.touch(),
  })) {
    sideBySide(
      `${statement}, its keys are \`cookie\` and the data: no method shows`,
      async (side) => {
        const app = await side.serve(
          {},
          looking(async (request) => {
            await act(request)
            const inLoop = []
            for (const key in request.session) inLoop.push(key)
            return [
              Object.keys(request.session).sort(),
              inLoop.sort(),
              Object.keys({ ...request.session }).sort(),
              JSON.parse(JSON.stringify(request.session)) as unknown,
            ]
          }),
        )
        return JSON.parse((await app.get('/look', { cookie: await app.get('/') })).body) as unknown
      },
      {
        both: [
          ['cookie', 'views'],
          ['cookie', 'views'],
          ['cookie', 'views'],
          { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, views: 1 },
        ],
      },
    )
  }

  sideBySide(
    'a stored key hides no method',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        looking((request) => {
          const names = ['save', 'reload', 'regenerate', 'destroy', 'touch', 'resetMaxAge', 'id', 'req']
          return names.map((name) => typeof request.session[name])
        }),
      )
      const first = await app.get('/')
      for (const [id, row] of store.rows) {
        const names = {
          save: 1,
          reload: 1,
          regenerate: 1,
          destroy: 1,
          touch: 1,
          resetMaxAge: 1,
          id: 1,
          req: 1,
        }
        store.rows.set(id, JSON.stringify({ ...(JSON.parse(row) as object), ...names }))
      }
      return JSON.parse((await app.get('/look', { cookie: first })).body) as unknown
    },
    {
      both: ['function', 'function', 'function', 'function', 'function', 'function', 'string', 'object'],
    },
  )

  sideBySide(
    'it is an instance of `session.Session`, and its cookie of `session.Cookie`',
    async (side) => {
      const app = await side.serve(
        {},
        looking(({ session }) => [
          session instanceof side.session.Session,
          session.cookie instanceof side.session.Cookie,
        ]),
      )
      const first = await app.get('/look')
      return [first.body, (await app.get('/look', { cookie: await app.get('/') })).body]
    },
    { both: ['[true,true]', '[true,true]'] },
  )

  sideBySide(
    'a method that was replaced on it is called',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response) => {
        const { session } = request
        const save = session.save.bind(session)
        session.save = (callback) => {
          session['savedBy'] = 'another method'
          return save(callback)
        }
        session['name'] = 'Ada'
        session.save(() => response.end(Object.keys(session).sort().join()))
      })
      return [(await app.get('/')).body, store.only()]
    },
    { both: ['cookie,name,savedBy', { cookie: cookieRow, name: 'Ada', savedBy: 'another method' }] },
  )
})
