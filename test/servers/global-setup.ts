import type { TestProject } from 'vitest/node'
import { startMariaDB } from './mariadb.ts'
import { startMySQL } from './mysql.ts'
import { leaveDiskToSystem } from './mysql-server.ts'
import { leaveDiskToPostgres, startPostgres } from './postgres.ts'
import { say } from './programs.ts'
import { startRedis } from './redis.ts'
import type { DatabaseServer } from './server-process.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `mysql://…` of the one MariaDB of this run, without a database. `freshDatabase()` makes one on it. */
    mariadb: string
    /** The same of its MySQL, or in one line why there is none. Tests meet it by `onEachServer`. */
    mysql: { readonly url: string } | { readonly absent: string }
    /** `postgres://…/postgres` of its PostgreSQL. `freshPostgreSQL()` makes a database on it. */
    postgresql: string
    /** `redis://…` of its Redis. Tests keep apart by the prefixes of their keys. */
    redis: string
  }
}

/** Starts what all test files share; Vitest calls the returned function when the run is over. */
export default async function setup(project: Pick<TestProject, 'provide'>): Promise<() => Promise<void>> {
  // Of a script that runs the tests many times, and lends them its own; `none` does without MySQL.
  const { COATCHECK_MARIADB, COATCHECK_MYSQL, COATCHECK_POSTGRESQL, COATCHECK_REDIS } = process.env
  const lent = {
    mariadb: COATCHECK_MARIADB,
    mysql: COATCHECK_MYSQL,
    postgresql: COATCHECK_POSTGRESQL,
    redis: COATCHECK_REDIS,
  }
  const started: DatabaseServer[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()))
  }
  const start = async (server: Promise<DatabaseServer>): Promise<string> => {
    started.push(await server)
    return (await server).url
  }
  const mysql = async () => {
    if (lent.mysql === 'none') return { absent: 'COATCHECK_MYSQL is none' }
    try {
      return { url: lent.mysql ?? (await start(startMySQL(leaveDiskToSystem))) }
    } catch (error) {
      // There its absence must not go unnoticed.
      if (process.env['CI']) throw error
      const { message } = error as Error
      say(`${message}. The tests on MySQL are skipped.`)
      return { absent: message }
    }
  }
  // All to their end, so that none is left behind where one fails.
  const [onMariaDB, onMySQL, onPostgreSQL, onRedis] = await Promise.allSettled([
    lent.mariadb ?? start(startMariaDB(leaveDiskToSystem)),
    mysql(),
    lent.postgresql ?? start(startPostgres({ settings: leaveDiskToPostgres })),
    lent.redis ?? start(startRedis()),
  ])
  for (const started of [onMariaDB, onMySQL, onPostgreSQL, onRedis]) {
    if (started.status === 'fulfilled') continue
    await stop()
    throw started.reason
  }
  project.provide('mariadb', (onMariaDB as PromiseFulfilledResult<string>).value)
  project.provide('mysql', (onMySQL as PromiseFulfilledResult<{ url: string } | { absent: string }>).value)
  project.provide('postgresql', (onPostgreSQL as PromiseFulfilledResult<string>).value)
  project.provide('redis', (onRedis as PromiseFulfilledResult<string>).value)
  return stop
}
