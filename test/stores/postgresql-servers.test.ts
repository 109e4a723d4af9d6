import { storeSuite } from 'coatcheck/testing'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Pooler, startPgBouncer } from '../servers/pgbouncer.ts'
import { startPostgres } from '../servers/postgres.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { newId, insert, rotation, storedMany, touch, update } from './mysql-subject.ts'
import { openPool, openStore, waitingStatements } from './postgresql-subject.ts'

describe('behind PgBouncer in transaction mode', () => {
  let pooler: Pooler
  let url: string
  beforeAll(async () => {
    url = await freshPostgreSQL()
    pooler = await startPgBouncer(url)
  })
  afterAll(() => pooler?.stop())

  storeSuite('PostgreSQLStore', {
    describe,
    it,
    open: async () => {
      // A table of its own in the one database that the pooler leads to.
      const table = `t_${newId().replaceAll('-', '_')}`
      return {
        store: new PostgreSQLStore(pooler.url, { table }),
        other: new PostgreSQLStore(pooler.url, { table }),
        cleanUp: () => Promise.resolve(),
      }
    },
  })

  it('ten apps start at once on an empty database', async () => {
    const empty = await startPgBouncer(await freshPostgreSQL())
    onTestFinished(() => empty.stop())
    const stores = Array.from({ length: 10 }, () => openStore(empty.url))
    const ids = (await Promise.all(stores.map((store) => storedMany(store, 1)))).flat()
    expect(await stores[0]!.find(ids)).toMatchObject(ids.map((id) => ({ id })))
  })

  it('what was given up is cancelled, by way of the pooler', async () => {
    const direct = await freshPostgreSQL()
    const own = await startPgBouncer(direct)
    onTestFinished(() => own.stop())
    const store = openStore(own.url, { statementTimeout: '1s' })
    const id = (await storedMany(store, 1))[0]!
    const pool = openPool(direct)
    const holder = await pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query('LOCK TABLE coatcheck_sessions')
      await expect(store.find([id])).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT' })
      await expect.poll(() => waitingStatements(pool)).toBe(0)
      await holder.query('ROLLBACK')
    } finally {
      holder.release()
    }
    await expect.poll(() => store.find([id]).catch(() => [])).toMatchObject([{ id }])
  })

  it('many apps share few connections', async () => {
    const stores = Array.from({ length: 10 }, () => openStore(pooler.url))
    const ids = await storedMany(stores[0]!, 20)
    for (let round = 1; round <= 5; round++) {
      await Promise.all(stores.map((store) => store.find(ids)))
      const results = await Promise.all(
        stores.map((store) => store.write(ids.map((id) => update(id, round)))),
      )
      for (const [index] of ids.entries())
        expect(results.filter((each) => each[index] === 'done')).toHaveLength(1)
    }
    const { rows } = await openPool(url).query<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
    expect(rows[0]!.count).toBeLessThanOrEqual(3)
  })
})

describe('where the server is killed', () => {
  it('what was acknowledged is there afterwards, and nothing is there twice', async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const store = openStore(server.url, { statementTimeout: '2s' })
    const ids = await storedMany(store, 10)
    let versions = ids.map(() => 1)
    for (let round = 1; round <= 3; round++) {
      const changes = ids.map(async (id, index) => {
        const [result] = await store.write([update(id, versions[index]!)]).catch((error: unknown) => [error])
        return result
      })
      await server.crash()
      const results = await Promise.all(changes)
      const failed = results.filter((result) => result !== 'done') as { code: string; status: number }[]
      expect(
        failed.filter(({ code, status }) => status !== 503 || !code.startsWith('ERR_SESSION_STORE_')),
      ).toEqual([])
      await server.restart()
      const found = (await store.find(ids)).map((record) => record!.version)
      for (const [index, version] of found.entries()) {
        const before = versions[index]!
        const possible = results[index] === 'done' ? [before + 1] : [before, before + 1]
        expect(possible).toContain(version)
      }
      versions = found
    }
  })
})

describe('a large table', () => {
  it('is read and written by its indexes', async () => {
    const url = await freshPostgreSQL()
    const store = openStore(url)
    const ids = await storedMany(store, 30)
    const pool = openPool(url, { max: 1 })
    await pool.query(
      `INSERT INTO coatcheck_sessions (id, secret_hash, data, format, version, marks, created_at, seen_at, expires_at, sweep_at, user_id)
       SELECT substring(sha256(n::text::bytea) FOR 12), sha256(n::text::bytea), '{}', 1, 1, '', 1, 1, 9e15, 9e15,
              convert_to((n % 5000)::text, 'UTF8') FROM generate_series(1, 20000) AS n`,
    )
    await pool.query('ANALYZE coatcheck_sessions')
    const scans = async () => {
      // A connection tells what it has counted when it ends, and is listed until then.
      await expect
        .poll(async () => {
          const { rows } = await pool.query<{ others: number }>(
            'SELECT count(*)::int AS others FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
          )
          return rows[0]!.others
        })
        .toBe(0)
      const { rows } = await pool.query<{ scans: number }>(
        `SELECT seq_scan::int AS scans FROM pg_stat_user_tables WHERE relname = 'coatcheck_sessions'`,
      )
      return rows[0]!.scans
    }
    await store.close()
    const before = await scans()
    const again = openStore(url)
    await again.find(ids)
    await again.alive(ids)
    await again.write([...ids.slice(0, 10).map(touch), ...ids.slice(10, 20).map((id) => update(id, 1))])
    await again.write([...ids.slice(20).map((id) => rotation(id, 1)), insert(newId())])
    await again.list({ userId: '7', limit: 10, data: true })
    await again.removeByUser('7')
    await again.removeExpired(100)
    await again.list({ limit: 10, data: false })
    await again.close()
    expect(await scans()).toBe(before)
  })
})
