import { randomBytes } from 'node:crypto'
import { createSessions } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { type Connection, createConnection } from 'mysql2/promise'
import { type App, startApp } from '../servers/apps.ts'
import { startDatabase } from '../servers/start-database.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { type FaultProxy, faultProxyTo } from './proxy.ts'
import type { Stored } from './visitors.ts'

/** A database of its own, several apps on it, and a network between them that can fail. */
export interface Stage {
  readonly database: Required<DatabaseServer>
  readonly proxy: FaultProxy
  /** The apps' addresses. */
  readonly urls: readonly string[]
  /** Ends an app's process and starts another one in its place, at the same address. */
  restart(url: string, how?: Restart): Promise<void>
  /** Looks into the database, past the apps and the proxy. */
  readonly stored: Stored
  /** A connection of a user who may do everything, not by way of the proxy. */
  owner(): Promise<Connection>
  end(): Promise<void>
}

/** How one process of an app follows another. */
export interface Restart {
  /** What ends the one. By default SIGTERM: it answers what it has begun. */
  readonly signal?: NodeJS.Signals
  /** What the other one finds in its environment besides. */
  readonly env?: Readonly<Record<string, string>>
  /** Another program than before. */
  readonly program?: string
}

export interface StageOptions {
  /** By default MariaDB. */
  readonly database?: string
  /** The server's own options. */
  readonly server?: readonly string[]
  /** Where the server's data lies. */
  readonly parent?: string
  /** What the apps find in their environment. */
  readonly env?: Readonly<Record<string, string>>
  /** How many apps. */
  readonly apps?: number
}

export async function setStage({
  database: kind = 'mariadb',
  server = [],
  parent,
  env = {},
  apps = 3,
}: StageOptions = {}): Promise<Stage> {
  const database = await startDatabase(kind, server, parent)
  if (!isOwn(database)) {
    await database.stop()
    throw new Error(
      'The fault bench needs a server on this machine: a container cannot be killed and started again.',
    )
  }
  const name = 'faults'
  const password = randomBytes(12).toString('hex')
  const url = new URL(`${database.url}/${name}`)
  const owner = () => createConnection(url.href)
  const first = await createConnection(database.url)
  await first.query(`CREATE DATABASE ${name}`)
  // As an app's user should be: without the right to write to a read-only server.
  await first.query(`CREATE USER app@'127.0.0.1' IDENTIFIED BY '${password}'`)
  await first.query(`GRANT ALL ON ${name}.* TO app@'127.0.0.1'`)
  await first.end()
  const proxy = await faultProxyTo(`mysql://app:${password}@${url.host}/${name}`)
  const start = (more: Readonly<Record<string, string>> = {}, program = 'test/faults/app.ts'): Promise<App> =>
    startApp(program, { DATABASE_URL: proxy.url, ...env, ...more })
  const running = new Map<string, App>()
  for (const app of await Promise.all(Array.from({ length: apps }, () => start()))) running.set(app.url, app)
  // It asks nothing before it is asked.
  const sessions = createSessions({
    store: new MySQLStore(url.href),
    secret: 'any: no cookie is read with it',
    sweep: false,
    ...(env['ENCRYPTION'] !== undefined && { encryption: env['ENCRYPTION'] }),
  })
  return {
    database,
    proxy,
    urls: [...running.keys()],
    owner,
    async restart(app, { signal, env: more, program } = {}) {
      await running.get(app)!.stop(signal)
      running.set(app, await start({ ...more, PORT: new URL(app).port }, program))
    },
    async stored(user) {
      return (await sessions.user(user).list()).map(({ data }) => data as Readonly<Record<string, unknown>>)
    },
    async end() {
      await sessions.close()
      await Promise.all([...running.values()].map((app) => app.stop()))
      await proxy.close()
      await database.stop()
    },
  }
}

function isOwn(server: DatabaseServer): server is Required<DatabaseServer> {
  return server.pid !== undefined && server.crash !== undefined && server.restart !== undefined
}

/** Does work on a connection of a user who may do everything. */
export async function asOwner(
  owner: Stage['owner'],
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connection = await owner()
  try {
    await work(connection)
  } finally {
    await connection.end()
  }
}
