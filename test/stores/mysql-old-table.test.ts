import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { createPool } from 'mysql2'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inserted } from '../../dist/testing/store/subject.js'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

const layout = 'express-mysql-session'

onEachServer('an old table', ({ server }) => {
  storeSuite("MySQLStore on express-mysql-session's table", {
    describe,
    it,
    keyedBy: 'token',
    open: async () => {
      const url = await freshDatabase(server)
      const [store, other] = [new MySQLStore(url, { layout }), new MySQLStore(url, { layout })]
      return { store, other, cleanUp: () => Promise.resolve() }
    },
  })

  // express-mysql-session takes any table, and an app may have turned the strict mode off: then the server stores '?' without a word.
  it.each(['latin1', 'utf8mb3'])(
    'keeps users apart that its character set, %s, has no letters for',
    async (charset) => {
      const pool = createPool({ uri: await freshDatabase(server) })
      onTestFinished(() => pool.promise().end())
      pool.on('connection', (connection) => connection.query("SET sql_mode = ''"))
      await pool
        .promise()
        .query(
          `CREATE TABLE sessions (session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data mediumtext) CHARACTER SET ${charset}`,
        )
      const store = new MySQLStore(pool, { layout })
      const userIds = ['🧥', '🧤', '?', 'ł', 'l', '%F0%9F%A7%A5', 'á', 'a\u0301']
      for (const userId of userIds) await inserted(store, { userId })
      for (const userId of userIds) {
        const { items } = await store.list({ userId, limit: 10, data: false })
        expect(items.map((record) => record.userId)).toEqual([userId])
        expect(await store.removeByUser(userId)).toBe(1)
      }
    },
  )
})
