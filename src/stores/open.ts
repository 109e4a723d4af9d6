import { optionError, refuseUnknownOptions } from '../core/errors.js'
import type { SessionStore } from '../core/store/session-store.js'
import { MemoryStore } from './memory.js'
import { MySQLStore } from './mysql.js'
import { PostgreSQLStore } from './postgresql.js'
import { RedisStore } from './redis.js'
import { SQLiteStore } from './sqlite.js'

/** The options of `openStore`. */
export interface OpenStoreOptions {
  /**
   * The table's name, the same in all apps that share sessions. In Redis, the keys begin with it and a colon.
   * @default 'coatcheck_sessions'; in Redis 'coatcheck'
   */
  readonly table?: string | undefined
  /**
   * Whether the store makes its tables on first use, and updates them after an upgrade. Redis has none.
   * @default true
   */
  readonly createTable?: boolean | undefined
}

/**
 * What a URL begins with, and the store for it. None of the stores loads a driver before it is made. A store of another
 * database is a line for each of its schemes here.
 */
const openers: Readonly<Record<string, (url: string, options: OpenStoreOptions) => SessionStore>> = {
  mysql: (url, options) => new MySQLStore(url, options),
  mariadb: (url, options) => new MySQLStore(url, options),
  postgres: (url, options) => new PostgreSQLStore(url, options),
  postgresql: (url, options) => new PostgreSQLStore(url, options),
  redis: openRedis,
  rediss: openRedis,
  sqlite: (url, options) => new SQLiteStore(sqliteName(url), options),
  file: (url, options) => new SQLiteStore(sqliteName(url), options),
  memory: () => new MemoryStore(),
}

const known =
  'mysql://user:password@host:3306/database, mariadb://…, postgres://user:password@host:5432/database, postgresql://…, redis://user:password@host:6379, rediss://…, sqlite:sessions.db, file:sessions.db or memory:'

/**
 * Makes the store for a URL, so that configuration alone says where sessions are kept. Only the driver of that database
 * must be installed.
 *
 * | URL                                                | store                                        |
 * | -------------------------------------------------- | -------------------------------------------- |
 * | `mysql://user:password@host:3306/database`         | `MySQLStore`; `mariadb://` is the same       |
 * | `postgres://user:password@host:5432/database`      | `PostgreSQLStore`; `postgresql://` is the same |
 * | `redis://user:password@host:6379`, `rediss://…`   | `RedisStore`                                 |
 * | `sqlite:sessions.db`, `sqlite:///var/lib/shop.db`  | `SQLiteStore`; `file:` is the same           |
 * | `memory:`                                          | `MemoryStore`                                |
 *
 * What follows `sqlite:` or `file:` is read as SQLite reads a `file:` name, percent-encoding and parameters included
 * (https://sqlite.org/uri.html). A path without a slash at its start is relative to the working directory.
 *
 * For options that only one store has, make that store with `new`.
 *
 * @throws `ERR_SESSION_OPTION` if the URL is missing, or of a database that coatcheck has no store for; and whatever the
 *   store's constructor throws. No message shows the password.
 * @example
 * import { openStore } from 'coatcheck/open'
 *
 * const store = openStore(process.env.DATABASE_URL ?? 'sqlite:sessions.db')
 * const sessions = createSessions({ store, secret })
 */
export function openStore(url: string | undefined, options: OpenStoreOptions = {}): SessionStore {
  refuseUnknownOptions('openStore', options, ['table', 'createTable'])
  if (typeof url !== 'string' || url === '') {
    throw optionError(`openStore needs a URL, such as process.env.DATABASE_URL. Write ${known}.`)
  }
  const [, scheme = ''] = /^([a-z][a-z\d+.-]*):/i.exec(url) ?? []
  const open = Object.hasOwn(openers, scheme.toLowerCase()) ? openers[scheme.toLowerCase()] : undefined
  if (open !== undefined) return open(url, options)
  // Without "//", what stands before the colon may be a user name.
  const what = url.startsWith(`${scheme}://`) ? `has no store for ${scheme}://` : 'was given no URL'
  throw optionError(`openStore ${what}. Write ${known}.`)
}

function openRedis(url: string, { table }: OpenStoreOptions): RedisStore {
  return new RedisStore(url, table === undefined ? {} : { prefix: `${table}:` })
}

/** The name of a file, or of a database in memory, as SQLite takes it. */
function sqliteName(url: string): string {
  const name = url.slice(url.indexOf(':') + 1)
  const [, host = '', path] = /^(?:\/\/([^/?#]*))?([^?#]*)/.exec(name)!
  if (host !== '' && host !== 'localhost') {
    throw optionError(
      'A URL of an SQLite file names a host. Write sqlite:sessions.db for a file in the working directory, or sqlite:///var/lib/shop/sessions.db, with three slashes.',
    )
  }
  if (!path) throw optionError('A URL of an SQLite file names no file. Write sqlite:sessions.db.')
  return `file:${name}`
}
