import type { SessionStore } from 'coatcheck'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type FaultProxy, faultProxyTo } from '../faults/proxy.ts'
import { type PostgresServer, type PostgresStandby, startPostgres } from '../servers/postgres.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { insert, newId, stored, storedMany, touch, update } from './mysql-subject.ts'
import { openPool, openStore } from './postgresql-subject.ts'

/** What a write comes to on a server that takes no changes. */
const takesNoChanges = {
  code: 'ERR_SESSION_STORE_UNAVAILABLE',
  status: 503,
  message: expect.stringMatching(/takes no changes: it is a standby.*connect to the primary/) as string,
}

describe('a standby', () => {
  let primary: PostgresServer
  let standby: PostgresStandby
  beforeAll(async () => {
    ;({ primary, standby } = await startPair('remote_apply'))
  })
  afterAll(() => Promise.all([standby?.stop(), primary?.stop()]))

  /** Stores on a new database of the primary, and on the same of the standby. */
  async function stores() {
    const url = await freshPostgreSQL(primary.url)
    const there = new URL(new URL(url).pathname, standby.url).href
    return { onPrimary: openStore(url), onStandby: openStore(there) }
  }

  it('serves reads and lists', async () => {
    const { onPrimary, onStandby } = await stores()
    const [id, other] = await storedMany(onPrimary, 2)
    await onPrimary.write([update(id!, 1)])
    expect(await onStandby.find([id!, other!])).toMatchObject([
      { id, version: 2 },
      { id: other, version: 1 },
    ])
    expect(await onStandby.alive([id!])).toMatchObject([{ id }])
    expect((await onStandby.list({ limit: 10, data: true })).items).toHaveLength(2)
  })

  it('refuses changes with an error that says where to connect, and serves reads after that', async () => {
    const { onPrimary, onStandby } = await stores()
    const id = await stored(onPrimary)
    for (const write of [insert(newId()), update(id, 1), touch(id)])
      expect(await resultsOf(onStandby.write([write]))).toMatchObject([takesNoChanges])
    await expect(onStandby.removeByUser('ada')).rejects.toMatchObject(takesNoChanges)
    await expect(onStandby.removeExpired(10)).rejects.toMatchObject(takesNoChanges)
    expect(await onStandby.find([id])).toMatchObject([{ id, version: 1 }])
  })

  it('without the tables yet says the same', async () => {
    const { onPrimary, onStandby } = await stores()
    await expect(onStandby.find([newId()])).rejects.toMatchObject(takesNoChanges)
    const id = await stored(onPrimary)
    expect(await onStandby.find([id])).toMatchObject([{ id }])
  })
})

describe('a failover', () => {
  it('to a synchronous standby loses nothing that was acknowledged, and the store goes on by itself', async () => {
    const { primary, standby, proxy, store } = await pair()
    const ids = await storedMany(store, 20)
    const changes = ids.map(async (id) => (await resultsOf(store.write([update(id, 1)])))[0])
    await Promise.race(changes)
    await primary.crash()
    const results = await Promise.all(changes)
    for (const failed of results.filter((result) => result !== 'done'))
      expect(failed).toMatchObject({
        status: 503,
        code: expect.stringMatching(/^ERR_SESSION_STORE_/) as string,
      })
    await expect(store.find(ids)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })

    proxy.leadTo(standby.url)
    // It may still have to replay what it has received.
    expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id })))
    expect(await resultsOf(store.write([insert(newId())]))).toMatchObject([takesNoChanges])

    await standby.promote()
    const found = (await store.find(ids)).map((record) => record!.version)
    for (const [index, version] of found.entries())
      expect(results[index] === 'done' ? [2] : [1, 2]).toContain(version)
    expect(await store.write(ids.map((id, index) => update(id, found[index]!)))).toEqual(
      ids.map(() => 'done'),
    )
  })

  it('while the old primary still answers: the store leaves it once that takes no changes', async () => {
    const { primary, standby, proxy, store } = await pair()
    const id = await stored(store)
    const admin = openPool(primary.url)
    await admin.query("ALTER SYSTEM SET synchronous_standby_names = ''")
    await admin.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await admin.query('SELECT pg_reload_conf()')
    await expect.poll(() => resultsOf(store.write([touch(id)]))).toMatchObject([takesNoChanges])
    await standby.promote()
    proxy.leadTo(standby.url)
    expect(await store.write([update(id, 1)])).toEqual(['done'])
    await primary.stop()
    expect(await store.find([id])).toMatchObject([{ id, version: 2 }])
  })

  /** A primary with a synchronous standby, and a store by a name that leads to the primary. */
  async function pair(): Promise<{
    primary: PostgresServer
    standby: PostgresStandby
    proxy: FaultProxy
    store: SessionStore
  }> {
    const { primary, standby } = await startPair('on')
    onTestFinished(() => primary.stop())
    onTestFinished(() => standby.stop())
    const proxy = await faultProxyTo(primary.url)
    onTestFinished(() => proxy.close())
    return { primary, standby, proxy, store: openStore(proxy.url) }
  }
})

/**
 * A primary, and a standby that has all that is acknowledged.
 * @param commit with `remote_apply`, it is also to be seen there
 */
async function startPair(
  commit: 'on' | 'remote_apply',
): Promise<{ primary: PostgresServer; standby: PostgresStandby }> {
  const primary = await startPostgres()
  const standby = await primary.startStandby()
  const admin = new Client(primary.url)
  admin.on('error', () => undefined) // as the server is killed
  await admin.connect()
  await admin.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
  await admin.query(`ALTER SYSTEM SET synchronous_commit = '${commit}'`)
  // All of its processes know it once they start anew.
  await primary.crash()
  await primary.restart()
  return { primary, standby }
}

async function resultsOf(written: ReturnType<SessionStore['write']>): Promise<unknown[]> {
  return written.catch((error: unknown) => [error])
}
