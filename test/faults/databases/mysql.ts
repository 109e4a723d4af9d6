import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { MySQLStore } from 'coatcheck/mysql'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { startMariaDB } from '../../servers/mariadb.ts'
import { startMySQL } from '../../servers/mysql.ts'
import type { FaultyDatabase, Owner } from './faulty-database.ts'

const common: Omit<FaultyDatabase, 'name' | 'start' | 'endsOnFullDisk'> = {
  async prepare(server) {
    const name = 'faults'
    const password = randomBytes(12).toString('hex')
    const first = await createConnection(server)
    await first.query(`CREATE DATABASE ${name}`)
    // As an app's user should be: without the right to write to a read-only server.
    await first.query(`CREATE USER app@'127.0.0.1' IDENTIFIED BY '${password}'`)
    await first.query(`GRANT ALL ON ${name}.* TO app@'127.0.0.1'`)
    await first.end()
    const owner = `${server}/${name}`
    return { owner, apps: `mysql://app:${password}@${new URL(owner).host}/${name}` }
  },
  openStore: (url) => new MySQLStore(url),
  connect: async (url) => ownerOn(await createConnection(url)),
  onNetwork: (text) => text,
  nextVersion: {
    file: 'dist/stores/mysql/statements.js',
    differences: [
      ['expires_at, sweep_at) VALUES', 'expires_at, sweep_at, made_by) VALUES'],
      ['${exports.now} + ?, expires_at)`, size)', "${exports.now} + ?, expires_at, 'next')`, size)"],
      [
        ') ENGINE=InnoDB`,\n            ],\n        },\n    ];',
        ') ENGINE=InnoDB`,\n            ],\n        },\n        { version: 2, statements: [`ALTER TABLE \\`${table}\\` ADD COLUMN made_by VARBINARY(16) NULL`] },\n    ];',
      ],
    ],
  },
}

export const mariadb: FaultyDatabase = {
  ...common,
  name: 'MariaDB',
  start: (parent) => startMariaDB([], parent),
  endsOnFullDisk: false,
}

export const mysql: FaultyDatabase = {
  ...common,
  name: 'MySQL',
  start: (parent) => startMySQL([], parent),
  // It does where it cannot write its binary log.
  endsOnFullDisk: true,
}

function ownerOn(connection: Connection): Owner {
  return {
    async lock() {
      await connection.beginTransaction()
      await connection.query('SELECT version FROM coatcheck_sessions FOR UPDATE')
    },
    unlock: () => connection.rollback(),
    async setReadOnly(isReadOnly) {
      await connection.query(`SET GLOBAL read_only = ${isReadOnly ? 1 : 0}`)
    },
    async deadlock() {
      await connection.query('CREATE TABLE IF NOT EXISTS weight (number INT) ENGINE=InnoDB')
      const before = await deadlocks(connection)
      while ((await deadlocks(connection)) === before) await lockBackwards(connection)
    },
    async read(user, column) {
      const [rows] = await connection.execute<RowDataPacket[]>(
        `SELECT id, ${column} AS held FROM coatcheck_sessions WHERE user_id = ?`,
        [user],
      )
      return rows[0] as { id: Buffer; held: Buffer }
    },
    async store(id, column, bytes) {
      await connection.execute(`UPDATE coatcheck_sessions SET ${column} = ? WHERE id = ?`, [bytes, id])
    },
    async connectionsOfApps() {
      const [rows] = await connection.query<RowDataPacket[]>('SHOW PROCESSLIST')
      return rows.filter((row) => row['User'] === 'app').length
    },
    async madeBy(user) {
      const [rows] = await connection.execute<RowDataPacket[]>(
        'SELECT made_by FROM coatcheck_sessions WHERE user_id = ?',
        [user],
      )
      return rows.map((row) => String(row['made_by']))
    },
    // As a statement that failed is undone, this server may need room, and where it gets none, spoil an index (1034): its administrator makes them anew.
    async repair() {
      await connection.query('ALTER TABLE coatcheck_sessions FORCE')
    },
    end: () => connection.end(),
  }
}

/** How many the server has ended so far. */
async function deadlocks(connection: Connection): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT count AS ended FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'",
  )
  return Number(rows[0]!['ended'])
}

/** Locks the sessions in use, the last first, while the store locks the first first. */
async function lockBackwards(connection: Connection): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT id FROM coatcheck_sessions ORDER BY seen_at DESC LIMIT 8',
  )
  const ids = rows.map((row) => row['id'] as Buffer).toSorted((one, other) => other.compare(one))
  await connection.beginTransaction()
  try {
    // Of two that wait for each other, the server undoes the one that has changed less.
    await connection.query('INSERT INTO weight VALUES ?', [
      Array.from({ length: 100 }, (_, number) => [number]),
    ])
    for (const id of ids) {
      await connection.execute('SELECT version FROM coatcheck_sessions WHERE id = ? FOR UPDATE', [id])
    }
  } catch (error) {
    assert.equal((error as { errno?: number }).errno, 1213)
  }
  await connection.rollback()
}
