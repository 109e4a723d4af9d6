import type { SessionId } from '../../core/store/record.js'
import type { UpdateWrite, WriteResult } from '../../core/store/session-store.js'
import { nextPowerOfTwo, padded } from '../sql/batch-size.js'
import { fingerprintIn, storedText } from './record.js'
import type { ExpressRecord } from './record.js'
import type { ExpressStatements } from './statements.js'
import type { Results } from '../sql/carry-out.js'
import { errorNumber } from '../mysql/error-codes.js'
import { change, numberOf } from '../mysql/pool.js'
import type { MySQLClient, MySQLValue } from '../mysql/pool.js'
import { lifetimeValues, never } from '../sql/lifetime-values.js'

/** An update, and the text that it is to store. */
interface Update {
  readonly write: UpdateWrite
  readonly text: Buffer
}

const mostTries = 3

/** Changes many sessions without a metadata in one statement, on a table of express-mysql-session. */
export class ExpressUpdates {
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  readonly #find: (ids: readonly SessionId[]) => Promise<Map<SessionId, ExpressRecord>>

  constructor(
    client: MySQLClient,
    sql: ExpressStatements,
    find: (ids: readonly SessionId[]) => Promise<Map<SessionId, ExpressRecord>>,
  ) {
    this.#client = client
    this.#sql = sql
    this.#find = find
  }

  /**
   * @param writes of one lifetime, whose ids may be there, as many as one statement takes.
   * @param results gets what became of each; of those that it gets nothing of, nothing did, and they are to be sent one by
   *   one.
   */
  async send(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    if (writes.length === 1) return
    let left = writes.map((write): Update => ({
      write,
      text: storedText(write.data, write.lifetime.idle, undefined),
    }))
    for (let tried = 0; left.length > 1 && tried < mostTries; tried++) {
      const updated = await this.#updateMany(left)
      if (updated === left.length) {
        for (const { write } of left) results.set(write.id, 'done')
        return
      }
      const records = await this.#find(left.map(({ write }) => write.id))
      for (const update of left) {
        const result = resultOf(update, records.get(update.write.id), updated !== 'none')
        if (result) results.set(update.write.id, result)
      }
      left = left.filter(({ write }) => !results.has(write.id))
    }
  }

  /** @returns how many were updated, or `'none'` because at least one of them holds something else. */
  async #updateMany(updates: readonly Update[]): Promise<number | 'none'> {
    const size = nextPowerOfTwo(updates.length)
    const ids = padded(updates).map(({ write }) => Buffer.from(write.id))
    // The first WHEN that matches wins, so what fills the list up needs no content.
    const byId = (value: (update: Update) => MySQLValue) =>
      ids.flatMap((id, index) => [id, index < updates.length ? value(updates[index]!) : null])
    const [idle] = lifetimeValues(updates[0]!.write.lifetime)
    const values = [
      ...byId(({ write }) => fingerprintIn(write.version)),
      idle,
      never,
      ...byId(({ text }) => text),
      ...ids,
    ]
    try {
      return await change(this.#client, this.#sql.updateMany(size), values)
    } catch (error) {
      if (numberOf(error) === errorNumber.outOfRange) return 'none'
      throw error
    }
  }
}

/**
 * What became of one of those that were sent together, by what is found afterwards. `undefined`: it is still, or again,
 * as the caller read it, so it can be tried again.
 *
 * @param carriedOut whether the statement was; then it changed all that were live, and fewer than were sent.
 */
function resultOf(
  { write, text }: Update,
  found: ExpressRecord | undefined,
  carriedOut: boolean,
): WriteResult | undefined {
  if (!found) return 'gone'
  // A pool without FOUND_ROWS does not count a row that held all this already.
  if (carriedOut && found.stored.equals(text)) return 'done'
  if (found.version === write.version) return undefined
  // Others have changed it since this was stored.
  return carriedOut ? 'done' : 'stale'
}
