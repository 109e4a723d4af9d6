import { isError } from '../../core/errors.js'
import type { Socket } from 'node:net'
import type { Connection, PoolConnection, PoolOptions, TypeCast } from 'mysql2'
import { longestTimer } from '../../core/lifetime.js'
import { clearTimeout, performance, setTimeout } from '../../core/scheduling.js'
import { LostStatement } from '../sql/lost-statement.js'

/** What is bound to a marker. Texts go as bytes, so that no character set of a connection has a say. */
export type MySQLValue = Buffer | number | null

/** The connection is in a transaction: what was answered to be done takes effect only if somebody commits that. */
export class UncommittedChange extends Error {
  constructor() {
    super('a change was not committed')
  }
}

/** What the server says as it ends a connection by itself: killed (1927, 3169), idle for too long (4031). */
const endings = new Set([1927, 3169, 4031])
/** Read only, in its three forms. */
const readOnly = new Set([1290, 1792, 1836])
/** SERVER_STATUS_IN_TRANS: after a change the server sets it where that did not stand alone, with autocommit off as well. */
const statusInTransaction = 1

/** A connection as statements of ours go by it: each has a limit, and any doubt about the connection lasts. */
export class MySQLConnection {
  /**
   * Since when, by `performance.now()`, it may not be what it seems: then another statement would get no reply, or that of
   * one before. `undefined`: as far as is known it is sound.
   */
  doubtedSince: number | undefined
  /** When it answered last, or was made, by `performance.now()`. */
  answeredAt = performance.now()
  /** Whether a change was made within a transaction that is none of ours. It holds locks, and no answer there can be relied on. */
  inTransaction = false
  readonly #raw: Connection
  /** How to fail the statements that have no answer yet. */
  readonly #unanswered = new Set<(cause: unknown) => void>()

  private constructor(raw: Connection) {
    this.#raw = raw
    // Where a reply is not what the protocol has there, the driver tells the connection, but not the statement.
    raw.on('error', (cause: unknown) => this.#fail(cause))
    // "Packets out of order": the driver would go on.
    raw.on('warn', (cause: unknown) => {
      this.#fail(cause)
      this.discard()
    })
  }

  /** One for each of the driver's, however often a pool hands that out. */
  static of(raw: Connection): MySQLConnection {
    let connection = known.get(raw)
    if (!connection) known.set(raw, (connection = new MySQLConnection(raw)))
    return connection
  }

  /**
   * Sends a statement once.
   * @param limit in milliseconds.
   * @throws (by the promise) LostStatement, UncommittedChange, or the server's own error.
   */
  execute(sql: string, values: readonly MySQLValue[], limit: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      /** @returns whether it was still under way. */
      const end = (): boolean => {
        clearTimeout(timer)
        return this.#unanswered.delete(fail)
      }
      const fail = (cause: unknown): void => {
        if (!end()) return
        this.doubtedSince ??= performance.now()
        reject(new LostStatement({ cause }))
      }
      const giveUp = (): void => {
        if (!end()) return
        this.doubtedSince ??= performance.now() - limit
        reject(new LostStatement({ limit }))
      }
      const timer = limit === Infinity ? undefined : setTimeout(giveUp, Math.min(limit, longestTimer))
      this.#unanswered.add(fail)
      try {
        execute(this.#raw, sql, values, (error, answer) => {
          if (error && !isAnswer(error)) return fail(error)
          if (!end()) return
          this.answeredAt = performance.now()
          if (error && isLastAnswer(error)) this.doubtedSince ??= this.answeredAt
          if (error) return reject(error)
          if (!leavesOpen(answer)) return resolve(answer)
          this.inTransaction = true
          reject(new UncommittedChange())
        })
      } catch (cause) {
        fail(cause)
      }
    })
  }

  /** Gives it back to its pool. */
  release(): void {
    ;(this.#raw as PoolConnection).release()
  }

  /** Ends it at once, so that its pool may open another. What it has not sent yet must not arrive later. */
  discard(): void {
    this.doubtedSince ??= performance.now()
    // The driver's types do not have it; an app may make it anything that is a stream.
    const { stream } = this.#raw as { stream?: Partial<Pick<Socket, 'resetAndDestroy' | 'destroy'>> }
    try {
      stream?.resetAndDestroy?.()
    } catch {
      stream?.destroy?.() // with TLS, and on a Unix socket, there is no reset
    }
    this.#raw.destroy()
  }

  #fail(cause: unknown): void {
    this.doubtedSince ??= performance.now()
    for (const fail of this.#unanswered) fail(cause)
  }
}

const known = new WeakMap<Connection, MySQLConnection>()

/**
 * Hands a statement to the driver, for rows in the shape that is expected here: a prepared one, where the driver has them. The package
 * mysql writes the values into its text.
 */
export function execute(
  via: Connection,
  sql: string,
  values: readonly (MySQLValue | string)[],
  done: (error: Error | null, answer: unknown) => void,
): void {
  // The app's own pool may be set up to give rows in other shapes.
  const shape = {
    rowsAsArray: false,
    nestTables: false,
    namedPlaceholders: false,
    typeCast: typeCastFor(via),
  }
  const statement = { ...shape, sql, values: [...values] }
  if ('execute' in via) via.execute(statement, done)
  else (via as Connection).query(statement, done)
}

/**
 * The driver's own casting. Only another function overrides a `typeCast` function of the app's pool. It is not used
 * without need: with it, reading 16 rows takes 1,000 µs, and the driver alone takes 150.
 */
function typeCastFor(via: Connection): TypeCast {
  const { typeCast } = via.config as PoolOptions
  return typeof typeCast === 'function' ? (_field, next) => next() : true
}

/** Whether an answer to a change says that its transaction goes on. That to a read does not tell. */
function leavesOpen(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null || !('serverStatus' in answer)) return false
  return (Number(answer.serverStatus) & statusInTransaction) !== 0
}

/** The server's number of an error; 0 for one that is not the server's. */
export function numberOf(error: unknown): number {
  return isError(error) && 'errno' in error && typeof error.errno === 'number' ? error.errno : 0
}

/** Whether a read that failed so may be asked on another connection. */
export function isLost(error: unknown): boolean {
  return error instanceof LostStatement || (isError(error) && isLastAnswer(error))
}

/** Whether it is what the server made of the statement: then it is known that the statement did not take effect. */
function isAnswer(error: Error): boolean {
  return 'sqlState' in error && !('fatal' in error && error.fatal === true)
}

/**
 * Whether a connection is of no more use. The server ends it (SQLSTATE 08), or cannot serve now, such as a node of a
 * cluster that has lost the others. Or it serves reads only, such as a primary that became a replica. Another
 * connection to the same name may lead to a server that can.
 */
function isLastAnswer(error: Error): boolean {
  const number = numberOf(error)
  return (
    endings.has(number) ||
    readOnly.has(number) ||
    ('sqlState' in error && String(error.sqlState).startsWith('08'))
  )
}
