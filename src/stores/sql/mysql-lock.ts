import { select } from './mysql-pool.ts'
import type { MySQLClient } from './mysql-pool.ts'

export const lockStatement = (name: string, seconds: number) =>
  `SELECT GET_LOCK(${name}, ${seconds}) AS locked`
export const unlockStatement = (name: string) => `SELECT RELEASE_LOCK(${name}) AS released`

/**
 * Does `work` under a lock of the server's that one connection at a time holds. On a Galera cluster that is one on each
 * node, so `work` must bear being done on several at once; the lock only spares them the trouble.
 *
 * @param name an expression for the lock's name, from `lockName`
 * @returns `undefined` if the lock could not be had in time
 */
export async function underLock<Answer>(
  client: MySQLClient,
  name: string,
  seconds: number,
  work: (connection: MySQLClient) => Promise<Answer>,
): Promise<Answer | undefined> {
  let mayHoldLock = true
  const locked = async (connection: MySQLClient): Promise<Answer | undefined> => {
    const [row] = await select(connection, lockStatement(name, seconds), [], seconds * 1_000)
    if (Number(row?.['locked']) !== 1) {
      mayHoldLock = false
      return undefined
    }
    try {
      return await work(connection)
    } finally {
      await select(connection, unlockStatement(name))
      mayHoldLock = false
    }
  }
  return client.onOneConnection(locked, () => !mayHoldLock)
}
