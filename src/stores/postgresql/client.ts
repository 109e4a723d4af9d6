import { isError } from '../../core/errors.js'
import { clearTimeout, performance, setTimeout, wait } from '../../core/scheduling.js'
import { longestTimer } from '../../core/lifetime.js'
import { LostStatement, NoFreeConnection } from '../sql/lost-statement.js'
import { type Cancellable, cancelStatement } from './cancel.js'
import { classifyPostgreSQLError, endsConnection, sqlState, stateOf } from './error-codes.js'
import type { Statement } from './statements.js'

/** What is bound to a parameter. Texts of sessions go as bytes, so that no encoding of the database has a say. */
export type Value = Buffer | number | string | readonly (Buffer | number | boolean | null)[]

export type Row = Readonly<Record<string, unknown>>

/** The rows of an answer, and how many were changed. */
export interface Answer {
  readonly rows: readonly Row[]
  readonly rowCount: number | null
}

/** A query as pg takes it. */
interface Query {
  readonly name?: string
  readonly text: string
  readonly values: unknown[]
  readonly types: { getTypeParser(type: number): (text: string) => unknown }
}

/** A connection of a pool of pg, as far as the store uses it. */
export interface PostgreSQLConnection extends Cancellable {
  query(query: Query): Promise<Answer>
  release(destroy?: boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  /** pg 8.18 and later. `'I'`: it is in no transaction. */
  getTransactionStatus?(): string | null
}

/** A pool of the package pg, as far as the store uses it. */
export interface PostgreSQLPool {
  connect(): Promise<PostgreSQLConnection>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'acquire', listener: (connection: PostgreSQLConnection) => void): unknown
}

type Send = (statement: Statement, values?: readonly Value[]) => Promise<Answer>

const mostTries = 8
/** Milliseconds that a statement of a transaction may wait for a lock. */
const transactionLimit = 60_000
/** Milliseconds. */
const longestPause = 200
/** Milliseconds for which a connection keeps its place in the pool while its statement is being cancelled. */
const longestHold = 500

/** Sends statements through a pool, each as a transaction of its own. */
export class PostgreSQLClient {
  readonly #pool: PostgreSQLPool
  readonly #limit: number
  /** Whether connections prepare statements by name. */
  #prepares = true
  /** When a connection answered last, by `performance.now()`. */
  readonly #answeredAt = new WeakMap<PostgreSQLConnection, number>()
  /**
   * When one of the connections failed, those that have been silent since before may be as dead: all lead to one server
   * by one network. They are replaced when their turn comes.
   */
  #silenceIsDoubtfulBefore = -Infinity

  /** @param limit milliseconds that a statement may take, and that it may wait for a connection before. */
  constructor(pool: PostgreSQLPool, limit: number) {
    this.#pool = pool
    this.#limit = limit
  }

  /** Reads. One that was lost with its connection does no harm if it is sent by another. */
  async select(statement: Statement, values: readonly Value[] = []): Promise<readonly Row[]> {
    try {
      return (await this.change(statement, values)).rows
    } catch (error) {
      if (!(error instanceof LostStatement)) throw error
      return (await this.change(statement, values)).rows
    }
  }

  /**
   * Sends a statement, and again while the server says that it undid it because others were in the way.
   * @throws (by the promise) LostStatement: it is unknown whether the statement took effect.
   * @throws (by the promise) NoFreeConnection, or the driver's error of a connection that cannot be made: it was not sent.
   * @throws (by the promise) else the server's own error.
   */
  async change(statement: Statement, values: readonly Value[] = []): Promise<Answer> {
    let isSerialized = false
    for (let tried = 1; ; tried++) {
      try {
        return await (isSerialized ? this.#alone(statement, values) : this.#once(statement, values))
      } catch (error) {
        if (tried === mostTries) throw error
        if (isOfPreparing(error)) {
          // A pooler has put another connection under this one: there names mean nothing.
          this.#prepares = false
          continue
        }
        if (classifyPostgreSQLError(error)?.mayTryAgain !== true) throw error
        // Where the database, the role or the pool asks for a stricter isolation, whoever is not the first fails.
        isSerialized ||= stateOf(error) === sqlState.serializationFailure
        await wait(Math.random() * Math.min(10 * 2 ** tried, longestPause))
      }
    }
  }

  #once(statement: Statement, values: readonly Value[]): Promise<Answer> {
    return this.#onOneConnection(async (send, connection) => {
      const answer = await send(statement, values)
      // The app gave it back with a BEGIN under way: the connection is ended, and with it what was done.
      if (isInTransaction(connection))
        throw new LostStatement({ cause: new Error('a transaction of the app') })
      return answer
    })
  }

  /** The same, as a transaction that waits for others instead of failing for them. */
  async #alone(statement: Statement, values: readonly Value[]): Promise<Answer> {
    let answer: Answer | undefined
    await this.#transaction(async (send) => {
      answer = await send(statement, values)
    }, this.#limit)
    return answer!
  }

  /**
   * Does `work` as one transaction, whose statements have a minute each, also to wait for locks. They are few, and not
   * prepared: behind a pooler, that could fail, and a transaction is not sent again.
   */
  transaction(work: (send: Send) => Promise<void>): Promise<void> {
    return this.#transaction(async (send) => {
      await send({ name: '', text: `SET LOCAL lock_timeout = ${transactionLimit}` })
      await work(send)
    }, transactionLimit + this.#limit)
  }

  #transaction(work: (send: Send) => Promise<void>, limit: number): Promise<void> {
    return this.#onOneConnection(async (send, connection) => {
      const unprepared: Send = ({ text }, values) => send({ name: '', text }, values)
      await unprepared({ name: '', text: 'BEGIN ISOLATION LEVEL READ COMMITTED' })
      openTransactions.add(connection)
      await work(unprepared)
      await unprepared({ name: '', text: 'COMMIT' })
      openTransactions.delete(connection)
    }, limit)
  }

  async #onOneConnection<Result>(
    work: (send: Send, connection: PostgreSQLConnection) => Promise<Result>,
    limit = this.#limit,
  ): Promise<Result> {
    const connection = await this.#take()
    let [lost, tookTooLong] = [false, false]
    const send: Send = async (statement, values = []) => {
      const { name, text } = statement
      const prepared = this.#prepares && name !== '' ? { name } : {}
      try {
        const answer = await this.#send(connection, { ...prepared, text, values: [...values], types }, limit)
        this.#answeredAt.set(connection, performance.now())
        return answer
      } catch (error) {
        lost ||= error instanceof LostStatement || endsConnection(error)
        tookTooLong ||= error instanceof LostStatement && error.limit !== undefined
        throw error
      }
    }
    try {
      return await work(send, connection)
    } finally {
      if (lost) this.#silenceIsDoubtfulBefore = performance.now()
      // With it ends what it holds: the server rolls its transaction back.
      const release = () => connection.release(lost || isInTransaction(connection))
      if (tookTooLong) {
        // A pooler passes the request on only while its client is there.
        const held = wait(Math.min(longestHold, this.#limit / 2))
        void Promise.race([cancelStatement(connection), held]).then(release)
      } else release()
    }
  }

  async #take(): Promise<PostgreSQLConnection> {
    for (;;) {
      const connection = await this.#connect()
      const answeredAt = this.#answeredAt.get(connection) ?? Infinity
      // The app may have given it back within a transaction: what is done there takes effect only if somebody commits that.
      if (!isInTransaction(connection) && answeredAt >= this.#silenceIsDoubtfulBefore) return connection
      connection.release(true)
    }
  }

  #connect(): Promise<PostgreSQLConnection> {
    return new Promise((resolve, reject) => {
      let isWaiting = true
      const timer = setTimeout(() => {
        isWaiting = false
        reject(new NoFreeConnection(this.#limit))
      }, this.#limit)
      this.#pool.connect().then(
        (connection) => {
          // Its turn came after nobody waited for it any more.
          if (!isWaiting) return connection.release()
          clearTimeout(timer)
          resolve(connection)
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(error as Error)
        },
      )
    })
  }

  #send(connection: PostgreSQLConnection, query: Query, limit: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer =
        limit === Infinity
          ? undefined
          : setTimeout(() => reject(new LostStatement({ limit })), Math.min(limit, longestTimer))
      connection.query(query).then(
        (answer) => {
          clearTimeout(timer)
          resolve(answer)
        },
        (error: unknown) => {
          clearTimeout(timer)
          const isAnswer = stateOf(error) !== undefined && !endsConnection(error)
          reject(isAnswer && isError(error) ? error : new LostStatement({ cause: error }))
        },
      )
    })
  }
}

/** Those in which a transaction of ours has begun, and was not committed. */
const openTransactions = new WeakSet<PostgreSQLConnection>()

function isInTransaction(connection: PostgreSQLConnection): boolean {
  return openTransactions.has(connection) || (connection.getTransactionStatus?.() ?? 'I') !== 'I'
}

function isOfPreparing(error: unknown): boolean {
  const state = stateOf(error)
  return state === '26000' || state === '42P05'
}

const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't', // boolean
  17: bytesOf, // bytea
  20: Number, // bigint
  21: Number, // smallint
  23: Number, // integer
}

/** Reads columns by their types, whatever parsers the app has set for its own queries. */
const types: Query['types'] = {
  getTypeParser: (type) => parsers[type] ?? ((text) => text),
}

/** What a bytea is as a text: in digits, or in escapes if bytea_output says so (PostgreSQL's manual, section 8.4). */
function bytesOf(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex')
  const bytes = text.replace(/\\(?:\\|([0-7]{3}))/g, (_, octal?: string) =>
    octal === undefined ? '\\' : String.fromCharCode(parseInt(octal, 8)),
  )
  return Buffer.from(bytes, 'latin1')
}
