import { createSessions, type SessionRecord } from 'coatcheck'
import type { MySQLStoreOptions } from 'coatcheck/mysql'
import { createConnection, type PoolOptions } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { insert, newId, openPool, openStore, removal, stored, storedMany, update } from './mysql-subject.ts'

const uncommitted = {
  code: 'ERR_SESSION_OPTION',
  status: 500,
  message: expect.stringContaining('autocommit') as string,
}

onEachServer('autocommit and transactions', ({ name, server: shared, start }) => {
  let url: string
  const causal: [string, MySQLStoreOptions][] =
    name === 'MariaDB' ? [['its own table, with causalReads', { causalReads: true }]] : []

  beforeEach(async () => {
    url = await freshDatabase(shared)
  })

  /** Other data than `insert` stores, in the form that every layout takes. */
  function changed(record: SessionRecord | undefined) {
    return { ...update(record!.id, record!.version), data: Buffer.from('{"cookie":{},"changed":true}') }
  }

  /** A pool of the app's whose connections commit nothing by themselves. */
  function poolWithoutAutocommit(options: PoolOptions = {}) {
    const pool = openPool(url, options)
    pool.on('connection', (connection) => void connection.query('SET autocommit = 0'))
    return pool
  }

  describe.each<[string, MySQLStoreOptions]>([
    ['its own table', {}],
    ...causal,
    ['a table of express-mysql-session', { layout: 'express-mysql-session' }],
  ])('a change that would not be committed, on %s', (_name, options) => {
    it('fails, and leaves nothing behind', async () => {
      const sound = openStore(url, options)
      const [kept, removed] = await storedMany(sound, 2)
      const store = openStore(poolWithoutAutocommit(), options)
      const [record] = await sound.find([kept!])
      const writes = [insert(newId()), changed(record), removal(removed!)] as const
      expect(await store.write(writes)).toMatchObject([uncommitted, uncommitted, uncommitted])
      // Had a transaction stayed open, its locks would keep these from being stored.
      expect(await sound.write(writes)).toEqual(['done', 'done', 'done'])
    })

    it('fails for all changes of a batch, and is sent once', async () => {
      const sound = openStore(url, options)
      const ids = await storedMany(sound, 3)
      const store = openStore(poolWithoutAutocommit({ connectionLimit: 1 }), options)
      const records = await sound.find(ids)
      const results = await store.write(records.map(changed))
      expect(results).toMatchObject([uncommitted, uncommitted, uncommitted])
      const after = await sound.find(ids)
      expect(after.map((record) => record?.version)).toEqual(records.map((record) => record?.version))
    })
  })

  describe('a connection in a transaction of the app', () => {
    it('does not go back to its pool, which heals', async () => {
      const pool = openPool(url, { connectionLimit: 1 })
      const store = openStore(pool)
      const id = await stored(store)
      const forgotten = await pool.getConnection()
      await forgotten.beginTransaction()
      forgotten.release()
      expect(await store.write([update(id, 1)])).toMatchObject([uncommitted])
      expect(await store.write([update(id, 1)])).toEqual(['done'])
      expect(await openStore(url).find([id])).toMatchObject([{ version: 2 }])
    })

    it('is kept where it is the only one, and works again when the transaction is over', async () => {
      const connection = await createConnection(url)
      onTestFinished(() => connection.end())
      const store = openStore(connection)
      const id = await stored(store)
      await connection.beginTransaction()
      expect(await store.write([update(id, 1)])).toMatchObject([uncommitted])
      await connection.rollback()
      expect(await store.write([update(id, 1)])).toEqual(['done'])
    })

    it("fails the end of a user's sessions, a sweep and the making of the table", async () => {
      const store = openStore(poolWithoutAutocommit(), { createTable: false })
      await expect(openStore(poolWithoutAutocommit()).find([newId()])).rejects.toMatchObject(uncommitted)
      const sound = openStore(url)
      await sound.write([{ ...insert(newId()), userId: 'ada', lifetime: { idle: 1, absolute: undefined } }])
      await expect(store.removeByUser('ada')).rejects.toMatchObject(uncommitted)
      // It finds nothing to remove until that has expired.
      await expect
        .poll(() => store.removeExpired(10).catch((error: unknown) => error))
        .toMatchObject(uncommitted)
      expect(await sound.removeExpired(10)).toBe(1)
    })
  })

  describe('sessions on a pool without autocommit', () => {
    it('fail each request that stores something with the reason, and no other', async () => {
      await stored(openStore(url))
      const sessions = createSessions({
        store: openStore(poolWithoutAutocommit()),
        secret: 'a secret of this test only',
      })
      sessions.on('storeError', () => {})
      // More often than it takes for a store to be taken to be away.
      for (let request = 0; request < 8; request++) {
        const work = sessions.begin()
        Object.assign(work.session!, { request })
        await expect(work.commit()).rejects.toMatchObject(uncommitted)
      }
      await expect(sessions.ready()).resolves.toBeUndefined()
    })
  })

  describe('a server with autocommit off', () => {
    let server: DatabaseServer

    beforeAll(async () => {
      server = await start()
      const connection = await createConnection(server.url)
      await connection.query('SET GLOBAL autocommit = 0')
      await connection.end()
    })

    afterAll(() => server?.stop())

    it('commits all that the store does on a pool of its own', async () => {
      const database = await freshDatabase(server.url)
      const store = openStore(database)
      const [kept, removed] = await storedMany(store, 2)
      expect(await store.write([update(kept!, 1), removal(removed!)])).toEqual(['done', 'done'])
      await store.close()
      expect(await openStore(database).find([kept!, removed!])).toMatchObject([{ version: 2 }, undefined])
    })
  })
})
