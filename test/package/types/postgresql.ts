import { createSessions } from 'coatcheck'
import {
  type PostgreSQLConnection,
  type PostgreSQLPool,
  PostgreSQLStore,
  type PostgreSQLStoreOptions,
  type PostgreSQLTarget,
} from 'coatcheck/postgresql'
import { Pool, type PoolClient } from 'pg'

// What pg gives is what the store takes.
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 20 })
const target: PostgreSQLTarget = pool
export const samePool: PostgreSQLPool = pool
export const connection = (client: PoolClient): PostgreSQLConnection => client

const options: PostgreSQLStoreOptions = { schema: 'sessions', table: 'shop_sessions', createTable: false }
const secret = 'a secret that only these tests use'
for (const first of [process.env.DATABASE_URL, pool, target])
  createSessions({ store: new PostgreSQLStore(first, { ...options, statementTimeout: '2s' }), secret })
