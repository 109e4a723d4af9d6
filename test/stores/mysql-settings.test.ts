import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SessionId } from 'coatcheck'
import { MySQLStore, type MySQLStoreOptions } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { createPoolCluster as createCallbackCluster } from 'mysql2'
import {
  createConnection,
  createPool,
  createPoolCluster,
  type Pool,
  type RowDataPacket,
} from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { differences, startCopy } from '../command/run-copy.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import {
  insert,
  newId,
  openPool,
  openStore,
  removal,
  stored,
  storedMany,
  update,
  urlOfUser,
} from './mysql-subject.ts'

// Servers and databases as people set them up.

const layouts: [string, MySQLStoreOptions][] = [
  ['its own table', {}],
  ['a table of express-mysql-session', { layout: 'express-mysql-session' }],
]
/** `ANSI` is REAL_AS_FLOAT, PIPES_AS_CONCAT, ANSI_QUOTES, IGNORE_SPACE and, on MySQL, ONLY_FULL_GROUP_BY. */
const everyMode =
  'ANSI,TRADITIONAL,ONLY_FULL_GROUP_BY,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE,NO_AUTO_VALUE_ON_ZERO,PAD_CHAR_TO_FULL_LENGTH'
const onlyMariaDB = 'ORACLE,SIMULTANEOUS_ASSIGNMENT,TIME_ROUND_FRACTIONAL'

onEachServer('settings', ({ name, server, start }) => {
  const modes = name === 'MySQL' ? everyMode : `${everyMode},${onlyMariaDB}`
  for (const [layoutName, options] of layouts) {
    const keyedBy = options.layout === undefined ? {} : ({ keyedBy: 'token' } as const)

    storeSuite(
      `MySQLStore on ${layoutName}, where the app may only change rows, and its pool sets every sql_mode and a sql_select_limit`,
      {
        describe,
        it,
        ...keyedBy,
        open: async () => {
          const url = await freshDatabase(server)
          await openStore(url, options).find([newId()]) // makes the table
          const pool = createPool(await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE'))
          pool.on(
            'connection',
            (connection) => void connection.query(`SET sql_mode = '${modes}', sql_select_limit = 1`),
          )
          const [store, other] = [new MySQLStore(pool, options), new MySQLStore(pool, options)]
          return { store, other, cleanUp: () => pool.end() }
        },
      },
    )

    describe(`on ${layoutName}, in a database that takes A for a`, () => {
      it.each(
        name === 'MySQL'
          ? ['utf8mb4_0900_ai_ci', 'utf8mb3_general_ci']
          : ['utf8mb4_general_ci', 'utf8mb3_general_ci', 'latin1_swedish_ci'],
      )('ids and users are what they are to the letter (%s)', async (collation) => {
        const url = await freshDatabase(server)
        await openPool(url).query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} COLLATE ${collation}`)
        const store = openStore(url, options)
        const ids = options.layout ? (['key', 'KEY', 'kéy'] as SessionId[]) : [newId(), newId(), newId()]
        const users = ['ada', 'ADA', 'áda']
        const sessions = ids.map((id, index) => ({ ...insert(id), userId: users[index] }))
        expect(await store.write(sessions)).toEqual(['done', 'done', 'done'])
        expect((await store.find(ids)).map((record) => record?.userId)).toEqual(users)
        const { items } = await store.list({ userId: 'ADA', limit: 10, data: false })
        expect(items.map(({ id }) => id)).toEqual([ids[1]])
        expect(await store.removeByUser('ADA')).toBe(1)
        expect((await store.find(ids)).map((record) => record?.userId)).toEqual(['ada', undefined, 'áda'])
      })
    })
  }

  it.runIf(name === 'MariaDB').each(layouts)(
    'where MariaDB takes an empty text for NULL, ends all sessions of a user on %s',
    async (_, options) => {
      const pool = openPool(await freshDatabase(server))
      pool.pool.on('connection', (connection) => {
        connection.query("SET sql_mode = 'EMPTY_STRING_IS_NULL'", () => undefined)
      })
      const store = new MySQLStore(pool, options)
      const ids = await storedMany(store, 3)
      const records = await store.find(ids)
      const change = { data: Buffer.from('{"cookie":{}}'), userId: 'ada' }
      const changes = records.map((record) => ({ ...update(record!.id, record!.version), ...change }))
      expect(await store.write(changes)).toEqual(['done', 'done', 'done'])
      const [first] = await store.find(ids)
      await expect(store.removeByUser('')).rejects.toMatchObject({ code: 'ERR_SESSION_USER_ID' })
      expect(await store.removeByUser('ada', first!.publicId ?? first!.id)).toBe(2)
      expect(await store.removeByUser('ada', 'none')).toBe(1)
      await store.write([{ ...insert(newId()), ...change }])
      expect(await store.removeByUser('ada', '')).toBe(1)
      await store.write([{ ...insert(newId()), ...change }])
      expect(await store.removeByUser('ada')).toBe(1)
      expect(await store.list({ limit: 1, data: false })).toEqual({ items: [], next: undefined })
    },
  )

  it.each(['utf8mb3_bin', 'utf8mb3_general_ci', 'latin1_swedish_ci'])(
    'finds sessions of an old table to the letter, whose columns are %s',
    async (collation) => {
      const url = await freshDatabase(server)
      const text = (type: string) => `${type} COLLATE ${collation}`
      await openPool(url).query(
        `CREATE TABLE sessions (session_id ${text('varchar(128)')} PRIMARY KEY, expires int unsigned NOT NULL, data ${text('mediumtext')})`,
      )
      const store = openStore(url, { layout: 'express-mysql-session' })
      const id = 'Schlüssel' as SessionId
      const data = Buffer.from('{"cookie":{},"name":"Åse"}')
      expect(await store.write([{ ...insert(id), data }])).toEqual(['done'])
      const others = ['schlüssel', 'Schlussel'] as SessionId[]
      const [record, ...none] = await store.find([id, ...others])
      expect(none).toEqual([undefined, undefined])
      expect(record!.data).toEqual(data)
      const changes = [id, ...others].map((each) => ({ ...update(each, record!.version), data }))
      expect(await store.write(changes)).toEqual(['done', 'gone', 'gone'])
      expect(await store.write(others.map((other) => removal(other)))).toEqual(['gone', 'gone'])
      expect(await store.find([id])).toMatchObject([{ id }])
    },
  )

  async function oldTable(id: string, expires: string, data: string): Promise<MySQLStore> {
    const url = await freshDatabase(server)
    const columns = `session_id varchar(128) ${id} PRIMARY KEY, expires ${expires} NOT NULL, data ${data}`
    await openPool(url).query(`CREATE TABLE sessions (${columns})`)
    return openStore(url, { layout: 'express-mysql-session' })
  }
  const aSession = (id: string) => ({ ...insert(id as SessionId), data: Buffer.from('{"cookie":{}}') })

  it('finds the sessions of a user in an old table whose data is JSON, which MySQL writes its own way', async () => {
    const store = await oldTable('COLLATE utf8mb4_bin', 'int unsigned', 'json')
    const users = ['ada', 'ädä "the \\ first"', 'ada']
    const sessions = users.map((userId, index) => ({ ...aSession(`id ${index}`), userId }))
    await store.write([
      ...sessions,
      { ...aSession('another'), data: Buffer.from('{"cookie":{},"is":"ada"}') },
    ])
    for (const [user, count] of [
      ['ada', 2],
      [users[1], 1],
    ] as const) {
      // prettier-ignore
      expect((await store.list({ userId: user, limit: 10, data: false })).items).toHaveLength(count)
      expect(await store.removeByUser(user!)).toBe(count)
    }
    expect((await store.list({ limit: 10, data: false })).items.map(({ id }) => id)).toEqual(['another'])
  })

  it.each(
    name === 'MySQL'
      ? ['utf8mb4_0900_ai_ci', 'latin1_swedish_ci']
      : ['utf8mb4_general_ci', 'latin1_swedish_ci'],
  )('lists each session of an old table once, whose ids are in the order of %s', async (collation) => {
    const store = await oldTable(`COLLATE ${collation}`, 'int unsigned', 'mediumtext')
    expect(await store.list({ limit: 3, data: false })).toEqual({ items: [], next: undefined })
    const ids = ['a1', 'B2', 'c3', 'D4', 'e5', 'F6', 'g7', 'H8', '_9', 'Z0']
    await store.write(ids.map((id) => ({ ...aSession(id), userId: 'ada' })))
    for (const userId of ['ada', undefined]) {
      const listed: string[] = []
      let after: string | undefined
      do {
        const page = await store.list({ userId, after, limit: 3, data: false })
        listed.push(...page.items.map(({ id }) => id))
        after = page.next
      } while (after !== undefined)
      expect(listed).toEqual(ids.toSorted())
    }
  })

  it.each(['decimal(12,0)', 'double', 'bigint', 'int'])(
    'writes over nothing in a batch on an old table whose expires is %s',
    async (type) => {
      const store = await oldTable('COLLATE utf8mb4_bin', type, 'mediumtext')
      const ids = ['one', 'two'] as SessionId[]
      await store.write(ids.map(aSession))
      const [one, two] = await store.find(ids)
      const change = (id: SessionId, version: number, n: number) => ({
        ...update(id, version),
        data: Buffer.from(`{"cookie":{},"n":${n}}`),
      })
      await store.write([change(ids[1]!, two!.version, 1)])
      expect(await store.write([change(ids[0]!, one!.version, 2), change(ids[1]!, two!.version, 2)])).toEqual(
        ['done', 'stale'],
      )
      const found = await store.find(ids)
      expect(
        found.map((record) => JSON.parse(Buffer.from(record!.data).toString()) as unknown),
      ).toMatchObject([{ n: 2 }, { n: 1 }])
      for (const record of found) expect(record!.expiresAt - record!.readAt).toBeLessThan(3_602_000)
    },
  )

  it.each([
    ['callbacks', createCallbackCluster],
    ['promises', createPoolCluster],
  ])('works on a pool of a cluster with %s', async (_, createCluster) => {
    const cluster = createCluster()
    onTestFinished(async () => {
      await cluster.end()
    })
    cluster.add('one', await freshDatabase(server))
    const store = openStore(cluster.of('*') as unknown as Pool)
    const id = await stored(store)
    expect(await store.find([id])).toMatchObject([{ id }])
  })

  describe('for a user of the app', () => {
    it.each(layouts)('who may create tables as well, makes the table: %s', async (_, options) => {
      const url = await freshDatabase(server)
      const store = openStore(await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE, CREATE'), options)
      const id = await stored(store)
      expect(await store.find([id])).toMatchObject([{ id }])
    })

    it('who may do no more on each table than the copy has to, can copy', async () => {
      const url = await freshDatabase(server)
      const old = openStore(url, { layout: 'express-mysql-session' })
      await openStore(url).find([newId()]) // makes the table
      const session = (text: string) => Buffer.from(JSON.stringify({ cookie: {}, text }))
      const [kept, ended] = [newId(), newId()]
      await old.write([kept, ended].map((id) => ({ ...insert(id), data: session('begun') })))

      const app = await urlOfUser(url, 'SELECT', '', 'sessions')
      const admin = openPool(url)
      const grant = (rights: string, table: string) =>
        admin.query(`GRANT ${rights} ON ${table} TO ${new URL(app).username}@'127.0.0.1'`)
      await grant('SELECT', 'coatcheck_migrations')
      await grant('SELECT, INSERT, UPDATE, DELETE', 'coatcheck_sessions')
      const copy = () => startCopy(app, '--from', 'sessions').ended
      const { code, stderr } = await copy()
      const [ledger] = /CREATE TABLE[^;]+/.exec(stderr)!
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('grant SELECT, INSERT and UPDATE on it') as string,
      })
      await admin.query(ledger)
      await grant('SELECT, INSERT, UPDATE', 'coatcheck_sessions_from_sessions')
      expect(await copy()).toMatchObject({ code: 0, stdout: expect.stringMatching(/copied +2$/m) as string })

      const [record] = await old.find([kept])
      await old.write([{ ...update(kept, record!.version), data: session('changed') }, removal(ended)])
      expect(await copy()).toMatchObject({ code: 0 })
      const [rows] = await admin.query<RowDataPacket[]>(differences)
      expect(Object.values(rows[0]!).map(Number)).toEqual([0, 0, 0, 0])
    })

    it.runIf(name === 'MySQL')(
      'who is identified as MySQL does by default, by a password alone',
      async () => {
        const url = await freshDatabase(server)
        const app = await urlOfUser(url, 'ALL')
        await stored(openStore(app))
        const sql = 'SELECT plugin FROM mysql.user WHERE user = ?'
        const [rows] = await openPool(url).query<RowDataPacket[]>(sql, [new URL(app).username])
        expect(rows).toEqual([{ plugin: 'caching_sha2_password' }])
      },
    )

    it.runIf(name === 'MySQL')('who must come by TLS, which MariaDB has only once it is set up', async () => {
      const url = await freshDatabase(server)
      const app = await urlOfUser(url, 'ALL', 'REQUIRE SSL')
      await expect(openStore(app).find([newId()])).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE_CONFIGURATION',
      })
      const [[row]] = await openPool(url).query<RowDataPacket[]>('SELECT @@datadir AS folder')
      const ca = await readFile(join(row!['folder'] as string, 'ca.pem'), 'utf8')
      const pool = openPool(app, { ssl: { ca }, connectionLimit: 1 })
      const id = await stored(openStore(pool))
      expect(await openStore(pool).find([id])).toMatchObject([{ id }])
      const [rows] = await pool.query<RowDataPacket[]>("SHOW STATUS LIKE 'Ssl_cipher'")
      expect(rows[0]!['Value']).toMatch(/TLS/)
    })
  })

  describe('on a server that is set up in its own way', () => {
    let own: DatabaseServer

    beforeAll(async () => {
      own = await start([
        `--sql-mode=${everyMode}`,
        '--lower-case-table-names=1',
        '--character-set-server=latin1',
        '--default-time-zone=-09:30',
      ])
    })
    afterAll(() => own?.stop())

    it.each(layouts)('apps share sessions in a table by any case of its name, on %s', async (_, options) => {
      const url = await freshDatabase(own.url)
      const [one, other] = [
        openStore(url, { ...options, table: 'Shop' }),
        openStore(url, { ...options, table: 'shop' }),
      ]
      const id = await stored(one)
      expect(await other.find([id])).toMatchObject([{ id }])
      expect(await other.removeExpired(10)).toBe(0)
    })

    it('the copy moves what lives, and nothing twice', async () => {
      const url = await freshDatabase(own.url)
      const old = openStore(url, { layout: 'express-mysql-session' })
      const ids = ['one', 'two', 'Three'] as SessionId[]
      await old.write(
        ids.map((id) => ({ ...insert(id), data: Buffer.from('{"cookie":{},"text":"é 🧥 \\\\"}') })),
      )
      for (const copied of [3, 0]) {
        const { code, stderr, stdout } = await startCopy(url, '--from', 'sessions').ended
        expect({ code, stderr }).toMatchObject({ code: 0 })
        expect(stdout).toMatch(new RegExp(`copied +${copied}$`, 'm'))
      }
      const connection = await createConnection(url)
      const [rows] = await connection.query<RowDataPacket[]>(differences)
      await connection.end()
      expect(Object.values(rows[0]!).map(Number)).toEqual([0, 0, 0, 0])
    })
  })
})
