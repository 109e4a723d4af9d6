import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStore, type SessionStore } from 'coatcheck'
import { ExpressStore } from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { databases, freshDatabase } from '../servers/databases.ts'
import type { Done, Handler, SessionModule } from './express-session-types.ts'
import { routes, Visited } from './visited.ts'

const expressSession = createRequire(import.meta.url)('express-session') as SessionModule
const secret = 'a secret that only these tests use'
const hour = 3_600_000

const stores: Record<string, () => Promise<SessionStore>> = {
  MemoryStore: async () => new MemoryStore(),
  SQLiteStore: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    return new SQLiteStore(join(folder, 'sessions.db'))
  },
  ...Object.fromEntries(
    databases().flatMap(({ name, server }) => [
      [`MySQLStore on ${name}`, async () => new MySQLStore(await freshDatabase(server))],
      [
        `MySQLStore on ${name}, a table of express-mysql-session`,
        async () => new MySQLStore(await freshDatabase(server), { layout: 'express-mysql-session' }),
      ],
    ]),
  ),
}

/** Lets all go on once `count` have come. */
function meeting(count: number): () => Promise<void> {
  let open: () => void
  const all = new Promise<void>((resolve) => (open = resolve))
  return () => {
    if (--count === 0) open()
    return all
  }
}

const answerOf =
  (response: { end(text: string): unknown }): Done =>
  (error) =>
    response.end(error instanceof Error ? error.message : 'done')

const handlers: Record<string, Handler> = {
  '/sign-in': (request, response) => {
    request.session.regenerate(() => {
      request.session['user'] = 'ada'
      response.end('signed in')
    })
  },
  '/look': (request, response) => {
    response.end(JSON.stringify({ ...request.session, cookie: undefined }))
  },
  '/count': (request, response) => {
    request.session['views'] = Number(request.session['views'] ?? 0) + 1
    response.end(String(request.session['views']))
  },
  '/remember': (request, response) => {
    request.session.cookie.maxAge = 30 * 24 * hour
    response.end('remembered')
  },
  '/max-age': (request, response) => response.end(String(request.session.cookie.originalMaxAge)),
  '/briefly': (request, response) => {
    request.session['user'] = 'grace'
    request.session.cookie.maxAge = 1
    response.end(request.sessionID)
  },
  '/regenerate': (request, response) => request.session.regenerate(answerOf(response)),
  '/destroy': (request, response) => request.session.destroy(answerOf(response)),
}

/** The original express-session on an `ExpressStore`, over HTTP. */
async function served(open: () => Promise<SessionStore>, more: Record<string, Handler> = {}, options = {}) {
  const inner = await open()
  const store = new ExpressStore(inner)
  const middleware = expressSession({
    store,
    secret,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: hour },
    ...options,
  })
  const visited = new Visited({ neverCached: false })
  const app = await visited.serve([middleware, routes({ ...handlers, ...more })], { secret })
  onTestFinished(() => store.close())
  const records = async () => (await inner.list({ limit: 10, data: true })).items
  return { app, store, records }
}

describe.each(Object.entries(stores))('express-session on an ExpressStore over %s', (_name, open) => {
  test('signs in under a new id, and knows its user from then on', async () => {
    const { app, store } = await served(open)
    const before = await app.get('/count')
    const after = await app.get('/sign-in', { cookie: before })
    expect(after.jar).not.toBe(before.jar)
    expect((await app.get('/look', { cookie: after })).body).toBe('{"user":"ada"}')
    expect((await app.get('/look', { cookie: before })).body).toBe('{}')
    expect(await store.length()).toBe(1)
  })

  test('keeps what each request changed', async () => {
    const { app } = await served(open)
    const first = await app.get('/count')
    const bodies = [first.body]
    for (let visit = 0; visit < 3; visit++) bodies.push((await app.get('/count', { cookie: first })).body)
    expect(bodies).toEqual(['1', '2', '3', '4'])
  })

  test('stores nothing for a request that changes nothing', async () => {
    const { app, records } = await served(open)
    expect((await app.get('/look')).cookies).toEqual([])
    expect(await records()).toEqual([])
    const signedIn = await app.get('/sign-in')
    const [before] = await records()
    await app.get('/look', { cookie: signedIn })
    expect((await records()).map(({ version }) => version)).toEqual([before!.version])
  })

  test('keeps a session alive for as long as its new maxAge', async () => {
    const { app, records } = await served(open)
    const signedIn = await app.get('/sign-in')
    const [before] = await records()
    await app.get('/remember', { cookie: signedIn })
    const [after] = await records()
    expect(after!.expiresAt - before!.expiresAt).toBeGreaterThan(29 * 24 * hour)
    expect((await app.get('/max-age', { cookie: signedIn })).body).toBe(String(30 * 24 * hour))
  })

  test('ends the session and begins another when it regenerates', async () => {
    const { app } = await served(open)
    const signedIn = await app.get('/sign-in')
    expect((await app.get('/regenerate', { cookie: signedIn })).body).toBe('done')
    expect((await app.get('/look', { cookie: signedIn })).body).toBe('{}')
  })

  test('forgets a session that is destroyed', async () => {
    const { app, store } = await served(open)
    const signedIn = await app.get('/sign-in')
    expect((await app.get('/destroy', { cookie: signedIn })).body).toBe('done')
    expect((await app.get('/look', { cookie: signedIn })).body).toBe('{}')
    expect(await store.length()).toBe(0)
  })

  test('destroys a session that is unset', async () => {
    const forget: Handler = (request, response) => {
      delete (request as Partial<typeof request>).session
      response.end('done')
    }
    const { app, store } = await served(open, { '/forget': forget }, { unset: 'destroy' })
    await app.get('/forget', { cookie: await app.get('/sign-in') })
    expect(await store.length()).toBe(0)
  })

  test('forgets a session that has expired, and no other', async () => {
    const { app, store } = await served(open)
    const [ada, grace] = [await app.get('/sign-in'), await app.get('/briefly')]
    // Read past the middleware: each of its requests would move the expiry.
    await vi.waitUntil(async () => !(await store.get(grace.body)), { timeout: 60_000 })
    expect((await app.get('/look', { cookie: grace })).body).toBe('{}')
    expect((await app.get('/look', { cookie: ada })).body).toBe('{"user":"ada"}')
    expect(await store.length()).toBe(1)
  })

  test('keeps the changes of two requests at once', async () => {
    const meet = meeting(2)
    const adding =
      (name: string): Handler =>
      async (request, response) => {
        await meet()
        request.session[name] = true
        response.end('added')
      }
    const { app } = await served(open, { '/hat': adding('hat'), '/scarf': adding('scarf') })
    const signedIn = await app.get('/sign-in')
    await Promise.all(['/hat', '/scarf'].map((path) => app.get(path, { cookie: signedIn })))
    const { body } = await app.get('/look', { cookie: signedIn })
    expect(JSON.parse(body)).toEqual({ user: 'ada', hat: true, scarf: true })
  })

  test.each([
    ['changes it', (session: Record<string, unknown>) => (session['late'] = true)],
    ['only touches it', () => undefined],
  ])('brings no session back that ended while another request %s', async (_what, change) => {
    // Both the slow request and the test come to each.
    const [loaded, ended] = [meeting(2), meeting(2)]
    const slow: Handler = async (request, response) => {
      await loaded()
      await ended()
      change(request.session)
      response.end('late')
    }
    const { app, store } = await served(open, { '/slow': slow })
    const signedIn = await app.get('/sign-in')
    const late = app.get('/slow', { cookie: signedIn })
    await loaded()
    await app.get('/destroy', { cookie: signedIn })
    await ended()
    expect((await late).status).toBe(200)
    expect((await app.get('/look', { cookie: signedIn })).body).toBe('{}')
    expect([await store.length(), app.errors]).toEqual([0, []])
  })

  test('lists and clears the sessions that are live', async () => {
    const { app, store } = await served(open)
    const [one, other] = [await app.get('/sign-in'), await app.get('/count')]
    const all = Object.values(await store.all())
    expect(all).toContainEqual(expect.objectContaining({ user: 'ada' }))
    expect(all).toContainEqual(expect.objectContaining({ views: 1 }))
    expect(await store.length()).toBe(2)
    await store.clear()
    for (const cookie of [one, other]) expect((await app.get('/look', { cookie })).body).toBe('{}')
  })
})
