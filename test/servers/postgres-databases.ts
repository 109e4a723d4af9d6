import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { inject } from 'vitest'

/**
 * A new empty database.
 * @param server the URL of a database on the server; by default on the PostgreSQL of this run
 * @returns its `postgres://` URL. It goes when the run ends.
 */
export async function freshPostgreSQL(server: string = inject('postgresql')): Promise<string> {
  const name = `coatcheck_${randomBytes(6).toString('hex')}`
  const client = new Client({ connectionString: server })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${name}`)
  } finally {
    await client.end()
  }
  return new URL(`/${name}`, server).href
}
