import { createSessions } from 'coatcheck'
import { type App, startApp } from '../servers/apps.ts'
import { descendantsOf } from '../servers/process-table.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import type { FaultyDatabase, Owner, OwnServer } from './databases/faulty-database.ts'
import { mariadb } from './databases/mysql.ts'
import { type FaultProxy, faultProxyTo } from './proxy.ts'
import type { Stored } from './visitors.ts'

/** A database of its own, several apps on it, and a network between them that can fail. */
export interface Stage {
  readonly kind: FaultyDatabase
  readonly database: OwnServer
  readonly proxy: FaultProxy
  /** The apps' addresses. */
  readonly urls: readonly string[]
  /** Ends an app's process and starts another one in its place, at the same address. */
  restart(url: string, how?: Restart): Promise<void>
  /** Looks into the database, past the apps and the proxy. */
  readonly stored: Stored
  /** A connection of a user who may do everything, not by way of the proxy. */
  owner(): Promise<Owner>
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
  readonly kind?: FaultyDatabase
  /** Where the server's data lies. */
  readonly parent?: string
  /** What the apps find in their environment. */
  readonly env?: Readonly<Record<string, string>>
  /** How many apps. */
  readonly apps?: number
}

export async function setStage({
  kind = mariadb,
  parent,
  env = {},
  apps = 3,
}: StageOptions = {}): Promise<Stage> {
  const database = await kind.start(parent)
  if (!isOwn(database)) {
    await database.stop()
    throw new Error(
      'The fault bench needs a server on this machine: a container cannot be killed and started again.',
    )
  }
  const urls = await kind.prepare(database.url)
  const proxy = await faultProxyTo(urls.apps)
  const start = (more: Readonly<Record<string, string>> = {}, program = 'test/faults/app.ts'): Promise<App> =>
    startApp(program, { DATABASE_URL: proxy.url, ...env, ...more })
  const running = new Map<string, App>()
  for (const app of await Promise.all(Array.from({ length: apps }, () => start()))) running.set(app.url, app)
  // It asks nothing before it is asked.
  const sessions = createSessions({
    store: kind.openStore(urls.owner),
    secret: 'any: no cookie is read with it',
    sweep: false,
    ...(env['ENCRYPTION'] !== undefined && { encryption: env['ENCRYPTION'] }),
  })
  return {
    kind,
    database,
    proxy,
    urls: [...running.keys()],
    owner: () => kind.connect(urls.owner),
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

function isOwn(server: DatabaseServer): server is OwnServer {
  return server.pid !== undefined && server.crash !== undefined && server.restart !== undefined
}

/** Does work on a connection of a user who may do everything. */
export async function asOwner(connect: Stage['owner'], work: (owner: Owner) => Promise<void>): Promise<void> {
  const owner = await connect()
  try {
    await work(owner)
  } finally {
    await owner.end()
  }
}

/** Stops all processes of a server as they are, until `thaw`. */
export function freeze({ pid }: OwnServer): void {
  // First the one that starts the others.
  process.kill(pid!, 'SIGSTOP')
  for (const each of descendantsOf(pid!)) process.kill(each, 'SIGSTOP')
}

export function thaw({ pid }: OwnServer): void {
  for (const each of [...descendantsOf(pid!), pid!]) process.kill(each, 'SIGCONT')
}
