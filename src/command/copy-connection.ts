import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2'
import { wait } from '../core/scheduling.js'
import { execute } from '../stores/mysql/connection.js'
import { errorNumber } from '../stores/mysql/error-codes.js'
import { isWorthAnotherTry, type MySQLValue, numberOf } from '../stores/mysql/pool.js'
import { openTarget } from '../stores/mysql/target.js'

/** The old table's ids are texts, so that its own collation compares them and its primary key finds them. */
export type CopyValue = MySQLValue | string

const mostTries = 10

/** The one connection of a copy: it holds the lock, so all that is written goes by it. */
export class CopyConnection {
  /** For what is not the copy's own work. */
  readonly pool: Pool
  readonly #connection: PoolConnection

  private constructor(pool: Pool, connection: PoolConnection) {
    this.pool = pool
    this.#connection = connection
    // A connection that is lost between statements: the next statement tells.
    connection.on('error', () => {})
  }

  /** @throws ERR_SESSION_OPTION for a URL that is none; else what the driver throws */
  static async open(url: string): Promise<CopyConnection> {
    const pool = openTarget(url).target as Pool // a URL always makes one
    try {
      return new CopyConnection(pool, await connectionOf(pool))
    } catch (error) {
      pool.end(() => {})
      throw error
    }
  }

  async select(sql: string, values: readonly CopyValue[] = []): Promise<RowDataPacket[]> {
    return (await this.#execute(sql, values)) as RowDataPacket[]
  }

  /** @returns how many rows were affected */
  async change(sql: string, values: readonly CopyValue[] = []): Promise<number> {
    return ((await this.#execute(sql, values)) as ResultSetHeader).affectedRows
  }

  /** Does `work` in a transaction, and again from the start where another transaction was in the way. */
  async transaction<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const connection = this.#connection.promise()
    for (let tried = 1; ; tried++) {
      await connection.beginTransaction()
      try {
        const answer = await work()
        await connection.commit()
        return answer
      } catch (error) {
        // A duplicate key is a row that somebody was faster to add.
        const mayPass = isWorthAnotherTry(error) || numberOf(error) === errorNumber.duplicateKey
        if (!mayPass || tried === mostTries) throw error
        await connection.rollback()
        await wait(Math.random() * 10 * 2 ** tried)
      }
    }
  }

  /** Sends a statement once: in a transaction, one that is undone has undone all of it. */
  #execute(sql: string, values: readonly CopyValue[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      execute(this.#connection, sql, values, (error, answer) => (error ? reject(error) : resolve(answer)))
    })
  }

  /** Ends the connection, and with it the lock. */
  close(): Promise<void> {
    this.#connection.release()
    return new Promise((resolve) => this.pool.end(() => resolve()))
  }
}

function connectionOf(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)))
  })
}
