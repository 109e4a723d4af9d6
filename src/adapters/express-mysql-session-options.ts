import type { PoolOptions } from 'mysql2'
import { encryptionUnavailable } from '../core/data/encryption.js'
import { optionError, SessionError } from '../core/errors.js'
import { longestTimer } from '../core/lifetime.js'
import type { MySQLColumns } from '../stores/mysql.js'

/** `undefined` is as good as left out: it is what a missing environment variable gives. */
type DriverOptions = { [Name in keyof PoolOptions]: PoolOptions[Name] | undefined }

/** The options of the store: those of express-mysql-session by the same names, and all of mysql2's. */
export interface MySQLStoreOptions extends DriverOptions {
  /** Clear expired sessions away by a timer. Default `true`. */
  clearExpired?: boolean | undefined
  /** How often, in milliseconds; at most every 24 days, which is as long as a timer waits. Default 900,000. */
  checkExpirationInterval?: number | undefined
  /** How long a session lives whose cookie has no `maxAge`, in milliseconds. Default 86,400,000. */
  expiration?: number | undefined
  /** Make the table if it is not there. Default `true`. */
  createDatabaseTable?: boolean | undefined
  /** Whether `close()` ends the connection. Default: if the store made it. */
  endConnectionOnClose?: boolean | undefined
  /** Reading a session does not move its expiry. Default `false`. */
  disableTouch?: boolean | undefined
  schema?: {
    /** Default `sessions`. */
    tableName?: string | undefined
    columnNames?: MySQLColumns | undefined
  }
}

/** The options of a store, filled up with the defaults. */
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

/** Of earlier versions of that package. Apps still give them, and they have had no effect for years. */
const retiredOptions = [
  'autoReconnect', 'jsonData', 'keepAlive', 'keepAliveInterval', 'maxReconnectAttempts', 'reconnect', 'reconnectDelay',
  'reconnectDelayGroup', 'useConnectionPooling',
] // prettier-ignore

/** What is the store's own; all else goes to the driver. */
const ownOptions = new Set([
  ...Object.keys(defaultOptions).filter((name) => name !== 'charset'),
  ...retiredOptions,
])

/**
 * @param connectionGiven whether the app brings a connection of its own
 * @returns the options, filled up with the defaults
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

/** @throws ERR_SESSION_OPTION that names an unknown column, or says that there is no encryption */
export function validateOptions(options: MySQLStoreOptions): void {
  if ('encryption' in options) throw encryptionUnavailable()
  for (const name of Object.keys(options.schema?.columnNames ?? {})) {
    if (Object.hasOwn(defaultOptions.schema.columnNames, name)) continue
    throw optionError(
      `Unknown column specified ("${name}"). Only the following columns are configurable: "session_id", "expires", "data". Give schema.columnNames these names alone.`,
    )
  }
}

/** What of the options is for the driver: all that is not the store's own, now or in earlier versions. */
export function driverOptions(options: MySQLStoreOptions): PoolOptions {
  const entries = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !ownOptions.has(name),
  )
  return Object.fromEntries(entries)
}

/**
 * How long a timer waits between two clearings: `interval`, as long as a timer can wait that. The original clears every
 * millisecond where it is longer, or no length.
 */
export function clearingInterval(interval: unknown): number {
  const length = Number(interval)
  return length >= 1 ? Math.min(length, longestTimer) : defaultOptions.checkExpirationInterval
}

/** How long a session lives whose cookie does not say, in milliseconds. What is no length, such as `undefined`, is the default. */
export function usualLifetime({ expiration }: ResolvedOptions): number {
  const length = Number(expiration ?? NaN)
  return Number.isNaN(length) ? defaultOptions.expiration : length
}

/**
 * When a row ends, in seconds: at the `cookie.expires` of what is stored, a Date, its text or a number; else after `lifetime`.
 * @throws ERR_SESSION_DATA if that is no moment; TypeError for no data
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
