import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import type { RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { causal } from '../../dist/stores/mysql/causal.js'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { newId, openPool, openStore, stored } from './mysql-subject.ts'

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
    const id = await stored(store)
    expect(await store.find([id])).toMatchObject([{ id }])
  })

  it('is true or false', () => {
    expect(() => new MySQLStore('mysql://localhost/x', { causalReads: 'yes' as never })).toThrow(
      'causalReads must be true or false.',
    )
  })
})

onEachServer('causalReads', ({ name, server }) => {
  it.skipIf(name === 'MariaDB').each([{}, { layout: 'express-mysql-session' } as const])(
    'is an error with a code where SET STATEMENT is unknown, which MariaDB knows: %o',
    async (options) => {
      const store = openStore(await freshDatabase(server), { ...options, causalReads: true })
      const refused = {
        code: 'ERR_SESSION_OPTION',
        message: expect.stringContaining('causalReads needs MariaDB') as string,
      }
      await expect(stored(store)).rejects.toMatchObject(refused)
      await expect(store.find([newId()])).rejects.toMatchObject(refused)
    },
  )
})
