import type { SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { Client } from 'pg'
import { type Database, freshDatabase } from './servers/databases.ts'
import { leaveDiskToPostgres, startPostgres } from './servers/postgres.ts'
import { freshPostgreSQL } from './servers/postgres-databases.ts'

/** A server of its own, which counts what one app's store has it do. */
export interface CountedDatabase {
  readonly store: SessionStore
  /** What it has done so far, without what it was asked here. */
  work(): Promise<Work>
  /** How many statements are prepared, how many may be at most, and how many more at any time after that. */
  prepared(): Promise<{ readonly now: number; readonly most: number; readonly mostMore: number }>
  /** Has all sessions seen so many milliseconds earlier. */
  age(milliseconds: number): Promise<unknown>
  close(): Promise<void>
}

export interface Work {
  readonly statements: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
  readonly prepared: number
}

export async function countedMySQL({ start }: Database): Promise<CountedDatabase> {
  const server = await start()
  const url = await freshDatabase(server.url)
  const pool = createPool({ uri: url, connectionLimit: 1 })
  let asked = 0
  const status = async (): Promise<Record<string, number>> => {
    asked++
    const [rows] = await pool.query<RowDataPacket[]>('SHOW GLOBAL STATUS')
    return Object.fromEntries(rows.map((row) => [row['Variable_name'] as string, Number(row['Value'])]))
  }
  return {
    store: new MySQLStore(url),
    async work() {
      const values = await status()
      return {
        statements: values['Questions']! - asked,
        inserts: values['Com_insert']!,
        updates: values['Com_update']!,
        deletes: values['Com_delete']!,
        prepared: values['Com_stmt_prepare']!,
      }
    },
    async prepared() {
      const { Prepared_stmt_count: now, Threads_connected: connected } = await status()
      // 1 to 64 sessions in seven sizes: find, insert, update, touch, and asking for versions. And a few that come alone.
      return { now: now!, most: (connected! - 1) * (5 * 7 + 5), mostMore: 7 * (connected! - 1) }
    },
    age: (milliseconds) => pool.query('UPDATE coatcheck_sessions SET seen_at = seen_at - ?', [milliseconds]),
    async close() {
      await pool.end()
      await server.stop()
    },
  }
}

export async function countedPostgreSQL(): Promise<CountedDatabase> {
  const counting = ['-c', 'shared_preload_libraries=pg_stat_statements']
  const server = await startPostgres({ settings: [...leaveDiskToPostgres, ...counting] })
  const url = await freshPostgreSQL(server.url)
  const [client, counter] = [new Client(url), new Client(server.url)]
  await client.connect()
  await counter.connect()
  await counter.query('CREATE EXTENSION pg_stat_statements')
  /** What is asked from another database is not counted. */
  const work = async (): Promise<Work> => {
    const { rows } = await counter.query<Record<keyof Work, number>>(
      `SELECT COALESCE(sum(calls), 0)::int AS statements,
              COALESCE(sum(calls) FILTER (WHERE query ~ 'INSERT INTO'), 0)::int AS inserts,
              COALESCE(sum(calls) FILTER (WHERE query ~ '^UPDATE'), 0)::int AS updates,
              COALESCE(sum(calls) FILTER (WHERE query ~ 'DELETE FROM'), 0)::int AS deletes,
              count(*)::int AS prepared
       FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = $1`,
      [new URL(url).pathname.slice(1)],
    )
    return rows[0]!
  }
  return {
    store: new PostgreSQLStore(url),
    work,
    // One text serves a batch of any size. Besides, there are those that made the table.
    prepared: async () => ({ now: (await work()).prepared, most: 25, mostMore: 0 }),
    age: (milliseconds) =>
      client.query('UPDATE coatcheck_sessions SET seen_at = seen_at - $1::bigint', [milliseconds]),
    async close() {
      await Promise.all([client.end(), counter.end()])
      await server.stop()
    },
  }
}
