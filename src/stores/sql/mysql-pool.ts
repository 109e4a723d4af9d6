import { setTimeout } from 'node:timers/promises'
import { createPool } from 'mysql2'
import type {
  Connection,
  Pool,
  PoolConnection,
  PoolOptions,
  ResultSetHeader,
  RowDataPacket,
  TypeCast,
} from 'mysql2'
import type { Connection as PromiseConnection, Pool as PromisePool } from 'mysql2/promise'
import { optionError } from '../../core/errors.ts'

/** What a `MySQLStore` is made from. */
export type MySQLTarget =
  string | PoolOptions | Pool | PromisePool | Connection | PromiseConnection | undefined

/** What statements are sent through: a pool, or the one connection that the app gave in place of a pool. */
export type MySQLClient = Pool | Connection

/** What is bound to a marker. Texts go as bytes, so that no character set of a connection has a say. */
export type MySQLValue = Buffer | number | null

/** The server's own numbers for what it says no with. */
export const errorNumber = {
  duplicateKey: 1062,
  unknownColumn: 1054,
  syntax: 1064,
  missingTable: 1146,
  outOfRange: 1690,
  deniedDatabase: 1044,
  deniedTable: 1142,
} as const

/** A client, and what lets go of it: one that the app gave stays open. */
export interface OpenedClient {
  readonly client: MySQLClient
  close(): Promise<void>
}

/** @throws ERR_SESSION_OPTION, never with the password in it */
export function openClient(target: MySQLTarget): OpenedClient {
  if (typeof target === 'object' && target !== null) {
    const client = clientGiven(target)
    if (client) return { client, close: async () => undefined }
  }
  const options = typeof target === 'object' && target !== null ? optionsGiven(target) : optionsOfURL(target)
  try {
    const pool = createPool(options)
    return { client: pool, close: () => endPool(pool) }
  } catch (error) {
    // Not with the error as the cause: that of a URL carries the whole of it.
    const reason = error instanceof TypeError ? `: ${error.message}` : ''
    throw optionError(
      `The mysql2 driver refuses these connection options${reason}. Check DATABASE_URL; characters such as % and @ in a password are written %25 and %40.`,
    )
  }
}

function endPool(pool: Pool): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.end((error) => (error ? reject(error) : resolve()))
  })
}

/**
 * Both flavours of pool and of connection by what they can do, not by class: the app may have its own copy of the
 * driver. Those with promises are wrapped around one with callbacks.
 */
function clientGiven(target: object): MySQLClient | undefined {
  if (!('query' in target) || !('execute' in target)) return undefined
  for (const inner of ['pool', 'connection'] as const) {
    const wrapped = (target as Partial<Record<typeof inner, unknown>>)[inner]
    if (typeof wrapped === 'object' && wrapped !== null && 'execute' in wrapped) return wrapped as MySQLClient
  }
  return target as MySQLClient
}

function optionsGiven(target: object): PoolOptions {
  const options: PoolOptions = { ...target }
  if (options.uri !== undefined) return { ...optionsOfURL(options.uri), ...options }
  if (options.database) return options
  throw optionError(
    'MySQLStore was given an object that is neither a mysql2 pool or connection nor pool options with a "database". Pass one of those, or process.env.DATABASE_URL.',
  )
}

function optionsOfURL(url: unknown): PoolOptions {
  const example = 'Set DATABASE_URL to mysql://user:password@host:3306/database.'
  if (url === undefined || url === '') throw optionError(`MySQLStore was given no URL. ${example}`)
  const parsed = typeof url === 'string' ? parsedURL(url) : undefined
  if (!parsed) throw optionError(`MySQLStore cannot read its URL. ${example}`)
  if (parsed.protocol !== 'mysql:' && parsed.protocol !== 'mariadb:') {
    throw optionError(
      `MySQLStore needs a URL that begins with mysql://, not ${parsed.protocol}//. ${example}`,
    )
  }
  if (parsed.pathname.length <= 1) throw optionError(`The URL of MySQLStore names no database. ${example}`)
  const options: PoolOptions = { uri: parsed.href }
  // The driver takes a profile or an object; "yes, with the usual checks" is its empty object.
  if (parsed.searchParams.get('ssl') === 'true') options.ssl = {}
  return options
}

function parsedURL(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined
  }
}

/**
 * Does `work` on one connection, while nobody else has it. A pool gets it back only if `work` says that it may: a
 * connection that may still hold a lock ends instead, and the server frees the lock.
 */
export async function onOneConnection<Answer>(
  client: MySQLClient,
  work: (connection: Connection) => Promise<Answer>,
  mayGoBack: () => boolean,
): Promise<Answer> {
  if (!('getConnection' in client)) return work(client)
  const connection = await connectionOf(client)
  try {
    return await work(connection)
  } finally {
    if (mayGoBack()) connection.release()
    else connection.destroy()
  }
}

export function connectionOf(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)))
  })
}

export async function select(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
): Promise<RowDataPacket[]> {
  return (await send(via, sql, values)) as RowDataPacket[]
}

/** @returns how many rows were affected. For an UPDATE that depends on the connection's FOUND_ROWS flag, where a row already was as it should be. */
export async function change(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
): Promise<number> {
  return ((await send(via, sql, values)) as ResultSetHeader).affectedRows
}

/**
 * Deadlock, lock wait too long, and MariaDB's "record has changed since last read": the server undid
 * the statement, which stands alone in its transaction, so it may be sent again.
 */
const undone = new Set([1213, 1205, 1020])
const mostTries = 5

async function send(via: MySQLClient, sql: string, values: readonly MySQLValue[]): Promise<unknown> {
  for (let tried = 1; ; tried++) {
    try {
      return await execute(via, sql, values)
    } catch (error) {
      if (!undone.has(numberOf(error)) || tried === mostTries) throw error
      await setTimeout(Math.random() * 10 * 2 ** tried)
    }
  }
}

/** Sends a statement once. Within a transaction that is the way: an undone statement has undone all of it. */
export function execute(
  via: MySQLClient,
  sql: string,
  values: readonly (MySQLValue | string)[],
): Promise<unknown> {
  // The app's own pool may be set up to give rows in other shapes.
  const shape = {
    rowsAsArray: false,
    nestTables: false,
    namedPlaceholders: false,
    typeCast: typeCastFor(via),
  }
  return new Promise((resolve, reject) => {
    via.execute({ ...shape, sql, values: [...values] }, (error: unknown, result: unknown) =>
      error ? reject(error as Error) : resolve(result),
    )
  })
}

/**
 * The driver's own casting. Only another function overrides a `typeCast` function of the app's pool; not
 * always that one, because with it reading 16 rows costs 1,000 µs where the driver alone takes 150.
 */
function typeCastFor(via: MySQLClient): TypeCast {
  const config: PoolOptions & { readonly connectionConfig?: PoolOptions } = via.config
  const { typeCast } = config.connectionConfig ?? config
  return typeof typeCast === 'function' ? (_field, next) => next() : true
}

/** The server's number of an error; 0 for one that is not the server's. */
export function numberOf(error: unknown): number {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : 0
}
