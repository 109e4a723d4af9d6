import { randomBytes } from 'node:crypto'
import { type Connection, createConnection } from 'mysql2/promise'
import { type App, startApp } from '../servers/apps.ts'
import { type DatabaseServer, startMariaDB } from '../servers/mariadb.ts'
import { type FaultProxy, faultProxyTo } from './proxy.ts'

/** A database of its own, several apps on it, and a network between them that can fail. */
export interface Stage {
  readonly database: Required<DatabaseServer>
  readonly proxy: FaultProxy
  readonly apps: readonly App[]
  /** The apps' addresses. */
  readonly urls: readonly string[]
  /** A connection of a user who may do everything, not by way of the proxy. */
  owner(): Promise<Connection>
  end(): Promise<void>
}

export interface StageOptions {
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
  server = [],
  parent,
  env = {},
  apps = 3,
}: StageOptions = {}): Promise<Stage> {
  const database = await startMariaDB(server, parent)
  if (!isOwn(database)) {
    await database.stop()
    throw new Error(
      'The fault bench needs a mariadbd on this machine: a container cannot be killed and started again.',
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
  const starting = Array.from({ length: apps }, () =>
    startApp('test/faults/app.ts', { DATABASE_URL: proxy.url, ...env }),
  )
  const started = await Promise.all(starting)
  return {
    database,
    proxy,
    apps: started,
    urls: started.map((app) => app.url),
    owner,
    async end() {
      await Promise.all(started.map((app) => app.stop()))
      await proxy.close()
      await database.stop()
    },
  }
}

function isOwn(server: DatabaseServer): server is Required<DatabaseServer> {
  return server.pid !== undefined && server.crash !== undefined && server.restart !== undefined
}
