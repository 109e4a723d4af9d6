import type { SessionStore, SessionWrite } from 'coatcheck'
import { createConnection, type Pool } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectionsTo, freshDatabase, onEachServer } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { freePort } from '../servers/ports.ts'
import {
  insert,
  newId,
  openPool,
  openStore,
  removal,
  rotation,
  storedMany,
  touch,
  update,
} from './mysql-subject.ts'

const unavailable = { code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 }

onEachServer('failures in MySQLStore', ({ start }) => {
  /** Its own: it takes no statement of more than 1 MiB, and drops a connection that sends one. */
  let server: DatabaseServer

  beforeAll(async () => {
    server = await start()
    const connection = await createConnection(server.url)
    await connection.query('SET GLOBAL max_allowed_packet = 1048576')
    await connection.end()
  })

  afterAll(() => server?.stop())

  /** The JSON of a session that takes so many bytes. */
  function dataOf(bytes: number): Buffer {
    return Buffer.from(JSON.stringify({ cookie: {}, text: '' }).replace('""', `"${'x'.repeat(bytes - 23)}"`))
  }

  async function versions(store: SessionStore, ids: Parameters<SessionStore['find']>[0]) {
    return (await store.find(ids)).map((record) => record?.version)
  }

  describe.each([
    ['its own table', {}],
    ['a table of express-mysql-session', { layout: 'express-mysql-session' }],
  ] as const)('a write larger than the server takes, on %s', (_name, options) => {
    it('fails alone, of all that it shares a batch with', async () => {
      const store = openStore(await freshDatabase(server.url), options)
      const inserts = Array.from({ length: 12 }, () => ({ ...insert(newId()), data: dataOf(100) }))
      expect(await store.write(inserts)).toEqual(inserts.map(() => 'done'))
      const records = (await store.find(inserts.map(({ id }) => id))).map((record) => record!)
      const ids = records.map(({ id }) => id)
      const changed = records
        .slice(0, 9)
        .map(({ id, version }) => ({ ...update(id, version), data: dataOf(200) }))
      const begun = Array.from({ length: 5 }, () => ({ ...insert(newId()), data: dataOf(100) }))
      const writes: SessionWrite[] = [
        ...changed.with(4, { ...changed[4]!, data: dataOf(2_000_000) }),
        ...begun.with(2, { ...begun[2]!, data: dataOf(2_000_000) }),
        { ...touch(ids[9]!), data: dataOf(100) },
        { ...rotation(ids[10]!, records[10]!.version), data: dataOf(2_000_000) },
        removal(ids[11]!),
      ]

      const results = await store.write(writes)
      const tooLarge = expect.objectContaining({ code: 'ERR_SESSION_TOO_LARGE' }) as Error
      const failed = [4, 9 + 2, 9 + 5 + 1]
      expect(results).toEqual(writes.map((_, index) => (failed.includes(index) ? tooLarge : 'done')))

      const after = await store.find(ids)
      expect(after.map((record) => record?.data.length)).toEqual([
        200,
        200,
        200,
        200,
        100,
        200,
        200,
        200,
        200,
        100,
        100,
        undefined,
      ])
      const found = await store.find(begun.map(({ id }) => id))
      expect(found.map((record) => record !== undefined)).toEqual([true, true, false, true, true])
      expect(await store.write([{ ...changed[4]!, data: dataOf(300) }])).toEqual(['done'])
    })
  })

  describe('a statement of MySQLStore that fails', () => {
    it('with its connection is sent again, as a whole, where it did not take effect', async () => {
      const url = await freshDatabase(server.url)
      const store = openStore(url)
      const ids = await storedMany(store, 3)
      const pool = openPool(url)
      const holder = await pool.getConnection()
      await holder.beginTransaction()
      await holder.query('SELECT * FROM coatcheck_sessions WHERE id = ? FOR UPDATE', [
        Buffer.from(ids[0]!, 'base64url'),
      ])
      const writing = store.write([update(ids[0]!, 1), update(ids[1]!, 1), removal(ids[2]!)])
      const killed = await connectionThatUpdates(pool, url)
      await pool.query('KILL ?', [killed])
      await connectionThatUpdates(pool, url, killed)
      await holder.rollback()
      holder.release()
      expect(await writing).toEqual(['done', 'done', 'done'])
      expect(await versions(store, ids)).toEqual([2, 2, undefined])
    })

    it('for what one session holds fails that one only', async () => {
      const url = await freshDatabase(server.url)
      const store = openStore(url)
      const ids = await storedMany(store, 6)
      await openPool(url).query(
        `CREATE TRIGGER refuse BEFORE UPDATE ON coatcheck_sessions FOR EACH ROW
       IF NEW.user_id = 'eve' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not her'; END IF`,
      )
      const refused = [1, 4]
      const writes = ids.map((id, index) => ({
        ...update(id, 1),
        userId: refused.includes(index) ? 'eve' : 'ada',
      }))
      const results = await store.write(writes)
      const message = expect.not.stringContaining('not her') as string
      const cause = expect.objectContaining({ message: 'not her' }) as Error
      const notHer = expect.objectContaining({ code: 'ERR_SESSION_DATA_REFUSED', message, cause }) as Error
      expect(results).toEqual(['done', notHer, 'done', 'done', notHer, 'done'])
      expect(await versions(store, ids)).toEqual([2, 1, 2, 2, 1, 2])
    })

    it('for a user id that does not fit fails that one only', async () => {
      const store = openStore(await freshDatabase(server.url))
      const writes = Array.from({ length: 4 }, () => insert(newId()))
      const results = await store.write([{ ...writes[0]!, userId: 'é'.repeat(128) }, ...writes.slice(1)])
      expect(results).toMatchObject([{ code: 'ERR_SESSION_USER_ID' }, 'done', 'done', 'done'])
    })

    it('for all alike gives those of one statement one error to share', async () => {
      const url = await freshDatabase(server.url)
      const ids = await storedMany(openStore(url), 6)
      const store = openStore(url, { createTable: false })
      await openPool(url).query('DROP TABLE coatcheck_sessions')
      const touches = ids.slice(3).map((id): SessionWrite => touch(id))
      const results = await store.write([...ids.slice(0, 3).map((id) => update(id, 1)), ...touches])
      expect(results).toMatchObject(ids.map(() => ({ code: 'ERR_SESSION_MISSING_TABLE' })))
      expect(new Set(results).size).toBe(2)
    })

    it('because there is no way to the server is the last that is tried', async () => {
      const store = openStore(`mysql://nobody@127.0.0.1:${await freePort()}/none`, { createTable: false })
      const results = await store.write(Array.from({ length: 8 }, () => removal(newId())))
      expect(results).toMatchObject(Array(8).fill(unavailable))
      expect(new Set(results).size).toBe(1)
    })
  })
})

/** The id of the connection to this database whose UPDATE is under way, as soon as there is one other than `before`. */
async function connectionThatUpdates(pool: Pool, url: string, before = 0): Promise<number> {
  for (;;) {
    const connections = await connectionsTo(url, pool)
    const updating = connections.find(({ Id, State }) => Id !== before && /^updating$/i.test(String(State)))
    if (updating) return updating.Id
  }
}
