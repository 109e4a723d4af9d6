import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { wait } from '../../core/scheduling.js'
import type { MySQLClient } from './client.js'
import { isLost, type MySQLValue, numberOf } from './connection.js'
import { errorNumber } from './error-codes.js'
import { classifyMySQLError } from './errors.js'

export type { MySQLClient } from './client.js'
export { type MySQLValue, numberOf } from './connection.js'

/** @param longer milliseconds that it may take beyond the limit of all statements. */
export async function select(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
  longer = 0,
): Promise<RowDataPacket[]> {
  const send = () => sendUntilTaken(via, sql, values, longer)
  const rows = via.replacesConnections ? send().catch(onceMoreIfLost(send)) : send()
  return (await rows) as RowDataPacket[]
}

/**
 * @param longer milliseconds that it may take beyond the limit of all statements.
 * @returns how many rows were affected. For an UPDATE that depends on the connection's FOUND_ROWS flag, where a row already was as it should be.
 */
export async function change(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[] = [],
  longer = 0,
): Promise<number> {
  return ((await sendUntilTaken(via, sql, values, longer)) as ResultSetHeader).affectedRows
}

/** A read that was lost with its connection does no harm if it is sent by another. */
function onceMoreIfLost<Answer>(send: () => Promise<Answer>): (error: unknown) => Promise<Answer> {
  return (error) => {
    if (isLost(error)) return send()
    throw error
  }
}

/**
 * Whether a statement may be sent again, because the server said that it undid the statement or never began it. Others
 * were in the way, or this node of a cluster was not ready. Each statement stands alone in its transaction. After a
 * lost connection it is not known what the statement did, so it may not be sent again.
 */
export function isWorthAnotherTry(error: unknown): boolean {
  return classifyMySQLError(error).kind === 'busy' || numberOf(error) === errorNumber.nodeNotReady
}

const mostTries = 5

async function sendUntilTaken(
  via: MySQLClient,
  sql: string,
  values: readonly MySQLValue[],
  longer: number,
): Promise<unknown> {
  for (let tried = 1; ; tried++) {
    try {
      return await via.execute(sql, values, longer)
    } catch (error) {
      if (!isWorthAnotherTry(error) || tried === mostTries) throw error
      await wait(Math.random() * 10 * 2 ** tried)
    }
  }
}
