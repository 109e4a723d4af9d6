// One database for all apps.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openStore } from 'coatcheck/open'
import { dataFolder } from './secret.ts'

export const store = openStore(
  process.env['DATABASE_URL'] || pathToFileURL(join(dataFolder, 'sessions.db')).href,
)

/** The same in all apps, because each extends the sessions that it reads. */
export const lifetime = { idle: '1d', absolute: '30d' } as const
