// One database for all apps.
import { join } from 'node:path'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { dataFolder } from './secret.ts'

const { DATABASE_URL } = process.env

export const store = DATABASE_URL
  ? new MySQLStore(DATABASE_URL)
  : new SQLiteStore(join(dataFolder, 'sessions.db'))
