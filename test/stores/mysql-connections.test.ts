import type { SessionId, SessionWrite } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { createPool, type PoolConnection, type QueryOptions } from 'mysql2'
import { createConnection } from 'mysql2/promise'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type FaultProxy, faultProxyTo } from '../faults/proxy.ts'
import { isAway } from '../../dist/core/store/store-failure.js'
import { connectionsTo, freshDatabase, onEachServer } from '../servers/databases.ts'
import {
  insert,
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

const unavailable = { code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 }
const timedOut = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }
/** Of a statement, or of the connection that was to be made for its second try. */
const tooLate = {
  code: expect.stringMatching(/^ERR_SESSION_STORE_(TIMEOUT|UNAVAILABLE)$/) as string,
  status: 503,
}

onEachServer('connections of MySQLStore', ({ server: shared, start }) => {
  let url: string
  let proxy: FaultProxy

  beforeEach(async () => {
    url = await freshDatabase(shared)
    proxy = await faultProxyTo(url)
  })
  afterEach(() => proxy.close())

  /** A store that loses patience soon, by way of the proxy. */
  function hastyStore(connectionLimit = 4): MySQLStore {
    return openStore({ uri: proxy.url, connectionLimit }, { statementTimeout: '1s' })
  }

  /** Asks until there is an answer: while a network heals some have none. */
  async function findAtLast(store: MySQLStore, id: SessionId): Promise<unknown> {
    for (;;) {
      const found = await store.find([id]).catch((error: { code: string }) => {
        // Else it would ask on and on after a test that failed.
        if (error.code === 'ERR_SESSION_CLOSED') throw error
      })
      if (found) return found[0]?.id
    }
  }

  describe('a statement that has no answer', () => {
    it('fails, and its connection is replaced: the store works as soon as the network does', async () => {
      const store = hastyStore(2)
      const ids = await storedMany(store, 8)
      proxy.blackhole()
      const asked = await Promise.allSettled(ids.map((id) => store.find([id])))
      expect(asked).toMatchObject(ids.map(() => ({ status: 'rejected', reason: tooLate })))
      // The connections of before stay dead.
      proxy.loseServerEnd()
      proxy.pass()
      expect(await Promise.all(ids.map((id) => findAtLast(store, id)))).toEqual(ids)
    })

    it('gets none of the replies that arrive late, nor does another', async () => {
      const store = hastyStore(2)
      const ids = await storedMany(store, 6)
      for (let round = 0; round < 3; round++) {
        proxy.blackhole()
        await Promise.allSettled(ids.map((id) => store.find([id])))
        proxy.pass()
        const found = await Promise.all(ids.map((id) => findAtLast(store, id)))
        expect(found).toEqual(ids)
      }
    })

    it('is asked again where only idle connections were lost, and these are not waited for again', async () => {
      const store = hastyStore()
      const ids = await storedMany(store, 4)
      await Promise.all(ids.map((id) => store.find([id])))
      expect(proxy.connections()).toBe(4)
      proxy.loseServerEnd()
      expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id })))
      // One that was lost and tried again would be the only one that has time for.
      const found = await Promise.all(ids.map((id) => store.find([id])))
      expect(found.map(([record]) => record?.id)).toEqual(ids)
      expect(proxy.connections()).toBeLessThanOrEqual(4)
    })

    it('keeps a store from closing no longer than its limit', async () => {
      const store = hastyStore()
      const id = await stored(store)
      proxy.blackhole()
      const asked = store.find([id]).catch((error: unknown) => error)
      await store.close()
      expect(await asked).toMatchObject(tooLate)
    })

    it('leaves a single connection of the app as it is, which works once the network does', async () => {
      const connection = await createConnection(proxy.url)
      onTestFinished(() => connection.destroy())
      const store = openStore(connection, { statementTimeout: '1s' })
      const [id, other] = await storedMany(store, 2)
      proxy.blackhole()
      await expect(store.find([id!])).rejects.toMatchObject(timedOut)
      proxy.pass()
      expect(await store.find([other!])).toMatchObject([{ id: other }])
    })
  })

  it('counts a lost connection as no outage where the database answers on another', async () => {
    const store = hastyStore()
    await stored(store)
    const write = insert(newId())
    const cut = proxy.cutAround(Buffer.from(write.id, 'base64url'), 'before the request')
    const [alone] = await store.write([write])
    await cut
    expect(alone).toMatchObject({
      ...unavailable,
      message: expect.stringContaining('max_allowed_packet') as string,
    })
    proxy.blackhole()
    const [away] = await store.write([write]).catch((error: unknown) => [error])
    expect([alone, away].map(isAway)).toEqual([false, true])
  })

  describe('a read', () => {
    it.each(['before the request', 'before the reply'] as const)(
      'whose connection is cut %s is asked once more',
      async (moment) => {
        const store = openStore(proxy.url)
        const id = await stored(store)
        const cut = proxy.cutAround(Buffer.from(id, 'base64url'), moment)
        expect(await store.find([id])).toMatchObject([{ id }])
        await cut
      },
    )

    it.each([1, 40, 200])('whose reply ends after %d bytes is asked once more', async (bytes) => {
      const store = openStore(proxy.url)
      const id = await stored(store)
      const cut = proxy.cutAfter(bytes, 'client')
      expect(await store.find([id])).toMatchObject([{ id }])
      await cut
    })

    it('whose connections are lost twice fails', async () => {
      const store = openStore(proxy.url)
      const id = await stored(store)
      const cuts = proxy
        .cutAround(Buffer.from(id, 'base64url'), 'before the reply')
        .then(() => proxy.cutAround(Buffer.from(id, 'base64url'), 'before the reply'))
      await expect(store.find([id])).rejects.toMatchObject(unavailable)
      await cuts
      expect(await store.find([id])).toMatchObject([{ id }])
    })

    it('whose reply has a wrong number is taken from another connection', async () => {
      vi.spyOn(console, 'error').mockImplementation(() => undefined) // so the driver tells
      onTestFinished(() => void vi.restoreAllMocks())
      const store = openStore(proxy.url)
      const id = await stored(store)
      const misnumbered = proxy.misnumber(Buffer.from(id, 'base64url'))
      expect(await store.find([id])).toMatchObject([{ id }])
      await misnumbered
    })
  })

  describe('a write whose connection is cut', () => {
    const done = 'done'
    const lost = expect.objectContaining(unavailable) as Error

    /** What is sent about a stored session. */
    const kinds = {
      update: (id) => update(id, 1),
      rotation: (id) => rotation(id, 1),
      touch,
      removal: (id) => removal(id),
    } satisfies Record<string, (id: SessionId) => SessionWrite>

    it.each([
      ['update', 'before the request', done, 2],
      ['update', 'before the reply', done, 2],
      ['rotation', 'before the request', done, 2],
      ['rotation', 'before the reply', done, 2],
      ['touch', 'before the request', done, 1],
      ['touch', 'before the reply', done, 1],
      ['removal', 'before the request', done, undefined],
      // It may have been this, or another that ended it.
      ['removal', 'before the reply', 'gone', undefined],
    ] as const)('(%s, %s) is sent again and settled', async (kind, moment, result, version) => {
      const store = openStore(proxy.url)
      const id = await stored(store)
      const cut = proxy.cutAround(Buffer.from(id, 'base64url'), moment)
      const write = kinds[kind](id)
      expect(await store.write([write])).toEqual([result])
      await cut
      expect((await openStore(url).find([id]))[0]?.version).toBe(version)
    })

    it.each([
      // Sent again it could arrive after the session was ended.
      ['before the request', lost, undefined],
      ['before the reply', done, 1],
    ] as const)('(insert, %s) is settled by a look', async (moment, result, version) => {
      const store = openStore(proxy.url)
      await stored(store)
      const id = newId()
      const cut = proxy.cutAround(Buffer.from(id, 'base64url'), moment)
      expect(await store.write([insert(id)])).toEqual([result])
      await cut
      expect((await openStore(url).find([id]))[0]?.version).toBe(version)
    })

    it('is settled together with those that it shared the statement with, each by itself', async () => {
      const store = openStore(proxy.url)
      const ids = await storedMany(store, 6)
      await store.write([update(ids[1]!, 1), removal(ids[2]!)])
      const writes = ids.map((id) => update(id, 1))
      const cut = proxy.cutAround(Buffer.from(ids[0]!, 'base64url'), 'before the request')
      expect(await store.write(writes)).toEqual([done, 'stale', 'gone', done, done, done])
      await cut
    })

    it('is not done where another has replaced the version', async () => {
      const store = openStore(proxy.url)
      const id = await stored(store)
      const theirs = update(id, 1)
      await openStore(url).write([theirs])
      const cut = proxy.cutAround(Buffer.from(id, 'base64url'), 'before the request')
      expect(await store.write([{ ...update(id, 1), data: theirs.data }])).toEqual(['stale'])
      await cut
    })

    it('fails if the database stays away', async () => {
      const store = hastyStore()
      const id = await stored(store)
      proxy.blackhole()
      const [result] = await store.write([update(id, 1)])
      expect(result).toMatchObject(timedOut)
    })
  })

  describe('a pool whose connections are all in use', () => {
    it('is waited for within a limit, and gets back whatever it gives later', async () => {
      const pool = openPool(url, { connectionLimit: 1 })
      const store = openStore(pool, { statementTimeout: '2s' })
      const id = await stored(store)
      const taken = await pool.getConnection()
      const asked = await Promise.allSettled(Array.from({ length: 20 }, () => store.find([id])))
      expect(asked).toMatchObject(Array(20).fill({ status: 'rejected', reason: timedOut }))
      expect((asked[0] as PromiseRejectedResult).reason.message).toMatch(
        /no connection was free.*connectionLimit/,
      )
      taken.release()
      const again = await pool.getConnection()
      again.release()
      expect(await store.find([id])).toMatchObject([{ id }])
    })
  })

  describe('a database that takes no changes', () => {
    it('is read from, and writes are a 503 that says what to do, until there is a primary again', async () => {
      const server = await start()
      onTestFinished(() => server.stop())
      const database = await freshDatabase(server.url)
      const owner = await createConnection(server.url)
      onTestFinished(() => owner.end())
      const app = new URL(database)
      app.username = 'app'
      await owner.query(`CREATE USER app@'127.0.0.1' IDENTIFIED BY '${app.password}'`)
      await owner.query(`GRANT ALL ON ${app.pathname.slice(1)}.* TO app@'127.0.0.1'`)
      const store = openStore(app.href)
      const id = await stored(store)
      await owner.query('SET GLOBAL read_only = 1')
      expect(await store.find([id])).toMatchObject([{ id }])
      const [result] = await store.write([update(id, 1)])
      expect(result).toMatchObject({
        ...unavailable,
        message: expect.stringMatching(/read_only.*primary/) as string,
      })
      await owner.query('SET GLOBAL read_only = 0')
      expect(await store.write([update(id, 1)])).toEqual(['done'])
    })
  })

  describe('a node of a cluster that is not ready', () => {
    it('is asked again, each time by another connection', async () => {
      const pool = createPool({ uri: url })
      onTestFinished(() => pool.promise().end())
      const store = openStore(pool)
      const id = await stored(store)
      const asked = new Set<PoolConnection>()
      pool.on('acquire', (connection: PoolConnection) => {
        if (asked.size === 3 || asked.has(connection)) return
        asked.add(connection)
        const notReady = { errno: 1047, sqlState: '08S01' }
        Object.assign(connection, {
          execute: (_options: QueryOptions, done: (error: Error) => void) =>
            done(Object.assign(new Error('WSREP has not yet prepared node for application use'), notReady)),
        })
      })
      expect(await store.write([update(id, 1)])).toEqual(['done'])
      expect(asked.size).toBe(3)
    })
  })

  describe('statementTimeout', () => {
    it('leaves room for what waits for its lock by intention, and for making tables', async () => {
      const holder = await openPool(url).getConnection()
      const name = lockNameIn(url, 'migrate')
      await holder.query('SELECT GET_LOCK(?, 0)', [name])
      const store = openStore(url, { statementTimeout: '1s' })
      const making = stored(store)
      await expect
        .poll(
          async () => {
            const connections = await connectionsTo(url, holder)
            return connections.filter(({ State, Time }) => State === 'User lock' && Time >= 2).length
          },
          { interval: 1 },
        )
        .toBe(1)
      await holder.query('SELECT RELEASE_LOCK(?)', [name])
      holder.release()
      expect(await store.find([await making])).toHaveLength(1)
    })

    it('may be as long as a timer waits, also for statements that have longer than that', async () => {
      const store = openStore(url, { statementTimeout: 2 ** 31 - 1 })
      const id = await stored(store)
      expect(await store.find([id])).toHaveLength(1)
    })

    it.each([0, -1, '5', 'soon', 2 ** 31])('is refused as %j', (statementTimeout) => {
      expect(() => new MySQLStore(url, { statementTimeout: statementTimeout as number })).toThrow(
        /statementTimeout/,
      )
    })
  })
})
