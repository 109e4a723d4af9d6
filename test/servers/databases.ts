import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { describe, inject } from 'vitest'
import { startMariaDB } from './mariadb.ts'
import { startMySQL } from './mysql.ts'
import type { DatabaseServer } from './server-process.ts'

/** A kind of server that `MySQLStore` is tested on. */
export interface Database {
  readonly name: 'MariaDB' | 'MySQL'
  /** The URL of the server that all test files of the run share, without a database. */
  readonly server: string
  /** Starts one of its kind for these tests alone. */
  start(options?: readonly string[]): Promise<DatabaseServer>
}

/** Describes what holds on MariaDB and on MySQL. Where no MySQL runs, its tests are skipped, and their title says why. */
export function onEachServer(title: string, body: (database: Database) => void): void {
  const mysql = inject('mysql')
  describe(`${title} on MariaDB`, () => {
    body({ name: 'MariaDB', server: inject('mariadb'), start: startMariaDB })
  })
  if ('url' in mysql) {
    describe(`${title} on MySQL`, () => {
      body({ name: 'MySQL', server: mysql.url, start: startMySQL })
    })
  } else {
    describe.skip(`${title} on MySQL (${mysql.absent})`, () => {
      body({ name: 'MySQL', server: '', start: startMySQL })
    })
  }
}

/**
 * A new empty database. Test files run side by side, so one that counts what the whole server does hands in the URL of
 * a server of its own.
 * @param server the URL of a MariaDB or a MySQL; by default the MariaDB of this run
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
