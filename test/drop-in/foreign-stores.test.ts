import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import { MemoryStore, type SessionStore } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import express, { type RequestHandler } from 'express'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import pg from 'pg'
import { createClient } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { idOf } from '../../dist/core/token.js'
import { freshDatabase } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startRedis } from '../servers/redis.ts'
import type {
  Handler,
  SessionModule,
  SideRequest,
  StoreObject,
  StoredSession,
} from './express-session-types.ts'

// Stores that were written for express-session, the real packages on real servers, under coatcheck/express; and at the
// same time under express-session itself. And the other way round: stores of coatcheck's under express-session.

process.env['NO_DEPRECATION'] ??= 'express-session'
const require = createRequire(import.meta.url)
const incumbent = require('express-session') as SessionModule
const ours = require('coatcheck/express') as SessionModule
const { ExpressStore } = session

/** One kind of store: how to make it, and what the tests do to its sessions behind its back. */
interface Kind {
  /** A store for that middleware. Those in memory give both the same one. */
  make(session: SessionModule): StoreObject
  secondsLeft(id: string): Promise<number>
  setSecondsLeft(id: string, seconds: number): Promise<unknown>
  /** False: coatcheck moves its expiry only when a tenth of it has passed. */
  readonly touchesAtOnce?: false
  /** Writes what is no session in place of one; left out where the store holds no text. */
  spoil?(id: string): Promise<unknown>
  /** Takes the server away; left out where there is none. */
  cut?(): Promise<unknown>
  close(): Promise<unknown>
}

const kinds: Record<string, () => Promise<Kind>> = {
  async 'connect-redis'() {
    const client = createClient({ url: redis!.url })
    await client.connect()
    return {
      make: () => new RedisStore({ client }) as unknown as StoreObject,
      secondsLeft: (id) => client.ttl(`sess:${id}`),
      setSecondsLeft: (id, seconds) =>
        seconds > 0 ? client.expire(`sess:${id}`, seconds) : client.del(`sess:${id}`),
      spoil: (id) => client.set(`sess:${id}`, '{"cookie":'),
      cut: async () => client.destroy(),
      close: async () => client.isOpen && client.destroy(),
    }
  },
  async 'connect-pg-simple'() {
    const pool = new pg.Pool({ connectionString: postgres!.url })
    const make = require('connect-pg-simple') as (
      session: SessionModule,
    ) => new (options: object) => StoreObject
    return {
      make: (session) =>
        new (make(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false }),
      secondsLeft: async (id) => {
        const sql = 'SELECT EXTRACT(EPOCH FROM expire - LOCALTIMESTAMP) AS left FROM session WHERE sid = $1'
        const { rows } = await pool.query<{ left: string }>(sql, [id])
        return Number(rows[0]!.left)
      },
      setSecondsLeft: (id, seconds) =>
        pool.query(`UPDATE session SET expire = LOCALTIMESTAMP + INTERVAL '${seconds} s' WHERE sid = $1`, [
          id,
        ]),
      spoil: (id) => pool.query(`UPDATE session SET sess = '[1]' WHERE sid = $1`, [id]),
      cut: () => pool.end(),
      close: async () => pool.ended || pool.end(),
    }
  },
  async 'express-mysql-session'() {
    const pool = createPool(await freshDatabase())
    const make = require('express-mysql-session') as (
      session: SessionModule,
    ) => new (options: object, pool: unknown) => StoreObject & { onReady(): Promise<void> }
    await new (make(incumbent))({ clearExpired: false }, pool).onReady()
    return {
      make: (session) => new (make(session))({ clearExpired: false, createDatabaseTable: false }, pool),
      secondsLeft: async (id) => {
        const sql = 'SELECT expires - UNIX_TIMESTAMP() AS remaining FROM sessions WHERE session_id = ?'
        const [[row]] = await pool.query<RowDataPacket[]>(sql, [id])
        return Number(row!['remaining'])
      },
      setSecondsLeft: (id, seconds) =>
        pool.query('UPDATE sessions SET expires = UNIX_TIMESTAMP() + ? WHERE session_id = ?', [seconds, id]),
      spoil: (id) => pool.query(`UPDATE sessions SET data = '{"cookie":' WHERE session_id = ?`, [id]),
      cut: () => pool.end(),
      close: () => pool.end().catch(() => undefined),
    }
  },
  async 'session-file-store'() {
    const path = await mkdtemp(join(tmpdir(), 'coatcheck-files-'))
    const make = require('session-file-store') as (
      session: SessionModule,
    ) => new (options: object) => StoreObject
    const file = (id: string) => join(path, `${id}.json`)
    const read = async (id: string) =>
      JSON.parse(await readFile(file(id), 'utf8')) as StoredSession & { __lastAccess: number }
    return {
      make: (session) =>
        new (make(session))({ path, ttl: 600, retries: 0, reapInterval: -1, logFn: () => undefined }),
      secondsLeft: async (id) => ((await read(id)).__lastAccess + 600_000 - Date.now()) / 1_000,
      setSecondsLeft: async (id, seconds) => {
        const session = await read(id)
        const __lastAccess = Date.now() - 600_000 + seconds * 1_000
        await writeFile(file(id), JSON.stringify({ ...session, __lastAccess }))
      },
      spoil: (id) => writeFile(file(id), '{"cookie":'),
      close: () => rm(path, { recursive: true, force: true }),
    }
  },
  async memorystore() {
    const make = require('memorystore') as (session: SessionModule) => new (options: object) => StoreObject
    return inMemory(new (make(incumbent))({ ttl: 600_000 }))
  },
  async 'session.MemoryStore'() {
    return inMemory(new ours.MemoryStore())
  },
  async 'MemoryStore of coatcheck'() {
    return ofCoatcheck(new MemoryStore())
  },
  async 'SQLiteStore of coatcheck'() {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-sqlite-'))
    const kind = ofCoatcheck(new SQLiteStore(join(folder, 'sessions.db')))
    return { ...kind, close: () => kind.close().then(() => rm(folder, { recursive: true, force: true })) }
  },
  async 'MySQLStore of coatcheck'() {
    const pool = createPool(await freshDatabase())
    const store = new MySQLStore(pool)
    const close = () => pool.end().catch(() => undefined)
    return { ...ofCoatcheck(store), cut: () => pool.end(), close }
  },
}

/** A store of coatcheck's: under express-session by `ExpressStore`. */
function ofCoatcheck(store: SessionStore): Kind {
  const recordOf = async (id: string) => (await store.find([idOf(id)]))[0]!
  const update = async (token: string, idle: number, data?: Buffer) => {
    const { id, version, userId, data: before } = await recordOf(token)
    const content = { userId, data: data ?? before, format: 1, mark: randomBytes(8) }
    await store.write([{ type: 'update', id, version, ...content, lifetime: { idle, absolute: undefined } }])
  }
  const options = { sweep: false } as const
  return {
    make: (session) =>
      (session === incumbent ? new ExpressStore(store, options) : store) as unknown as StoreObject,
    touchesAtOnce: false,
    secondsLeft: async (id) => {
      const { expiresAt, readAt } = await recordOf(id)
      return (expiresAt - readAt) / 1_000
    },
    setSecondsLeft: (id, seconds) => update(id, seconds * 1_000),
    spoil: (id) => update(id, 600_000, Buffer.from('{"cookie":')),
    close: () => store.close(),
  }
}

function inMemory(store: StoreObject): Kind {
  const get = (id: string) =>
    new Promise<StoredSession>((resolve, reject) => {
      store.get(id, (error, session) => (error ? reject(error as Error) : resolve(session!)))
    })
  return {
    make: () => store,
    secondsLeft: async (id) =>
      (new Date((await get(id)).cookie.expires as string).getTime() - Date.now()) / 1_000,
    setSecondsLeft: async (id, seconds) => {
      const session = await get(id)
      if (seconds <= 0) return new Promise((resolve) => store.destroy(id, resolve))
      session.cookie.expires = new Date(Date.now() + seconds * 1_000)
      return new Promise((resolve) => store.set(id, session, resolve))
    },
    close: async () => undefined,
  }
}

let redis: DatabaseServer | undefined
let postgres: DatabaseServer | undefined
beforeAll(async () => {
  ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
})
afterAll(() => Promise.all([redis?.stop(), postgres?.stop()]))

describe.each(Object.keys(kinds))('%s', (name) => {
  let kind: Kind
  let moved: App

  beforeEach(async () => {
    kind = await kinds[name]!()
    onTestFinished(() => void kind.close())
    moved = await serve(ours, kind)
  })

  test('keeps a session, its changes, and both changes of two requests at once', async () => {
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    await Promise.all([browser.post(moved, 'set/one/yes'), browser.post(moved, 'set/two/yes')])
    expect(await browser.look(moved)).toEqual({ name: 'Ada', one: 'yes', two: 'yes' })
  })

  test('moves the expiry with each request that only reads', async ({ skip }) => {
    if (kind.touchesAtOnce === false) return skip('it is moved only when a tenth of it has passed')
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    await kind.setSecondsLeft(browser.id, 100)
    expect(await browser.look(moved)).toEqual({ name: 'Ada' })
    expect(Math.round((await kind.secondsLeft(browser.id)) / 100)).toBe(6)
  })

  test('does not find what has expired', async () => {
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    await kind.setSecondsLeft(browser.id, -10)
    expect(await browser.look(moved)).toEqual({})
  })

  test('regenerates: a new id, and the old one leads nowhere', async () => {
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    const before = browser.clone()
    await browser.post(moved, 'regenerate')
    expect(browser.id).not.toBe(before.id)
    expect(await browser.look(moved)).toEqual({ regenerated: true })
    expect(await before.look(moved)).toEqual({})
  })

  test('keeps an ended session ended, also when a request was under way', async () => {
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    const slow = browser.clone()
    const answered = slow.post(moved, 'slow')
    await moved.slowArrived()
    await browser.clone().post(moved, 'destroy')
    moved.finishSlow()
    await answered
    expect(await browser.look(moved)).toEqual({})
  })

  test('keeps who signed in, through reads that move the expiry', async () => {
    const browser = new Browser()
    await browser.post(moved, 'sign-in')
    for (let read = 0; read < 3; read++) {
      expect(await (await browser.send(moved, 'GET', 'user')).json()).toBe('ada')
    }
  })

  test('takes what it cannot read for a visitor who is signed out', async ({ skip }) => {
    if (!kind.spoil) return skip('it holds no text that could be damaged')
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    await kind.spoil(browser.id)
    const response = await browser.send(moved, 'GET', 'look')
    expect([response.status, await response.json()]).toEqual([200, {}])
  })

  test('whose server is away is a 503', async ({ skip }) => {
    if (!kind.cut) return skip('it has no server')
    const browser = new Browser()
    await browser.post(moved, 'set/name/Ada')
    await kind.cut()
    expect((await browser.send(moved, 'GET', 'look')).status).toBe(503)
  })

  describe('shared with an app on express-session', () => {
    let old: App
    beforeEach(async () => {
      old = await serve(incumbent, kind)
    })

    test.each(['the old app', 'the moved app'])(
      'what begins in %s is known, changed and ended in either',
      async (where) => {
        const [first, second] = where === 'the old app' ? [old, moved] : [moved, old]
        const browser = new Browser()
        await browser.post(first!, 'set/name/Ada')
        const { id } = browser
        expect(await browser.look(second!)).toEqual({ name: 'Ada' })
        await browser.post(second!, 'set/theme/dark')
        expect(await browser.look(first!)).toEqual({ name: 'Ada', theme: 'dark' })
        await browser.post(first!, 'set/theme/light')
        expect(await browser.look(second!)).toEqual({ name: 'Ada', theme: 'light' })
        expect(browser.id).toBe(id)
        await browser.clone().post(second!, 'destroy')
        for (const app of [first!, second!]) expect(await browser.clone().look(app)).toEqual({})
      },
    )
  })
})

interface App {
  readonly url: string
  slowArrived(): Promise<void>
  finishSlow(): void
}

async function serve(session: SessionModule, kind: Kind): Promise<App> {
  let [arrive, finish]: (() => void)[] = []
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const data = ({ session }: SideRequest) => ({ ...session, cookie: undefined })
  const handlers: Record<string, Handler> = {
    set: (request, response) => {
      const [key, value] = request.url!.split('/').slice(-2) as [string, string]
      request.session[key] = value
      response.end()
    },
    look: (request, response) => response.end(JSON.stringify(data(request))),
    slow: async (request, response) => {
      request.session['draft'] = 'half a letter'
      arrive!()
      await finished
      response.end()
    },
    destroy: (request, response, next) =>
      request.session.destroy((error) => (error ? next(error) : response.end())),
    regenerate: (request, response, next) =>
      request.session.regenerate((error) => {
        if (error) return next(error)
        request.session['regenerated'] = true
        return response.end()
      }),
    'sign-in': async (request, response) => {
      await (request.session as unknown as { signIn(user: string): Promise<void> }).signIn('ada')
      response.end()
    },
    user: (request, response) => response.end(JSON.stringify(request.session['boundUserId'] ?? null)),
  }
  const app = express()
  app.use(
    session({
      store: kind.make(session),
      secret: 'the secret of both apps',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 600_000 },
    }) as unknown as RequestHandler,
  )
  app.use((request, response, next) =>
    handlers[request.path.split('/')[1]!]!(request as unknown as SideRequest, response, next),
  )
  app.use(((error: { status?: number }, _request, response, _next) => {
    response.sendStatus(error.status ?? 500)
  }) as express.ErrorRequestHandler)
  const server = createServer(app).listen(0, '127.0.0.1')
  // fetch would use a connection that is kept alive for the next server that gets this port.
  server.maxRequestsPerSocket = 1
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    slowArrived: () => arrived,
    finishSlow: () => finish!(),
  }
}

class Browser {
  #cookie = ''

  /** The session's id, as stores know it. */
  get id(): string {
    return /s:(.*)\./.exec(decodeURIComponent(this.#cookie))![1]!
  }

  clone(): Browser {
    const browser = new Browser()
    browser.#cookie = this.#cookie
    return browser
  }

  async send(app: App, method: string, path: string): Promise<Response> {
    const response = await fetch(`${app.url}/${path}`, { method, headers: { cookie: this.#cookie } })
    for (const cookie of response.headers.getSetCookie()) this.#cookie = cookie.split(';', 1)[0]!
    return response
  }

  async post(app: App, path: string): Promise<void> {
    const response = await this.send(app, 'POST', path)
    if (response.status !== 200) throw new Error(`${path} was answered ${response.status}`)
  }

  async look(app: App): Promise<Record<string, unknown>> {
    const { __lastAccess: _, ...data } = (await (await this.send(app, 'GET', 'look')).json()) as Record<
      string,
      unknown
    >
    return data
  }
}
