import { randomBytes } from 'node:crypto'
import { PostgreSQLStore, type PostgreSQLStoreOptions, type PostgreSQLTarget } from 'coatcheck/postgresql'
import { Pool, type PoolConfig } from 'pg'
import { afterEach } from 'vitest'

const cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** A store that is closed after the test. */
export function openStore(target: PostgreSQLTarget, options: PostgreSQLStoreOptions = {}): PostgreSQLStore {
  const store = new PostgreSQLStore(target, options)
  cleanUps.push(() => store.close())
  return store
}

/** A pool as an app would have, closed after the test. */
export function openPool(url: string, options: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: url, ...options })
  pool.on('error', () => undefined) // of connections that a test ends
  cleanUps.push(() => pool.end())
  return pool
}

/** A new role that may connect to the database of `url`, with these grants, in each of which `ROLE` stands for it. */
export async function urlOfRole(url: string, ...grants: readonly string[]): Promise<string> {
  const role = `role_${randomBytes(6).toString('hex')}`
  const mine = new URL(url)
  const pool = openPool(url)
  await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD '${mine.password}'`)
  for (const grant of grants) await pool.query(grant.replaceAll('ROLE', role))
  mine.username = role
  return mine.href
}

/** How many statements wait for a lock in the pool's database. */
export async function waitingStatements(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return rows[0]!.count
}
