import type { PoolOptions } from 'mysql2'
import { encryptionUnavailable } from '../core/data/encryption.js'
import { optionError, SessionError } from '../core/errors.js'
import { longestTimer } from '../core/lifetime.js'
import type { MySQLColumns } from '../stores/mysql.js'

/**
 * mysql2's options, each of which may be `undefined`, as from an unset environment variable: that counts as left out.
 */
type DriverOptions = { [Name in keyof PoolOptions]: PoolOptions[Name] | undefined }

/**
 * The options of the store: those of express-mysql-session, by the same names. All others are passed to mysql2, such as
 * `host`, `user`, `password`, `database` and `ssl`. With `ssl`, the server's certificate and host name are verified.
 *
 * An option that mysql2 does not have is a warning (`COATCHECK_UNKNOWN_OPTION`). If it asks for TLS by another name,
 * such as `sslmode`, it throws `ERR_SESSION_OPTION`, and so does `encryption`, which this table does not support.
 */
export interface MySQLStoreOptions extends DriverOptions {
  /**
   * Whether a timer removes expired sessions.
   * @default true
   */
  clearExpired?: boolean | undefined
  /**
   * The time between two removals of expired sessions, in milliseconds. At most 24 days, which is how long a timer
   * waits.
   * @default 900_000
   */
  checkExpirationInterval?: number | undefined
  /**
   * How long a session lives if its cookie has no `maxAge`, in milliseconds.
   * @default 86_400_000
   */
  expiration?: number | undefined
  /**
   * Whether to make the table if it is missing.
   * @default true
   */
  createDatabaseTable?: boolean | undefined
  /** Whether `close()` ends the connection. Default: `true` for a pool that the store made, otherwise `false`. */
  endConnectionOnClose?: boolean | undefined
  /**
   * Whether reading a session leaves its expiry as it is.
   * @default false
   */
  disableTouch?: boolean | undefined
  /** The names of the table and its columns. */
  schema?: {
    /**
     * The table's name.
     * @default 'sessions'
     */
    tableName?: string | undefined
    /** The columns' names. Default: `session_id`, `expires` and `data`. */
    columnNames?: MySQLColumns | undefined
  }
}

/** The options of a store, with the defaults filled in. */
export type ResolvedOptions = MySQLStoreOptions & {
  readonly expiration: number
  readonly checkExpirationInterval: number
  readonly schema: { readonly tableName: string; readonly columnNames: Required<MySQLColumns> }
}

export const defaultOptions = {
  clearExpired: true,
  checkExpirationInterval: 900_000,
  expiration: 86_400_000,
  createDatabaseTable: true,
  endConnectionOnClose: true,
  disableTouch: false,
  charset: 'utf8mb4_bin',
  schema: {
    tableName: 'sessions',
    columnNames: { session_id: 'session_id', expires: 'expires', data: 'data' },
  },
}

/** Options of earlier versions of the package. Apps still give them, although they have had no effect for years. */
const retiredOptions = [
  'autoReconnect', 'jsonData', 'keepAlive', 'keepAliveInterval', 'maxReconnectAttempts', 'reconnect', 'reconnectDelay',
  'reconnectDelayGroup', 'useConnectionPooling',
] // prettier-ignore

/** The store's own options. All others go to the driver. */
const ownOptions = new Set([
  ...Object.keys(defaultOptions).filter((name) => name !== 'charset'),
  ...retiredOptions,
])

/**
 * @param connectionGiven whether the app passed in a connection of its own.
 * @returns the options, with the defaults filled in.
 */
export function resolveOptions(
  given: MySQLStoreOptions | null | undefined,
  connectionGiven: boolean,
): ResolvedOptions {
  const options = given ?? {}
  return {
    ...defaultOptions,
    endConnectionOnClose: !connectionGiven,
    ...options,
    schema: {
      ...options.schema,
      tableName: options.schema?.tableName ?? defaultOptions.schema.tableName,
      columnNames: {
        ...defaultOptions.schema.columnNames,
        ...options.schema?.columnNames,
      } as Required<MySQLColumns>,
    },
  } as ResolvedOptions
}

/** @throws ERR_SESSION_OPTION for an unknown column name, which the message names, and for `encryption`. */
export function validateOptions(options: MySQLStoreOptions): void {
  if ('encryption' in options) throw encryptionUnavailable()
  for (const name of Object.keys(options.schema?.columnNames ?? {})) {
    if (Object.hasOwn(defaultOptions.schema.columnNames, name)) continue
    throw optionError(
      `Unknown column specified ("${name}"). Only the following columns are configurable: "session_id", "expires", "data". Give schema.columnNames these names alone.`,
    )
  }
}

/** The options for the driver: all but the store's own, of now and of earlier versions. */
export function driverOptions(options: MySQLStoreOptions): PoolOptions {
  const entries = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !ownOptions.has(name),
  )
  return Object.fromEntries(entries)
}

/**
 * The milliseconds between two removals of expired sessions: `interval`, but not longer than a timer can wait. If it is
 * no length of time, it is the default. (The original removes every millisecond in both cases.)
 */
export function clearingInterval(interval: unknown): number {
  const length = Number(interval)
  return length >= 1 ? Math.min(length, longestTimer) : defaultOptions.checkExpirationInterval
}

/**
 * The lifetime of a session whose cookie has none, in milliseconds. The default, if `expiration` is no length of time.
 */
export function usualLifetime({ expiration }: ResolvedOptions): number {
  const length = Number(expiration ?? NaN)
  return Number.isNaN(length) ? defaultOptions.expiration : length
}

/**
 * When a row expires, in Unix seconds: at the `cookie.expires` of its data (a Date, its text or milliseconds), or else
 * after `lifetime`.
 * @throws ERR_SESSION_DATA if `cookie.expires` is no date; TypeError for no data.
 */
export function expirySecond(data: unknown, lifetime: number): number {
  const { cookie } = data as { cookie?: { expires?: unknown; _expires?: unknown } }
  const given = cookie?.expires || cookie?._expires || Date.now() + lifetime
  const second = Math.round(new Date(given as Date).getTime() / 1_000)
  if (!Number.isNaN(second)) return second
  throw new SessionError(
    'ERR_SESSION_DATA',
    'The cookie.expires of a session is no moment. Store a Date, its text, or milliseconds.',
  )
}
