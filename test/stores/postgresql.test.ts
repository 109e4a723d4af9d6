import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import type { SessionId, SessionStore } from 'coatcheck'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { storeSuite } from 'coatcheck/testing'
import { Pool, type PoolClient, types } from 'pg'
import { describe, expect, it } from 'vitest'
import { freePort } from '../servers/ports.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { insert, newId, rotation, stored, storedMany, touch, update } from './mysql-subject.ts'
import { openPool, openStore, urlOfRole, waitingStatements } from './postgresql-subject.ts'

storeSuite('PostgreSQLStore', {
  describe,
  it,
  open: async () => {
    const url = await freshPostgreSQL()
    return {
      store: new PostgreSQLStore(url),
      other: new PostgreSQLStore(url),
      cleanUp: () => Promise.resolve(),
    }
  },
})

storeSuite('PostgreSQLStore on a pool of the app that is set up in its own way', {
  describe,
  it,
  open: async () => {
    const pool = new Pool({
      connectionString: await freshPostgreSQL(),
      options:
        '-c default_transaction_isolation=serializable -c bytea_output=escape -c timezone=Asia/Kathmandu -c datestyle=German ' +
        '-c extra_float_digits=-5 -c plan_cache_mode=force_generic_plan -c enable_indexscan=off -c client_encoding=LATIN1',
      types: {
        // For its own queries; ours read columns by parsers of their own.
        getTypeParser: (type: number, format?: string) =>
          type === types.builtins.BYTEA ? () => 'bytes' : types.getTypeParser(type, format as 'text'),
      },
    })
    const cleanUp = () => pool.end()
    return { store: new PostgreSQLStore(pool), other: new PostgreSQLStore(pool), cleanUp }
  },
})

describe('what PostgreSQLStore is made from', () => {
  it('a URL and a pool reach the same sessions', async () => {
    const url = await freshPostgreSQL()
    const id = await stored(openStore(url))
    expect(await openStore(openPool(url)).find([id])).toMatchObject([{ id }])
  })

  it.each([
    'postgres://app:secret@/shop?host=/var/run/postgresql',
    'postgresql://app@/shop?host=/cloudsql/a:b:c',
  ])('takes %s, as pg does', (url) => {
    expect(() => openStore(url)).not.toThrow()
  })

  it('refuses a pool that reads columns in binary form, which pg garbles', () => {
    expect(() => openStore(openPool('postgres://app@localhost/shop', { binary: true } as object))).toThrow(
      /binary/,
    )
  })

  it('takes charge of its own pool only: one that was passed in stays open', async () => {
    const pool = openPool(await freshPostgreSQL())
    const store = new PostgreSQLStore(pool)
    await stored(store)
    await store.close()
    await store.close()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  it('refuses work after close', async () => {
    const store = openStore(await freshPostgreSQL())
    await store.close()
    await expect(store.find([newId()])).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED', status: 503 })
  })

  it.each([
    ['undefined', undefined],
    ['an empty text', ''],
    ['no URL', 'hunter2'],
    ['another scheme', 'mysql://app:hunter2@localhost/shop'],
    ['no database', 'postgres://app:hunter2@localhost'],
    ['a port that is none', 'postgres://app:hunter2@localhost:99999/shop'],
    [
      'a file that is not there',
      'postgres://app:hunter2@localhost/shop?sslmode=verify-full&sslrootcert=/nowhere',
    ],
    ['verify-ca without an authority', 'postgres://app:hunter2@localhost/shop?sslmode=verify-ca'],
    ['an object that is no pool', { user: 'app', password: 'hunter2' }],
    ['two ways of TLS', 'postgres://app:hunter2@localhost/shop?sslmode=verify-full&sslmode=disable'],
  ])('names DATABASE_URL and hides the password when the URL is wrong: %s', (_, target) => {
    const error = thrownBy(() => new PostgreSQLStore(target as string))
    expect(error).toMatchObject({ name: 'SessionError', code: 'ERR_SESSION_OPTION' })
    expect(error.message).toContain('DATABASE_URL')
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
  })

  it('refuses an option that it does not have, and a createTable that is neither true nor false', async () => {
    const url = await freshPostgreSQL()
    expect(() => new PostgreSQLStore(url, { tabel: 'sessions' } as object)).toThrow(/no option "tabel"/)
    expect(() => new PostgreSQLStore(url, { createTable: 'no' } as object)).toThrow(/createTable/)
  })

  it.each(['', 'a b', 'a"b', "a'; DROP TABLE x; --", 'a.b', '1st', 'é', 'x'.repeat(49)])(
    'refuses a table and a schema named %j',
    async (name) => {
      const url = await freshPostgreSQL()
      expect(() => new PostgreSQLStore(url, { table: name })).toThrow(/table must be a name/)
      expect(() => new PostgreSQLStore(url, { schema: name })).toThrow(/schema must be a name/)
    },
  )

  it('keeps tables of different names and schemas apart in one database', async () => {
    const url = await freshPostgreSQL()
    await openPool(url).query('CREATE SCHEMA other')
    const id = await stored(openStore(url))
    for (const options of [{ table: 'Select' }, { table: 'COATCHECK_sessions' }, { schema: 'other' }])
      expect(await openStore(url, options).find([id]), JSON.stringify(options)).toEqual([undefined])
    const inOther = await stored(openStore(url, { schema: 'other' }))
    expect(await openStore(url).find([inOther])).toEqual([undefined])
  })
})

describe('the tables of PostgreSQLStore', () => {
  it('are made by ten apps that start at once, and each version is recorded once', async () => {
    const url = await freshPostgreSQL()
    const stores = Array.from({ length: 10 }, () => openStore(url))
    const ids = await Promise.all(stores.map((store) => stored(store)))
    expect(await stores[0]!.find(ids)).toMatchObject(ids.map((id) => ({ id })))
    const { rows } = await openPool(url).query('SELECT table_name, version FROM coatcheck_migrations')
    expect(rows).toEqual([{ table_name: 'coatcheck_sessions', version: 1 }])
  })

  it('are the same as those of schema/postgresql.sql, which may be run twice', async () => {
    const made = await freshPostgreSQL()
    await stored(openStore(made))
    const byHand = await databaseBySchema()
    expect(await definitions(made)).toEqual(await definitions(byHand))
  })

  it('are made again, empty, where somebody drops them while the app runs', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const id = await stored(store)
    await openPool(url).query('DROP TABLE coatcheck_sessions')
    expect(await store.find([id])).toEqual([undefined])
    await openPool(url).query('DROP TABLE coatcheck_sessions, coatcheck_migrations')
    await stored(store)
  })

  it('need no right to create where they are there', async () => {
    const url = await databaseBySchema()
    const role = await urlOfRole(
      url,
      'GRANT USAGE ON SCHEMA public TO ROLE',
      'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
      'GRANT SELECT, INSERT, UPDATE, DELETE ON coatcheck_sessions TO ROLE',
    )
    for (const createTable of [true, false]) {
      const store = openStore(role, { createTable })
      const id = await stored(store)
      expect(await store.write([update(id, 1)])).toEqual(['done'])
      expect(await store.removeByUser('nobody')).toBe(0)
      expect(await store.removeExpired(10)).toBe(0)
      expect((await store.list({ limit: 10, data: true })).items.length).toBeGreaterThan(0)
    }
  })

  it.each([
    ['the user may not create', true],
    ['createTable is false', false],
  ])('that are missing when %s are an error that names schema/postgresql.sql', async (_, createTable) => {
    const url = await freshPostgreSQL()
    const role = await urlOfRole(url, 'REVOKE CREATE ON SCHEMA public FROM PUBLIC')
    const store = openStore(role, { createTable })
    for (const act of [() => store.find([newId()]), () => store.removeByUser('ada')])
      await expect(act()).rejects.toMatchObject({
        code: 'ERR_SESSION_MISSING_TABLE',
        message: expect.stringContaining('schema/postgresql.sql') as string,
      })
    const results = await resultsOf(store.write([insert(newId())]))
    expect(results).toMatchObject([{ code: 'ERR_SESSION_MISSING_TABLE' }])
  })

  it('of another library are left alone, with an error that says so', async () => {
    const url = await freshPostgreSQL()
    await openPool(url).query('CREATE TABLE sessions (sid text PRIMARY KEY, sess json, expire timestamp)')
    const store = openStore(url, { table: 'sessions' })
    await expect(store.find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_WRONG_TABLE',
      message: expect.stringContaining("What it lacks is 'user_id'") as string,
    })
  })
})

describe('PostgreSQLStore', () => {
  it(
    'takes 64 MiB of data, twice over a rotation, and refuses more as too large',
    { timeout: 240_000 },
    async () => {
      const store = openStore(await freshPostgreSQL(), { statementTimeout: '2m' })
      const id = newId()
      const data = Buffer.alloc(2 ** 26, 'ab')
      expect(await store.write([{ ...insert(id), data }])).toEqual(['done'])
      expect(await store.write([{ ...rotation(id, 1, 60_000), data }])).toEqual(['done'])
      const [found] = await store.find([id])
      expect([found!.data.length, found!.former!.data.length]).toEqual([data.length, data.length])
      const [refused] = await resultsOf(store.write([{ ...update(id, 2), data: Buffer.alloc(2 ** 26 + 1) }]))
      expect(refused).toMatchObject({ code: 'ERR_SESSION_TOO_LARGE', status: 500 })
    },
  )

  it('touches no index with a touch, a change or a rotation', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const ids = await storedMany(store, 50)
    await store.write(ids.map(touch))
    await store.write(ids.map((id) => update(id, 1)))
    await store.write(ids.map((id) => rotation(id, 2, 10_000)))
    const pool = openPool(url)
    await store.close() // its connections report what they did as they end
    const updates = await pool.query(
      `SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'coatcheck_sessions'`,
    )
    expect(updates.rows).toEqual([{ all: 150, hot: expect.any(Number) as number }])
    expect((updates.rows[0] as { hot: number }).hot).toBeGreaterThan(100)
  })

  it('lets one app sweep at a time, and waits for nobody who has locked a session', async () => {
    const url = await freshPostgreSQL()
    const [one, other] = [openStore(url), openStore(url)]
    const ids = await storedMany(one, 30)
    const pool = openPool(url)
    await pool.query('UPDATE coatcheck_sessions SET expires_at = 1, sweep_at = 1')
    const holder = await pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query('SELECT 1 FROM coatcheck_sessions WHERE id = $1 FOR UPDATE', [
        Buffer.from(ids[0]!, 'base64url'),
      ])
      const removed = await Promise.all([one.removeExpired(1_000), other.removeExpired(1_000)])
      expect(removed.reduce((sum, each) => sum + each)).toBe(29)
      await holder.query('ROLLBACK')
    } finally {
      holder.release()
    }
    expect(await one.removeExpired(1_000)).toBe(1)
  })

  it('does not sweep what lives on, and looks at it again when that expires', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const [id] = await storedMany(store, 1)
    const pool = openPool(url)
    await pool.query('UPDATE coatcheck_sessions SET sweep_at = 1')
    expect(await store.removeExpired(10)).toBe(0)
    const { rows } = await pool.query('SELECT sweep_at = expires_at AS same FROM coatcheck_sessions')
    expect(rows).toEqual([{ same: true }])
    expect(await store.find([id!])).toMatchObject([{ id }])
  })

  it('goes on after its connections were ended, and knows what was stored', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const ids = await storedMany(store, 3)
    const pool = openPool(url)
    for (let round = 1; round <= 3; round++) {
      await endOthers(pool)
      expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id, version: round })))
      await endOthers(pool)
      expect(await store.write(ids.map((id) => update(id, round)))).toEqual(['done', 'done', 'done'])
    }
  })

  it('gives a statement that waits for a lock up in time, and stores it once at most', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url, { statementTimeout: '300ms' })
    const id = await stored(store)
    const pool = openPool(url)
    const holder = await pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query('SELECT 1 FROM coatcheck_sessions FOR UPDATE')
      const [result] = await resultsOf(store.write([update(id, 1)]))
      expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
      expect(await store.find([id])).toMatchObject([{ id, version: 1 }])
      await holder.query('COMMIT')
    } finally {
      holder.release()
    }
    const [again] = await resultsOf(store.write([update(id, 1)]))
    expect(['done', 'stale']).toContain(again)
    expect(await store.find([id])).toMatchObject([{ id, version: 2 }])
  })

  it('leaves nothing behind in the server of what it has given up, which would wait there for its lock', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url, { statementTimeout: '1s' })
    const id = await stored(store)
    const pool = openPool(url)
    const holder = await pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query('LOCK TABLE coatcheck_sessions')
      const reads = Array.from({ length: 5 }, () => store.find([id]).catch((error: unknown) => error))
      for (const outcome of [...(await Promise.all(reads)), ...(await resultsOf(store.write([touch(id)])))])
        expect(outcome).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
      await expect.poll(() => waitingStatements(pool)).toBe(0)
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
    expect(await store.find([id])).toMatchObject([{ id }])
  })

  it("says that the server's own statement_timeout is over", async () => {
    const url = await freshPostgreSQL()
    const id = await stored(openStore(url))
    const store = openStore(openPool(url, { statement_timeout: 200 }))
    const holder = await openPool(url).connect()
    try {
      await holder.query('BEGIN')
      await holder.query('SELECT 1 FROM coatcheck_sessions FOR UPDATE')
      const [result] = await resultsOf(store.write([update(id, 1)]))
      expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
      expect(String(result)).toContain('statement_timeout')
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
  })

  it('says that somebody has cancelled a statement, and goes on', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const id = await stored(store)
    const pool = openPool(url)
    const holder = await pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query('SELECT 1 FROM coatcheck_sessions FOR UPDATE')
      const written = resultsOf(store.write([update(id, 1)]))
      await expect.poll(() => cancelWaiting(pool)).toBe(1)
      const [result] = await written
      expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
      expect(String(result)).toContain('pg_cancel_backend')
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
    expect(await store.write([update(id, 1)])).toEqual(['done'])
  })

  it('does not answer done for what a transaction of the app holds, which began as the connection was given back', async () => {
    const url = await freshPostgreSQL()
    await stored(openStore(url))
    const pool = openPool(url, { max: 1 })
    const store = openStore(pool)
    await store.find([newId()])
    const left = await pool.connect()
    const begun = left.query('BEGIN') // and no await
    left.release()
    const id = newId()
    const [result] = await resultsOf(store.write([insert(id)]))
    await begun
    const isThere = (await openStore(url).find([id]))[0] !== undefined
    expect(result === 'done').toBe(isThere)
  })

  it('does not end the process where the server ends connections at any moment', async () => {
    const url = await freshPostgreSQL()
    const id = await stored(openStore(url))
    const pool = openPool(url)
    const store = openStore(pool)
    const admin = openPool(url, { max: 1 })
    for (let round = 1; round <= 40; round++) {
      const found = Promise.allSettled(Array.from({ length: 30 }, () => store.find([id])))
      await endOthers(admin)
      for (const { status, reason } of (await found) as { status: string; reason?: { code: string } }[])
        expect(status === 'fulfilled' || reason!.code.startsWith('ERR_SESSION_STORE_')).toBe(true)
    }
    await expect.poll(() => store.find([id]).catch(() => [])).toMatchObject([{ id }])
  })

  it('fails alone the write of what is no id of a session', async () => {
    const store = openStore(await freshPostgreSQL())
    const results = await store.write([insert('x+y' as SessionId), insert(newId())])
    expect(results).toMatchObject([{ code: 'ERR_SESSION_DATA_REFUSED' }, 'done'])
  })

  it('does not use a connection that the app gave back within a transaction', async () => {
    const url = await freshPostgreSQL()
    const pool = openPool(url, { max: 1 })
    const store = openStore(pool)
    await stored(store)
    const left = await pool.connect()
    await left.query('BEGIN')
    left.release()
    const id = await stored(store)
    expect(await openStore(url).find([id])).toMatchObject([{ id }])
  })

  it('goes on where a pooler puts other connections under its own, which know none of its statements', async () => {
    const url = await freshPostgreSQL()
    const pool = openPool(url)
    const store = openStore(pool)
    const id = await stored(store)
    await store.find([id])
    const clients: PoolClient[] = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
    for (const client of clients) await client.query('DEALLOCATE ALL')
    for (const client of clients) client.release()
    for (const found of await Promise.all(clients.map(() => store.find([id]))))
      expect(found).toMatchObject([{ id }])
    expect(await store.write([update(id, 1)])).toEqual(['done'])
  })

  it.each([
    [
      'a password that is wrong',
      'ERR_SESSION_STORE_CONFIGURATION',
      (url: URL) => void (url.password = 'hunter2'),
    ],
    [
      'a database that is not there',
      'ERR_SESSION_STORE_CONFIGURATION',
      (url: URL) => void (url.pathname = '/nowhere'),
    ],
    [
      'TLS, which the server does not have',
      'ERR_SESSION_STORE_CONFIGURATION',
      (url: URL) => void (url.search = '?sslmode=require'),
    ],
  ])('names what is wrong: %s', async (_, code, change) => {
    const url = new URL(await freshPostgreSQL())
    change(url)
    const error = await openStore(url.href)
      .find([newId()])
      .catch((failed: unknown) => failed)
    expect(error).toMatchObject({ code })
    expect(inspect((error as Error).message)).not.toContain('hunter2')
  })

  it('says that a server which is not there is away', async () => {
    const url = new URL(await freshPostgreSQL())
    url.port = String(await freePort())
    await expect(openStore(url.href).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
    })
  })

  it('says that a standby takes no changes', async () => {
    const url = await freshPostgreSQL()
    const id = await stored(openStore(url))
    const store = openStore(openPool(url, { options: '-c default_transaction_read_only=on' }))
    expect(await store.find([id])).toMatchObject([{ id }])
    const [result] = await resultsOf(store.write([update(id, 1)]))
    expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    expect(String(result)).toContain('standby')
  })

  it('fails only the session that a constraint of the app refuses', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    await stored(store)
    await openPool(url).query('ALTER TABLE coatcheck_sessions ADD CHECK (length(data) < 100)')
    const ids = [newId(), newId(), newId()]
    const writes = ids.map((id, index) => ({ ...insert(id), data: Buffer.alloc(index === 1 ? 200 : 20) }))
    const results = await store.write(writes)
    expect(results).toMatchObject(['done', { code: 'ERR_SESSION_DATA_REFUSED', status: 500 }, 'done'])
    expect(await store.find(ids)).toMatchObject([{ id: ids[0] }, undefined, { id: ids[2] }])
  })
})

async function endOthers(pool: Pool): Promise<void> {
  await pool.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
}

/** Cancels what waits for a lock. @returns how many statements that were */
async function cancelWaiting(pool: Pool): Promise<number | null> {
  const { rowCount } = await pool.query(
    `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return rowCount
}

async function resultsOf(written: ReturnType<SessionStore['write']>): Promise<unknown[]> {
  return written.catch((error: unknown) => [error])
}

async function databaseBySchema(): Promise<string> {
  const url = await freshPostgreSQL()
  const sql = readFileSync(new URL('../../schema/postgresql.sql', import.meta.url), 'utf8')
  for (let times = 1; times <= 2; times++) await openPool(url).query(sql)
  return url
}

/** What the server says of the tables. */
async function definitions(url: string): Promise<unknown> {
  const pool = openPool(url)
  const { rows: columns } = await pool.query(
    `SELECT table_name, column_name, data_type, is_nullable, ordinal_position FROM information_schema.columns
     WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`,
  )
  const { rows: indexes } = await pool.query(
    `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname`,
  )
  const { rows: options } = await pool.query(
    `SELECT relname, reloptions FROM pg_class WHERE relname LIKE 'coatcheck_%' AND relkind = 'r' ORDER BY relname`,
  )
  const { rows: recorded } = await pool.query('SELECT table_name, version FROM coatcheck_migrations')
  return { columns, indexes, options, recorded }
}

function thrownBy(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
