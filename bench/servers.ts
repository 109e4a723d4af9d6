import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { startDatabase } from '../test/servers/start-database.ts'
import { Client } from 'pg'
import { createClient } from 'redis'
import { startPostgres } from '../test/servers/postgres.ts'
import { startRedisCluster } from '../test/servers/redis-cluster.ts'
import { startRedis } from '../test/servers/redis.ts'
import { ServerFolder } from '../test/servers/server-process.ts'
import type { Places } from './apps/session-kinds.ts'
import { moveAside } from './cores.ts'

/** The private servers of one run of the bench, each with its own defaults. */
export interface Servers {
  readonly pids: readonly number[]
  /** Their versions, for the report. */
  readonly versions: string
  /** A folder for what apps and the load read and write. */
  readonly folder: string
  /** A new database and a new folder. All share the Redis, whose keys are of one app alone anyway. */
  placesFor(name: string): Promise<Places>
  /** How many statements the database has been sent so far. */
  statements(): Promise<number>
  stop(): Promise<void>
}

/**
 * @param options `pinned`: on the load's core, as measuring needs it. That is the default; it takes Linux and two cores.
 *   `database`: `mysql` instead of `mariadb`. `nodes`: how many masters a Redis Cluster has; left out, none is started.
 */
export async function startServers({
  pinned = true,
  database = 'mariadb',
  nodes = 0,
} = {}): Promise<Servers> {
  const [server, redis, postgres, cluster] = await Promise.all([
    startDatabase(database),
    startRedis(),
    // It counts statements only with this.
    startPostgres({ settings: ['-c', 'shared_preload_libraries=pg_stat_statements'] }),
    nodes === 0 ? undefined : startRedisCluster({ masters: nodes }),
  ])
  const folder = await ServerFolder.make('bench')
  const connection = await createConnection(server.url)
  const [[version]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
  const onPostgres = new Client({ connectionString: postgres.url })
  await onPostgres.connect()
  await onPostgres.query('CREATE EXTENSION pg_stat_statements')
  const postgresVersion = await onPostgres.query<{ version: string }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version`,
  )
  const pids = [server, redis, postgres, ...(cluster?.nodes ?? [])]
    .map(({ pid }) => pid)
    .filter((pid) => pid !== undefined)
  if (pinned) await Promise.all(pids.map(moveAside))
  let asked = 0 // of the statements that are counted, by the bench itself
  return {
    pids,
    versions: `${database === 'mysql' ? 'MySQL' : 'MariaDB'} ${String(version!['version']).split('-', 1)[0]}, PostgreSQL ${postgresVersion.rows[0]!.version}, Redis ${await redisVersion(redis.url)}`,
    folder: folder.path,
    async placesFor(name) {
      const place = name.replaceAll(/\W/g, '_')
      await connection.query(`CREATE DATABASE ${place}`)
      asked++
      await onPostgres.query(`CREATE DATABASE ${place}`)
      const own = join(folder.path, place)
      await mkdir(own)
      return {
        mysql: `${server.url}/${place}`,
        postgresql: new URL(`/${place}`, postgres.url).href,
        redis: redis.url,
        redisCluster: cluster?.nodes.map(({ url }) => url) ?? [],
        folder: own,
      }
    },
    async statements() {
      asked++
      const [[row]] = await connection.query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE 'Questions'`)
      const { rows } = await onPostgres.query<{ calls: number }>(
        `SELECT COALESCE(sum(calls), 0)::int AS calls FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname <> 'postgres'`,
      )
      return Number(row!['Value']) - asked + rows[0]!.calls
    },
    async stop() {
      await Promise.all([connection.end(), onPostgres.end()])
      await Promise.all([server.stop(), redis.stop(), postgres.stop(), cluster?.stop()])
      await folder.remove()
    },
  }
}

async function redisVersion(url: string): Promise<string> {
  const client = await createClient({ url }).connect()
  try {
    return /redis_version:(\S+)/.exec(await client.info('server'))![1]!
  } finally {
    client.destroy()
  }
}
