import { randomBytes } from 'node:crypto'
import { createConnection, type Pool, type RowDataPacket } from 'mysql2/promise'
import { describe, inject } from 'vitest'
import { startMariaDB } from './mariadb.ts'
import { startMySQL } from './mysql.ts'
import { leaveDiskToSystem } from './mysql-server.ts'
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
  for (const { absent, ...database } of kinds()) {
    const name = absent === undefined ? database.name : `${database.name} (${absent})`
    describe.skipIf(absent !== undefined)(`${title} on ${name}`, () => {
      body(database)
    })
  }
}

/** The servers of this run: MariaDB, and MySQL where one runs. */
export function databases(): Database[] {
  return kinds().filter(({ absent }) => absent === undefined)
}

/** Both kinds, and of one that does not run here why. */
function kinds(): (Database & { readonly absent?: string })[] {
  const mysql = inject('mysql')
  const own =
    (start: typeof startMySQL): Database['start'] =>
    (options = []) =>
      start([...leaveDiskToSystem, ...options])
  const [mariadb, onMySQL] = [own(startMariaDB), own(startMySQL)]
  return [
    { name: 'MariaDB', server: inject('mariadb'), start: mariadb },
    { name: 'MySQL', server: '', start: onMySQL, ...('url' in mysql ? { server: mysql.url } : mysql) },
  ]
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

/** A connection of the server, as SHOW PROCESSLIST gives it. */
export interface ListedConnection {
  readonly Id: number
  readonly State: string | null
  /** Seconds. */
  readonly Time: number
  /** The statement that is under way, or its first 100 characters. */
  readonly Info: string | null
}

/**
 * The connections to the database of `url`. information_schema.processlist is not asked: MySQL fails there if any statement of the
 * server has binary parameters at that moment.
 */
export async function connectionsTo(url: string, pool: Pick<Pool, 'query'>): Promise<ListedConnection[]> {
  const database = new URL(url).pathname.slice(1)
  const [rows] = await pool.query<RowDataPacket[]>('SHOW PROCESSLIST')
  return rows.filter(({ db }) => db === database) as RowDataPacket[] & ListedConnection[]
}
