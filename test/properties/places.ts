import type { SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { storeOnRedis } from '../servers/redis-places.ts'
import { oldTable, ownTable, type StoreTraits } from './store-traits.ts'

/** A database that processes share: what each of them opens there. */
export interface Place {
  readonly traits: StoreTraits
  open(where: string): SessionStore
}

/** By names that a process can be told. */
export const places = {
  sqlite: { traits: ownTable, open: (file: string) => new SQLiteStore(file) },
  mysql: { traits: ownTable, open: (url: string) => new MySQLStore(url) },
  postgresql: { traits: ownTable, open: (url: string) => new PostgreSQLStore(url) },
  redis: { traits: ownTable, open: storeOnRedis },
  "mysql, on express-mysql-session's table": {
    traits: oldTable,
    open: (url: string) => new MySQLStore(url, { layout: 'express-mysql-session' }),
  },
} as const satisfies Readonly<Record<string, Place>>

export type PlaceName = keyof typeof places
