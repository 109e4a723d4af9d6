import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { inject } from 'vitest'

/**
 * A new empty database on the MariaDB of this test run.
 * @returns its `mysql://` URL. It goes when the run ends.
 */
export async function freshDatabase(): Promise<string> {
  const server = inject('mariadb')
  const name = `coatcheck_${randomBytes(6).toString('hex')}`
  const connection = await createConnection(server)
  try {
    await connection.query(`CREATE DATABASE ${name}`)
  } finally {
    await connection.end()
  }
  return `${server}/${name}`
}
