import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createSessions, MemoryStore, type SessionStore } from 'coatcheck'
import session from 'coatcheck/express'
import coatcheckMySQLStore from 'coatcheck/express-mysql-session'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { RedisStore } from 'coatcheck/redis'
import { SQLiteStore } from 'coatcheck/sqlite'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore as ConnectRedisStore } from 'connect-redis'
import expressMySQLSession from 'express-mysql-session'
import expressSession from 'express-session'
import { getIronSession } from 'iron-session'
import { createClient, createCluster } from 'redis'
import type { SessionContents } from './shapes.ts'

/** Where the servers are that the bench started. */
export interface Places {
  /** `mysql://user:password@host:port/database` of a database of this app's own. */
  readonly mysql: string
  /** The same, with `postgres:`. */
  readonly postgresql: string
  readonly redis: string
  /** `redis://…` of some nodes of a cluster; empty where none was started. */
  readonly redisCluster: readonly string[]
  /** A folder of this app's own. */
  readonly folder: string
}

/** What the apps keep in a session, and what the kinds of session offer of their own. */
export interface BenchSession extends SessionContents {
  signIn?(user: string): Promise<void>
  signOut?(): Promise<void>
  update?(change: (session: BenchSession) => void): Promise<void>
  destroy?(callback: (error?: unknown) => void): unknown
  regenerate?(callback: (error?: unknown) => void): unknown
  save?(): unknown
}

/** What the routes need of a request, whatever the framework. */
export interface SessionRequest {
  session: BenchSession
  readonly url?: string | undefined
}

export type Middleware = (
  request: IncomingMessage & SessionRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => unknown

/** One way to have sessions, used as its own documentation advises. */
export interface SessionKind {
  open(places: Places): Middleware | Promise<Middleware>
  /** Gives the session a new id, where it has one, and names its user, where sessions have users. */
  signIn(request: SessionRequest): Promise<void> | void
  /** Ends the session, for the kinds that are raced. */
  signOut?(request: SessionRequest): Promise<void>
  /** Stores changes, where that does not happen by itself. */
  save?(request: SessionRequest): Promise<void>
}

const secret = 'a secret of the bench, and of no app'
/** What express-session asks to be said. */
const quiet = { secret, resave: false, saveUninitialized: false }
/** Each visitor is another user: one with thousands of sessions is no real one. */
const someUser = () => `user ${Math.floor(Math.random() * 1_000_000)}`

export const sessionKinds = {
  none: {
    open: () => (request, _response, next) => {
      request.session = {}
      next()
    },
    signIn: () => undefined,
  },
  // Its session comes with the framework `fastifyWithSession`.
  'fastify-session': { open: () => (_request, _response, next) => next(), signIn: regenerate },
  'coatcheck-mysql': coatcheck(({ mysql }) => new MySQLStore(mysql)),
  'coatcheck-postgresql': coatcheck(({ postgresql }) => new PostgreSQLStore(postgresql)),
  'coatcheck-redis': coatcheck(({ redis }) => new RedisStore(redis)),
  'coatcheck-redis-cluster': coatcheck(async (places) => new RedisStore(await clusterOf(places))),
  'coatcheck-sqlite': coatcheck(({ folder }) => new SQLiteStore(join(folder, 'sessions.db'))),
  'coatcheck-memory': coatcheck(() => new MemoryStore()),
  // An app of express-session and express-mysql-session with nothing but its imports replaced.
  'coatcheck-drop-in': {
    open({ mysql }) {
      const Store = coatcheckMySQLStore(session)
      return session({ ...quiet, store: new Store(connectionOptions(mysql)) }) as Middleware
    },
    signIn: regenerate,
    signOut: destroy,
  },
  // An app of express-session and connect-redis with the import of the former replaced.
  'coatcheck-drop-in-redis': {
    open: async ({ redis }) => session({ ...quiet, store: await redisStore(redis) }) as Middleware,
    signIn: regenerate,
    signOut: destroy,
  },
  mysql: expressSessionOn(({ mysql }) => mysqlStore(mysql)),
  'mysql-without-touch': expressSessionOn(({ mysql }) => mysqlStore(mysql, { disableTouch: true })),
  postgresql: expressSessionOn(({ postgresql }) => postgresqlStore(postgresql)),
  redis: expressSessionOn(async ({ redis }) => (await redisStore(redis)) as expressSession.Store),
  'redis-cluster': expressSessionOn(
    async (places) => new ConnectRedisStore({ client: await clusterOf(places) }) as expressSession.Store,
  ),
  memory: expressSessionOn(() => new expressSession.MemoryStore()),
  'iron-session': {
    open: () => async (request, response, next) => {
      request.session = await getIronSession(request, response, { password: secret, cookieName: 'iron' })
      next()
    },
    signIn: () => undefined,
    save: async ({ session }) => void (await session.save!()),
  },
} satisfies Record<string, SessionKind>

function coatcheck(openStore: (places: Places) => SessionStore | Promise<SessionStore>): SessionKind {
  return {
    // `never`, because this program has the types of both packages.
    open: async (places) =>
      session(createSessions({ store: await openStore(places), secret }) as never) as Middleware,
    signIn: ({ session }) => session.signIn!(someUser()),
    signOut: ({ session }) => session.signOut!(),
  }
}

function expressSessionOn(
  openStore: (places: Places) => expressSession.Store | Promise<expressSession.Store>,
): SessionKind {
  return {
    open: async (places) =>
      expressSession({ ...quiet, store: await openStore(places) }) as unknown as Middleware,
    signIn: regenerate,
    signOut: destroy,
  }
}

/** As express-session advises at a login. */
function regenerate({ session }: SessionRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    session.regenerate!((error) => (error ? reject(error as Error) : resolve()))
  })
}

/** As express-session advises at a logout. */
function destroy({ session }: SessionRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    session.destroy!((error) => (error ? reject(error as Error) : resolve()))
  })
}

async function redisStore(url: string): Promise<ConnectRedisStore> {
  return new ConnectRedisStore({ client: await createClient({ url }).connect() })
}

async function clusterOf({ redisCluster }: Places) {
  const { username, password } = new URL(redisCluster[0]!)
  const defaults = { password, ...(username !== '' && { username }) }
  return createCluster({ rootNodes: redisCluster.map((url) => ({ url })), defaults }).connect()
}

function postgresqlStore(url: string): expressSession.Store {
  const Store = connectPgSimple(expressSession)
  return new Store({ conString: url, createTableIfMissing: true })
}

function mysqlStore(url: string, options: object = {}): expressSession.Store {
  const Store = expressMySQLSession(expressSession as never)
  return new Store({ ...connectionOptions(url), ...options }) as unknown as expressSession.Store
}

/** express-mysql-session takes no URL. */
function connectionOptions(url: string) {
  const { hostname, port, username, password, pathname } = new URL(url)
  return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
}
