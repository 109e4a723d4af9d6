import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { createSessions, type Sessions } from 'coatcheck'
import session from 'coatcheck/express'
import type expressMySQLSession from 'coatcheck/express-mysql-session'
import { MySQLStore } from 'coatcheck/mysql'
import express, { type RequestHandler } from 'express'
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { hashOf, idOf } from '../../dist/core/token.js'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { SessionModule, SideRequest } from './express-session-types.ts'

// MySQLStore on a table that apps with the real express-session and express-mysql-session use at the same time.

process.env['NO_DEPRECATION'] ??= 'express-session'
const require = createRequire(import.meta.url)
const incumbent = require('express-session') as SessionModule
const IncumbentStore = (
  require('express-mysql-session') as (
    session: SessionModule,
  ) => new (options: object, pool: Pool) => { onReady(): Promise<void> }
)(incumbent)
const secret = 'the secret of both apps'
const schema = { tableName: 'visits', columnNames: { session_id: 'sid', expires: 'until', data: 'payload' } }
const layout = { layout: 'express-mysql-session', table: 'visits', columns: schema.columnNames } as const

onEachServer('an old table in use', ({ server: database }) => {
  let pool: Pool
  let sessions: Sessions
  let old: string
  let moved: string
  let arrived: Promise<void>
  let finishSlow: () => void

  beforeEach(async () => {
    pool = createPool(await freshDatabase(database))
    onTestFinished(() => pool.end())
    const theirStore = new IncumbentStore({ schema, clearExpired: false }, pool)
    await theirStore.onReady()
    const store = new MySQLStore(pool, layout)
    sessions = createSessions({
      store,
      secret,
      cookie: { name: 'connect.sid' },
      lifetime: { absolute: false },
      sweep: false,
    })
    let arrive: () => void
    arrived = new Promise((resolve) => (arrive = resolve))
    const finished = new Promise<void>((resolve) => (finishSlow = resolve))
    const wait = () => {
      arrive()
      return finished
    }
    old = await serve(
      incumbent({
        store: theirStore,
        secret,
        resave: false,
        saveUninitialized: false,
      }) as unknown as RequestHandler,
      wait,
    )
    moved = await serve(session(sessions) as RequestHandler, wait)
  })

  async function serve(middleware: RequestHandler, wait: () => Promise<void>): Promise<string> {
    const app = express()
    app.use(middleware)
    app.get('/look', (request, response) => void response.json({ ...request.session, cookie: undefined }))
    app.post('/set/:key/:value', (request, response) => {
      const { key, value } = request.params
      Object.assign(request.session, { [key]: value })
      response.end()
    })
    // As apps do that keep settings under names of the visitor's choice.
    app.post('/keep', express.json(), (request, response) => {
      const { name, value } = request.body as { name: string; value: unknown }
      Object.assign(request.session, { [name]: value })
      response.end()
    })
    app.post('/sign-in/:user', async (request, response) => {
      await request.session.signIn(request.params.user)
      response.end()
    })
    app.get('/who', (request, response) => {
      const { userId, authenticatedAt } = request.session as { userId?: string; authenticatedAt?: Date }
      response.json([userId ?? null, authenticatedAt ?? null])
    })
    app.post('/slow', async (request, response) => {
      Object.assign(request.session, { slow: 'yes' })
      await wait()
      response.end()
    })
    app.post('/end', (request, response, next) => {
      ;(request as unknown as SideRequest).session.destroy((error) => (error ? next(error) : response.end()))
    })
    const server = createServer(app).listen(0, '127.0.0.1')
    // fetch would use a connection that is kept alive for the next server that gets this port.
    server.maxRequestsPerSocket = 1
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** A browser with one cookie. */
  class Browser {
    cookie = ''

    async send(method: string, url: string, body?: object): Promise<Response> {
      const headers = { cookie: this.cookie, 'content-type': 'application/json' }
      const response = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      for (const cookie of response.headers.getSetCookie()) this.cookie = cookie.split(';', 1)[0]!
      return response
    }

    async look(app: string): Promise<unknown> {
      return (await this.send('GET', `${app}/look`)).json()
    }

    /** Whoever keeps the cookie of now. */
    clone(): Browser {
      return Object.assign(new Browser(), { cookie: this.cookie })
    }
  }

  async function rows(): Promise<RowDataPacket[]> {
    return (await pool.query<RowDataPacket[]>('SELECT * FROM visits'))[0]
  }

  describe.each(['old', 'moved'] as const)('a session that began in the %s app', (where) => {
    test('is known, changed and ended in both, by one cookie and in one row', async () => {
      const [first, second] = where === 'old' ? [old, moved] : [moved, old]
      const browser = new Browser()
      await browser.send('POST', `${first}/set/name/Ada`)
      const { cookie } = browser
      expect(await browser.look(second)).toEqual({ name: 'Ada' })
      await browser.send('POST', `${second}/set/theme/dark`)
      expect(await browser.look(first)).toEqual({ name: 'Ada', theme: 'dark' })
      expect([browser.cookie, (await rows()).length]).toEqual([cookie, 1])
      await browser.clone().send('POST', `${second}/end`)
      for (const app of [first, second]) expect(await browser.clone().look(app)).toEqual({})
      expect(await rows()).toEqual([])
    })

    test('keeps what the old app changed while a request of the moved app was under way', async () => {
      const browser = new Browser()
      await browser.send('POST', `${where === 'old' ? old : moved}/set/name/Ada`)
      const slow = browser.clone().send('POST', `${moved}/slow`)
      await arrived
      await browser.clone().send('POST', `${old}/set/theme/dark`)
      finishSlow()
      await slow
      for (const app of [old, moved]) {
        expect(await browser.look(app)).toEqual({ name: 'Ada', theme: 'dark', slow: 'yes' })
      }
    })

    test('stays ended, though a request of the moved app was under way when the old app ended it', async () => {
      const browser = new Browser()
      await browser.send('POST', `${where === 'old' ? old : moved}/set/name/Ada`)
      const slow = browser.clone().send('POST', `${moved}/slow`)
      await arrived
      await browser.clone().send('POST', `${old}/end`)
      finishSlow()
      await slow
      expect(await rows()).toEqual([])
    })
  })

  test('a row of ours is as the old package writes it', async () => {
    const browser = new Browser()
    await browser.send('POST', `${moved}/set/name/Ada`)
    const [row] = await rows()
    expect(Object.keys(row!)).toEqual(['sid', 'until', 'payload'])
    const { cookie, ...data } = JSON.parse(row!['payload'] as string) as { cookie: object }
    expect(data).toEqual({ name: 'Ada' })
    expect(cookie).toMatchObject({ httpOnly: true, path: '/' })
    expect(row!['sid']).toBe(/s:(.*)\./.exec(decodeURIComponent(browser.cookie))![1])
  })

  test('a session that signed in here is found by its user, and ended for the old app too', async () => {
    const browser = new Browser()
    const work = sessions.begin()
    await work.session!.signIn('ada')
    await work.commit()
    browser.cookie = `connect.sid=${encodeURIComponent(cookieFor(work.id))}`
    expect(await browser.look(old)).toMatchObject({ coatcheck: { userId: 'ada' } })
    expect(await sessions.user('ada').list()).toHaveLength(1)
    expect(await sessions.user('ada').revokeAll()).toBe(1)
    expect(await browser.clone().look(old)).toEqual({})
  })

  describe('what a visitor of the old app has stored under a name of their choice', () => {
    const forged = { userId: 'admin', publicId: 'AAAAAAAAAAAAAAAA', createdAt: 1 }

    test('makes them nobody else, and goes with the next change here', async () => {
      const browser = new Browser()
      await browser.send('POST', `${old}/keep`, { name: 'coatcheck', value: forged })
      expect(await (await browser.send('GET', `${moved}/who`)).json()).toEqual([null, null])
      expect(await browser.look(moved)).toEqual({})
      expect(await sessions.user('admin').list()).toEqual([])
      expect(await sessions.user('admin').revokeAll()).toBe(0)
      await browser.send('POST', `${moved}/set/name/Ada`)
      expect(await browser.look(old)).toEqual({ name: 'Ada' })
    })

    test('makes them nobody else with the signature of their own session, or of somebody else', async () => {
      const signIn = async (browser: Browser, user: string) => {
        await browser.send('POST', `${moved}/sign-in/${user}`)
        return ((await browser.look(old)) as { coatcheck: object }).coatcheck
      }
      const [eve, admin] = [new Browser(), new Browser()]
      const [own, theirs] = [await signIn(eve, 'eve'), await signIn(admin, 'admin')]
      expect(await (await eve.send('GET', `${moved}/who`)).json()).toEqual(['eve', expect.any(String)])
      const changed = [
        { userId: 'admin' },
        { createdAt: 9e15 },
        { authenticatedAt: 9e15 },
        { publicId: 'other' },
      ]
      for (const value of [theirs, ...changed.map((part) => ({ ...own, ...part }))]) {
        await eve.send('POST', `${old}/keep`, { name: 'coatcheck', value })
        expect(await (await eve.send('GET', `${moved}/who`)).json()).toEqual([null, null])
      }
      await eve.send('POST', `${old}/keep`, { name: 'coatcheck', value: own })
      expect(await (await eve.send('GET', `${moved}/who`)).json()).toEqual(['eve', expect.any(String)])
    })
  })

  test('an app that has emptied the table signs by a key that all apps find', async () => {
    const [first, second] = [new Browser(), new Browser()]
    await first.send('POST', `${moved}/sign-in/ada`)
    await pool.query('DELETE FROM visits')
    await second.send('POST', `${moved}/sign-in/bob`)
    const other = new MySQLStore(pool, layout)
    const { items } = await other.list({ userId: 'bob', limit: 10, data: false })
    expect(items).toHaveLength(1)
    expect(await (await second.send('GET', `${moved}/who`)).json()).toEqual(['bob', expect.any(String)])
  })

  test('an app that has emptied the table signs by such a key too where a session is there before its sign-in', async () => {
    const [first, second] = [new Browser(), new Browser()]
    await first.send('POST', `${moved}/sign-in/ada`)
    await pool.query('DELETE FROM visits')
    await second.send('POST', `${old}/keep`, { name: 'seen', value: true })
    await second.send('POST', `${moved}/sign-in/bob`)
    const { items } = await new MySQLStore(pool, layout).list({ userId: 'bob', limit: 10, data: false })
    expect(items).toHaveLength(1)
  })

  test('in the new layout, what is stored of a token is never taken for one', async () => {
    const store = new MySQLStore(pool)
    const fresh = createSessions({ store, secret, sweep: false })
    const work = fresh.begin()
    Object.assign(work.session!, { name: 'Ada' })
    await work.commit()
    const [[row]] = await pool.query<RowDataPacket[]>('SELECT id, secret_hash FROM coatcheck_sessions')
    const [id, hash] = [row!['id'] as Buffer, row!['secret_hash'] as Buffer]
    expect(id.toString('base64url')).toBe(idOf(work.id))
    expect(hash).toEqual(hashOf(work.id))
    expect((await fresh.load(work.id)).isNew).toBe(false)
    for (const stored of [id, hash]) {
      for (const encoding of ['hex', 'base64url'] as const) {
        expect((await fresh.load(stored.toString(encoding))).isNew).toBe(true)
      }
    }
  })

  function cookieFor(token: string): string {
    const { sign } = require('cookie-signature') as { sign(value: string, secret: string): string }
    return `s:${sign(token, secret)}`
  }

  test('methods that an app puts in place of the store of coatcheck/express-mysql-session are called', async () => {
    const Store = (require('coatcheck/express-mysql-session') as typeof expressMySQLSession)(session)
    const store = new Store({ schema, clearExpired: false }, pool)
    const reads: string[] = []
    const get = store.get.bind(store)
    store.get = (id, callback) => {
      reads.push(id)
      return get(id, callback)
    }
    const measured = await serve(session({ store, secret }) as RequestHandler, () => Promise.resolve())
    const browser = new Browser()
    await browser.send('POST', `${old}/set/name/Ada`)
    expect(await browser.look(measured)).toEqual({ name: 'Ada' })
    expect(reads.length).toBeGreaterThan(0)
  })
})
