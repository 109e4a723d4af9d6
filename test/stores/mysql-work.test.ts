import { randomBytes } from 'node:crypto'
import { createSessions, type SessionKey, type SessionWrite } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { insertOne } from '../../dist/stores/sql/mysql-insert.js'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import {
  insert,
  lifetime,
  lockNameIn,
  newKey,
  openPool,
  openStore,
  stored,
  storedMany,
  update,
} from './mysql-subject.ts'

const data = Buffer.from('{}')
const alreadyOver = { idle: 0, absolute: undefined }

onEachServer('the work of MySQLStore', ({ name, server }) => {
  describe('the statements of MySQLStore, counted at the server', () => {
    it('are one for a read, one for each change, and one for a batch of changes of one type', async () => {
      const { store, statements } = await watchedStore()
      const keys = await storedMany(store, 40)
      await store.find([keys[0]!])
      await store.write([update(keys[0]!, 1)])

      expect(await statements(() => store.find([keys[0]!]))).toBe(1)
      expect(await statements(() => store.find(keys))).toBe(1)
      expect(await statements(() => store.find([...keys.slice(1), newKey()]))).toBe(1)
      expect(await statements(() => store.findFormer([newKey()]))).toBe(1)
      expect(await statements(() => store.write([update(keys[0]!, 2)]))).toBe(1)
      expect(await statements(() => store.write([insert(newKey())]))).toBe(1)
      expect(await statements(() => store.write([{ type: 'touch', key: keys[0]!, data, lifetime }]))).toBe(1)
      expect(await statements(() => store.write(keys.slice(1).map((key) => update(key, 1))))).toBe(1)
      expect(
        await statements(() => store.write(keys.map((key) => ({ type: 'touch', key, data, lifetime })))),
      ).toBe(1)
      const inserts = Array.from({ length: 32 }, () => insert(newKey()))
      expect(await statements(() => store.write(inserts))).toBe(1)
      const newer = newKey()
      const rotate: SessionWrite = {
        ...update(keys[0]!, 3),
        type: 'rotate',
        newKey: newer,
        signedIn: false,
        grace: 0,
      }
      expect(await statements(() => store.write([rotate]))).toBe(1)
      expect(await statements(() => store.write([{ type: 'remove', key: newer }]))).toBe(1)
    })

    it('are prepared for a handful of batch sizes only', async () => {
      const { store, prepared } = await watchedStore()
      const keys = await storedMany(store, 64)
      const versions = new Map(keys.map((key) => [key, 1]))
      const before = await prepared()
      for (let size = 1; size <= 64; size++) {
        const some = keys.slice(0, size)
        await store.find(some)
        await store.write(some.map((key) => ({ type: 'touch', key, data, lifetime })))
        const updates = some.map((key) => update(key, versions.get(key)!))
        expect(await store.write(updates)).toEqual(some.map(() => 'done'))
        for (const key of some) versions.set(key, versions.get(key)! + 1)
        await store.write(some.map(() => insert(newKey())))
      }
      // Seven sizes of find, touch, update and insert; not counted: what storing the first 64 had prepared.
      const grown = (await prepared()) - before
      expect(grown).toBeGreaterThan(0)
      expect(grown).toBeLessThanOrEqual(4 * 7)
    })
  })

  /** Answers for keys from before a rotation when it is told to. */
  class HeldStore extends MySQLStore {
    readonly asked: (readonly SessionKey[])[] = []
    readonly #held = Promise.withResolvers<void>()

    override find(keys: readonly SessionKey[]) {
      this.asked.push(keys)
      return super.find(keys)
    }

    override async findFormer(keys: readonly SessionKey[]) {
      await this.#held.promise
      return super.findFormer(keys)
    }

    letGo(): void {
      this.#held.resolve()
    }
  }

  it('a token that leads nowhere keeps no live one waiting that MySQLStore reads with it', async () => {
    const store = new HeldStore(await freshDatabase(server))
    const sessions = createSessions({ store, secret: 'only for these tests', sweep: false })
    const tokens = await Promise.all(
      [1, 2, 3, 4].map(async (number) => {
        const work = sessions.begin()
        Object.assign(work.session!, { number })
        await work.commit()
        return work.id
      }),
    )
    const ending = await sessions.load(tokens[0]!)
    await ending.session!.destroy()
    store.asked.length = 0

    const [dead, ...live] = tokens.map((token) => sessions.load(token))
    const found = (await Promise.all(live)).map(({ session }) => ({ ...session }))
    expect(found).toEqual([{ number: 2 }, { number: 3 }, { number: 4 }])
    // All of them were read together.
    expect(store.asked.map((keys) => keys.length)).toEqual([tokens.length])
    store.letGo()
    expect((await dead!).isNew).toBe(true)
    await sessions.close()
  })

  describe('batches of changes in MySQLStore', () => {
    it('tell for each update of a batch what became of it', async () => {
      const store = openStore(await freshDatabase(server))
      const keys = await storedMany(store, 6)
      await store.write([update(keys[1]!, 1), { type: 'remove', key: keys[2]! }])
      const writes = [...keys.map((key) => update(key, 1)), update(newKey(), 1)]
      expect(await store.write(writes)).toEqual(['done', 'stale', 'gone', 'done', 'done', 'done', 'gone'])
      const versions = (await store.find(keys)).map((record) => record?.version)
      expect(versions).toEqual([2, 2, undefined, 2, 2, 2])
    })

    it('lose no update when two stores change the same sessions in opposite order', async () => {
      const url = await freshDatabase(server)
      const stores = [openStore(url), openStore(url)]
      const keys = await storedMany(stores[0]!, 12)
      const rounds = 20
      const accepted = new Map(keys.map((key) => [key, 0]))
      await Promise.all(
        stores.map(async (store, index) => {
          for (let round = 0; round < rounds; round++) {
            const records = await store.find(index === 0 ? keys : keys.toReversed())
            const writes = records.map((record) => update(record!.key, record!.version))
            const results = await store.write(writes)
            results.forEach((result, at) => {
              if (result === 'done') accepted.set(writes[at]!.key, accepted.get(writes[at]!.key)! + 1)
            })
          }
        }),
      )
      for (const record of await stores[0]!.find(keys)) {
        expect(record!.version).toBe(1 + accepted.get(record!.key)!)
      }
      expect([...accepted.values()].every((count) => count >= rounds)).toBe(true)
    })

    it('insert all but those whose key is taken', async () => {
      const store = openStore(await freshDatabase(server))
      const [taken] = await storedMany(store, 1)
      const writes = [insert(newKey()), insert(taken!), insert(newKey())]
      expect(await store.write(writes)).toEqual(['done', 'exists', 'done'])
      expect((await store.find(writes.map(({ key }) => key))).map((record) => record?.version)).toEqual([
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
      const keys = await storedMany(store, 24)
      const writes = keys.map((key) => ({ ...update(key, 1), data: randomBytes(200_000) }))
      expect(await store.write(writes)).toEqual(keys.map(() => 'done'))
      const records = await store.find(keys)
      records.forEach((record, index) => expect(writes[index]!.data.equals(record!.data)).toBe(true))
    })

    it('give each its own lifetime and user', async () => {
      const store = openStore(await freshDatabase(server))
      const keys = await storedMany(store, 4)
      const lifetimes = [1, 2, 2, 3].map((hours) => ({ idle: hours * 3_600_000, absolute: undefined }))
      await store.write(
        keys.map((key, index) => ({ ...update(key, 1), userId: `u${index}`, lifetime: lifetimes[index]! })),
      )
      const records = await store.find(keys)
      expect(records.map((record) => record!.userId)).toEqual(['u0', 'u1', 'u2', 'u3'])
      expect(records.map((record) => record!.expiresAt - record!.seenAt)).toEqual(
        lifetimes.map(({ idle }) => idle),
      )
    })

    it('refuse a user id that the column would cut off, whatever the sql_mode', async () => {
      const store = openStore(await freshDatabase(server))
      const write = { ...insert(newKey()), userId: 'é'.repeat(128) }
      expect(await store.write([write])).toMatchObject([{ code: 'ERR_SESSION_USER_ID' }])
      expect(await store.find([write.key])).toEqual([undefined])
    })
  })

  describe('removing expired sessions in MySQLStore', () => {
    it('is done by one app at a time: while it is at it, another removes none', async () => {
      const url = await freshDatabase(server)
      const store = openStore(url)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newKey()), lifetime: alreadyOver })))
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

    it('leaves live ones, and takes no more than asked', async () => {
      const store = openStore(await freshDatabase(server))
      const key = await stored(store)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newKey()), lifetime: alreadyOver })))
      expect(await store.removeExpired(3)).toBe(3)
      expect(await store.removeExpired(3)).toBe(2)
      expect(await store.removeExpired(3)).toBe(0)
      expect(await store.find([key])).toMatchObject([{ key }])
    })

    it('takes no more than asked where it looks twice, because some live on', async () => {
      const { store, look } = await sweptStore()
      const keys = await storedMany(store, 2)
      await store.write(Array.from({ length: 5 }, () => ({ ...insert(newKey()), lifetime: alreadyOver })))
      await look.isDue(keys)
      expect(await store.removeExpired(4)).toBe(4)
      expect(await store.removeExpired(4)).toBe(1)
      expect(await store.find(keys)).toMatchObject(keys.map((key) => ({ key })))
    })

    it('puts off the look at what lives on until it would expire', async () => {
      const { store, look } = await sweptStore()
      const keys = await storedMany(store, 3)
      await look.isDue(keys)
      expect(await store.removeExpired(10)).toBe(0)
      const records = await store.find(keys)
      expect(await look.moments(keys)).toEqual(records.map((record) => record!.expiresAt))
    })

    it('comes to an end where nearly all that it looks at lives on', async () => {
      const { store, look } = await sweptStore()
      const keys = await storedMany(store, 64)
      await look.isDue(keys)
      expect(await store.removeExpired(1)).toBe(0)
      const putOff = (await look.moments(keys)).filter((moment) => moment > 1)
      expect(putOff.length).toBeGreaterThan(0)
      expect(putOff.length).toBeLessThan(keys.length)
    })

    it('is told by an index that touches and changes leave alone', async () => {
      const { store, look } = await sweptStore()
      const keys = await storedMany(store, 4)
      const before = await look.moments(keys)
      const longer = { idle: 2 * lifetime.idle, absolute: undefined }
      await store.write([
        { type: 'touch', key: keys[0]!, data, lifetime: longer },
        { ...update(keys[1]!, 1), lifetime: longer },
      ])
      await store.write(keys.slice(2).map((key) => ({ ...update(key, 1), lifetime: longer })))
      const records = await store.find(keys)
      records.forEach((record, index) => expect(record!.expiresAt).toBeGreaterThan(before[index]!))
      expect(await look.moments(keys)).toEqual(before)
    })

    it('looks sooner at what is to live shorter', async () => {
      const { store, look } = await sweptStore()
      const keys = await storedMany(store, 4)
      const rotated = newKey()
      const shorter = { idle: lifetime.idle / 2, absolute: undefined }
      await store.write([
        {
          ...update(keys[3]!, 1),
          type: 'rotate',
          newKey: rotated,
          signedIn: false,
          grace: 0,
          lifetime: shorter,
        },
      ])
      await store.write([{ ...update(keys[0]!, 1), lifetime: shorter }])
      await store.write(keys.slice(1, 3).map((key) => ({ ...update(key, 1), lifetime: shorter })))
      const now = [...keys.slice(0, 3), rotated]
      const records = await store.find(now)
      expect(await look.moments(now)).toEqual(records.map((record) => record!.expiresAt))
    })

    it.skipIf(name === 'MySQL')(
      'takes the lock that earlier versions had the server work out by SHA1(), which MySQL 9.6 removed',
      async () => {
        const url = await freshDatabase(server)
        const earlier = await openPool(url).getConnection()
        const lock = "CONCAT('coatcheck.sweep.', SHA1(CONCAT(DATABASE(), '.coatcheck_sessions')))"
        const store = openStore(url)
        await store.write([{ ...insert(newKey()), lifetime: alreadyOver }])
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
        await expect(store.list({ limit })).rejects.toMatchObject({ code: 'ERR_SESSION_OPTION' })
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
    const bytes = (keys: readonly string[]) => keys.map((key) => Buffer.from(key, 'hex'))
    return {
      store: new MySQLStore(pool),
      look: {
        isDue: async (keys: readonly string[]) =>
          pool.query('UPDATE coatcheck_sessions SET sweep_at = 1 WHERE session_key IN (?)', [bytes(keys)]),
        moments: async (keys: readonly string[]): Promise<number[]> => {
          const [rows] = await pool.query<RowDataPacket[]>(
            'SELECT session_key, sweep_at FROM coatcheck_sessions WHERE session_key IN (?)',
            [bytes(keys)],
          )
          const byKey = new Map(rows.map((row) => [row['session_key'].toString('hex'), row['sweep_at']]))
          return keys.map((key) => Number(byKey.get(key)))
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
