import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { Client } from 'pg'
import { startPostgres } from '../../servers/postgres.ts'
import type { FaultyDatabase, Held, Owner } from './faulty-database.ts'

export const postgresql: FaultyDatabase = {
  name: 'PostgreSQL',
  // The stores here have a second for a statement, not five. So the server looks for a deadlock as much sooner.
  start: (parent) => startPostgres({ settings: ['-c', 'deadlock_timeout=200ms'], ...(parent && { parent }) }),
  async prepare(server) {
    const name = 'faults'
    const password = randomBytes(12).toString('hex')
    await asClient(server, async (client) => {
      await client.query(`CREATE ROLE app LOGIN PASSWORD '${password}'`)
      await client.query(`CREATE DATABASE ${name}`)
    })
    const owner = new URL(`/${name}`, server).href
    await asClient(owner, (client) => client.query('GRANT CREATE ON SCHEMA public TO app'))
    return { owner, apps: `postgres://app:${password}@${new URL(owner).host}/${name}` }
  },
  openStore: (url) => new PostgreSQLStore(url),
  connect: ownerOn,
  // A bytea in an array goes in hexadecimal digits.
  onNetwork: (text) => Buffer.from(text).toString('hex'),
  nextVersion: {
    file: 'dist/stores/postgresql/statements.js',
    differences: [
      ["'former_until', ...former", "'former_until', ...former, 'made_by'"],
      [
        "'NULL::bigint, NULL::bytea FROM unnest(",
        "`NULL::bigint, NULL::bytea, 'next'::bytea ` +\n            'FROM unnest(",
      ],
      [
        '_sweep_at" ON ${table} (sweep_at)`,\n            ],\n        },\n    ];',
        '_sweep_at" ON ${table} (sweep_at)`,\n            ],\n        },\n        { version: 2, statements: [`ALTER TABLE ${table} ADD COLUMN made_by bytea`] },\n    ];',
      ],
    ],
  },
  endsOnFullDisk: false,
}

async function ownerOn(url: string): Promise<Owner> {
  const client = await connected(url)
  return {
    async lock() {
      await client.query('BEGIN')
      await client.query('SELECT version FROM coatcheck_sessions FOR UPDATE')
    },
    async unlock() {
      await client.query('ROLLBACK')
    },
    async setReadOnly(isReadOnly) {
      await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`)
      await client.query('SELECT pg_reload_conf()')
    },
    async deadlock() {
      // Whoever is the first to look for a deadlock is ended: seldom this connection.
      await client.query(`SET deadlock_timeout = '1s'`)
      await asClient(url, async (observer) => {
        while (!(await lockBackwards(client, observer)));
      })
    },
    async read(user, column) {
      const { rows } = await client.query<Held>(
        `SELECT id, ${column} AS held FROM coatcheck_sessions WHERE user_id = convert_to($1, 'UTF8')`,
        [user],
      )
      return rows[0]!
    },
    async store(id, column, bytes) {
      await client.query(`UPDATE coatcheck_sessions SET ${column} = $1 WHERE id = $2`, [bytes, id])
    },
    async connectionsOfApps() {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'app'`,
      )
      return rows[0]!.count
    },
    async madeBy(user) {
      const { rows } = await client.query<{ made_by: Buffer | null }>(
        `SELECT made_by FROM coatcheck_sessions WHERE user_id = convert_to($1, 'UTF8')`,
        [user],
      )
      return rows.map(({ made_by }) => String(made_by))
    },
    repair: async () => undefined,
    end: () => client.end(),
  }
}

/**
 * Locks the sessions in use, the last first, while the store locks the first first.
 * @returns whether the store and this client waited for each other
 */
async function lockBackwards(client: Client, observer: Client): Promise<boolean> {
  const { rows: used } = await client.query<{ id: Buffer }>(
    'SELECT id FROM coatcheck_sessions ORDER BY seen_at DESC LIMIT 8',
  )
  const ids = used.map(({ id }) => id).toSorted((one, other) => other.compare(one))
  const { rows: own } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  let [isLocking, met] = [true, false]
  await client.query('BEGIN')
  const locking = (async () => {
    for (const id of ids)
      await client.query('SELECT version FROM coatcheck_sessions WHERE id = $1 FOR UPDATE', [id])
  })()
    .catch((error: unknown) => {
      assert.equal((error as { code?: string }).code, '40P01')
      met = true
    })
    .finally(() => (isLocking = false))
  while (isLocking) {
    const { rows } = await observer.query<{ met: boolean }>(
      'SELECT COALESCE(bool_or($1 = ANY (pg_blocking_pids(pid))), false) AS met FROM unnest(pg_blocking_pids($1)) AS pid',
      [own[0]!.pid],
    )
    met ||= rows[0]!.met
  }
  await locking
  await client.query('ROLLBACK')
  return met
}

async function asClient(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = await connected(url)
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined) // of a server that is killed meanwhile
  await client.connect()
  return client
}
