import type { SessionKey } from '../../core/record.js'
import { largestBatch, padded, parts } from './batch-size.js'
import { change, type MySQLClient, select } from './mysql-pool.js'
import { bytesOfKey, keyOfRow } from './mysql-record.js'
import type { MySQLStatements } from './mysql-statements.js'

/** How often one call looks, where most of what is due turns out to live on. */
const mostLooks = 20

/**
 * Removes at most `limit` expired records of those that are due for a look, and puts off the look at the others until
 * they would expire as things stand now.
 *
 * Records are read without locks and changed by their keys, a few at a time in the keys' order as all writes are: no
 * request waits for a sweep through the table, and what was renewed meanwhile stays.
 *
 * @returns how many were removed; fewer than `limit` when nothing is due any more, or hardly any of it had expired
 */
export async function sweepOwnTable(
  connection: MySQLClient,
  sql: MySQLStatements,
  limit: number,
): Promise<number> {
  const changeAll = async (statement: (size: number) => string, keys: readonly SessionKey[]) => {
    let changed = 0
    for (const part of parts(keys.toSorted(), largestBatch)) {
      const values = padded(part).map(bytesOfKey)
      changed += await change(connection, statement(values.length), values)
    }
    return changed
  }
  let removed = 0
  for (let look = 0; look < mostLooks; look++) {
    const due = await select(connection, sql.due(limit))
    const isExpired = (row: (typeof due)[number]) => Number(row['expired']) === 1
    const expired = due.filter(isExpired).map(keyOfRow)
    removed += await changeAll(sql.removeThoseExpired, expired.slice(0, limit - removed))
    await changeAll(sql.postpone, due.filter((row) => !isExpired(row)).map(keyOfRow))
    if (removed === limit || due.length < limit) break
  }
  return removed
}
