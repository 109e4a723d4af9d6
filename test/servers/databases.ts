import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { inject } from 'vitest'

/**
 * A new empty database on the MariaDB of this test run. Test files run side by side, so one that counts what the
 * whole server does hands in the URL of a server of its own, from `startMariaDB()`.
 * @returns its `mysql://` URL. It goes when the run ends.
 */
export async function freshDatabase(server: string = inject('mariadb')): Promise<string> {
  const name = `coatcheck_${randomBytes(6).toString('hex')}`
  const connection = await createConnection(server)
  try {
    await connection.query(`CREATE DATABASE ${name}`)
  } finally {
    await connection.end()
  }
  return `${server}/${name}`
}
