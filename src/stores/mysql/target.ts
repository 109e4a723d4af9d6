import type { Connection, Pool, PoolOptions } from 'mysql2'
import type { Connection as PromiseConnection, Pool as PromisePool } from 'mysql2/promise'
import { optionError } from '../../core/errors.js'
import { driver } from './driver.js'
import { refuseUnknownPoolOptions, resolvePoolOptions } from './options.js'

/** What a `MySQLStore` is made from. */
export type MySQLTarget =
  string | PoolOptions | Pool | PromisePool | Connection | PromiseConnection | undefined

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
  const options = typeof target === 'object' && target !== null ? optionsGiven(target) : { uri: target ?? '' }
  const pool = newPool(options, connectTimeout)
  // A server may be set to leave it off. Once a connection; should it fail, the first change there tells.
  pool.on('connection', (connection) => connection.query('SET autocommit = 1', () => {}))
  return { target: pool, close: () => endPool(pool) }
}

/**
 * A pool of the driver's that verifies its server wherever TLS is asked for.
 * @throws ERR_SESSION_OPTION, never with the password in it
 */
export function newPool(options: PoolOptions, connectTimeout?: number): Pool {
  const resolved = resolvePoolOptions(options)
  const { createPool } = driver()
  try {
    return createPool(connectTimeout === undefined ? resolved : { connectTimeout, ...resolved })
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
 * Both flavours of pool, of a part of a cluster, and of connection by what they can do, not by class: the app may have its own copy of the
 * driver, or the package mysql, which has no prepared statements. Those with promises are wrapped around one with callbacks.
 */
export function driversOwn(target: object): Pool | Connection | undefined {
  if (!isDriversOwn(target)) return undefined
  for (const inner of ['pool', 'connection', 'poolNamespace'] as const) {
    const wrapped = (target as Partial<Record<typeof inner, unknown>>)[inner]
    if (typeof wrapped === 'object' && wrapped !== null && isDriversOwn(wrapped)) return wrapped as Pool
  }
  return target as Pool
}

/** Drivers of other databases have a `query` too. */
function isDriversOwn(target: object): boolean {
  return 'query' in target && ['execute', 'escape', 'getConnection'].some((name) => name in target)
}

function optionsGiven(target: object): PoolOptions {
  const options: PoolOptions = target
  if (!options.database && options.uri === undefined) {
    throw optionError(
      'MySQLStore was given an object that is neither a pool or connection of mysql2 nor pool options with a "database". Pass one of those, or process.env.DATABASE_URL.',
    )
  }
  refuseUnknownPoolOptions(options)
  return options
}
