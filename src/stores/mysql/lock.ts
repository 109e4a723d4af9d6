import { hash } from 'node:crypto'
import { select } from './pool.js'
import type { MySQLClient } from './pool.js'

/** A lock that all apps with one table share. */
export interface TableLock {
  readonly table: string
  /** What one process at a time does to the table. */
  readonly purpose: 'migrate' | 'sweep' | 'copy'
}

/** The connection's database, as the hexadecimal bytes of its name; NULL where it has none. */
export const databaseStatement = 'SELECT HEX(DATABASE()) AS name'

/**
 * The lock's name as a literal of SQL. It fits in 64 characters, whatever the names of the database and the table.
 *
 * The hash is made here, because MySQL 9.6 removed SHA1(). The name stays the one that earlier versions let the server
 * work out, so that both exclude each other during an upgrade.
 *
 * @param database what `databaseStatement` gave.
 */
export function lockName(database: string | null, { table, purpose }: TableLock): string {
  const name = Buffer.concat([Buffer.from(database ?? '', 'hex'), Buffer.from(`.${table}`)])
  return `'coatcheck.${purpose}.${hash('sha1', name)}'`
}

/**
 * Does `work` under a lock of the server's that one connection at a time holds. On a Galera cluster that is one on each
 * node, so `work` must bear being done on several at once; the lock only spares them the trouble.
 *
 * @returns `undefined` if the lock could not be had in time.
 */
export async function underLock<Answer>(
  client: MySQLClient,
  lock: TableLock,
  seconds: number,
  work: (connection: MySQLClient) => Promise<Answer>,
): Promise<Answer | undefined> {
  let mayHoldLock = false
  const locked = async (connection: MySQLClient): Promise<Answer | undefined> => {
    const [database] = await select(connection, databaseStatement)
    const name = lockName(database!['name'] as string | null, lock)
    mayHoldLock = true
    const [row] = await select(
      connection,
      `SELECT GET_LOCK(${name}, ${seconds}) AS locked`,
      [],
      seconds * 1_000,
    )
    if (Number(row?.['locked']) !== 1) {
      mayHoldLock = false
      return undefined
    }
    try {
      return await work(connection)
    } finally {
      await select(connection, `SELECT RELEASE_LOCK(${name}) AS released`)
      mayHoldLock = false
    }
  }
  return client.onOneConnection(locked, () => !mayHoldLock)
}
