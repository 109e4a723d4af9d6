// One database for all apps.
import { join } from 'node:path'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { dataFolder } from './secret.ts'

export const store = storeAt(process.env['DATABASE_URL'])

function storeAt(url: string | undefined): MySQLStore | PostgreSQLStore | SQLiteStore {
  if (!url) return new SQLiteStore(join(dataFolder, 'sessions.db'))
  return /^postgres(?:ql)?:/.test(url) ? new PostgreSQLStore(url) : new MySQLStore(url)
}

/** The same in all apps, because each extends the sessions that it reads. */
export const lifetime = { idle: '1d', absolute: '30d' } as const
