import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { createConnection as createCallbackConnection, createPool as createCallbackPool } from 'mysql2'
import { createConnection, createPool, type Pool, type PoolOptions, type RowDataPacket } from 'mysql2/promise'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { SessionModule, StoredSession } from './express-session-types.ts'

const require = createRequire(import.meta.url)
/** What users are told of the differences. */
const migrating = readFileSync(join(import.meta.dirname, '../../docs/migrating.md'), 'utf8').toLowerCase()

/** The store as its documentation has it; both packages are seen through this. */
interface StoreObject {
  readonly defaultOptions: Record<string, unknown>
  options: Record<string, unknown>
  connection: {
    readonly pool: { readonly config: Record<string, unknown> }
    query(sql: string): Promise<unknown>
  }
  state: string
  onReady(): Promise<void>
  get(id: string, done?: Done<StoredSession | null>): Promise<StoredSession | null | undefined>
  set(id: string, session: object, done?: Done): Promise<unknown>
  touch(id: string, session: object, done?: Done): Promise<unknown>
  destroy(id: string, done?: Done): Promise<unknown>
  length(done?: Done<number>): Promise<number>
  all(done?: Done<Record<string, StoredSession>>): Promise<Record<string, StoredSession>>
  clear(done?: Done): Promise<unknown>
  close(done?: Done): Promise<void>
  clearExpiredSessions(): Promise<unknown>
  createDatabaseTable(): Promise<unknown>
  query(sql: string, parameters?: unknown[]): Promise<[rows: RowDataPacket[], fields: unknown]>
  setExpirationInterval(interval?: number): void
  clearExpirationInterval(): void
  createSession(request: object, data: object): object
  createPool(options: object): Pool
  prepareOptionsForMySQL2(options: object): Record<string, unknown>
  setOptions(options: object): void
  validateOptions(options: object): void
}
type Done<Value = unknown> = (error?: unknown, value?: Value) => void
interface StoreClass {
  new (options?: object, connection?: unknown): StoreObject
  readonly prototype: StoreObject
  promiseAllSeries(factories: (() => Promise<unknown>)[]): Promise<unknown>
}

/** Why ours does otherwise. Each is explained in docs/migrating.md. */
type Reason =
  | 'all options go to the driver'
  | 'failed clean-ups are survived'
  | 'onReady always settles'
  | 'custom columns everywhere'
  | 'a corrupt row is signed out'
  | 'concurrent updates are merged'
  | 'ended sessions never come back'
  | 'a touch never shortens'
  | "the database's clock"
  | "a timer's longest wait"
  | 'half of `max_allowed_packet`'

const sides = {
  'express-mysql-session': ['express-mysql-session', 'express-session'],
  'coatcheck/express-mysql-session': ['coatcheck/express-mysql-session', 'coatcheck/express'],
} as const

/** One of the two packages, on a database of its own. */
class Side {
  readonly name: keyof typeof sides
  readonly MySQLStore: StoreClass
  readonly url: string

  constructor(name: keyof typeof sides, url: string) {
    const [storeModule, sessionModule] = sides[name]
    this.name = name
    this.url = url
    this.MySQLStore = (require(storeModule) as (session: SessionModule) => StoreClass)(
      require(sessionModule) as SessionModule,
    )
  }

  get isOurs(): boolean {
    return this.name === 'coatcheck/express-mysql-session'
  }

  /** Where the database is, as the options of a store. */
  get where(): PoolOptions {
    const { hostname, port, username, password, pathname } = new URL(this.url)
    return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
  }

  /** A store that is ready, and closed after the test. */
  async open(options: object = {}, connection?: unknown): Promise<StoreObject> {
    const store = this.make(options, connection)
    await store.onReady()
    return store
  }

  make(options: object = {}, connection?: unknown): StoreObject {
    const store = new this.MySQLStore(connection ? options : { ...this.where, ...options }, connection)
    onTestFinished(() => store.close().catch(() => undefined))
    return store
  }

  async query(sql: string, parameters: (string | number)[] = []): Promise<RowDataPacket[]> {
    const connection = await createConnection(this.url)
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql, parameters)
      return rows
    } finally {
      await connection.end()
    }
  }

  /** What is in the table, with the expiry in seconds from now, to the ten seconds. */
  rows(table = 'sessions'): Promise<unknown> {
    return this.query(
      `SELECT session_id, data, ROUND((expires - UNIX_TIMESTAMP()) / 10) * 10 AS seconds FROM ${table} ORDER BY 1`,
    ).then((rows) => rows.map((row) => ({ ...row, seconds: Number(row['seconds']) })))
  }
}

type Expected<Seen> =
  { readonly both: Seen } | { readonly theirs: Seen; readonly ours: Seen; readonly reason: Reason }

onEachServer('express-mysql-session', ({ name: database, server }) => {
  /** A statement about express-mysql-session, tested on it and on ours, each on a new database of the real server. */
  function sideBySide<Seen>(
    statement: string,
    body: (side: Side) => Promise<Seen> | Seen,
    expected: Expected<NoInfer<Seen>>,
  ): void {
    const differs = 'theirs' in expected
    if (differs && !migrating.includes(expected.reason.toLowerCase())) {
      throw new Error(`docs/migrating.md does not say: ${expected.reason}.`)
    }
    const { theirs, ours } = differs ? expected : { theirs: expected.both, ours: expected.both }
    test(`${statement}${differs ? ` [differs: ${expected.reason}]` : ''}`, async () => {
      const incumbent = new Side('express-mysql-session', await freshDatabase(server))
      expect(await body(incumbent), incumbent.name).toEqual(theirs)
      const coatcheck = new Side('coatcheck/express-mysql-session', await freshDatabase(server))
      expect(await body(coatcheck), coatcheck.name).toEqual(ours)
    })
  }

  function sessionFor(seconds: number | undefined, data: object = { user: 'ada' }): StoredSession {
    const cookie =
      seconds === undefined
        ? { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
        : {
            originalMaxAge: seconds * 1_000,
            expires: new Date(Date.now() + seconds * 1_000),
            httpOnly: true,
            path: '/',
          }
    return { cookie, ...data }
  }

  /** As a row has it. */
  function stored(session: StoredSession): string {
    return JSON.stringify(session)
  }

  describe('methods', () => {
    const plain = sessionFor(undefined)

    sideBySide(
      'a `touch` by one request, after another has given the session a longer life',
      async (side) => {
        const store = await side.open()
        await store.set('one', sessionFor(600))
        const [slow, other] = [await inHand(store, 'one'), await inHand(store, 'one')]
        other.cookie.maxAge = 7_200_000
        await store.set('one', other)
        await store.touch('one', slow)
        return ((await side.rows()) as { seconds: number }[])[0]!.seconds
      },
      { theirs: 600, ours: 7_200, reason: 'a touch never shortens' },
    )

    sideBySide(
      'a session whose expiry is this very second',
      async (side) => {
        const second = 2_000_000_000
        const connection = await createConnection(side.url)
        onTestFinished(() => connection.end())
        const store = await side.open({ clearExpired: false }, connection)
        await side.query('INSERT INTO sessions VALUES (?, ?, ?)', ['one', second, stored(plain)])
        // The clocks of the database and of this process stand still.
        await connection.query(`SET timestamp = ${second}`)
        vi.useFakeTimers({ toFake: ['Date'], now: second * 1_000 })
        onTestFinished(() => void vi.useRealTimers())
        const seen = [(await store.get('one')) !== null, await store.length()]
        vi.useRealTimers()
        return seen
      },
      { theirs: [true, 1], ours: [false, 1], reason: "the database's clock" },
    )

    sideBySide(
      '`onReady` is fulfilled once the table is there, and stays so',
      async (side) => {
        const store = side.make()
        const before = store.state
        await store.onReady()
        await store.onReady()
        return [before, store.state, await side.rows()]
      },
      { both: ['INITIALIZING', 'INITIALIZED', []] },
    )

    sideBySide(
      '`close` ends the pool that the store made, may be called twice, and calls back',
      async (side) => {
        const store = await side.open()
        await called((done) => store.close(done))
        const { state } = store
        await store.close()
        return [
          state,
          await store.connection.query('SELECT 1').then(
            () => 'open',
            () => 'ended',
          ),
        ]
      },
      { both: ['CLOSED', 'ended'] },
    )

    sideBySide(
      '`query` gives rows and fields, with promises and with callbacks in the driver',
      async (side) => {
        const pool = createCallbackPool(side.url)
        onTestFinished(() => pool.end())
        const [withPromises, withCallbacks] = [await side.open(), await side.open({}, pool)]
        const answers = []
        for (const store of [withPromises, withCallbacks]) {
          const [rows, fields] = await store.query('SELECT ? AS one', [1])
          answers.push(JSON.stringify(rows), Array.isArray(fields))
        }
        return answers
      },
      { both: ['[{"one":1}]', true, '[{"one":1}]', true] },
    )

    sideBySide(
      '`createPool` and `prepareOptionsForMySQL2` work from the prototype',
      async ({ MySQLStore, where, isOurs }) => {
        const prepared = MySQLStore.prototype.prepareOptionsForMySQL2({
          ...where,
          connectionLimit: 3,
          clearExpired: false,
          schema: {},
        })
        const pool = MySQLStore.prototype.createPool.call(MySQLStore.prototype, {
          ...where,
          connectionLimit: 3,
        })
        const [rows] = await pool.query('SELECT 1 AS one')
        await pool.end()
        return [
          isOurs || Object.keys(prepared).sort().join(),
          prepared['connectionLimit'],
          'schema' in prepared,
          rows,
        ]
      },
      {
        theirs: ['connectionLimit,database,host,password,port,user', 3, false, [{ one: 1 }]],
        ours: [true, 3, false, [{ one: 1 }]],
        reason: 'all options go to the driver',
      },
    )

    sideBySide(
      '`promiseAllSeries` runs one after the other',
      async ({ MySQLStore }) => {
        const order: string[] = []
        const step = (name: string) => async () => {
          order.push(`${name} begins`)
          await new Promise(setImmediate)
          order.push(`${name} ends`)
        }
        await MySQLStore.promiseAllSeries([step('one'), step('two')])
        return order
      },
      { both: ['one begins', 'one ends', 'two begins', 'two ends'] },
    )

    sideBySide(
      '`setOptions`, `validateOptions` and `defaultOptions` are there',
      async (side) => {
        const store = await side.open()
        store.setOptions({ expiration: 60_000 })
        const { expiration, checkExpirationInterval, schema } = store.options
        store.validateOptions(store.options)
        return [
          expiration,
          checkExpirationInterval,
          schema,
          store.defaultOptions,
          side.MySQLStore.prototype.state,
        ]
      },
      {
        both: [
          60_000,
          900_000,
          {
            tableName: 'sessions',
            columnNames: { session_id: 'session_id', expires: 'expires', data: 'data' },
          },
          {
            clearExpired: true,
            checkExpirationInterval: 900_000,
            expiration: 86_400_000,
            createDatabaseTable: true,
            endConnectionOnClose: true,
            disableTouch: false,
            charset: 'utf8mb4_bin',
            schema: {
              tableName: 'sessions',
              columnNames: { session_id: 'session_id', expires: 'expires', data: 'data' },
            },
          },
          'UNINITIALIZED',
        ],
      },
    )

    sideBySide(
      '`setExpirationInterval` clears by a timer, `clearExpirationInterval` stops it',
      async (side) => {
        const store = await side.open({ clearExpired: false })
        let clearings = 0
        let cleared: () => void = () => undefined
        const twice = new Promise<void>((resolve) => (cleared = resolve))
        store.clearExpiredSessions = async () => {
          if (++clearings === 2) cleared()
        }
        store.setExpirationInterval(1)
        await twice
        store.clearExpirationInterval()
        const before = clearings
        await new Promise(setImmediate)
        return clearings === before
      },
      { both: true },
    )
  })

  describe('options', () => {
    sideBySide(
      '`host`, `port`, `user`, `password`, `database` lead to the database',
      async (side) => {
        const store = await side.open()
        return (await store.query('SELECT DATABASE() AS name'))[0][0]!['name'] === side.where.database
      },
      { both: true },
    )

    sideBySide(
      "`connectTimeout`, and whatever else is the driver's",
      async (side) => {
        const store = await side.open({ connectTimeout: 1_234, timezone: '+05:00' })
        const { connectTimeout, timezone } = store.connection.pool.config['connectionConfig'] as PoolOptions
        return [connectTimeout, timezone]
      },
      { theirs: [10_000, 'local'], ours: [1_234, '+05:00'], reason: 'all options go to the driver' },
    )

    sideBySide(
      '`ssl` against a server that has no TLS, or a certificate of its own making',
      async (side) => {
        const store = side.make({ host: 'localhost', ssl: {}, createDatabaseTable: false })
        await side.open()
        return store.length().then(
          () => 'in the clear',
          (error: { code: string }) => error.code,
        )
      },
      {
        theirs: 'in the clear',
        ours: 'ERR_SESSION_STORE_CONFIGURATION',
        reason: 'all options go to the driver',
      },
    )

    sideBySide(
      '`connectionLimit`, `waitForConnections`, `maxIdle`, `idleTimeout`, `queueLimit` reach the pool',
      async (side) => {
        const store = await side.open({
          connectionLimit: 3,
          waitForConnections: false,
          maxIdle: 2,
          idleTimeout: 5_000,
          queueLimit: 7,
        })
        const { config } = store.connection.pool
        return ['connectionLimit', 'waitForConnections', 'maxIdle', 'idleTimeout', 'queueLimit'].map(
          (name) => config[name],
        )
      },
      { both: [3, false, 2, 5_000, 7] },
    )

    sideBySide(
      '`clearExpired` false starts no timer, `checkExpirationInterval` is its length',
      async (side) => {
        const lengths: unknown[] = []
        class Watched extends side.MySQLStore {
          override setExpirationInterval(interval?: number): void {
            lengths.push(interval ?? this.options['checkExpirationInterval'])
          }
        }
        for (const options of [{ clearExpired: false }, { checkExpirationInterval: 5_000 }]) {
          const store = new Watched({ ...side.where, ...options })
          onTestFinished(() => store.close())
          await store.onReady()
        }
        return lengths
      },
      { both: [5_000] },
    )

    sideBySide(
      '`checkExpirationInterval` of 30 days',
      async (side) => {
        const overflows: string[] = []
        const note = (warning: Error): void => void overflows.push(warning.name)
        process.on('warning', note)
        onTestFinished(() => void process.off('warning', note))
        const thirtyDays = 30 * 86_400_000
        const store = await side.open({ checkExpirationInterval: thirtyDays })
        store.setExpirationInterval(thirtyDays)
        store.clearExpirationInterval()
        // Node says of a timer that it cannot wait so long, and that it waits for 1 ms instead, in a turn of its own.
        await new Promise(setImmediate)
        return [...new Set(overflows)]
      },
      { theirs: ['TimeoutOverflowWarning'], ours: [], reason: "a timer's longest wait" },
    )

    sideBySide(
      '`connectTimeout` of 30 days',
      async (side) => {
        const store = await side.open({ connectTimeout: 30 * 86_400_000 })
        const [rows] = await store.query('SELECT 1 AS one')
        return rows[0]!['one'] as number
      },
      { both: 1 },
    )

    sideBySide(
      '`expiration` is the life of a session whose cookie has none',
      async (side) => {
        const store = await side.open({ expiration: 120_000 })
        await store.set('one', sessionFor(undefined))
        return ((await side.rows()) as { seconds: number }[])[0]!.seconds
      },
      { both: 120 },
    )

    sideBySide(
      '`createDatabaseTable` false makes no table',
      async (side) => {
        const store = await side.open({ createDatabaseTable: false })
        const before = await side.query('SHOW TABLES')
        await store.createDatabaseTable()
        await store.createDatabaseTable()
        return [before.length, (await side.query('SHOW TABLES')).length]
      },
      { both: [0, 1] },
    )

    sideBySide(
      'the table is made to the letter',
      async (side) => {
        await side.open()
        const [row] = await side.query('SHOW CREATE TABLE sessions')
        const made = row!['Create Table'] as string
        // MySQL tells no width of integers.
        return made.replace(/ DEFAULT CHARSET.*/, '').replace(' int(11)', ' int')
      },
      {
        both:
          'CREATE TABLE `sessions` (\n' +
          '  `session_id` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n' +
          '  `expires` int unsigned NOT NULL,\n' +
          `  \`data\` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin${database === 'MySQL' ? '' : ' DEFAULT NULL'},\n` +
          '  PRIMARY KEY (`session_id`)\n' +
          ') ENGINE=InnoDB',
      },
    )

    sideBySide(
      '`disableTouch` leaves the expiry alone',
      async (side) => {
        const store = await side.open({ disableTouch: true })
        await store.set('one', sessionFor(600))
        await called((done) => store.touch('one', sessionFor(7_200), done))
        return ((await side.rows()) as { seconds: number }[])[0]!.seconds
      },
      { both: 600 },
    )

    sideBySide(
      '`charset` does not get in the way of any text',
      async (side) => {
        const store = await side.open({ charset: 'utf8mb4_bin' })
        await store.set('one', sessionFor(undefined, { name: 'Zoë 🧥' }))
        return (await store.get('one'))!['name']
      },
      { both: 'Zoë 🧥' },
    )

    const schema = {
      tableName: 'visits of the shop',
      columnNames: { session_id: 'id', expires: 'until', data: 'what' },
    }

    sideBySide(
      '`schema` names the table and its columns, for every method but `all`',
      async (side) => {
        const store = await side.open({ schema })
        await store.set('one', sessionFor(600, { views: 1 }))
        await store.touch('one', sessionFor(7_200))
        const seen = [(await store.get('one'))!['views'], await store.length()]
        await store.clearExpiredSessions()
        await store.destroy('one')
        const columns = await side.query('SHOW COLUMNS FROM `visits of the shop`')
        await store.clear()
        return [...seen, columns.map((column) => column['Field'] as string)]
      },
      { both: [1, 1, ['id', 'until', 'what']] },
    )

    sideBySide(
      '`schema` and `all`',
      async (side) => {
        const store = await side.open({ schema })
        await store.set('one', sessionFor(600, { views: 1 }))
        return Object.entries(await store.all()).map(([id, session]) => [id, session?.['views']])
      },
      {
        theirs: [['undefined', undefined]],
        ours: [['one', 1]],
        reason: 'custom columns everywhere',
      },
    )

    sideBySide(
      'an unknown column name is refused',
      (side) => {
        try {
          return typeof new side.MySQLStore({ ...side.where, schema: { columnNames: { sid: 'id' } } })
        } catch (error) {
          return (error as Error).message.slice(0, 111)
        }
      },
      {
        both: 'Unknown column specified ("sid"). Only the following columns are configurable: "session_id", "expires", "data".',
      },
    )

    for (const [kind, connect] of Object.entries({
      'a pool with promises': (url: string) => createPool(url),
      'a pool with callbacks': (url: string) => createCallbackPool(url),
      'a connection with promises': (url: string) => createConnection(url),
      'a connection with callbacks': (url: string) => createCallbackConnection(url),
    })) {
      sideBySide(
        `the second parameter may be ${kind}`,
        async (side) => {
          const connection = await connect(side.url)
          onTestFinished(async () => {
            await connection.end()
          })
          const store = await side.open({}, connection)
          await store.set('one', sessionFor(undefined, { views: 1 }))
          return [
            (await store.get('one'))!['views'],
            Object.is(store.connection, connection),
            await store.length(),
          ]
        },
        { both: [1, true, 1] },
      )
    }
  })

  describe('what goes wrong', () => {
    sideBySide(
      'a clearing that fails by the timer',
      async (side) => {
        const rejections: unknown[] = []
        const listener = (error: unknown): void => void rejections.push(error)
        const others = process.listeners('unhandledRejection')
        process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener)
        onTestFinished(() => {
          process.removeAllListeners('unhandledRejection')
          for (const other of others) process.on('unhandledRejection', other)
        })
        const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
        onTestFinished(() => warned.mockRestore())
        const store = await side.open({ clearExpired: false })
        let tries = 0
        let tried: () => void = () => undefined
        const thrice = new Promise<void>((resolve) => (tried = resolve))
        store.clearExpiredSessions = () => {
          if (++tries === 3) tried()
          return Promise.reject(new Error('the database is away'))
        }
        store.setExpirationInterval(1)
        await thrice
        store.clearExpirationInterval()
        await new Promise(setImmediate)
        return rejections.length > 0 ? 'ends the process' : 'is a warning'
      },
      { theirs: 'ends the process', ours: 'is a warning', reason: 'failed clean-ups are survived' },
    )

    sideBySide(
      '`onReady` asked for after a start that failed',
      async (side) => {
        const store = side.make({ database: 'there_is_no_such_database' })
        await store.onReady().catch(() => undefined)
        const late = store.onReady().then(
          () => 'fulfilled',
          () => 'rejected',
        )
        const turns = async () => {
          for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
          return 'never settles'
        }
        return Promise.race([late, turns()])
      },
      { theirs: 'never settles', ours: 'rejected', reason: 'onReady always settles' },
    )

    sideBySide(
      'a session that a request has, ended by others, and is then stored',
      async (side) => {
        const store = await side.open()
        await store.set('one', sessionFor(undefined))
        const read = await inHand(store, 'one')
        await side.query('DELETE FROM sessions')
        await store.set('one', read)
        return ((await side.rows()) as unknown[]).length
      },
      { theirs: 1, ours: 0, reason: 'ended sessions never come back' },
    )

    sideBySide(
      'a session that two requests change and store',
      async (side) => {
        const store = await side.open()
        await store.set('one', sessionFor(undefined, { views: 1 }))
        const [mine, theirs] = [await inHand(store, 'one'), await inHand(store, 'one')]
        mine['mine'] = true
        theirs['theirs'] = true
        await store.set('one', mine)
        await store.set('one', theirs)
        const { cookie: _, ...data } = (await store.get('one'))!
        return data
      },
      {
        theirs: { views: 1, theirs: true },
        ours: { views: 1, mine: true, theirs: true },
        reason: 'concurrent updates are merged',
      },
    )

    // MySQL takes four times as much as MariaDB by default, which is more than the column holds.
    sideBySide(
      'a session of 9 MB',
      async (side) => {
        const store = await side.open()
        return store.set('one', { text: 'x'.repeat(9_000_000) }).then(
          () => 'is stored',
          (error: { code: string }) => error.code,
        )
      },
      database === 'MySQL'
        ? { both: 'is stored' }
        : {
            theirs: 'is stored',
            ours: 'ERR_SESSION_TOO_LARGE',
            reason: 'half of `max_allowed_packet`',
          },
    )

    sideBySide(
      'a database that is away is an error, by promise and by callback',
      async (side) => {
        const store = side.make({ database: 'there_is_no_such_database' })
        const byPromise = await store.get('one').then(
          () => 'found',
          (error: unknown) => error instanceof Error,
        )
        const byCallback = await called((done) => store.get('one', done)).then(
          () => 'found',
          (error: unknown) => error instanceof Error,
        )
        return [byPromise, byCallback]
      },
      { both: [true, true] },
    )
  })

  /** The session as a middleware makes it for a request. */
  async function inHand(
    store: StoreObject,
    sessionID: string,
  ): Promise<StoredSession & { cookie: { maxAge: number } }> {
    const request = { sessionID, sessionStore: store }
    return store.createSession(request, (await store.get(sessionID))!) as never
  }

  function called<Value>(act: (done: Done<Value>) => unknown): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      act((error, value) => (error ? reject(error as Error) : resolve(value)))
    })
  }
})
