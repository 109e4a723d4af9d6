import type { SessionId } from '../../core/store/record.js'
import { largestBatch, padded, parts } from '../sql/batch-size.js'
import { change, type MySQLClient, select } from './pool.js'
import { bytesOfId, idOfRow } from './record.js'
import type { MySQLStatements } from './statements.js'

/** How often one call looks, where most of what is due turns out to live on. */
const mostLooks = 20

/**
 * Looks at records that are due for a look, and removes at most `limit` of them that have expired. For each of the
 * others, it sets the next look to the time at which the record expires as things are now.
 *
 * It reads records without locks, and changes them by their ids, a few at a time. Like all writes, it goes in the order
 * of the ids. So no request waits for a sweep through the table, and a record that was renewed meanwhile stays.
 *
 * @returns how many were removed; fewer than `limit` when nothing is due any more, or hardly any of it had expired.
 */
export async function sweepOwnTable(
  connection: MySQLClient,
  sql: MySQLStatements,
  limit: number,
): Promise<number> {
  const changeAll = async (statement: (size: number) => string, ids: readonly SessionId[]) => {
    let changed = 0
    for (const part of parts(ids.toSorted(), largestBatch)) {
      const values = padded(part).map(bytesOfId)
      changed += await change(connection, statement(values.length), values)
    }
    return changed
  }
  let removed = 0
  for (let look = 0; look < mostLooks; look++) {
    const due = await select(connection, sql.due(limit))
    const isExpired = (row: (typeof due)[number]) => Number(row['expired']) === 1
    const expired = due.filter(isExpired).map(idOfRow)
    removed += await changeAll(sql.removeThoseExpired, expired.slice(0, limit - removed))
    await changeAll(sql.postpone, due.filter((row) => !isExpired(row)).map(idOfRow))
    if (removed === limit || due.length < limit) break
  }
  return removed
}
