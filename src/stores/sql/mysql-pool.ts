import { setTimeout } from 'node:timers/promises'
import { createPool } from 'mysql2'
import type { Connection, Pool, PoolOptions, ResultSetHeader, RowDataPacket } from 'mysql2'
import type { Connection as PromiseConnection, Pool as PromisePool } from 'mysql2/promise'
import { optionError } from '../../core/errors.ts'
import type { MySQLClient } from './mysql-client.ts'
import { isLost, type MySQLValue, numberOf } from './mysql-connection.ts'

export type { MySQLClient } from './mysql-client.ts'
export { type MySQLValue, numberOf } from './mysql-connection.ts'

/** What a `MySQLStore` is made from. */
export type MySQLTarget =
  string | PoolOptions | Pool | PromisePool | Connection | PromiseConnection | undefined

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

/** A pool, or the one connection that the app gave in place of it, and what lets go of it: what the app gave stays open. */
export interface OpenedTarget {
  readonly target: Pool | Connection
  close(): Promise<void>
}

/**
 * @param connectTimeout milliseconds that a connection may take to be made, if `target` does not say so itself: until then it takes
 *   up one of the pool's
 * @throws ERR_SESSION_OPTION, never with the password in it
 */
export function openTarget(target: MySQLTarget, connectTimeout?: number): OpenedTarget {
  if (typeof target === 'object' && target !== null) {
    const given = driversOwn(target)
    if (given) return { target: given, close: async () => undefined }
  }
  const options = typeof target === 'object' && target !== null ? optionsGiven(target) : optionsOfURL(target)
  try {
    const pool = createPool(connectTimeout === undefined ? options : { connectTimeout, ...options })
    // A server may be set to leave it off. Once a connection; should it fail, the first change there tells.
    pool.on('connection', (connection) => connection.query('SET autocommit = 1', () => {}))
    return { target: pool, close: () => endPool(pool) }
  } catch (error) {
    // Not with the error as the cause: that of a URL carries the whole of it.
    const reason = error instanceof TypeError ? `: ${error.message}` : ''
    throw optionError(
      `The mysql2 driver refuses these connection options${reason}. Check DATABASE_URL; characters such as % and @ in a password are written %25 and %40.`,
    )
  }
}

/** A connection that fails as it is ended has ended all the same. */
function endPool(pool: Pool): Promise<void> {
  return new Promise((resolve) => {
    pool.end(() => resolve())
  })
}

/**
 * Both flavours of pool and of connection by what they can do, not by class: the app may have its own copy of the
 * driver. Those with promises are wrapped around one with callbacks.
 */
function driversOwn(target: object): Pool | Connection | undefined {
  if (!('query' in target) || !('execute' in target)) return undefined
  for (const inner of ['pool', 'connection'] as const) {
    const wrapped = (target as Partial<Record<typeof inner, unknown>>)[inner]
    if (typeof wrapped === 'object' && wrapped !== null && 'execute' in wrapped) return wrapped as Pool
  }
  return target as Pool
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
  // Of the two, the driver takes what stands beside the URL.
  const connectTimeout = Number(parsed.searchParams.get('connectTimeout'))
  if (connectTimeout > 0) options.connectTimeout = connectTimeout
  return options
}

function parsedURL(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined
  }
}

/** @param longer milliseconds that it may take beyond the limit of all statements */
export async function select(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
  longer = 0,
): Promise<RowDataPacket[]> {
  const send = () => sendUntilTaken(via, sql, values, longer)
  const rows = via.replacesConnections ? send().catch(onceMoreIfLost(send)) : send()
  return (await rows) as RowDataPacket[]
}

/**
 * @param longer milliseconds that it may take beyond the limit of all statements
 * @returns how many rows were affected. For an UPDATE that depends on the connection's FOUND_ROWS flag, where a row already was as it should be.
 */
export async function change(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
  longer = 0,
): Promise<number> {
  return ((await sendUntilTaken(via, sql, values, longer)) as ResultSetHeader).affectedRows
}

/** A read that was lost with its connection does no harm if it is sent by another. */
function onceMoreIfLost<Answer>(send: () => Promise<Answer>): (error: unknown) => Promise<Answer> {
  return (error) => {
    if (isLost(error)) return send()
    throw error
  }
}

/**
 * Deadlock, lock wait too long, MariaDB's "record has changed since last read", and a cluster's node that is not ready: the
 * server undid the statement, which stands alone in its transaction, or did not begin it, so it may be sent again.
 */
const undone = new Set([1213, 1205, 1020, 1047])
const mostTries = 5

async function sendUntilTaken(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[],
  longer: number,
): Promise<unknown> {
  for (let tried = 1; ; tried++) {
    try {
      return await via.execute(sql, values, longer)
    } catch (error) {
      if (!undone.has(numberOf(error)) || tried === mostTries) throw error
      await setTimeout(Math.random() * 10 * 2 ** tried)
    }
  }
}
