import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { SessionError } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { createPool } from 'mysql2'
import type { RowDataPacket } from 'mysql2/promise'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mariadb } from '../faults/databases/mysql.ts'
import { makeNextVersion } from '../faults/next-version.ts'
import { connectionsTo, freshDatabase, onEachServer } from '../servers/databases.ts'
import { freePort } from '../servers/ports.ts'
import { newId, openPool, openStore, stored, urlOfUser } from './mysql-subject.ts'

onEachServer('MySQLStore', ({ server }) => {
  storeSuite('MySQLStore', {
    describe,
    it,
    open: async () => {
      const url = await freshDatabase(server)
      return { store: new MySQLStore(url), other: new MySQLStore(url), cleanUp: () => Promise.resolve() }
    },
  })

  storeSuite('MySQLStore on a pool of the app that is set up in its own way', {
    describe,
    it,
    open: async () => {
      const pool = createPool({
        uri: await freshDatabase(server),
        rowsAsArray: true,
        namedPlaceholders: true,
        nestTables: '_',
        supportBigNumbers: true,
        bigNumberStrings: true,
        dateStrings: true,
        decimalNumbers: true,
        timezone: '-09:30',
        charset: 'latin1',
        typeCast: (field) => field.string(),
        flags: ['-FOUND_ROWS'],
      })
      pool.on('connection', (connection) => {
        connection.query(`SET time_zone = '+11:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'`)
      })
      const cleanUp = () => new Promise<void>((resolve) => pool.end(() => resolve()))
      return { store: new MySQLStore(pool), other: new MySQLStore(pool), cleanUp }
    },
  })

  describe('what MySQLStore is made from', () => {
    it('a URL, pool options, a promise pool and a callback pool all reach the same sessions', async () => {
      const url = await freshDatabase(server)
      const { hostname, port, username, password, pathname } = new URL(url)
      const options = {
        host: hostname,
        port: Number(port),
        user: username,
        password,
        database: pathname.slice(1),
      }
      const promisePool = openPool(url)
      const callbackPool = openPool(url).pool
      const id = await stored(openStore(url))
      for (const target of [options, { uri: url }, promisePool, callbackPool]) {
        expect(await openStore(target).find([id])).toMatchObject([{ id }])
      }
    })

    it('takes charge of its own pool only: one that was passed in stays open', async () => {
      const pool = openPool(await freshDatabase(server))
      const store = new MySQLStore(pool)
      await stored(store)
      await store.close()
      await store.close()
      const [rows] = await pool.query<RowDataPacket[]>('SELECT 1 AS one')
      expect(rows).toEqual([{ one: 1 }])
    })

    it('refuses work after close', async () => {
      const store = openStore(await freshDatabase(server))
      await store.close()
      const closed = { code: 'ERR_SESSION_CLOSED', status: 503 }
      await expect(store.find([newId()])).rejects.toMatchObject(closed)
    })

    it.each([
      ['undefined', undefined],
      ['an empty text', ''],
      ['no URL', 'hunter2'],
      ['another scheme', 'postgres://app:hunter2@localhost/shop'],
      ['no database', 'mysql://app:hunter2@localhost'],
      ['a port that is none', 'mysql://app:hunter2@localhost:99999/shop'],
      ['a password that is not URL-encoded', 'mysql://app:hunter2%@localhost/shop'],
      ['an unknown TLS profile', 'mysql://app:hunter2@localhost/shop?ssl=unknown'],
      ['options without a database', { user: 'app', password: 'hunter2' }],
    ])('names DATABASE_URL and hides the password when the URL is wrong: %s', (_, target) => {
      const error = thrownBy(() => new MySQLStore(target))
      expect(error).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_OPTION' })
      expect(error.message).toContain('DATABASE_URL')
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
    })

    it('refuses an option that it does not have, and a createTable that is neither true nor false', async () => {
      const url = await freshDatabase(server)
      expect(() => new MySQLStore(url, { tabel: 'sessions' } as object)).toThrow(/no option "tabel"/)
      expect(() => new MySQLStore(url, { createTable: 'no' } as object)).toThrow(/createTable/)
    })

    it.each(['', 'a b', 'a`b', "a'; DROP TABLE x; --", 'a.b', '1st', 'é', 'x'.repeat(49)])(
      'refuses a table named %j',
      async (table) => {
        const url = await freshDatabase(server)
        expect(() => new MySQLStore(url, { table })).toThrow(/table must be a name/)
      },
    )

    it('keeps tables of different names apart in one database', async () => {
      const url = await freshDatabase(server)
      const id = await stored(openStore(url, { table: 'shop' }))
      expect(await openStore(url, { table: 'Select' }).find([id])).toEqual([undefined])
    })
  })

  describe('the tables of MySQLStore', () => {
    it('are made by ten apps that start at once, and each version is recorded once', async () => {
      const url = await freshDatabase(server)
      const stores = Array.from({ length: 10 }, () => openStore(url))
      const ids = await Promise.all(stores.map((store) => stored(store)))
      expect(await stores[0]!.find(ids)).toMatchObject(ids.map((id) => ({ id })))
      const [rows] = await openPool(url).query('SELECT table_name, version FROM coatcheck_migrations')
      expect(rows).toEqual([{ table_name: Buffer.from('coatcheck_sessions'), version: 1 }])
    })

    it('are the same as those of schema/mysql.sql, which may be run twice', async () => {
      const made = await freshDatabase(server)
      await stored(openStore(made))
      const byHand = await databaseBySchema()
      const definitions = async (url: string) => {
        const pool = openPool(url)
        const tables = ['coatcheck_sessions', 'coatcheck_migrations']
        const shown = tables.map((table) => pool.query<RowDataPacket[]>(`SHOW CREATE TABLE ${table}`))
        const [recorded] = await pool.query('SELECT table_name, version FROM coatcheck_migrations')
        return { tables: (await Promise.all(shown)).map(([rows]) => rows[0]!['Create Table']), recorded }
      }
      expect(await definitions(made)).toEqual(await definitions(byHand))
    })

    it('are brought up to date by a version whose step another began and did not record', async () => {
      const next = await makeNextVersion(mariadb.nextVersion)
      onTestFinished(() => next.remove())
      const { MySQLStore: NextStore } = (await import(next.store)) as { MySQLStore: typeof MySQLStore }
      const url = await freshDatabase(server)
      const id = await stored(openStore(url))
      const pool = openPool(url)
      await pool.query('ALTER TABLE coatcheck_sessions ADD COLUMN made_by VARBINARY(16) NULL')
      const store = new NextStore(url)
      onTestFinished(() => store.close())
      expect(await store.find([id])).toMatchObject([{ id }])
      const [recorded] = await pool.query('SELECT version FROM coatcheck_migrations ORDER BY version')
      expect(recorded).toEqual([{ version: 1 }, { version: 2 }])
    })

    it('need no right to create tables if they are there', async () => {
      const url = await databaseBySchema()
      const store = openStore(await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE'))
      const id = await stored(store)
      expect(await store.find([id])).toMatchObject([{ id }])
      expect(await store.removeExpired(10)).toBe(0)
    })

    it('need no record of versions either: the table alone will do for a user who may not make one', async () => {
      const url = await databaseBySchema()
      await openPool(url).query('DROP TABLE coatcheck_migrations')
      const store = openStore(await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE'))
      const id = await stored(store)
      expect(await store.find([id])).toMatchObject([{ id }])
    })

    it.each([
      ['createTable is false', 'ALL', { createTable: false }],
      ['the user may not make them', 'SELECT, INSERT, UPDATE, DELETE', {}],
    ])('that are missing when %s are an error that names schema/mysql.sql', async (_, rights, options) => {
      const store = openStore(await urlOfUser(await freshDatabase(server), rights), options)
      const error = await rejectionOf(store.find([newId()]))
      expect(error).toMatchObject({ code: 'ERR_SESSION_MISSING_TABLE' })
      expect(error.message).toContain('schema/mysql.sql')
    })

    it.each([
      ['sweep_at', (store: MySQLStore) => store.removeExpired(1)],
      ['former_hash', (store: MySQLStore) => store.find([newId()])],
      ['authenticated_at', (store: MySQLStore) => store.list({ limit: 1, data: false })],
    ])('of an earlier build, without %s, are an error that says what to do', async (column, use) => {
      const url = await databaseBySchema()
      await openPool(url).query(`ALTER TABLE coatcheck_sessions DROP COLUMN ${column}`)
      const error = await rejectionOf(use(openStore(url)))
      expect(error).toMatchObject({ code: 'ERR_SESSION_WRONG_TABLE', status: 500 })
      expect(error.message).toMatch(
        new RegExp(`coatcheck_sessions lacks a column.* drop it.* schema/mysql.sql.*'${column}'`),
      )
      await openPool(url).query('DROP TABLE coatcheck_sessions')
      await runSchema(url)
      await stored(openStore(url))
    })

    it('of express-mysql-session, named without its layout, are an error that names the layout', async () => {
      const url = await freshDatabase(server)
      await openStore(url, { layout: 'express-mysql-session' }).find([newId()])
      const error = await rejectionOf(openStore(url, { table: 'sessions' }).find([newId()]))
      expect(error).toMatchObject({ code: 'ERR_SESSION_WRONG_TABLE' })
      expect(error.message).toContain("layout: 'express-mysql-session'")
    })

    it('with other columns than express-mysql-session makes are an error that says how to name them', async () => {
      const url = await freshDatabase(server)
      const layout = 'express-mysql-session'
      await openStore(url, { layout, columns: { data: 'content' } }).find([newId()])
      const error = await rejectionOf(openStore(url, { layout }).find([newId()]))
      expect(error).toMatchObject({ code: 'ERR_SESSION_WRONG_TABLE' })
      expect(error.message).toMatch(/give them \(columns\).*'data'/)
    })

    it('are tried for again on the next use after a failure', async () => {
      const url = await freshDatabase(server)
      const user = await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE')
      const store = openStore(user)
      await expect(store.find([newId()])).rejects.toMatchObject({ code: 'ERR_SESSION_MISSING_TABLE' })
      await runSchema(url)
      const id = await stored(store)
      expect(await store.find([id])).toMatchObject([{ id }])
    })
  })

  describe('a database that does not answer MySQLStore', () => {
    it.each([
      ['is not there', async () => `mysql://app:hunter2@127.0.0.1:${await freePort()}/shop`],
      ['is not there under its name', async () => `mysql://app:hunter2@localhost:${await freePort()}/shop`],
    ])('and %s is a 503 that says why and never tells the password', async (_, url) => {
      const error = await rejectionOf(openStore(await url()).find([newId()]))
      expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
      expect(error.message).toMatch(/ECONNREFUSED/)
      expect(error.message).not.toMatch(/127\.0\.0\.1|localhost/)
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
      expect(String(error.stack)).not.toContain('hunter2')
    })

    it('is asked again on the next use: the store heals when a connection is cut', async () => {
      const url = await freshDatabase(server)
      const store = openStore({ uri: url, connectionLimit: 1 })
      const id = await stored(store)
      const pool = openPool(url)
      const connections = await connectionsTo(url, pool)
      for (const { Id, Info } of connections) if (Info !== 'SHOW PROCESSLIST') await pool.query(`KILL ${Id}`)
      await expect
        .poll(() => store.find([id]).catch((error: SessionError) => error.status), { interval: 1 })
        .toMatchObject([{ id }])
    })
  })

  async function databaseBySchema(): Promise<string> {
    const url = await freshDatabase(server)
    await runSchema(url)
    await runSchema(url)
    return url
  }

  async function runSchema(url: string): Promise<void> {
    const pool = openPool(url, { multipleStatements: true })
    await pool.query(readFileSync(new URL('../../schema/mysql.sql', import.meta.url), 'utf8'))
  }
})

function thrownBy(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

async function rejectionOf(promise: Promise<unknown>): Promise<SessionError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SessionError)
  return error as SessionError
}
