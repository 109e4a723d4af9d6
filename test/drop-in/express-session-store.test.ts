import { EventEmitter } from 'node:events'
import { inherits } from 'node:util'
import { sign } from 'cookie-signature'
import { describe } from 'vitest'
import type {
  Done,
  Handler,
  SessionObject,
  SideRequest,
  StoredSession,
  StoreObject,
} from './express-session-types.ts'
import { readableCookie } from './row-store.ts'
import { deprecationsOf, secret, sideBySide } from './sides.ts'
import { routes } from './visited.ts'

const count: Handler = (request, response) => {
  request.session['views'] = Number(request.session['views'] ?? 0) + 1
  response.end(`views: ${String(request.session['views'])}`)
}
const look: Handler = (request, response) => response.end(`views: ${String(request.session['views'])}`)
const counting = routes({ '/': count, '/look': look })

const cookieRow = { expires: null, originalMaxAge: null, httpOnly: true, path: '/' }

/** What a function of a store hands to its callback. */
function called<Value>(
  act: (done: (error?: unknown, value?: Value | null) => void) => unknown,
): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    act((error, value) => (error ? reject(error as Error) : resolve(value ?? undefined)))
  })
}

describe('`session.Store`', () => {
  sideBySide(
    'is the base of a store made with `util.inherits`, called without `new`',
    async (side) => {
      // As stores were written before there were classes.
      const rows: Record<string, string> = {}
      function OldStore(this: unknown): void {
        side.session.Store.call(this)
      }
      inherits(OldStore, side.session.Store as unknown as new () => unknown)
      Object.assign(OldStore.prototype as object, {
        get: (id: string, done: (error: unknown, value: unknown) => void) => {
          done(null, rows[id] && JSON.parse(rows[id]))
        },
        set: (id: string, value: unknown, done?: Done) => {
          rows[id] = JSON.stringify(value)
          done?.()
        },
        destroy: (id: string, done?: Done) => {
          delete rows[id]
          done?.()
        },
      })
      const store = new (OldStore as unknown as new () => StoreObject)()
      const app = await side.serve({ store }, counting)
      const first = await app.get('/')
      const heard: string[] = []
      store.on('news', (word: string) => heard.push(word))
      store.emit('news', 'it is an emitter')
      return {
        second: (await app.get('/', { cookie: first })).body,
        rows: Object.values(rows).map((row) => JSON.parse(row) as unknown),
        isStore: store instanceof side.session.Store,
        heard,
      }
    },
    {
      both: {
        second: 'views: 2',
        rows: [{ cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, views: 2 }],
        isStore: true,
        heard: ['it is an emitter'],
      },
    },
  )

  sideBySide(
    'is an EventEmitter, and the base of MemoryStore',
    ({ session }) => [
      new session.Store() instanceof EventEmitter,
      new session.MemoryStore() instanceof session.Store,
      Object.keys(session)
        .filter((name) => /^[A-Z]/.test(name) && name !== 'ExpressStore')
        .sort(),
    ],
    { both: [true, true, ['Cookie', 'MemoryStore', 'Session', 'Store']] },
  )

  sideBySide(
    '`regenerate(request, callback)` ends the session and generates another',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store },
        routes({
          '/': count,
          '/regenerate': (request, response) => {
            request.sessionStore.regenerate(request, (error) => {
              request.session['user'] = 'ada'
              response.end(error instanceof Error ? error.message : 'no error')
            })
          },
        }),
      )
      const { body, cookies } = await app.get('/regenerate', { cookie: await app.get('/') })
      return [body, cookies, store.readable()]
    },
    {
      both: ['no error', ['connect.sid=#2; Path=/; HttpOnly'], { '#2': { cookie: cookieRow, user: 'ada' } }],
    },
  )

  sideBySide(
    '`load(id, callback)` gives a session that can be changed and saved, outside of any request',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, counting)
      const first = await app.get('/')
      const [id] = [...store.rows.keys()] as [string]
      const loaded = (await called<SessionObject>((done) => store.load(id, done)))!
      loaded['views'] = 41
      await called((done) => loaded.save(done))
      return {
        id: loaded.id === id,
        isSession: loaded instanceof side.session.Session,
        isCookie: loaded.cookie instanceof side.session.Cookie,
        next: (await app.get('/', { cookie: first })).body,
      }
    },
    { both: { id: true, isSession: true, isCookie: true, next: 'views: 42' } },
  )

  sideBySide(
    '`load` of an id that is not stored gives nothing, and passes on the errors of `get`',
    async (side) => {
      const store = side.store()
      const nothing = await called((done) => store.load('unknown', done))
      store.failures.get = new Error('the line is down')
      const failed = await called((done) => store.load('unknown', done)).catch(
        (error: Error) => error.message,
      )
      return [nothing, failed]
    },
    { both: [undefined, 'the line is down'] },
  )

  sideBySide(
    '`createSession(request, row)` makes a session of a row and puts it at `request.session`',
    (side) => {
      const store = side.store()
      const request = { sessionID: 'an-id', sessionStore: store } as unknown as SideRequest
      const expires = new Date(Date.now() + 60_000).toISOString()
      const cookie = { expires, originalMaxAge: 600_000, path: '/', httpOnly: true }
      const made = store.createSession(request, { cookie, name: 'Ada' })
      return {
        same: request.session === made,
        id: made.id,
        keys: Object.keys(made).sort(),
        name: made['name'],
        expires: made.cookie.expires instanceof Date && made.cookie.expires.toISOString() === expires,
        originalMaxAge: made.cookie.originalMaxAge,
      }
    },
    {
      both: {
        same: true,
        id: 'an-id',
        keys: ['cookie', 'name'],
        name: 'Ada',
        expires: true,
        originalMaxAge: 600_000,
      },
    },
  )

  sideBySide(
    '`createSession` within a request replaces what is at `req.session`',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response) => {
        request.sessionStore.createSession(request, { cookie: { ...cookieRow }, name: 'Ada' })
        response.end(String(request.session['name']))
      })
      const { body, cookies } = await app.get('/')
      return [body, cookies, store.only()]
    },
    { both: ['Ada', ['connect.sid=#1; Path=/; HttpOnly'], { cookie: cookieRow, name: 'Ada' }] },
  )

  sideBySide(
    '`generate(request)` is put on it by the middleware',
    async (side) => {
      const store = side.store()
      const before = typeof store.generate
      const app = await side.serve({ store }, (request, response) => {
        const { sessionID } = request
        request.sessionStore.generate(request)
        request.session['name'] = 'Ada'
        response.end(String(sessionID !== request.sessionID && request.session.id === request.sessionID))
      })
      const { body } = await app.get('/')
      return [before, body, store.only()]
    },
    { both: ['undefined', 'true', { cookie: cookieRow, name: 'Ada' }] },
  )
})

describe('what a store of the app answers', () => {
  for (const [statement, answer] of Object.entries({
    'nothing at all': [],
    'null and nothing': [null],
    'null and null': [null, null],
    'an error with the code ENOENT': [Object.assign(new Error('no such file'), { code: 'ENOENT' })],
  })) {
    sideBySide(
      `\`get\` with ${statement}: there is no such session, and the client's id is not taken`,
      async (side) => {
        const store = Object.assign(side.store(), {
          get: (_id: string, done: (...answer: unknown[]) => void) => void setImmediate(done, ...answer),
        })
        const app = await side.serve({ store }, counting)
        const { body, cookies } = await app.get('/', {
          cookie: `connect.sid=${encodeURIComponent(`s:${sign('chosen', secret)}`)}`,
        })
        return [body, cookies, store.rows.has('chosen')]
      },
      { both: ['views: 1', ['connect.sid=#1; Path=/; HttpOnly'], false] },
    )
  }

  sideBySide(
    '`get` with an error: it reaches the error handler, not the handler',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, counting)
      const first = await app.get('/')
      store.failures.get = new Error('the line is down')
      const { status } = await app.get('/', { cookie: first })
      return { failed: status >= 500, errors: app.errors.length, cookies: first.cookies.length }
    },
    {
      theirs: { failed: true, errors: 1, cookies: 1 },
      ours: { failed: true, errors: 1, cookies: 1 },
      reason: 'a failed save is no 200',
    },
  )

  sideBySide(
    '`get` with an error: the status',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, counting)
      const first = await app.get('/')
      store.failures.get = new Error('the line is down')
      return (await app.get('/', { cookie: first })).status
    },
    { theirs: 500, ours: 503, reason: 'a failed save is no 200' },
  )

  sideBySide(
    '`get` at once, in the same turn',
    async (side) => {
      const rows = new Map<string, string>()
      const store = Object.assign(side.store(), {
        get: (id: string, done: (error: unknown, row?: unknown) => void) => {
          done(null, rows.has(id) ? JSON.parse(rows.get(id)!) : undefined)
        },
        set: (id: string, row: unknown, done: Done) => {
          rows.set(id, JSON.stringify(row))
          done()
        },
      })
      const app = await side.serve({ store }, counting)
      return (await app.get('/', { cookie: await app.get('/') })).body
    },
    { both: 'views: 2' },
  )

  for (const [operation, options, path] of [
    ['set', {}, '/'],
    ['set', { resave: true }, '/look'],
  ] as const) {
    sideBySide(
      `\`${operation}\` with an error at ${path}: the client learns of it`,
      async (side) => {
        const store = side.store()
        const app = await side.serve({ store, ...options }, counting)
        const first = await app.get('/')
        store.failures[operation] = new Error('the disk is full')
        const { status } = await app.get(path, { cookie: first })
        await app.firstError
        return { status, errors: app.errors.length }
      },
      {
        theirs: { status: 200, errors: 1 },
        ours: { status: 503, errors: 1 },
        reason: 'a failed save is no 200',
      },
    )
  }

  sideBySide(
    '`destroy` with an error, of a session that was unset: the client learns of it',
    async (side) => {
      const store = side.store()
      const app = await side.serve(
        { store, unset: 'destroy' },
        routes({
          '/': count,
          '/unset': (request, response) => {
            Object.assign(request, { session: null })
            response.end('gone')
          },
        }),
      )
      const first = await app.get('/')
      store.failures.destroy = new Error('the disk is full')
      const { status } = await app.get('/unset', { cookie: first })
      await app.firstError
      return { status, errors: app.errors.length }
    },
    {
      theirs: { status: 200, errors: 1 },
      ours: { status: 503, errors: 1 },
      reason: 'a failed save is no 200',
    },
  )

  sideBySide(
    '`touch` with an error: the answer stands',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, counting)
      const first = await app.get('/')
      store.failures.touch = new Error('the disk is full')
      const { status, body } = await app.get('/look', { cookie: first })
      if (side.name === 'express-session') await app.firstError
      return { status, body, errors: app.errors.length }
    },
    {
      theirs: { status: 200, body: 'views: 1', errors: 1 },
      ours: { status: 200, body: 'views: 1', errors: 0 },
      reason: 'headers wait for the save',
    },
  )
})

describe('what a store of the app is given', () => {
  sideBySide(
    '`set` gets the id, the session with its cookie, and a callback',
    async (side) => {
      const given: unknown[] = []
      const store = side.store()
      const set = store.set.bind(store)
      store.set = (...parameters) => {
        const [id, value, done] = parameters
        given.push(
          typeof id === 'string',
          Object.keys(value).sort(),
          readableCookie(value.cookie),
          value.cookie.expires instanceof Date,
          typeof done,
        )
        set(...parameters)
      }
      await (await side.serve({ store, cookie: { maxAge: 600_000 } }, count)).get('/')
      // A Cookie or its JSON: either is what a store makes JSON of.
      return [given[0], given[1], given[4], store.only()]
    },
    {
      both: [
        true,
        ['cookie', 'views'],
        'function',
        { cookie: { originalMaxAge: 600_000, expires: 'in 600 s', httpOnly: true, path: '/' }, views: 1 },
      ],
    },
  )

  for (const operation of ['set', 'touch'] as const) {
    sideBySide(
      `\`${operation}\` can ask \`session.cookie.maxAge\` and \`expires\` for how long to keep it`,
      async (side) => {
        const given: unknown[] = []
        const store = side.store()
        const write = store[operation]!.bind(store)
        store[operation] = (id: string, value: StoredSession, done?: Done) => {
          const { maxAge, expires, originalMaxAge } = value.cookie
          given.push(
            Math.round(Number(maxAge) / 10_000),
            Math.round((new Date(expires as string).valueOf() - Date.now()) / 10_000),
            Math.round(Number(originalMaxAge) / 10_000),
          )
          write(id, value, done)
        }
        const app = await side.serve({ store, cookie: { maxAge: 600_000 } }, counting)
        const first = await app.get('/')
        if (operation === 'touch') await app.get('/look', { cookie: first })
        return given
      },
      { both: [60, 60, 60] },
    )
  }

  sideBySide(
    'functions that were replaced after the middleware was made are called',
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, counting)
      const heard: string[] = []
      const { get, set, touch, destroy } = store
      Object.assign(store, {
        get: (...parameters: Parameters<typeof get>) => (heard.push('get'), get.apply(store, parameters)),
        set: (...parameters: Parameters<typeof set>) => (heard.push('set'), set.apply(store, parameters)),
        touch: (...parameters: Parameters<NonNullable<typeof touch>>) => (
          heard.push('touch'),
          touch!.apply(store, parameters)
        ),
        destroy: (...parameters: Parameters<typeof destroy>) => (
          heard.push('destroy'),
          destroy.apply(store, parameters)
        ),
      })
      const first = await app.get('/')
      await app.get('/look', { cookie: first })
      return [...new Set(heard)].sort()
    },
    { both: ['get', 'set', 'touch'] },
  )

  sideBySide(
    'nothing, if the cookie is not signed',
    async (side) => {
      const asked: string[] = []
      const store = side.store()
      store.get = (id, done) => {
        asked.push(id)
        done()
      }
      const app = await side.serve({ store }, look)
      await app.get('/', { cookie: 'connect.sid=unsigned' })
      await app.get('/', { cookie: `connect.sid=s:${sign('id', 'another secret')}` })
      await app.get('/')
      return asked
    },
    { both: [] },
  )
})

describe('the events of a store', () => {
  sideBySide(
    "'disconnect' switches sessions off, 'connect' on again",
    async (side) => {
      const store = side.store()
      const app = await side.serve({ store }, (request, response, next) => {
        if (!request.session) return response.end('no session')
        return count(request, response, next)
      })
      const first = await app.get('/')
      store.emit('disconnect')
      const off = await app.get('/', { cookie: first })
      store.emit('connect')
      const on = await app.get('/', { cookie: first })
      return [first.body, off.body, off.cookies, on.body]
    },
    { both: ['views: 1', 'no session', [], 'views: 2'] },
  )

  sideBySide(
    'a store needs no event to begin with',
    async (side) => (await (await side.serve({ store: side.store() }, count)).get('/')).body,
    { both: 'views: 1' },
  )
})

sideBySide(
  'a MemoryStore keeps copies: what is changed after `set` or `get` is not stored',
  async (side) => {
    const store = new side.session.MemoryStore()
    const given: StoredSession = { cookie: { ...cookieRow }, cart: { items: ['tea'] } }
    await called((done) => store.set('one', given, done))
    ;(given['cart'] as { items: string[] }).items.push('never stored')
    const first = (await called<StoredSession>((done) => store.get('one', done)))!
    ;(first['cart'] as { items: string[] }).items.push('never stored either')
    return (await called<StoredSession>((done) => store.get('one', done)))!['cart']
  },
  { both: { items: ['tea'] } },
)

describe('`session.Cookie`', () => {
  sideBySide(
    'a `maxAge` as a Date is announced as deprecated, and taken',
    async ({ session }) => {
      const moment = new Date(Date.now() + 60_000)
      let taken = false
      const deprecations = await deprecationsOf(() => {
        taken = (new session.Cookie({ maxAge: moment }).expires as Date).valueOf() === moment.valueOf()
      })
      return { taken, deprecations }
    },
    {
      theirs: { taken: true, deprecations: ['maxAge as Date; pass number of milliseconds instead'] },
      ours: { taken: true, deprecations: [] },
      reason: 'safer defaults',
    },
  )
})

describe('`session.Session`', () => {
  sideBySide(
    'acts by `request.sessionStore`',
    async (side) => {
      const store = side.store()
      const request = { sessionID: 'an-id', sessionStore: store } as unknown as SideRequest
      const made = store.createSession(request, { cookie: { ...cookieRow }, name: 'Ada' })
      await called((done) => made.save(done))
      const saved = store.readable()
      made['name'] = 'Grace'
      await called((done) => made.reload(done))
      const reloaded = request.session['name']
      await called((done) => request.session.destroy(done))
      return [saved, reloaded, 'session' in request, store.readable()]
    },
    { both: [{ '#1': { cookie: cookieRow, name: 'Ada' } }, 'Ada', false, {}] },
  )
})
