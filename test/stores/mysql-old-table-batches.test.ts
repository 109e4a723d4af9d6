import type { SessionId, SessionStore, UpdateWrite } from 'coatcheck'
import { createPool as createCallbackPool, type Pool as CallbackPool } from 'mysql2'
import type { RowDataPacket } from 'mysql2/promise'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { insert, newId, openPool, openStore, storedMany, update } from './mysql-subject.ts'

// Writes of many sessions on a table of express-mysql-session, where they share statements.

const layout = { layout: 'express-mysql-session' } as const

function session(text: string): Buffer {
  return Buffer.from(JSON.stringify({ cookie: { originalMaxAge: null, path: '/' }, text }))
}

/** Changes of these sessions from what is stored now. */
async function changes(
  store: SessionStore,
  ids: readonly SessionId[],
  textOf: (index: number) => string = (index) => `change ${index}`,
): Promise<UpdateWrite[]> {
  const records = await store.find(ids)
  return records.map((record, index): UpdateWrite => {
    const { id, version } = record!
    return { ...update(id, version), data: session(textOf(index)) }
  })
}

async function texts(store: SessionStore, ids: readonly SessionId[]): Promise<unknown[]> {
  return (await store.find(ids)).map((record) => record && textIn(record.data))
}

function textIn(data: Uint8Array): string | undefined {
  return (JSON.parse(Buffer.from(data).toString()) as { text?: string }).text
}

function countIn(data: Uint8Array): number {
  return Number(textIn(data) ?? 0)
}

onEachServer('batches on an old table', ({ server }) => {
  describe('changes of many sessions of an old table', () => {
    it('are one statement, and are prepared for a handful of sizes only', async () => {
      const { store, counter } = await watchedStore()
      const ids = await storedMany(store, 64)
      let writes = await changes(store, ids)
      const before = await counter('Questions')
      expect(await store.write(writes)).toEqual(ids.map(() => 'done'))
      expect((await counter('Questions')) - before).toBe(1 + 1) // and the counter's own
      const preparedBefore = await counter('Com_stmt_prepare')
      for (const size of [2, 3, 5, 9, 17, 33, 40, 60]) {
        writes = await changes(store, ids.slice(0, size), (index) => `one of ${size}: ${index}`)
        expect(await store.write(writes)).toEqual(writes.map(() => 'done'))
      }
      // Five more sizes, of `find` and of the change.
      expect((await counter('Com_stmt_prepare')) - preparedBefore).toBe(2 * 5)
    })

    it.each(['TRADITIONAL', ''])('each get their own result, in the sql_mode "%s"', async (mode) => {
      const pool = openPool(await freshDatabase(server), { connectionLimit: 1 })
      await pool.query('SET SESSION sql_mode = ?', [mode])
      const store = openStore(pool, layout)
      const ids = await storedMany(store, 7)
      const writes = await changes(store, ids)
      // An app of the old kind, meanwhile.
      await pool.query('UPDATE sessions SET data = ? WHERE session_id = ?', [session('theirs'), ids[1]])
      await pool.query('DELETE FROM sessions WHERE session_id = ?', [ids[2]])
      await pool.query('UPDATE sessions SET expires = 1 WHERE session_id = ?', [ids[3]])
      const absent: UpdateWrite = { ...writes[0]!, id: newId() }
      expect(await store.write([...writes, absent])).toEqual([
      'done', 'stale', 'gone', 'gone', 'done', 'done', 'done', 'gone',
    ]) // prettier-ignore
      expect(await texts(store, ids)).toEqual([
      'change 0', 'theirs', undefined, undefined, 'change 4', 'change 5', 'change 6',
    ]) // prettier-ignore
      const [expired] = await pool.query<RowDataPacket[]>('SELECT data FROM sessions WHERE expires = 1')
      expect(expired).toHaveLength(1)
      expect(expired[0]!['data']).not.toContain('change')
    })

    it('are refused for a changed session whose expiry is the last that the column holds', async () => {
      const pool = openPool(await freshDatabase(server))
      const store = openStore(pool, layout)
      const ids = await storedMany(store, 2)
      const forever = { idle: 2 ** 60, absolute: undefined }
      const writes = (await changes(store, ids)).map((write) => ({ ...write, lifetime: forever }))
      expect(await store.write(writes)).toEqual(['done', 'done'])
      const later = (await changes(store, ids, () => 'later')).map((write) => ({
        ...write,
        lifetime: forever,
      }))
      await pool.query('UPDATE sessions SET data = ? WHERE session_id = ?', [session('theirs'), ids[0]])
      expect(await store.write(later)).toEqual(['stale', 'done'])
      expect(await texts(store, ids)).toEqual(['theirs', 'later'])
      const [rows] = await pool.query<RowDataPacket[]>('SELECT expires FROM sessions')
      expect(rows).toEqual([{ expires: 2 ** 32 - 1 }, { expires: 2 ** 32 - 1 }])
    })

    it('are done where all is so already, on a pool that does not count that', async () => {
      const pool = openPool(await freshDatabase(server), { flags: ['-FOUND_ROWS'] })
      const store = openStore(pool, layout)
      const ids = await storedMany(store, 3)
      const forever = { idle: 2 ** 60, absolute: undefined }
      const again = async (textOf: (index: number) => string) =>
        store.write((await changes(store, ids, textOf)).map((write) => ({ ...write, lifetime: forever })))
      expect(await again(() => 'the same')).toEqual(['done', 'done', 'done'])
      expect(await again(() => 'the same')).toEqual(['done', 'done', 'done'])
      expect(await again((index) => (index === 1 ? 'another' : 'the same'))).toEqual(['done', 'done', 'done'])
      expect(await texts(store, ids)).toEqual(['the same', 'another', 'the same'])
    })

    it('keep each text and each id to the letter, whatever the character set of the connection', async () => {
      const pool = openPool(await freshDatabase(server), { charset: 'latin1_swedish_ci' })
      const store = openStore(pool, layout)
      const ids = ['schlüssel', 'Schlüssel', 'schlussel', "o'key ?", '🗝️'] as SessionId[]
      await store.write(ids.map(insert))
      const odd = (index: number) => `'${index}' "\\" \u0000 é 🧥 ? ${'ß'.repeat(40_000)}`
      expect(await store.write(await changes(store, ids, odd))).toEqual(ids.map(() => 'done'))
      expect(await texts(store, ids)).toEqual(ids.map((_, index) => odd(index)))
    })

    it('spare a row whose id differs in a space at its end', async () => {
      const pool = openPool(await freshDatabase(server))
      const store = openStore(pool, layout)
      const ids = await storedMany(store, 3)
      const writes = await changes(store, ids)
      await pool.query("UPDATE sessions SET session_id = CONCAT(session_id, ' ') WHERE session_id = ?", [
        ids[1],
      ])
      expect(await store.write(writes)).toEqual(['done', 'gone', 'done'])
      const [rows] = await pool.query<RowDataPacket[]>("SELECT data FROM sessions WHERE session_id LIKE '% '")
      expect(rows).toHaveLength(1)
      expect(rows[0]!['data']).not.toContain('change')
    })

    it('fail alone where one is no session', async () => {
      const store = openStore(await freshDatabase(server), layout)
      const ids = await storedMany(store, 4)
      const writes = await changes(store, ids)
      const noObject = { ...writes[2]!, data: Buffer.from('[]') }
      expect(await store.write(writes.with(2, noObject))).toMatchObject([
      'done', 'done', { code: 'ERR_SESSION_DATA' }, 'done',
    ]) // prettier-ignore
      expect(await texts(store, ids)).toEqual(['change 0', 'change 1', undefined, 'change 3'])
    })

    it('are tried again where one came back, as it was read, right after the statement', async () => {
      const { store, query, afterNextUpdate } = await interruptedStore()
      const ids = await storedMany(store, 3)
      const writes = await changes(store, ids)
      await query('UPDATE sessions SET expires = 1 WHERE session_id = ?', [ids[1]])
      // express-mysql-session touches what has expired too.
      afterNextUpdate(() => query('UPDATE sessions SET expires = 4000000000 WHERE session_id = ?', [ids[1]]))
      expect(await store.write(writes)).toEqual(['done', 'done', 'done'])
      expect(await texts(store, ids)).toEqual(['change 0', 'change 1', 'change 2'])
    })

    it('stay done where others change them right after the statement', async () => {
      const { store, query, afterNextUpdate } = await interruptedStore()
      const ids = await storedMany(store, 3)
      const writes = await changes(store, ids)
      await query('DELETE FROM sessions WHERE session_id = ?', [ids[1]])
      afterNextUpdate(() =>
        query('UPDATE sessions SET data = ? WHERE session_id = ?', [session('on top'), ids[2]]),
      )
      expect(await store.write(writes)).toEqual(['done', 'gone', 'done'])
      expect(await texts(store, ids)).toEqual(['change 0', undefined, 'on top'])
    })

    it('lose nothing when two stores change the same sessions in opposite order', async () => {
      const url = await freshDatabase(server)
      const stores = [openStore(url, layout), openStore(url, layout)]
      const ids = await storedMany(stores[0]!, 12)
      const accepted = new Map(ids.map((id) => [id, 0]))
      /** Adds 1 to each count, as far as it was not changed meanwhile. */
      const addOne = async (store: SessionStore, order: readonly SessionId[]) => {
        const writes = (await store.find(order)).map((record): UpdateWrite => {
          const { id, version, data } = record!
          return { ...update(id, version), data: session(`${countIn(data) + 1}`) }
        })
        const results = await store.write(writes)
        results.forEach((result, index) => {
          const id = order[index]!
          if (result === 'done') accepted.set(id, accepted.get(id)! + 1)
        })
      }
      await Promise.all(
        stores.map(async (store, index) => {
          for (let round = 0; round < 20; round++) await addOne(store, index === 0 ? ids : ids.toReversed())
        }),
      )
      const records = await stores[0]!.find(ids)
      expect(records.map((record) => countIn(record!.data))).toEqual(ids.map((id) => accepted.get(id)))
    })
  })

  describe('beginnings of many sessions in an old table', () => {
    it('share statements of 64, 32, and so on', async () => {
      const { store, counter } = await watchedStore()
      await storedMany(store, 1) // which makes the table
      const before = await counter('Questions')
      await storedMany(store, 64 + 8 + 1)
      expect((await counter('Questions')) - before).toBe(3 + 1) // and the counter's own
    })

    it('leave out those whose id is taken, and those that do not fit', async () => {
      const store = openStore(await freshDatabase(server), layout)
      const [taken] = await storedMany(store, 1)
      const ids = [newId(), taken!, newId(), newId()]
      const writes = ids.map((id) => ({ ...insert(id), data: session('new') }))
      const tooLong = { ...insert('x'.repeat(129) as SessionId), data: session('new') }
      const noObject = { ...insert(newId()), data: Buffer.from('[]') }
      expect(await store.write([...writes, tooLong, noObject])).toMatchObject([
      'done', 'exists', 'done', 'done', { code: 'ERR_SESSION_OPTION' }, { code: 'ERR_SESSION_DATA' },
    ]) // prettier-ignore
      expect(await texts(store, ids)).toEqual(['new', undefined, 'new', 'new'])
      expect(await store.find([tooLong.id, noObject.id])).toEqual([undefined, undefined])
    })
  })

  /** A store with one connection, and the server's own counters for that connection. */
  async function watchedStore() {
    const pool = openPool(await freshDatabase(server), { connectionLimit: 1 })
    return {
      store: openStore(pool, layout),
      counter: async (name: string): Promise<number> => {
        const [rows] = await pool.query<RowDataPacket[]>(`SHOW SESSION STATUS LIKE '${name}'`)
        return Number(rows[0]!['Value'])
      },
    }
  }

  /** A store on a pool of the app's, and what others do right after its next UPDATE, before the store hears of that. */
  async function interruptedStore() {
    const pool: CallbackPool = createCallbackPool({ uri: await freshDatabase(server) })
    onTestFinished(() => pool.promise().end())
    let interruption: (() => Promise<unknown>) | undefined
    pool.on('connection', (connection) => {
      const execute = connection.execute.bind(connection) as (...parameters: unknown[]) => unknown
      const interrupted = (options: { sql: string }, done: (...results: unknown[]) => void) =>
        execute(options, (...results: unknown[]) => {
          const interrupt = options.sql.startsWith('UPDATE') ? interruption : undefined
          if (!interrupt) return done(...results)
          interruption = undefined
          void interrupt().then(() => done(...results))
        })
      Object.assign(connection, { execute: interrupted })
    })
    return {
      store: openStore(pool, layout),
      query: (sql: string, values: unknown[]) => pool.promise().query(sql, values),
      afterNextUpdate: (interrupt: () => Promise<unknown>) => void (interruption = interrupt),
    }
  }
})
