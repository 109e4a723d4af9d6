import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { Client } from 'pg'
import { startMariaDB } from '../../test/servers/mariadb.ts'
import { leaveDiskToSystem } from '../../test/servers/mysql-server.ts'
import { leaveDiskToPostgres, startPostgres } from '../../test/servers/postgres.ts'
import { ServerFolder } from '../../test/servers/server-process.ts'

/** How much room the rows of a table take, and the indexes beside them. */
export interface Bytes {
  readonly rows: number
  readonly indexes: number
}

/** A store, and how to tell how large it is. */
export interface SizedStore {
  readonly name: string
  open(): Promise<Place>
}

/** A server, or what a store needs in its place. */
interface Place {
  readonly version: string
  make(): Promise<Sized>
  close(): Promise<unknown>
}

/** An empty store. */
interface Sized {
  readonly store: SessionStore
  bytes(): Promise<Bytes>
  remove(): Promise<void>
}

/** A store with servers of another kind is one more object here. */
export const sizedStores: readonly SizedStore[] = [
  { name: 'MariaDB', open: openMariaDB },
  { name: 'PostgreSQL', open: openPostgreSQL },
  { name: 'SQLite', open: openSQLite },
]

async function openMariaDB(): Promise<Place> {
  const server = await startMariaDB(leaveDiskToSystem)
  const connection = await createConnection(server.url)
  const query = async (sql: string): Promise<Readonly<Record<string, unknown>>> =>
    (await connection.query<RowDataPacket[]>(sql))[0][0]!
  const version = String((await query('SELECT VERSION() AS version'))['version']).split('-', 1)[0]
  return {
    version: `MariaDB ${version}`,
    async make() {
      await connection.query('CREATE DATABASE sizes')
      const store = new MySQLStore(`${server.url}/sizes`)
      return {
        store,
        async bytes() {
          await connection.query('ANALYZE TABLE sizes.coatcheck_sessions')
          const size = await query(
            `SELECT data_length AS 'rows', index_length AS indexes FROM information_schema.tables
             WHERE table_schema = 'sizes' AND table_name = 'coatcheck_sessions'`,
          )
          return { rows: Number(size['rows']), indexes: Number(size['indexes']) }
        },
        async remove() {
          await store.close()
          await connection.query('DROP DATABASE sizes')
        },
      }
    },
    async close() {
      await connection.end()
      await server.stop()
    },
  }
}

async function openPostgreSQL(): Promise<Place> {
  const server = await startPostgres({ settings: leaveDiskToPostgres })
  const client = new Client(server.url)
  await client.connect()
  const { rows: shown } = await client.query<{ version: string }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version`,
  )
  return {
    version: `PostgreSQL ${shown[0]!.version}`,
    async make() {
      const store = new PostgreSQLStore(server.url)
      return {
        store,
        async bytes() {
          const { rows } = await client.query<{ rows: string; indexes: string }>(
            `SELECT pg_table_size('coatcheck_sessions') AS rows, pg_indexes_size('coatcheck_sessions') AS indexes`,
          )
          return { rows: Number(rows[0]!.rows), indexes: Number(rows[0]!.indexes) }
        },
        async remove() {
          await store.close()
          await client.query('DROP TABLE coatcheck_sessions, coatcheck_migrations')
        },
      }
    },
    async close() {
      await client.end()
      await server.stop()
    },
  }
}

async function openSQLite(): Promise<Place> {
  const folder = await ServerFolder.make('sizes')
  let made = 0
  return {
    version: `SQLite ${process.versions['sqlite']}`,
    async make() {
      const file = join(folder.path, `${++made}.db`)
      const store = new SQLiteStore(file)
      return {
        store,
        async bytes() {
          // Whoever is the last to close it moves all from its log into the file.
          await store.close()
          const database = new DatabaseSync(file)
          const sizeOf = (condition: string) =>
            Number(
              database.prepare(`SELECT sum(pgsize) AS size FROM dbstat WHERE ${condition}`).get()!['size'],
            )
          const table = `name = 'coatcheck_sessions'`
          const [rows, indexes] = [
            sizeOf(table),
            sizeOf(`name IN (SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_${table})`),
          ]
          database.close()
          return { rows, indexes }
        },
        remove: () => rm(file),
      }
    },
    close: () => folder.remove(),
  }
}
