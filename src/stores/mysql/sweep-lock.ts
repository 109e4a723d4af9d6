import { RefusedSweeps } from '../../core/store/refused-sweeps.js'
import { databaseStatement, lockName, type TableLock, underLock } from './lock.js'
import { type MySQLClient, select } from './pool.js'

/** Lets one app at a time sweep a table. */
export class SweepLock {
  readonly #client: MySQLClient
  readonly #lock: TableLock
  readonly #refused = new RefusedSweeps()

  constructor(client: MySQLClient, table: string) {
    this.#client = client
    this.#lock = { table, purpose: 'sweep' }
  }

  /**
   * @returns what `sweep` gives: how many records it removed; 0 if another app is sweeping.
   * @throws ERR_SESSION_STORE_BUSY, where the lock has been another's too many times.
   */
  async take(sweep: (connection: MySQLClient) => Promise<number>): Promise<number> {
    const removed = await underLock(this.#client, this.#lock, 0, sweep)
    if (removed === undefined) {
      await this.#refused.refused(() => this.#who())
      return 0
    }
    this.#refused.succeeded()
    return removed
  }

  async #who(): Promise<string> {
    const [database] = await select(this.#client, databaseStatement)
    const name = lockName(database!['name'] as string | null, this.#lock)
    return `SELECT IS_USED_LOCK(${name}) tells the connection. If it is that of an app that hangs, KILL it.`
  }
}
