import type { Connection, Pool, PoolOptions } from 'mysql2'
import type { Connection as PromiseConnection, Pool as PromisePool } from 'mysql2/promise'
import { optionError } from '../../core/errors.js'
import { driver } from './driver.js'
import { refuseUnknownPoolOptions, resolvePoolOptions } from './options.js'

/** What `MySQLStore` takes first: a URL, mysql2's pool options, or a mysql2 pool or connection of yours. */
export type MySQLTarget =
  string | PoolOptions | Pool | PromisePool | Connection | PromiseConnection | undefined

/** A pool, or the app's single connection, and the function that closes it. What the app passed in stays open. */
export interface OpenedTarget {
  readonly target: Pool | Connection
  readonly close: () => Promise<void>
}

/**
 * @param connectTimeout the milliseconds that connecting may take, unless `target` has its own: meanwhile, the
 *   connection takes a place in the pool.
 * @throws ERR_SESSION_OPTION, never with the password in it.
 */
export function openTarget(target: MySQLTarget, connectTimeout?: number): OpenedTarget {
  if (typeof target === 'object' && target !== null) {
    const given = driversOwn(target)
    if (given) return { target: given, close: async () => undefined }
  }
  const options = typeof target === 'object' && target !== null ? optionsGiven(target) : { uri: target ?? '' }
  const pool = newPool(options, connectTimeout)
  // A server may have autocommit off by default. Set it once for each connection; if that fails, the first change
  // reports it.
  pool.on('connection', (connection) => connection.query('SET autocommit = 1', () => {}))
  return { target: pool, close: () => endPool(pool) }
}

/**
 * Makes a pool of the driver that verifies its server whenever TLS is used.
 * @throws ERR_SESSION_OPTION, never with the password in it.
 */
export function newPool(options: PoolOptions, connectTimeout?: number): Pool {
  const resolved = resolvePoolOptions(options)
  const { createPool } = driver()
  try {
    return createPool(connectTimeout === undefined ? resolved : { connectTimeout, ...resolved })
  } catch (error) {
    // Not with the error as the cause: an error about a URL contains the URL, with its password.
    const reason = error instanceof TypeError ? `: ${error.message}` : ''
    throw optionError(
      `The mysql2 driver refuses these connection options${reason}. Check DATABASE_URL; characters such as % and @ in a password are written %25 and %40.`,
    )
  }
}

/** Ends a pool. Errors are ignored: a connection that fails while it ends has ended too. */
function endPool(pool: Pool): Promise<void> {
  return new Promise((resolve) => {
    pool.end(() => resolve())
  })
}

/**
 * The callback form of a pool, a cluster's namespace or a connection; `undefined` if `target` is none. It goes by
 * methods, not by class: the app may have its own copy of the driver, or the package mysql, which has no prepared
 * statements. Objects with promises wrap one with callbacks.
 */
export function driversOwn(target: object): Pool | Connection | undefined {
  if (!isDriversOwn(target)) return undefined
  for (const inner of ['pool', 'connection', 'poolNamespace'] as const) {
    const wrapped = (target as Partial<Record<typeof inner, unknown>>)[inner]
    if (typeof wrapped === 'object' && wrapped !== null && isDriversOwn(wrapped)) return wrapped as Pool
  }
  return target as Pool
}

/** By more than `query`, which drivers of other databases have too. */
function isDriversOwn(target: object): boolean {
  return 'query' in target && ['execute', 'escape', 'getConnection'].some((name) => name in target)
}

function optionsGiven(target: object): PoolOptions {
  const options: PoolOptions = target
  // A client of pg has a database of its own accord, if the environment has a USER.
  if ('query' in target || (!options.database && options.uri === undefined)) {
    throw optionError(
      'MySQLStore was given an object that is neither a pool or connection of mysql2 nor pool options with a "database". Pass one of those, or process.env.DATABASE_URL.',
    )
  }
  refuseUnknownPoolOptions(options)
  return options
}
