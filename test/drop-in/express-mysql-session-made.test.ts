import { createRequire } from 'node:module'
import { inherits } from 'node:util'
import { createPool as createCallbackPool } from 'mysql2'
import { createPool, type Pool } from 'mysql2/promise'
import { expect, onTestFinished } from 'vitest'
import {
  called,
  cookie,
  inAnHour,
  type Method,
  onBothSides,
  outcome,
  type Script,
  type StoreObject,
  told,
} from './store-calls.ts'

const require = createRequire(import.meta.url)

onBothSides('a store of express-mysql-session, from its making to its closing', (sameOf) => {
  type Read = Record<string, unknown>
  const withoutTimer = { clearExpired: false }
  /** What an app sees of a store. */
  const face = (store: StoreObject) => [store.state, store.options, typeof store.connection]
  /** Of each pool, whether it still answers. */
  const answers = (pool: { query(sql: string): Promise<unknown> }) =>
    pool.query('SELECT 1').then(
      () => 'open',
      () => 'ended',
    )

  sameOf('how a store is made', {
    'by util.inherits and call': async (_store, side) => {
      function Own(this: StoreObject, options: object): void {
        side.MySQLStore.call(this, options)
      }
      inherits(Own, side.MySQLStore as never)
      ;(Own.prototype as { own: () => string }).own = () => 'a method of its own'
      const made = new (Own as unknown as new (options: object) => StoreObject & { own(): string })({
        ...side.where,
        ...withoutTimer,
      })
      const before = made.state
      await made.onReady()
      await made.set('id', { n: 1 })
      const seen = [before, made.state, made.own(), await made.get('id'), made instanceof side.session.Store]
      await made.close()
      return seen
    },
    'by a class that extends it': async (_store, side) => {
      const asked: string[] = []
      class Own extends side.MySQLStore {
        readonly get: Method = (...given) => {
          asked.push('get')
          return side.MySQLStore.prototype.get.call(this, ...given)
        }
        readonly setOptions: Method = undefined as never
      }
      delete (Own.prototype as Partial<StoreObject>).setOptions
      const own = new Own({ ...side.where, ...withoutTimer })
      await own.onReady()
      await own.set('id', { n: 1 })
      const seen = [await own.get('id'), own instanceof side.MySQLStore, own instanceof side.session.Store]
      await own.close()
      return [...seen, asked]
    },
    'with methods of its own in place of those that the constructor calls': async (_store, side) => {
      const asked: string[] = []
      class Own extends (side.MySQLStore as unknown as new (...given: unknown[]) => StoreObject) {}
      for (const name of [
        'setOptions',
        'createPool',
        'createDatabaseTable',
        'setExpirationInterval',
        'query',
      ] as const) {
        const before = side.MySQLStore.prototype[name]
        Object.assign(Own.prototype, {
          [name](this: StoreObject, ...given: unknown[]) {
            asked.push(name)
            return before.call(this, ...given)
          },
        })
      }
      const own = new Own({ ...side.where, checkExpirationInterval: 1_000_000 })
      await own.onReady()
      await own.close()
      return [...new Set(asked)]
    },
    'with a pool, and null or nothing as its options': async (_store, side) => {
      const pool = createPool(side.url)
      const seen = []
      for (const options of [null, undefined, {}]) {
        const store = side.make(options, pool)
        await store.onReady()
        await store.set('id', { n: 1 })
        seen.push(await store.get('id'), face(store))
        await store.close()
      }
      await pool.end()
      return seen
    },
    ...Object.fromEntries(
      [
        // As apps wrap a pool to measure it, or to count.
        (pool: Pool) => ({ getConnection: () => pool.getConnection() }),
        (pool: Pool) => ({ getConnection: async () => await pool.getConnection() }),
        (pool: Pool) => ({
          getConnection: async (done: (error: null, connection: unknown) => void) => {
            const connection = await pool.getConnection()
            done(null, connection)
            return connection
          },
        }),
      ].map((wrapped, index) => [
        `with a wrapper around a pool of promises, number ${index + 1}`,
        async (_store: StoreObject, side: Parameters<Script>[1]) => {
          const pool = createPool({ uri: side.url, connectionLimit: 1 })
          const store = side.make(withoutTimer, {
            query: (sql: string, values: unknown[]) => pool.query(sql, values),
            execute: (sql: string, values: never[]) => pool.execute(sql, values),
            end: () => pool.end(),
            ...wrapped(pool),
          } as never)
          await store.onReady()
          await store.set('id', { n: 1 })
          await store.set('id', { n: 2 })
          const seen = [await store.get('id'), await store.length(), await answers(pool)]
          await store.close()
          await pool.end()
          return seen
        },
      ]),
    ),
    'and what it is printed as': async (store) => [
      store.constructor.name,
      typeof (store as unknown as { on: unknown }).on,
    ],
    'and the names of its methods': async (_store, side) => {
      const internal = ['resolveReadyPromises', 'rejectReadyPromises', 'createSession']
      return Object.keys(side.MySQLStore.prototype)
        .filter((name) => !internal.includes(name))
        .sort()
    },
  })

  const optionSets: Record<string, object> = {
    none: {},
    'expiration and schema': { expiration: 5_000, schema: { tableName: 'visits' } },
    'one column': { schema: { columnNames: { data: 'what' } } },
    'no columns': { schema: { columnNames: {} } },
    'no schema': { schema: undefined },
    'what is not known': { colour: 'blue', reconnect: true },
    'all own options': {
      clearExpired: false,
      checkExpirationInterval: 5,
      expiration: 6,
      createDatabaseTable: false,
      endConnectionOnClose: false,
      disableTouch: true,
      charset: 'utf8',
      schema: { tableName: 'a' },
    },
    'more in the schema': { schema: { tableName: 'a', comment: 'of ours' } },
    'undefined values': { expiration: undefined, clearExpired: undefined },
    'an unknown column': { schema: { columnNames: { sid: 'id' } } },
  }
  sameOf(
    '`setOptions` and `options`',
    Object.fromEntries(
      Object.entries(optionSets).flatMap(([name, options]): [string, Script][] => [
        [
          `with a pool that it makes: ${name}`,
          async (_store, side) => {
            const store = side.make(withoutTimer)
            await store.onReady()
            try {
              void store.setOptions(options)
              return store.options
            } catch (error) {
              return (error as Error).message.slice(0, 60)
            }
          },
        ],
      ]),
    ),
  )

  const kinds = {
    'a pool with promises': (url: string) => createPool(url),
    'a pool with callbacks': (url: string) => createCallbackPool(url).promise(),
  }
  const tables: Record<string, string> = {
    'a short text': 'session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data tinytext)',
    'a long text': 'session_id varchar(128) PRIMARY KEY, expires bigint NOT NULL, data longtext NOT NULL)',
    JSON: 'session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data json)',
    'more columns':
      "id int AUTO_INCREMENT PRIMARY KEY, user_id int NULL, session_id varchar(64) UNIQUE, expires int, data text, made timestamp DEFAULT CURRENT_TIMESTAMP, note varchar(9) DEFAULT 'x')",
    'another character set':
      'session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data text) CHARACTER SET latin1',
    'ids that differ in case':
      'session_id varchar(128) COLLATE utf8mb4_general_ci PRIMARY KEY, expires int, data text)',
  }
  const uses: Script = async (store) => {
    const seen = [await called((done) => store.set('id', { cookie, n: 1 }, done))]
    seen.push(await called((done) => store.get('id', done)), await called((done) => store.all(done)))
    seen.push(await called((done) => store.set('id', [1, 'é'], done)))
    seen.push(await called((done) => store.touch('id', { cookie: { expires: new Date(inAnHour) } }, done)))
    seen.push(await called((done) => store.get('id', done)), await called((done) => store.length(done)))
    return [
      ...seen,
      await called((done) => store.destroy('id', done)),
      await called((done) => store.clear(done)),
    ]
  }
  sameOf(
    'a table that the app has made',
    Object.fromEntries(
      Object.entries(tables).map(([name, columns]): [string, Script] => [
        name,
        async (_store, side) => {
          await side.sql('DROP TABLE IF EXISTS own')
          await side.sql(`CREATE TABLE own (${columns}`)
          const schema = { tableName: 'own' }
          const store = side.make({ ...withoutTimer, createDatabaseTable: false, schema })
          await store.onReady()
          return uses(store, side)
        },
      ]),
    ),
  )

  sameOf(
    'a table whose data are bytes',
    {
      'gives sessions': async (_store, side) => {
        await side.sql('DROP TABLE IF EXISTS own')
        await side.sql('CREATE TABLE own (session_id varchar(128) PRIMARY KEY, expires int, data mediumblob)')
        const schema = { tableName: 'own' }
        const store = side.make({ ...withoutTimer, createDatabaseTable: false, schema })
        await store.onReady()
        await store.set('id', { n: 1 })
        return store.get('id')
      },
    },
    { 'gives sessions': { theirs: { came: expect.any(Buffer) as Buffer }, ours: { came: { n: 1 } } } },
  )

  sameOf(
    '`close`',
    Object.fromEntries(
      [undefined, true, false].flatMap((endConnectionOnClose) =>
        Object.entries(kinds).map(([kind, open]): [string, Script] => [
          `endConnectionOnClose ${endConnectionOnClose} with ${kind}`,
          async (_store, side) => {
            const pool = open(side.url)
            const options = endConnectionOnClose === undefined ? {} : { endConnectionOnClose }
            const store = side.make({ ...withoutTimer, ...options }, pool)
            await store.onReady()
            const closed = await called((done) => store.close(done))
            const seen = [
              closed,
              store.state,
              await answers(pool),
              (await outcome(() => store.set('id', { n: 1 }))) !== null,
            ]
            const again = await outcome(() => store.close())
            const read = await outcome(() => store.get('id'))
            if ((await answers(pool)) === 'open') await pool.end()
            return [...seen, again, store.state, read === null || typeof read === 'string' ? 'nothing' : read]
          },
        ]),
      ),
    ),
  )

  sameOf(
    '`close` where it did nothing there, or failed',
    {
      'of a store that is starting': async (_store, side) => {
        const pool = createPool(side.url)
        const store = side.make({ ...withoutTimer, endConnectionOnClose: true }, pool)
        await store.close()
        const seen = await answers(pool)
        await outcome(() => store.onReady())
        if (seen === 'open') await pool.end()
        return seen
      },
      'with a pool with callbacks': async (_store, side) => {
        const pool = createCallbackPool(side.url)
        const store = side.make({ ...withoutTimer, endConnectionOnClose: true }, pool)
        await store.onReady()
        return outcome(() => store.close())
      },
    },
    {
      'of a store that is starting': { theirs: { came: 'open' }, ours: { came: 'ended' } },
      'with a pool with callbacks': { theirs: { came: 'fails: TypeError' }, ours: { came: undefined } },
    },
  )

  sameOf(
    'the sessions of requests',
    {
      'are saved with nothing but an error to hear of': async (store) => {
        const session = store.createSession(
          { sessionID: 'id', sessionStore: store },
          { cookie: { ...cookie }, n: 1 },
        )
        return called((done) => store.set('id', session, done))
      },
      'are removed once their cookies have ended': async (store) => {
        await store.set('id', { cookie, n: 1 })
        const data = (await store.get('id')) as { cookie: Read }
        const session = store.createSession({ sessionID: 'id', sessionStore: store }, data) as {
          cookie: Read
        }
        session.cookie['maxAge'] = -60_000
        await store.set('id', session)
        return [await store.get('id'), await store.length()]
      },
    },
    {
      'are saved with nothing but an error to hear of': {
        theirs: { came: [[null, [{ affectedRows: 1 }, undefined]], 'what the callback gave'] },
        ours: { came: [[null, undefined], 'what the callback gave'] },
      },
      'are removed once their cookies have ended': {
        theirs: { came: [null, 0], rows: [['id', expect.anything(), expect.anything()]] },
        ours: { came: [null, 0], rows: [] },
      },
    },
  )

  sameOf(
    'the clearing of expired sessions, as a promise',
    { 'tells nothing': async (store) => told(await store.clearExpiredSessions()) },
    {
      'tells nothing': { theirs: { came: [{ affectedRows: 0 }, undefined] }, ours: { came: undefined } },
    },
  )

  /** The package mysql, whose pools and connections tutorials hand in. On MySQL 9 it cannot sign in: then both sides say so. */
  const mysql = require('mysql') as Record<
    'createPool' | 'createConnection',
    (where: object) => OldConnection
  > & {
    createPoolCluster(): { add(where: object): void; of(pattern: string): OldConnection; end(): void }
  }
  interface OldConnection {
    end?(done: () => void): void
  }
  const oldKinds: Record<string, (where: object) => OldConnection> = {
    'a pool': (where) => mysql.createPool(where),
    'a connection': (where) => mysql.createConnection(where),
    'a part of a cluster': (where) => {
      const cluster = mysql.createPoolCluster()
      cluster.add(where)
      onTestFinished(() => cluster.end())
      return cluster.of('*')
    },
    'a pool that gives numbers as texts': (where) =>
      mysql.createPool({ ...where, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true }),
    'a pool with a typeCast of its own': (where) =>
      mysql.createPool({ ...where, typeCast: (_field: unknown, next: () => unknown) => next() }),
    'a pool with another character set': (where) => mysql.createPool({ ...where, charset: 'utf8mb4' }),
  }
  const battery: Record<string, Script> = {
    'set, get, all, length': async (store) => {
      await store.set('id', { cookie, n: 1, text: 'Zoë' })
      await store.set('other', [1])
      return [await store.get('id'), await store.all(), Number(await store.length())]
    },
    'set again, touch, destroy, clear': async (store) => {
      await store.set('id', { n: 1 })
      await store.set('id', { n: 2 })
      await store.touch('id', { cookie: { expires: new Date(inAnHour) } })
      const seen = [await store.get('id')]
      await store.destroy('id')
      seen.push(await store.get('id'))
      await store.set('id', { n: 3 })
      await store.clear()
      return [...seen, await store.get('id')]
    },
    'what they call back with': async (store) => [
      await called((done) => store.set('id', { n: 1 }, done)),
      await called((done) => store.get('id', done)),
      await called((done) => store.touch('id', { n: 1 }, done)),
      await called((done) => store.destroy('id', done)),
      await called((done) => store.get('id', done)),
      await called((done) => store.clear(done)),
    ],
    'the clearing of expired sessions': async (store) => {
      await store.set('id', { cookie: { expires: 5_000 } })
      await store.set('other', { n: 1 })
      await store.clearExpiredSessions()
      return store.all()
    },
    'the sessions of requests': async (store) => {
      const request = { sessionID: 'id', sessionStore: store }
      await store.set('id', { cookie, n: 1 })
      const session = store.createSession(request, await store.get('id'))
      Object.assign(session, { n: 2 })
      await store.set('id', session)
      await store.touch('id', session)
      const fresh = store.createSession({ ...request, sessionID: 'fresh' }, { cookie: { ...cookie }, n: 3 })
      await store.set('fresh', fresh)
      return [((await store.get('id')) as { n: number }).n, ((await store.get('fresh')) as { n: number }).n]
    },
    'a table that is made': async (_store, side) => [(await side.sql('SHOW TABLES')).length],
    'an error of the server': async (store) => outcome(() => store.query('SELECT * FROM none')),
  }
  for (const [kind, open] of Object.entries(oldKinds)) {
    sameOf(
      `with ${kind} of the package mysql`,
      Object.fromEntries(
        Object.entries(battery).map(([name, script]): [string, Script] => [
          name,
          async (_store, side) => {
            const connection = open(side.where)
            const store = side.make(withoutTimer, connection)
            try {
              await store.onReady()
              return await script(store, side)
            } finally {
              connection.end?.(() => undefined)
            }
          },
        ]),
      ),
    )
  }

  sameOf('the clearing of expired sessions', {
    'by a method in its place that returns nothing': async (_store, side) => {
      const store = side.make(withoutTimer)
      await store.onReady()
      let clearings = 0
      const thrice = new Promise<void>((resolve) => {
        store.clearExpiredSessions = (() => void (++clearings === 3 && resolve())) as never
      })
      void store.setExpirationInterval(1)
      await thrice
      void store.clearExpirationInterval()
      return [(store as unknown as { _expirationInterval: unknown })._expirationInterval]
    },
  })
})
