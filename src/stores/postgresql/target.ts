import { isIP } from 'node:net'
import { optionError } from '../../core/errors.js'
import type { PostgreSQLConnection, PostgreSQLPool } from './client.js'
import { driver } from './driver.js'

/** What `PostgreSQLStore` takes first: a URL, or a pool of pg. */
export type PostgreSQLTarget = string | PostgreSQLPool | undefined

/** A pool, and the function that closes it. What the app passed in stays open. */
export interface OpenedTarget {
  readonly pool: PostgreSQLPool
  readonly close: () => Promise<void>
}

/**
 * @param connectTimeout the milliseconds that connecting may take: meanwhile, the connection takes a place in the pool.
 * @throws ERR_SESSION_OPTION, never with the password in it.
 */
export function openTarget(target: PostgreSQLTarget, connectTimeout: number): OpenedTarget {
  if (typeof target === 'string') return newPool(target, connectTimeout)
  if (typeof target !== 'object' || target === null || !('connect' in target && 'totalCount' in target)) {
    throw optionError(
      'PostgreSQLStore needs a URL, such as process.env.DATABASE_URL with postgres://user:password@host:5432/database, or a Pool of the package pg.',
    )
  }
  const { binary } = (target as { readonly options?: { readonly binary?: unknown } }).options ?? {}
  if (binary)
    throw optionError(
      'PostgreSQLStore was given a pool with binary: true. Leave that out: pg garbles bytes then.',
    )
  survive(target)
  return { pool: target, close: async () => undefined }
}

function newPool(url: string, connectTimeout: number): OpenedTarget {
  const { Client, Pool } = driver()
  const options = {
    connectionString: withTLSAsLibpq(url),
    connectionTimeoutMillis: connectTimeout,
    keepAlive: true,
  }
  try {
    // A pool reads the URL only when it connects.
    new Client(options)
  } catch {
    // Not with the error as the cause: an error about a URL may contain the URL, with its password.
    throw optionError(
      'The pg driver refuses DATABASE_URL. Check it, and that the files of sslrootcert, sslcert and sslkey are there; sslmode=verify-ca needs an sslrootcert. Characters such as % and @ in a password are written %25 and %40.',
    )
  }
  const pool = new Pool(options)
  survive(pool)
  return { pool, close: () => pool.end().catch(() => undefined) }
}

/**
 * A connection that is lost is told to the pool, or, in use, to itself. Without a listener, that would end the process. The
 * pool takes its own listener from a connection as it hands that out, in the middle of what the server has sent.
 */
function survive(pool: PostgreSQLPool): void {
  if (survived.has(pool)) return
  survived.add(pool)
  pool.on('error', ignore)
  pool.on('acquire', (connection) => {
    if (survived.has(connection)) return
    survived.add(connection)
    connection.on('error', ignore)
  })
}

/** Pools and connections that have a listener already. */
const survived = new WeakSet<PostgreSQLPool | PostgreSQLConnection>()

function ignore(): void {}

/**
 * Lets `sslmode` mean what it means to libpq (PostgreSQL's manual, section 34.19.1): only `verify-full` verifies the host
 * name, only `verify-ca` and `verify-full` the authority. pg alone takes all of them for `verify-full`.
 */
function withTLSAsLibpq(text: string): string {
  let url: URL
  try {
    // Of a server that is found by ?host=/var/run/postgresql. pg takes such a URL, and `URL` takes none without a host.
    url = new URL(text.replace('@/', `@${noHost}/`))
  } catch {
    throw optionError(
      'DATABASE_URL is not a URL. Write postgres://user:password@host:5432/database; characters such as % and @ in a password are written %25 and %40.',
    )
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw optionError(
      `DATABASE_URL begins with ${url.protocol}//, and PostgreSQLStore takes postgres://user:password@host:5432/database.`,
    )
  }
  if (url.pathname.length < 2) {
    throw optionError('DATABASE_URL names no database: postgres://user:password@host:5432/database.')
  }
  const [mode, ...more] = url.searchParams.getAll('sslmode')
  if (more.length > 0) throw optionError('DATABASE_URL has several sslmode. Leave one.')
  if (mode === undefined) return text
  if (!modes.includes(mode)) {
    throw optionError(
      `DATABASE_URL has an sslmode that pg cannot keep to. Name one of ${modes.join(', ')}: pg makes either encrypted connections or plain ones, and does not try the other.`,
    )
  }
  // Node is given no IP address to check, and would look for "localhost" in the certificate.
  const host = url.searchParams.get('host') ?? url.hostname.replace(/^\[|\]$/g, '')
  if (mode === 'verify-full' && isIP(host) !== 0) {
    throw optionError(
      "DATABASE_URL names the database's host by an IP address, for which pg cannot verify a certificate. Give the host name that is in the certificate. sslmode=verify-ca verifies only who signed it.",
    )
  }
  url.searchParams.set('uselibpqcompat', 'true')
  return url.href.replace(`@${noHost}/`, '@/')
}

const noHost = 'no-host.invalid'

const modes = ['disable', 'require', 'verify-ca', 'verify-full']
