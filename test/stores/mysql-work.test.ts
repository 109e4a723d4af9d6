import { randomBytes } from 'node:crypto'
import { MySQLStore } from 'coatcheck/mysql'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { insertOne } from '../../dist/stores/mysql/insert.js'
import { mysqlStatements } from '../../dist/stores/mysql/statements.js'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import {
  insert,
  lifetime,
  lockNameIn,
  newId,
  openPool,
  openStore,
  removal,
  rotation,
  stored,
  storedMany,
  touch,
  update,
} from './mysql-subject.ts'

const alreadyOver = { idle: 0, absolute: undefined }

onEachServer('the work of MySQLStore', ({ name, server }) => {
  describe('the statements of MySQLStore, counted at the server', () => {
    it('are one for a read, one for each change, and one for a batch of changes of one type', async () => {
      const { store, statements } = await watchedStore()
      const ids = await storedMany(store, 40)
      await store.find([ids[0]!])
      await store.write([update(ids[0]!, 1)])

      expect(await statements(() => store.find([ids[0]!]))).toBe(1)
      expect(await statements(() => store.find(ids))).toBe(1)
      expect(await statements(() => store.find([...ids.slice(1), newId()]))).toBe(1)
      expect(await statements(() => store.alive(ids))).toBe(1)
      expect(await statements(() => store.write([update(ids[0]!, 2)]))).toBe(1)
      expect(await statements(() => store.write([insert(newId())]))).toBe(1)
      expect(await statements(() => store.write([touch(ids[0]!)]))).toBe(1)
      expect(await statements(() => store.write(ids.slice(1).map((id) => update(id, 1))))).toBe(1)
      expect(await statements(() => store.write(ids.map((id) => touch(id))))).toBe(1)
      const inserts = Array.from({ length: 32 }, () => insert(newId()))
      expect(await statements(() => store.write(inserts))).toBe(1)
      expect(await statements(() => store.write([rotation(ids[0]!, 3)]))).toBe(1)
      expect(await statements(() => store.write([removal(ids[0]!)]))).toBe(1)
    })

    it('that change one session or a batch find the rows by their ids', async () => {
      const url = await freshDatabase(server)
      const [pool, store] = [openPool(url, { connectionLimit: 1 }), openStore(url)]
      await pool.query("SET sql_mode = ''") // the values are not what the markers are for
      const ids = Array.from({ length: 4_000 }, newId) // of fewer rows MariaDB may read all
      await store.write(ids.map((id, index) => ({ ...insert(id), userId: `user ${index % 100}` })))
      await pool.query('ANALYZE TABLE coatcheck_sessions')
      const sql = mysqlStatements('coatcheck_sessions')
      const texts = [1, 2, 64].flatMap((size) => [
        sql.find(size),
        sql.alive(size),
        sql.touch(size),
        sql.updateMany(size),
      ])
      for (const text of [...texts, sql.update, sql.replaceSecretWithGrace, sql.remove]) {
        const values = Array.from(text.matchAll(/\?/g), (_, index) =>
          Buffer.from(ids[index % ids.length]!, 'base64url'),
        )
        const how = name === 'MySQL' ? 'FORMAT=TRADITIONAL' : ''
        const [[row]] = await pool.execute<RowDataPacket[]>(`EXPLAIN ${how} ${text}`, values)
        expect({ text, key: row!['key'] as unknown }).toEqual({ text, key: 'PRIMARY' })
        expect({ text, type: row!['type'] as unknown }).not.toEqual({ text, type: 'index' })
      }
    })

    it('are prepared for a handful of batch sizes only', async () => {
      const { store, prepared } = await watchedStore()
      const ids = await storedMany(store, 64)
      const versions = new Map(ids.map((id) => [id, 1]))
      const before = await prepared()
      for (let size = 1; size <= 64; size++) {
        const some = ids.slice(0, size)
        await store.find(some)
        await store.write(some.map((id) => touch(id)))
        const updates = some.map((id) => update(id, versions.get(id)!))
        expect(await store.write(updates)).toEqual(some.map(() => 'done'))
        for (const id of some) versions.set(id, versions.get(id)! + 1)
        await store.write(some.map(() => insert(newId())))
      }
      // Seven sizes of find, touch, update and insert; not counted: what storing the first 64 had prepared.
      const grown = (await prepared()) - before
      expect(grown).toBeGreaterThan(0)
      expect(grown).toBeLessThanOrEqual(4 * 7)
    })
  })

  describe('batches of changes in MySQLStore', () => {
    it('tell for each update of a batch what became of it', async () => {
      const store = openStore(await freshDatabase(server))
      const ids = await storedMany(store, 6)
      await store.write([update(ids[1]!, 1), removal(ids[2]!)])
      const writes = [...ids.map((id) => update(id, 1)), update(newId(), 1)]
      expect(await store.write(writes)).toEqual(['done', 'stale', 'gone', 'done', 'done', 'done', 'gone'])
      const versions = (await store.find(ids)).map((record) => record?.version)
      expect(versions).toEqual([2, 2, undefined, 2, 2, 2])
    })

    it('lose no update when two stores change the same sessions in opposite order', async () => {
      const url = await freshDatabase(server)
      const stores = [openStore(url), openStore(url)]
      const ids = await storedMany(stores[0]!, 12)
      const rounds = 20
      const accepted = new Map(ids.map((id) => [id, 0]))
      await Promise.all(
        stores.map(async (store, index) => {
          for (let round = 0; round < rounds; round++) {
            const records = await store.find(index === 0 ? ids : ids.toReversed())
            const writes = records.map((record) => update(record!.id, record!.version))
            const results = await store.write(writes)
            results.forEach((result, at) => {
              if (result === 'done') accepted.set(writes[at]!.id, accepted.get(writes[at]!.id)! + 1)
            })
          }
        }),
      )
      for (const record of await stores[0]!.find(ids)) {
        expect(record!.version).toBe(1 + accepted.get(record!.id)!)
      }
      expect([...accepted.values()].every((count) => count >= rounds)).toBe(true)
    })

    it('insert all but those whose id is taken', async () => {
      const store = openStore(await freshDatabase(server))
      const [taken] = await storedMany(store, 1)
      const writes = [insert(newId()), insert(taken!), insert(newId())]
      expect(await store.write(writes)).toEqual(['done', 'exists', 'done'])
      expect((await store.find(writes.map(({ id }) => id))).map((record) => record?.version)).toEqual([
        1, 1, 1,
      ])
    })

    it('insert in place of an expired record also where the sweep is faster to remove it', async () => {
      const pool = openPool(await freshDatabase(server))
      await pool.query('CREATE TABLE taken (id INT PRIMARY KEY)')
      await pool.query('INSERT INTO taken VALUES (1)')
      const sweptMeanwhile = async () => {
        await pool.query('DELETE FROM taken')
        return 0
      }
      expect(await insertOne(() => pool.query('INSERT INTO taken VALUES (1)'), sweptMeanwhile)).toBe('done')
      expect(
        await insertOne(
          () => pool.query('INSERT INTO taken VALUES (1)'),
          async () => 0,
        ),
      ).toBe('exists')
    })

    it('carry more data than fits in one statement, and more than a text column would', async () => {
      const store = openStore(await freshDatabase(server))
      const ids = await storedMany(store, 24)
      const writes = ids.map((id) => ({ ...update(id, 1), data: randomBytes(200_000) }))
      expect(await store.write(writes)).toEqual(ids.map(() => 'done'))
      const records = await store.find(ids)
      records.forEach((record, index) => expect(writes[index]!.data.equals(record!.data)).toBe(true))
    })

    it('give each its own lifetime, and what is its own', async () => {
      const store = openStore(await freshDatabase(server))
      const ids = Array.from({ length: 4 }, newId)
      await store.write(ids.map((id) => ({ ...insert(id), about: 'as before' })))
      const lifetimes = [1, 2, 2, 2].map((hours) => ({ idle: hours * 3_600_000, absolute: undefined }))
      const of = [
        { userId: 'ada', about: 'a device' },
        { userId: undefined, about: undefined },
        { userId: 'bob', about: 'another', format: 2 },
        { userId: 'eve', about: undefined, format: 255 },
      ]
      const updates = ids.map((id, index) => ({
        ...update(id, 1),
        ...of[index]!,
        lifetime: lifetimes[index]!,
      }))
      expect(await store.write(updates)).toEqual(['done', 'done', 'done', 'done'])
      const records = await store.find(ids)
      expect(records).toMatchObject(
        updates.map(({ id, userId, data, format }, index) => ({
          id,
          userId,
          data,
          format,
          about: of[index]!.about ?? 'as before',
        })),
      )
      records.forEach((record, index) =>
        expect(Buffer.from(record!.marks!.subarray(0, 8))).toEqual(updates[index]!.mark),
      )
      expect(records.map((record) => record!.expiresAt - record!.seenAt)).toEqual(
        lifetimes.map(({ idle }) => idle),
      )
    })

    it('refuse a user id that the column would cut off, whatever the sql_mode', async () => {
      const store = openStore(await freshDatabase(server))
      const write = { ...insert(newId()), userId: 'é'.repeat(128) }
      expect(await store.write([write])).toMatchObject([{ code: 'ERR_SESSION_USER_ID' }])
      expect(await store.find([write.id])).toEqual([undefined])
    })
  })

  describe('a page of a listing of MySQLStore', () => {
    it('follows on nothing but the next of the page before', async () => {
      const store = openStore(await freshDatabase(server))
      const ids = await storedMany(store, 2)
      await store.write(ids.map((id) => ({ ...update(id, 1), userId: 'ada' })))
      const query = { limit: 1, data: false }
      const { next: ofAll } = await store.list(query)
      const { next: ofUser } = await store.list({ ...query, userId: 'ada' })
      expect((await store.list({ ...query, after: ofAll })).next).toBeUndefined()
      expect((await store.list({ ...query, userId: 'ada', after: ofUser })).next).toBeUndefined()
      const refused = {
        code: 'ERR_SESSION_OPTION',
        message: expect.stringContaining('`after` must be') as string,
      }
      for (const after of ['', 'x', `${ofAll}=`, `${ofAll}\n`, `.${ofAll}`, ofUser]) {
        await expect(store.list({ ...query, after })).rejects.toMatchObject(refused)
      }
      for (const after of ['', 'x', `1e3.${ofAll}`, `-1.${ofAll}`, `${'9'.repeat(17)}.${ofAll}`, ofAll]) {
        await expect(store.list({ ...query, userId: 'ada', after })).rejects.toMatchObject(refused)
      }
    })
  })

  describe('removing expired sessions in MySQLStore', () => {
    it('is done by one app at a time: while it is at it, another removes none', async () => {
      const url = await freshDatabase(server)
      const store = openStore(url)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newId()), lifetime: alreadyOver })))
      // A transaction that holds the expired rows keeps the first store's DELETE waiting with the lock held.
      const connection = await openPool(url).getConnection()
      await connection.beginTransaction()
      await connection.query('SELECT * FROM coatcheck_sessions FOR UPDATE')
      const first = store.removeExpired(100)
      const other = openStore(url)
      await someoneHolds(lockNameIn(url, 'sweep'), connection)
      expect(await other.removeExpired(100)).toBe(0)
      await connection.rollback()
      connection.release()
      expect(await first).toBe(5)
    })

    it.each([
      ['our own layout', {}],
      [
        'the layout of express-mysql-session',
        { layout: 'express-mysql-session', table: 'coatcheck_sessions' },
      ],
    ])('on a table of %s is refused aloud by a lock that somebody holds for ever', async (_what, options) => {
      const url = await freshDatabase(server)
      const store = openStore(url, options)
      await store.write([{ ...insert(newId()), lifetime: alreadyOver }])
      const holder = await openPool(url).getConnection()
      const name = lockNameIn(url, 'sweep')
      await holder.query('SELECT GET_LOCK(?, 0)', [name])
      const told = { code: 'ERR_SESSION_STORE_BUSY', status: 503 }
      for (let round = 0; round < 2; round++) {
        for (let sweep = 0; sweep < 5; sweep++) expect(await store.removeExpired(10)).toBe(0)
        await expect(store.removeExpired(10)).rejects.toMatchObject({
          ...told,
          message: expect.stringMatching(/last 6 sweeps.*IS_USED_LOCK\('coatcheck\.sweep\.[0-9a-f]{40}'\)/),
        })
      }
      for (let sweep = 0; sweep < 5; sweep++) expect(await store.removeExpired(10)).toBe(0)
      await holder.query('SELECT RELEASE_LOCK(?)', [name])
      await store.removeExpired(10)
      await holder.query('SELECT GET_LOCK(?, 0)', [name])
      for (let sweep = 0; sweep < 5; sweep++) expect(await store.removeExpired(10)).toBe(0)
      await expect(store.removeExpired(10)).rejects.toMatchObject(told)
      holder.release()
    })

    it('leaves live ones, and takes no more than asked', async () => {
      const store = openStore(await freshDatabase(server))
      const id = await stored(store)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newId()), lifetime: alreadyOver })))
      expect(await store.removeExpired(3)).toBe(3)
      expect(await store.removeExpired(3)).toBe(2)
      expect(await store.removeExpired(3)).toBe(0)
      expect(await store.find([id])).toMatchObject([{ id }])
    })

    it('takes no more than asked where it looks twice, because some live on', async () => {
      const { store, look } = await sweptStore()
      const ids = await storedMany(store, 2)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newId()), lifetime: alreadyOver })))
      await look.isDue(ids)
      expect(await store.removeExpired(4)).toBe(4)
      expect(await store.removeExpired(4)).toBe(1)
      expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id })))
    })

    it('puts off the look at what lives on until it would expire', async () => {
      const { store, look } = await sweptStore()
      const ids = await storedMany(store, 3)
      await look.isDue(ids)
      expect(await store.removeExpired(10)).toBe(0)
      const records = await store.find(ids)
      expect(await look.moments(ids)).toEqual(records.map((record) => record!.expiresAt))
    })

    it('comes to an end where nearly all that it looks at lives on', async () => {
      const { store, look } = await sweptStore()
      const ids = await storedMany(store, 64)
      await look.isDue(ids)
      expect(await store.removeExpired(1)).toBe(0)
      const putOff = (await look.moments(ids)).filter((moment) => moment > 1)
      expect(putOff.length).toBeGreaterThan(0)
      expect(putOff.length).toBeLessThan(ids.length)
    })

    it('is told by an index that touches and changes leave alone', async () => {
      const { store, look } = await sweptStore()
      const ids = await storedMany(store, 4)
      const before = await look.moments(ids)
      const longer = { idle: 2 * lifetime.idle, absolute: undefined }
      await store.write([
        { ...touch(ids[0]!), lifetime: longer },
        { ...update(ids[1]!, 1), lifetime: longer },
      ])
      await store.write(ids.slice(2).map((id) => ({ ...update(id, 1), lifetime: longer })))
      const records = await store.find(ids)
      records.forEach((record, index) => expect(record!.expiresAt).toBeGreaterThan(before[index]!))
      expect(await look.moments(ids)).toEqual(before)
    })

    it('looks sooner at what is to live shorter', async () => {
      const { store, look } = await sweptStore()
      const ids = await storedMany(store, 4)
      const shorter = { idle: lifetime.idle / 2, absolute: undefined }
      await store.write([{ ...rotation(ids[3]!, 1), lifetime: shorter }])
      await store.write([{ ...update(ids[0]!, 1), lifetime: shorter }])
      await store.write(ids.slice(1, 3).map((id) => ({ ...update(id, 1), lifetime: shorter })))
      const records = await store.find(ids)
      expect(await look.moments(ids)).toEqual(records.map((record) => record!.expiresAt))
    })

    it.skipIf(name === 'MySQL')(
      'takes the lock that earlier versions had the server work out by SHA1(), which MySQL 9.6 removed',
      async () => {
        const url = await freshDatabase(server)
        const earlier = await openPool(url).getConnection()
        const lock = "CONCAT('coatcheck.sweep.', SHA1(CONCAT(DATABASE(), '.coatcheck_sessions')))"
        const store = openStore(url)
        await store.write([{ ...insert(newId()), lifetime: alreadyOver }])
        await earlier.query(`SELECT GET_LOCK(${lock}, 0)`)
        expect(await store.removeExpired(10)).toBe(0)
        await earlier.query(`SELECT RELEASE_LOCK(${lock})`)
        earlier.release()
        expect(await store.removeExpired(10)).toBe(1)
      },
    )

    it('gives its connection back without the lock', async () => {
      const url = await freshDatabase(server)
      const pool = openPool(url, { connectionLimit: 1 })
      const store = new MySQLStore(pool)
      await store.removeExpired(10)
      const [rows] = await pool.query<RowDataPacket[]>('SELECT IS_FREE_LOCK(?) AS free', [
        lockNameIn(url, 'sweep'),
      ])
      expect(rows).toEqual([{ free: 1 }])
    })

    it('refuses a limit that is not a whole number above 0', async () => {
      const store = openStore(await freshDatabase(server))
      for (const limit of [
        0,
        -1,
        1.5,
        NaN,
        Infinity,
        '1; DROP TABLE coatcheck_sessions' as unknown as number,
      ]) {
        await expect(store.removeExpired(limit)).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
        await expect(store.list({ limit, data: false })).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
      }
    })
  })

  /** A store with one connection, and the server's own counters for that connection. */
  async function watchedStore() {
    const pool = openPool(await freshDatabase(server), { connectionLimit: 1 })
    const counter = async (name: string): Promise<number> => {
      const [rows] = await pool.query<RowDataPacket[]>(`SHOW SESSION STATUS LIKE '${name}'`)
      return Number(rows[0]!['Value'])
    }
    return {
      store: new MySQLStore(pool),
      /** Statements that ran while `work` did. Preparing one does not count; asking the second time does. */
      statements: async (work: () => Promise<unknown>): Promise<number> => {
        const before = await counter('Questions')
        await work()
        return (await counter('Questions')) - before - 1
      },
      prepared: async () => (await counter('Com_stmt_prepare')) - (await counter('Com_stmt_close')),
    }
  }

  /** A store, and when the sweep is to look at its sessions. */
  async function sweptStore() {
    const pool = openPool(await freshDatabase(server))
    const bytes = (ids: readonly string[]) => ids.map((id) => Buffer.from(id, 'base64url'))
    return {
      store: new MySQLStore(pool),
      look: {
        isDue: async (ids: readonly string[]) =>
          pool.query('UPDATE coatcheck_sessions SET sweep_at = 1 WHERE id IN (?)', [bytes(ids)]),
        moments: async (ids: readonly string[]): Promise<number[]> => {
          const [rows] = await pool.query<RowDataPacket[]>(
            'SELECT id, sweep_at FROM coatcheck_sessions WHERE id IN (?)',
            [bytes(ids)],
          )
          const byId = new Map(rows.map((row) => [row['id'].toString('base64url'), row['sweep_at']]))
          return ids.map((id) => Number(byId.get(id)))
        },
      },
    }
  }
})

async function someoneHolds(lock: string, connection: { query: Pool['query'] }): Promise<void> {
  await expect
    .poll(
      async () => {
        const [rows] = await connection.query<RowDataPacket[]>('SELECT IS_USED_LOCK(?) AS holder', [lock])
        return rows[0]!['holder'] as unknown
      },
      { interval: 5 },
    )
    .not.toBeNull()
}
