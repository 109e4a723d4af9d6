import type { Connection, Pool, PoolConnection } from 'mysql2'
import { clearTimeout, nextTick, setTimeout } from '../../core/scheduling.js'
import { NoFreeConnection } from '../sql/lost-statement.js'
import { MySQLConnection, type MySQLValue } from './connection.js'
import { driversOwn } from './target.js'

/** What statements are sent through: a pool, or one connection. */
export interface MySQLClient {
  /** Whether a connection that is lost is followed by another. */
  readonly replacesConnections: boolean
  /**
   * Sends a statement once.
   * @param longer milliseconds that it may take beyond the limit of all: `Infinity` for what takes as long as it takes.
   * @throws (by the promise) LostStatement: it is unknown whether the statement took effect.
   * @throws (by the promise) NoFreeConnection, or the driver's error of a connection that cannot be made: it was not
   *   sent.
   * @throws (by the promise) UncommittedChange: it did not stand alone in its transaction. A pool rolls that back.
   * @throws (by the promise) else the server's own error.
   */
  execute(sql: string, values: readonly MySQLValue[], longer?: number): Promise<unknown>
  /**
   * Does `work` on one connection, while nobody else has it. A pool gets it back only if `work` says that it may: a
   * connection that may still hold a lock ends instead, and the server frees the lock.
   */
  onOneConnection<Answer>(
    work: (one: MySQLClient) => Promise<Answer>,
    mayGoBack: () => boolean,
  ): Promise<Answer>
}

/** @param limit milliseconds that a statement may take, and that it may wait for a connection before. */
export function clientOf(target: Pool | Connection, limit: number): MySQLClient {
  return 'getConnection' in target
    ? new PoolClient(target, limit)
    : new ConnectionClient(MySQLConnection.of(target), limit)
}

class PoolClient implements MySQLClient {
  readonly replacesConnections = true
  readonly #pool: Pool
  readonly #limit: number
  /**
   * When one of the connections failed, those that have been silent since before may be as dead: all lead to one server
   * by one network. They are replaced when their turn comes.
   */
  #silenceIsDoubtfulBefore = -Infinity

  constructor(pool: Pool, limit: number) {
    this.#pool = pool
    this.#limit = limit
  }

  async execute(sql: string, values: readonly MySQLValue[], longer = 0): Promise<unknown> {
    const connection = await this.#take()
    try {
      return await connection.execute(sql, values, this.#limit + longer)
    } finally {
      this.#giveBack(connection)
    }
  }

  async onOneConnection<Answer>(
    work: (one: MySQLClient) => Promise<Answer>,
    mayGoBack: () => boolean,
  ): Promise<Answer> {
    const connection = await this.#take()
    try {
      return await work(new ConnectionClient(connection, this.#limit))
    } finally {
      this.#giveBack(connection, mayGoBack())
    }
  }

  #take(): Promise<MySQLConnection> {
    return new Promise((resolve, reject) => {
      let waiting = true
      let timer: NodeJS.Timeout | undefined
      const ask = (): void =>
        getConnection(this.#pool, (error, raw) => {
          // Its turn came after nobody waited for it any more.
          if (!waiting) return raw?.release()
          const connection = raw && MySQLConnection.of(raw)
          if (connection && connection.answeredAt < this.#silenceIsDoubtfulBefore) {
            connection.discard()
            return ask()
          }
          waiting = false
          clearTimeout(timer)
          if (connection) resolve(connection)
          else reject(error as Error)
        })
      ask()
      // A connection that is free comes before this, and then the wait needs no timer.
      nextTick(() => {
        if (!waiting) return
        timer = setTimeout(() => {
          waiting = false
          reject(new NoFreeConnection(this.#limit))
        }, this.#limit)
      })
    })
  }

  #giveBack(connection: MySQLConnection, isWhole = true): void {
    const { doubtedSince, inTransaction } = connection
    if (isWhole && doubtedSince === undefined && !inTransaction) return connection.release()
    // With it ends what it holds: the server rolls its transaction back.
    connection.discard()
    if (doubtedSince !== undefined) {
      this.#silenceIsDoubtfulBefore = Math.max(this.#silenceIsDoubtfulBefore, doubtedSince)
    }
  }
}

/** A pool calls back. An app's wrapper around one may return a promise, or do both: then the first answer counts. */
function getConnection(pool: Pool, done: (error: unknown, raw?: PoolConnection) => void): void {
  let answered = false
  const answer = (error: unknown, given?: object): void => {
    if (answered) return
    answered = true
    done(error, given && ((driversOwn(given) ?? given) as PoolConnection))
  }
  const returned = pool.getConnection(answer) as unknown
  // The usual pool. A wrapper that calls back may be async, and resolve to nothing.
  if (returned === undefined) return
  Promise.resolve(returned)
    .then((given) => given && answer(null, given))
    .catch(done)
}

/**
 * One connection: that which the app gave in place of a pool, or one of a pool in hand. It is kept after a statement that took too long: the
 * driver still knows whose the late reply is, and the app has no other.
 */
class ConnectionClient implements MySQLClient {
  readonly replacesConnections = false
  readonly #connection: MySQLConnection
  readonly #limit: number

  constructor(connection: MySQLConnection, limit: number) {
    this.#connection = connection
    this.#limit = limit
  }

  execute(sql: string, values: readonly MySQLValue[], longer = 0): Promise<unknown> {
    return this.#connection.execute(sql, values, this.#limit + longer)
  }

  onOneConnection<Answer>(work: (one: MySQLClient) => Promise<Answer>): Promise<Answer> {
    return work(this)
  }
}
