// One database for all apps.
import { join } from 'node:path'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { dataFolder } from './secret.ts'

const { DATABASE_URL } = process.env

export const store = DATABASE_URL
  ? new MySQLStore(DATABASE_URL)
  : new SQLiteStore(join(dataFolder, 'sessions.db'))

/** The same in all apps, because each extends the sessions that it reads. */
export const lifetime = { idle: '1d', absolute: '30d' } as const
