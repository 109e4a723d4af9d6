import { createSessions, type SessionWrite } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { createPool } from 'mysql2'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { inserted } from '../../dist/testing/store/subject.js'
import { bag } from '../core/works.ts'
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

  /** A request that is about to give a stored session another token. */
  async function rotating() {
    const store = new MySQLStore(await freshDatabase(server), { layout })
    const sessions = createSessions({ store, secret: 'a secret of the tests, and of no app' })
    onTestFinished(() => sessions.close())
    const first = await sessions.load()
    bag(first).cart = 1
    await first.commit()
    const work = await sessions.load(first.id)
    await work.session!.rotate()
    return { store, sessions, work }
  }

  it('a rotation without an answer, which changed no data, is found under its token and told to the browser', async () => {
    const { store, sessions, work } = await rotating()
    const write = store.write.bind(store)
    vi.spyOn(store, 'write').mockImplementationOnce(async (writes) => {
      await write(writes)
      throw new Error('the answer was lost')
    })
    await expect(work.commit()).rejects.toThrow('The session store failed')
    await work.commit()
    expect(work.outcome).toEqual({ action: 'issue', token: work.id })
    expect(bag(await sessions.load(work.id)).cart).toBe(1)
  })

  it('a rotation that arrives late, between two looks for it, is found all the same', async () => {
    const { store, sessions, work } = await rotating()
    const [write, find] = [store.write.bind(store), store.find.bind(store)]
    let late: readonly SessionWrite[] = []
    vi.spyOn(store, 'write').mockImplementationOnce((writes) => {
      late = writes
      return Promise.reject(new Error('no answer yet'))
    })
    await expect(work.commit()).rejects.toThrow('The session store failed')
    vi.spyOn(store, 'find').mockImplementationOnce(async (ids) => {
      const found = await find(ids)
      await write(late)
      return found
    })
    await work.commit()
    expect(work.outcome).toEqual({ action: 'issue', token: work.id })
    expect(bag(await sessions.load(work.id)).cart).toBe(1)
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
