import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type expressMySQLSession from 'coatcheck/express-mysql-session'
import express, { type NextFunction, type Request, type Response } from 'express'
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

// The middleware and the store, of either package, in all four pairs: what requests see, and what lies in the table afterwards.

process.env['NO_DEPRECATION'] ??= 'express-session'
const require = createRequire(import.meta.url)

/** What users are told of the differences. */
const migrating = readFileSync(join(import.meta.dirname, '../../docs/migrating.md'), 'utf8').toLowerCase()

type Data = Record<string, unknown>
type Done = (error?: unknown, value?: unknown) => void
interface Store {
  onReady(): Promise<void>
  close(): Promise<void>
  get(id: string): Promise<Data | null>
  set(id: string, data: unknown): Promise<unknown>
  touch(id: string, data: unknown): Promise<unknown>
  destroy(id: string): Promise<unknown>
  all(): Promise<Record<string, Data>>
  length(): Promise<number>
  load(id: string, done: (error: unknown, session: Session) => void): void
  createSession(request: object, data: Data): Session
}
interface Session extends Data {
  readonly id: string
  cookie: { maxAge: number | null; expires: Date | null; originalMaxAge: number | null }
  save(done: Done): unknown
  reload(done: Done): unknown
  destroy(done: Done): unknown
  regenerate(done: Done): unknown
  touch(): unknown
}
interface Visit {
  session: Session
  readonly sessionID: string
  readonly sessionStore: Store
}
type Middleware = (request: Request, response: Response, next: NextFunction) => void
type SessionPackage = ((options: object) => Middleware) & { readonly Store: unknown }

const packages = {
  theirs: { middleware: 'express-session', store: 'express-mysql-session' },
  ours: { middleware: 'coatcheck/express', store: 'coatcheck/express-mysql-session' },
} as const
type Side = keyof typeof packages
const pairs: readonly [middleware: Side, store: Side][] = [
  ['theirs', 'ours'],
  ['ours', 'theirs'],
  ['ours', 'ours'],
]

const called = (act: (done: Done) => unknown): Promise<unknown> =>
  new Promise((resolve, reject) => {
    act((error, value) => (error ? reject(error as Error) : resolve(value)))
  })
const dataOf = (session: object | null) => {
  const { cookie: _, ...data } = { ...(session as { cookie?: unknown }) }
  return data
}

/** What handlers do; what they give is the answer. */
const acts = {
  look: ({ session }) => dataOf(session),
  count: ({ session }) => (session['views'] = Number(session['views'] ?? 0) + 1),
  'save and go on': async ({ session }) => {
    session['saved'] = 1
    await called((done) => session.save(done))
    session['saved'] = 2
  },
  'save twice at once': async ({ session }) => {
    session['twice'] = 1
    const first = called((done) => session.save(done))
    session['twice'] = 2
    await Promise.all([first, called((done) => session.save(done))])
  },
  reload: async (visit) => {
    visit.session['lost'] = true
    await called((done) => visit.session.reload(done))
    return dataOf(visit.session)
  },
  touch: ({ session }) => void session.touch(),
  destroy: ({ session }) => called((done) => session.destroy(done)).then(() => undefined),
  regenerate: async (visit) => {
    await called((done) => visit.session.regenerate(done))
    visit.session['fresh'] = true
  },
  'live for a minute': ({ session }) => void (session.cookie.maxAge = 60_000),
  'live for a day': ({ session }) => void (session.cookie.maxAge = 86_400_000),
  'end in two hours': ({ session }) => void (session.cookie.expires = new Date(Date.now() + 7_200_000)),
  'remember and live for a week': ({ session }) => {
    session['remember'] = true
    session.cookie.maxAge = 604_800_000
  },
  'get it from the store': async ({ sessionID, sessionStore }) => dataOf(await sessionStore.get(sessionID)),
  'ask the store for all': async ({ sessionStore }) => [
    Object.values(await sessionStore.all())
      .map((data) => JSON.stringify(dataOf(data)))
      .sort(),
    await sessionStore.length(),
    Object.getPrototypeOf(await sessionStore.all()) === Object.prototype,
  ],
  'set something beside it': async ({ sessionStore }) => {
    await sessionStore.set('job', { state: 'new', steps: [1, 2] })
    return [await sessionStore.get('job'), await sessionStore.length()]
  },
  'set an array beside it': async ({ sessionStore }) => {
    await sessionStore.set('list', [1, { two: 2 }])
    return [await sessionStore.get('list'), (await sessionStore.all())['list']]
  },
  'set a copy of it': async ({ session, sessionID, sessionStore }) => {
    await sessionStore.set(sessionID, { ...session, copied: true })
    return dataOf(await sessionStore.get(sessionID))
  },
  'change it in the store': async ({ sessionID, sessionStore }) => {
    const data = (await sessionStore.get(sessionID)) ?? {}
    await sessionStore.set(sessionID, { ...data, changed: true })
    return dataOf(await sessionStore.get(sessionID))
  },
  'set what was read': async ({ sessionID, sessionStore }) => {
    const data = await sessionStore.get(sessionID)
    if (!data) return 'nothing'
    data['read'] = true
    await sessionStore.set(sessionID, data)
    return dataOf(await sessionStore.get(sessionID))
  },
  'end it in the store by its expires': async ({ sessionID, sessionStore }) => {
    const data = (await sessionStore.get(sessionID)) as { cookie: object } | null
    if (!data) return 'nothing'
    await sessionStore.set('ended', {
      ...data,
      cookie: { ...data.cookie, expires: new Date(Date.now() - 5_000) },
    })
    return sessionStore.get('ended')
  },
  'destroy another in the store and set it again': async ({ sessionStore }) => {
    await sessionStore.set('other', { n: 1 })
    const data = await sessionStore.get('other')
    await sessionStore.destroy('other')
    const between = await sessionStore.get('other')
    await sessionStore.set('other', data)
    return [between, await sessionStore.get('other')]
  },
  'destroy it in the store': async ({ sessionID, sessionStore }) => {
    await sessionStore.destroy(sessionID)
    return sessionStore.get(sessionID)
  },
  'load it without a request': async ({ sessionID, sessionStore }) => {
    const session = (await called((done) => sessionStore.load(sessionID, done))) as Session | undefined
    if (!session) return 'nothing'
    session['loaded'] = true
    await called((done) => session.save(done))
    return dataOf(await sessionStore.get(sessionID))
  },
  'make a session of data': ({ sessionStore }) => {
    const request = { sessionID: 'made', sessionStore }
    const made = sessionStore.createSession(request, {
      cookie: { originalMaxAge: 5_000, expires: new Date().toISOString() },
      a: 1,
    })
    return [made.id, made['a'], made.cookie.originalMaxAge]
  },
} satisfies Record<string, (visit: Visit) => unknown>
type Act = keyof typeof acts

/** Each is a visit of a browser: what its requests do, one after the other. */
const stories: readonly (readonly Act[])[] = [
  ['look', 'look'],
  ['count', 'count', 'look'],
  ['count', 'save and go on', 'look', 'get it from the store'],
  ['count', 'save twice at once', 'look'],
  ['count', 'reload', 'look'],
  ['count', 'touch', 'count'],
  ['count', 'destroy', 'look', 'count'],
  ['count', 'regenerate', 'look', 'count'],
  ['count', 'remember and live for a week', 'look', 'count'],
  ['remember and live for a week', 'count', 'regenerate', 'count'],
  ['count', 'get it from the store', 'ask the store for all'],
  ['set something beside it', 'ask the store for all', 'count', 'ask the store for all'],
  ['set an array beside it', 'count', 'ask the store for all'],
  ['count', 'end it in the store by its expires', 'ask the store for all'],
  ['count', 'destroy another in the store and set it again', 'look'],
  ['count', 'make a session of data', 'look'],
]

/** A handler changes the row of its own session in the store. The middleware stores the session over it only with `resave`. */
const aside: readonly (readonly Act[])[] = [
  ['count', 'set a copy of it', 'look', 'count', 'look'],
  ['count', 'change it in the store', 'look', 'count', 'look'],
  ['count', 'set what was read', 'look', 'count', 'look'],
  ['count', 'load it without a request', 'look', 'count'],
  ['count', 'destroy it in the store', 'look', 'count'],
]

/** A new length of life is all that the request changes: express-session does not store it, and its next request has the old one. */
const lengths: readonly (readonly Act[])[] = [
  ['count', 'live for a minute', 'look'],
  ['count', 'live for a day', 'count'],
  ['count', 'end in two hours', 'look', 'count'],
]

const optionSets: Readonly<Record<string, object>> = {
  'no options': {},
  'a maxAge': { cookie: { maxAge: 3_600_000 } },
  resave: { resave: true, cookie: { maxAge: 3_600_000 } },
  rolling: { rolling: true, cookie: { maxAge: 3_600_000 } },
  'empty sessions too': { saveUninitialized: true, cookie: { maxAge: 3_600_000 } },
}
const cases =
  pairs.length * ((stories.length + aside.length) * Object.keys(optionSets).length + lengths.length)

onEachServer('session() on a table of express-mysql-session', ({ server }) => {
  test.each(Object.entries(optionSets))(
    `is the same in all four pairs, with %s (of ${cases} cases in all)`,
    async (_name, options) => {
      const [theirs, ...others] = await Promise.all(
        [['theirs', 'theirs'] as const, ...pairs].map((pair) =>
          played(pair, options, 'resave' in options ? stories : [...stories, ...aside]),
        ),
      )
      for (const [n, seen] of others.entries()) {
        const differing = Object.keys(theirs!).filter(
          (story) => !isDeepStrictEqual(seen[story], theirs![story]),
        )
        const of = (one: Data) => Object.fromEntries(differing.map((story) => [story, one[story]]))
        expect
          .soft(of(seen), `the middleware ${pairs[n]![0]}, the store ${pairs[n]![1]}`)
          .toEqual(of(theirs!))
      }
    },
  )

  test('but for `resave` over what a handler has stored itself [differs: concurrent updates are merged]', async () => {
    expect(migrating).toContain('concurrent updates are merged')
    expect(migrating).toContain('ended sessions never come back')
    const [theirs, ...others] = await Promise.all(
      [['theirs', 'theirs'] as const, ...pairs].map((pair) => played(pair, { resave: true }, aside)),
    )
    const left = (seen: Data) =>
      Object.values(seen).map((story) =>
        dataOf(JSON.parse((story as { rows: string[][] }).rows[0]![0]!) as Data),
      )
    expect(left(theirs!)).toEqual(aside.map(() => ({ views: 2 })))
    for (const seen of others) {
      expect(left(seen)).toEqual([
        { views: 2, copied: true },
        { views: 2, changed: true },
        { views: 2, read: true },
        { views: 2, loaded: true },
        { views: 1 },
      ])
    }
  })

  test('but for a new maxAge alone, which is kept [differs: a new `maxAge` is kept]', async () => {
    expect(migrating).toContain('a new `maxage` is kept')
    const [theirs, ...others] = await Promise.all(
      [['theirs', 'theirs'] as const, ...pairs].map((pair) => played(pair, {}, lengths)),
    )
    const minutes = (seen: Data) =>
      Object.values(seen).map((story) => (story as { rows: unknown[][] }).rows[0]![1])
    expect(minutes(theirs!)).toEqual([1_440, 1_440, 1_440])
    for (const seen of others) expect(minutes(seen)).toEqual([1, 1_440, 120])
  })

  test('what coatcheck keeps of a user in a row goes with what an app reads and sets, and binds no other session', async () => {
    const pool = createPool(await freshDatabase(server))
    onTestFinished(() => pool.end())
    const session = require('coatcheck/express') as SessionPackage
    const MySQLStore = (require('coatcheck/express-mysql-session') as typeof expressMySQLSession)(session)
    const store = new MySQLStore({ clearExpired: false }, pool)
    await store.onReady()
    const app = express()
    app.use(session({ store, secret: 'the secret of the shop', resave: false, saveUninitialized: false }))
    app.get('/in', async (request, response) => {
      await (request.session as unknown as { signIn(user: string): Promise<void> }).signIn('ada')
      response.json(request.sessionID)
    })
    app.get('/user', (request, response) => {
      const { boundUserId, changed, coatcheck } = request.session as unknown as Data
      response.json([boundUserId ?? null, changed ?? null, coatcheck ?? null])
    })
    app.get('/copy/:id', async (request, response) => {
      Object.assign(request.session, await store.get(request.params.id))
      response.end()
    })
    const listening = createServer(app).listen(0, '127.0.0.1')
    onTestFinished(() => void listening.close())
    await once(listening, 'listening')
    const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
    const visit = async (path: string, cookie = '') => {
      const response = await fetch(`${url}${path}`, { headers: { cookie, connection: 'close' } })
      const text = await response.text()
      expect(response.status, text).toBe(200)
      return {
        seen: text && (JSON.parse(text) as unknown),
        cookie: response.headers.getSetCookie()[0]?.split(';', 1)[0],
      }
    }

    const { cookie: ada } = await visit('/in')
    const id = Object.keys(await store.all())[0]!
    const read = (await store.get(id)) as Data
    expect(read['coatcheck']).toMatchObject({ userId: 'ada' })
    await store.set(id, { ...read, changed: 1 })
    expect((await visit('/user', ada)).seen).toEqual(['ada', 1, null])

    const { cookie: other } = await visit(`/copy/${id}`)
    expect((await visit('/user', other)).seen).toEqual([null, 1, null])
    expect(await store.length()).toBe(2)

    // As express-session has it for a request.
    const inHand = store.createSession({ sessionID: id, sessionStore: store }, (await store.get(id))!)
    expect(dataOf(inHand)).toEqual({ changed: 1 })
    await store.set(id, Object.assign(inHand, { changed: 2 }))
    expect((await visit('/user', ada)).seen).toEqual(['ada', 2, null])
  })

  test('what is asked of one id without waiting is done in the order asked', async () => {
    const pool = createPool(await freshDatabase(server))
    onTestFinished(() => pool.end())
    const session = require('coatcheck/express') as SessionPackage
    const MySQLStore = (require('coatcheck/express-mysql-session') as typeof expressMySQLSession)(session)
    const store = new MySQLStore({ clearExpired: false }, pool)
    await store.onReady()
    const asked = []
    for (let n = 0; n < 20; n++) {
      const inHand = store.createSession({ sessionID: `id ${n}` }, { cookie: { originalMaxAge: null } })
      asked.push(store.set(`id ${n}`, n % 2 ? inHand : { n }), store.destroy(`id ${n}`))
    }
    await Promise.all(asked)
    expect(await store.length()).toBe(0)
  })

  /** What the requests of each story see, and the rows that they leave. */
  async function played(
    [middleware, store]: readonly [Side, Side],
    options: object,
    told: readonly (readonly Act[])[],
  ): Promise<Data> {
    const pool = createPool(await freshDatabase(server))
    const session = require(packages[middleware].middleware) as SessionPackage
    const MySQLStore = (
      require(packages[store].store) as (
        session: SessionPackage,
      ) => new (options: object, pool: Pool) => Store
    )(session)
    const kept = new MySQLStore({ clearExpired: false }, pool)
    await kept.onReady()
    const common = { store: kept, secret: 'the secret of the shop', resave: false, saveUninitialized: false }
    const app = express()
    app.use(session({ ...common, ...options }))
    app.get('/:act', async (request, response) => {
      const answer: unknown = await Promise.resolve(
        acts[request.params.act as Act](request as unknown as Visit),
      )
      response.json(answer ?? null)
    })
    app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
      response.status(500).json(`${error.name}`)
    })
    const listening = createServer(app).listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
    const seen: Data = {}
    for (const story of told) {
      const answers = []
      let cookie = ''
      for (const act of story) {
        const response = await fetch(`${url}/${encodeURIComponent(act)}`, { headers: { cookie } })
        const [given] = response.headers.getSetCookie().filter((one) => !one.includes('1970'))
        if (given) cookie = given.split(';', 1)[0]!
        // `rolling` sets no cookie of a session that has ended; what `resave` does with cookies is tested beside express-session's.
        const comparesCookie = !('resave' in options) && act !== 'destroy it in the store'
        answers.push([act, response.status, await response.json(), comparesCookie && given !== undefined])
      }
      seen[story.join(', ')] = { answers, rows: await rowsOf(pool) }
      await pool.query('DELETE FROM sessions')
    }
    listening.close()
    listening.closeAllConnections()
    await kept.close()
    await pool.end()
    return seen
  }
})

/** The texts, with their moments taken out, and how long each has to live, to the half minute. */
async function rowsOf(pool: Pool): Promise<unknown[]> {
  const [rows] = await pool.query<RowDataPacket[]>(
    'SELECT data, ROUND((CAST(expires AS SIGNED) - UNIX_TIMESTAMP()) / 30) / 2 AS minutes FROM sessions',
  )
  return rows
    .map(({ data, minutes }) => {
      const text = String(data)
        .replace(/"\d{4}-[\d\-T:.]+Z"/g, '"then"')
        // express-session works it out from what is left.
        .replace(/(?<="originalMaxAge":)\d+/g, (length) =>
          String(Math.round(Number(length) / 10_000) * 10_000),
        )
      return [text, Number(minutes)] as const
    })
    .sort((one, other) => (String(one) < String(other) ? -1 : 1))
}
