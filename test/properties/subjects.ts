import { MemoryStore, type SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { createPool } from 'mysql2/promise'
import { Pool } from 'pg'
import { databases, freshDatabase } from '../servers/databases.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { emptyRedis, freshRedis, storeOnRedis } from '../servers/redis-places.ts'
import { twoClocksStore } from './two-clocks.ts'
import { oldTable, ownTable, type StoreTraits } from './store-traits.ts'

/** A store that programs are played on, one after the other. */
interface OpenedSubject {
  /** The store, with nothing in it. */
  empty(): Promise<SessionStore>
  close(): Promise<void>
}

export interface Subject {
  readonly name: string
  readonly traits: StoreTraits
  /** How many programs it is given for a hundred that the one in memory is: what it takes in time. */
  readonly share: number
  open(): Promise<OpenedSubject>
}

export const subjects: readonly Subject[] = [
  {
    name: 'MemoryStore',
    traits: ownTable,
    share: 100,
    open: async () => ({ empty: async () => new MemoryStore(), close: async () => undefined }),
  },
  {
    name: 'a store with two clocks',
    traits: ownTable,
    share: 40,
    open: async () => ({ empty: async () => twoClocksStore(), close: async () => undefined }),
  },
  {
    name: 'SQLiteStore',
    traits: ownTable,
    share: 40,
    open: async () => {
      let store: SQLiteStore | undefined
      return {
        empty: async () => {
          await store?.close()
          return (store = new SQLiteStore(':memory:'))
        },
        close: async () => store?.close(),
      }
    },
  },
  {
    name: 'PostgreSQLStore',
    traits: ownTable,
    share: 10,
    open: openPostgreSQL,
  },
  {
    name: 'RedisStore',
    traits: ownTable,
    share: 10,
    open: openRedis,
  },
  ...databases().flatMap(({ name, server }): Subject[] => [
    {
      name: `MySQLStore on ${name}`,
      traits: ownTable,
      share: 10,
      open: () => openMySQL(server, 'coatcheck_sessions'),
    },
    {
      name: `MySQLStore on ${name}, express-mysql-session's table`,
      traits: oldTable,
      share: 10,
      open: () => openMySQL(server, 'sessions', 'express-mysql-session'),
    },
  ]),
]

async function openMySQL(
  server: string,
  table: string,
  layout?: 'express-mysql-session',
): Promise<OpenedSubject> {
  // One connection: one call at a time is all that is let go, and waits for the disk are not what is looked at.
  const pool = createPool({ uri: await freshDatabase(server), connectionLimit: 1 })
  const store = new MySQLStore(pool, { ...(layout && { layout }) })
  await store.list({ limit: 1, data: false })
  return {
    empty: async () => {
      await pool.query(`DELETE FROM ${table}`)
      return store
    },
    close: async () => {
      await store.close()
      await pool.end()
    },
  }
}

async function openPostgreSQL(): Promise<OpenedSubject> {
  // One connection, as above.
  const pool = new Pool({ connectionString: await freshPostgreSQL(), max: 1 })
  const store = new PostgreSQLStore(pool)
  await store.list({ limit: 1, data: false })
  return {
    empty: async () => {
      await pool.query('DELETE FROM coatcheck_sessions')
      return store
    },
    close: async () => {
      await store.close()
      await pool.end()
    },
  }
}

async function openRedis(): Promise<OpenedSubject> {
  const place = freshRedis()
  const store = storeOnRedis(place)
  return {
    empty: async () => {
      await emptyRedis(place)
      return store
    },
    close: () => store.close(),
  }
}
