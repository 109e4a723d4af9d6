import crypto from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, get, type Server } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import type { AddressInfo } from 'node:net'
import { type Codec, createSessions, type Sessions } from 'coatcheck'
import session from 'coatcheck/express'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CountedDatabase, countedMySQL, countedPostgreSQL, type Work } from './counted-databases.ts'
import { onEachServer } from './servers/databases.ts'

// What a request costs in the app and in the database, held by counts that do not depend on the clock. Client and app
// share one event loop: how many requests meet in a batch is not a matter of which of two processes is faster.

const connections = 64
const sessionCount = 300

/** JSON, counted. */
const codec = {
  encode: vi.fn<Codec['encode']>((data) => Buffer.from(JSON.stringify(data))),
  decode: vi.fn<Codec['decode']>((bytes) => JSON.parse(Buffer.from(bytes).toString())),
}

onEachServer('the work per request', (database) => {
  countWork(() => countedMySQL(database))
})
describe('the work per request on PostgreSQL', () => {
  countWork(countedPostgreSQL)
})

function countWork(start: () => Promise<CountedDatabase>): void {
  /** Its own: the statements counted here are to be this app's alone. */
  let database: CountedDatabase
  let sessions: Sessions
  let app: Server
  let agent: Agent
  /** One `name=value` for each of the sessions. */
  let cookies: string[]

  beforeAll(async () => {
    database = await start()
    sessions = createSessions({
      store: database.store,
      secret: 'only for these tests',
      codec,
      sweep: false,
    })
    const middleware = session(sessions)
    app = createServer((request, response) => {
      middleware(request as never, response, (error) => {
        response.statusCode = error ? 500 : 200
        const text = error ? '' : handle(request as never)
        response.end(text)
      })
    })
    app.listen(0, '127.0.0.1')
    await once(app, 'listening')
    agent = new Agent({ keepAlive: true, maxSockets: connections })
    cookies = await Promise.all(Array.from({ length: sessionCount }, () => request('/change')))
    // Every statement of these is prepared now, on every connection that is used.
    for (const path of ['/read', '/change'])
      await requests(1_000, path, (index) => cookies[index % connections]!)
  })

  afterAll(async () => {
    agent?.destroy()
    app?.close()
    await sessions?.close()
    await database?.close()
  })

  afterEach(() => {
    vi.clearAllMocks()
  })

  /** What the app does, by the path. */
  function handle(request: {
    readonly url: string
    readonly session: { visits?: number; destroy(): Promise<void> }
  }): string {
    if (request.url === '/unopened') return ''
    const { session } = request
    if (request.url === '/end') void session.destroy()
    if (request.url === '/change') session.visits = (session.visits ?? 0) + 1
    return String(session.visits)
  }

  /** Sends a request; gives the cookie that the response sets, if any. */
  function request(path: string, cookie = ''): Promise<string> {
    const { port } = app.address() as AddressInfo
    return new Promise((resolve, reject) => {
      get({ agent, host: '127.0.0.1', port, path, headers: cookie === '' ? {} : { cookie } }, (response) => {
        const [set = ''] = response.headers['set-cookie'] ?? []
        response.resume().once('end', () => {
          if (response.statusCode === 200) resolve(set.split(';', 1)[0]!)
          else reject(new Error(`answered ${response.statusCode}`))
        })
      }).once('error', reject)
    })
  }

  /** Sends so many requests, as many at once as there are connections. */
  async function requests(count: number, path: string, cookieOf: (index: number) => string): Promise<void> {
    const numbers = Array.from({ length: count }, (_, index) => index).values()
    await Promise.all(
      Array.from({ length: connections }, async () => {
        for (const index of numbers) await request(path, cookieOf(index))
      }),
    )
  }

  /** What the server did while `work` ran. */
  async function counted(work: () => Promise<unknown>): Promise<Work> {
    const before = await database.work()
    await work()
    const after = await database.work()
    const grown = (name: keyof Work): number => after[name] - before[name]
    return {
      statements: grown('statements'),
      inserts: grown('inserts'),
      updates: grown('updates'),
      deletes: grown('deletes'),
      prepared: grown('prepared'),
    }
  }

  const someSession = (index: number) => cookies[index % sessionCount]!
  const nothingWritten = { inserts: 0, updates: 0, deletes: 0 }

  describe('in the database', () => {
    test('1,000 requests at 64 connections that read a session cost 150 statements at most, and write nothing', async () => {
      const work = await counted(() => requests(1_000, '/read', someSession))
      expect(work.statements).toBeGreaterThan(0)
      expect(work.statements).toBeLessThanOrEqual(150)
      expect(work).toMatchObject(nothingWritten)
    })

    test('a request that is alone costs one statement, and one more if it changes something', async () => {
      const alone = (path: string) => async () => {
        for (let index = 0; index < 50; index++) await request(path, someSession(index))
      }
      expect(await counted(alone('/read'))).toMatchObject({ statements: 50, ...nothingWritten })
      expect(await counted(alone('/unopened'))).toMatchObject({ statements: 50, ...nothingWritten })
      expect(await counted(alone('/change'))).toMatchObject({
        statements: 100,
        ...nothingWritten,
        updates: 50,
      })
    })

    test('one with a token that leads nowhere costs as much, and no second look', async () => {
      const ended = await request('/change')
      await request('/end', ended)
      const work = await counted(async () => {
        for (let index = 0; index < 50; index++) await request('/read', ended)
      })
      expect(work).toMatchObject({ statements: 50, ...nothingWritten })
    })

    test('1,000 requests at 64 connections that each change a session share statements too', async () => {
      // A session for each connection: none is changed by two at once.
      const work = await counted(() => requests(1_000, '/change', (index) => cookies[index % connections]!))
      expect(work).toMatchObject({ inserts: 0, deletes: 0 })
      expect(work.updates).toBeGreaterThan(0)
      expect(work.updates).toBeLessThanOrEqual(150)
      expect(work.statements).toBeLessThanOrEqual(300)
    })

    test('requests without a cookie cost no statement', async () => {
      expect(await counted(() => requests(200, '/read', () => ''))).toMatchObject({ statements: 0 })
    })

    test('a session in use has its expiry moved once in touchAfter, and many share the statement', async () => {
      const threeHours = 3 * 3_600_000
      await database.age(threeHours)
      const work = await counted(() => requests(sessionCount, '/read', someSession))
      expect(work).toMatchObject({ inserts: 0, deletes: 0 })
      expect(work.updates).toBeGreaterThan(0)
      expect(work.updates).toBeLessThanOrEqual(sessionCount / 3)
      expect(await counted(() => requests(1_000, '/read', someSession))).toMatchObject(nothingWritten)
    })

    test('no more statements are prepared than a handful of sizes of each kind, on each connection', async () => {
      const { now, most, mostMore } = await database.prepared()
      expect(now).toBeGreaterThan(0)
      expect(now).toBeLessThanOrEqual(most)
      const { prepared: grown } = await counted(() => requests(1_000, '/read', someSession))
      expect(grown).toBeLessThanOrEqual(mostMore)
    })
  })

  describe('in the app', () => {
    test('a session that the handler does not open is neither parsed nor written out', async () => {
      await request('/unopened', cookies[0])
      expect(codec.decode).not.toHaveBeenCalled()
      expect(codec.encode).not.toHaveBeenCalled()
    })

    test('one that it reads is parsed once, and written out once to see whether it changed', async () => {
      await request('/read', cookies[0])
      expect(codec.decode).toHaveBeenCalledOnce()
      expect(codec.encode).toHaveBeenCalledOnce()
    })

    test('one that it changes is parsed once and written out once', async () => {
      await request('/change', cookies[0])
      expect(codec.decode).toHaveBeenCalledOnce()
      expect(codec.encode).toHaveBeenCalledOnce()
    })

    test('a request hashes nothing that was hashed a moment ago; without a cookie nothing at all', async () => {
      const fresh = await request('/change')
      const hash = vi.spyOn(crypto, 'hash')
      const createHmac = vi.spyOn(crypto, 'createHmac')
      syncBuiltinESMExports()
      try {
        await request('/unopened', fresh)
        // Two for the signature, one for the token.
        expect(hash).toHaveBeenCalledTimes(3)
        hash.mockClear()
        for (const path of ['/unopened', '/read', '/change']) await request(path, fresh)
        await request('/read')
        expect(hash).not.toHaveBeenCalled()
        expect(createHmac).not.toHaveBeenCalled()
      } finally {
        vi.restoreAllMocks()
        syncBuiltinESMExports()
      }
    })
  })
}
