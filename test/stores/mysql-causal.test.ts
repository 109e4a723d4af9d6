import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { createPool } from 'mysql2'
import type { RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { causal } from '../../dist/stores/sql/mysql-causal.js'
import { freshDatabase } from '../servers/databases.ts'
import { openPool, openStore, stored } from './mysql-subject.ts'

storeSuite('MySQLStore with causalReads, on a server of no cluster', {
  describe,
  it,
  open: async () => {
    const url = await freshDatabase()
    const open = () => new MySQLStore(url, { causalReads: true })
    return { store: open(), other: open(), cleanUp: () => Promise.resolve() }
  },
})

describe('causalReads', () => {
  it('is said in each statement that reads or changes rows, and in no other', () => {
    const wait = 'SET STATEMENT wsrep_sync_wait = 3 FOR '
    const statements = causal({
      find: (size: number) => `SELECT ${size}`,
      update: 'UPDATE t SET a = 1',
      remove: 'DELETE FROM t',
      insert: 'INSERT INTO t VALUES (1)',
      lock: `CONCAT('a name')`,
    })
    expect(statements.find(2)).toBe(`${wait}SELECT 2`)
    expect([statements.update, statements.remove]).toEqual([
      `${wait}UPDATE t SET a = 1`,
      `${wait}DELETE FROM t`,
    ])
    expect([statements.insert, statements.lock]).toEqual(['INSERT INTO t VALUES (1)', `CONCAT('a name')`])
  })

  it('sets nothing on the connections of the app', async () => {
    const pool = openPool(await freshDatabase(), { connectionLimit: 1 })
    await stored(openStore(pool, { causalReads: true }))
    const [rows] = await pool.query<RowDataPacket[]>('SELECT @@SESSION.wsrep_sync_wait AS waits')
    expect(rows).toEqual([{ waits: 0 }])
  })

  it('works on the table of express-mysql-session, too', async () => {
    const store = openStore(await freshDatabase(), { causalReads: true, layout: 'express-mysql-session' })
    const key = await stored(store)
    expect(await store.find([key])).toMatchObject([{ key }])
  })

  it('is an error with a code on a server that does not know it', async () => {
    const pool = createPool({ uri: await freshDatabase() })
    // What MySQL says to SET STATEMENT.
    const refusal = Object.assign(new Error('You have an error in your SQL syntax'), {
      errno: 1064,
      sqlState: '42000',
    })
    const execute = (_options: unknown, answer: (error: Error) => void) => answer(refusal)
    pool.on('connection', (connection) => void Object.assign(connection, { execute }))
    try {
      const store = openStore(pool, { causalReads: true })
      await expect(stored(store)).rejects.toMatchObject({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringContaining('causalReads needs MariaDB') as string,
      })
    } finally {
      await new Promise((resolve) => pool.end(resolve))
    }
  })

  it('is true or false', () => {
    expect(() => new MySQLStore('mysql://localhost/x', { causalReads: 'yes' as never })).toThrow(
      'causalReads must be true or false.',
    )
  })
})
