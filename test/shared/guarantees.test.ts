import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSessions, MemoryStore, type SessionsOptions, type SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { RedisStore } from 'coatcheck/redis'
import { SQLiteStore } from 'coatcheck/sqlite'
import { createCluster } from 'redis'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { bag, committedToken, readData, storedSession } from '../core/works.ts'
import { databases, freshDatabase } from '../servers/databases.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { type RedisCluster, startRedisCluster } from '../servers/redis-cluster.ts'
import { freshRedis, storeOnRedis } from '../servers/redis-places.ts'

/** Opens a database of its own for one test, and gives a function that opens a store on it, as one app would. */
const kinds: readonly (readonly [string, () => Promise<() => SessionStore>])[] = [
  ['in memory', () => one(new MemoryStore())],
  ['SQLite', sqlite],
  ['PostgreSQLStore', async () => postgresql(await freshPostgreSQL())],
  ['RedisStore', async () => redis(freshRedis())],
  ['RedisStore on a cluster', redisCluster],
  ...databases().flatMap(({ name, server }) => [
    [`MySQLStore on ${name}`, async () => mysql(await freshDatabase(server), {})] as const,
    [
      `MySQLStore on ${name}, a table of express-mysql-session`,
      async () => mysql(await freshDatabase(server), { layout: 'express-mysql-session' }),
    ] as const,
  ]),
]

async function one(store: SessionStore): Promise<() => SessionStore> {
  return () => store
}

async function sqlite(): Promise<() => SessionStore> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return () => new SQLiteStore(join(folder, 'sessions.db'))
}

function mysql(url: string, options: ConstructorParameters<typeof MySQLStore>[1]): () => SessionStore {
  return () => new MySQLStore(url, options)
}

function postgresql(url: string): () => SessionStore {
  return () => new PostgreSQLStore(url)
}

function redis(place: string): () => SessionStore {
  return () => storeOnRedis(place)
}

let cluster: Promise<RedisCluster> | undefined
afterAll(async () => (await cluster)?.stop())

async function redisCluster(): Promise<() => SessionStore> {
  cluster ??= startRedisCluster({ masters: 3 })
  const { nodes, password } = await cluster
  const client = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })), defaults: { password } })
  await client.connect()
  onTestFinished(async () => client.destroy())
  const prefix = `test-${randomBytes(6).toString('hex')}:`
  return () => new RedisStore(client, { prefix })
}

describe.each(kinds)('three apps that share sessions, %s', (_name, open) => {
  async function threeApps(options: Partial<SessionsOptions> = {}) {
    const store = await open()
    const apps = Array.from({ length: 3 }, () =>
      createSessions({
        store: store(),
        secret: 'the same secret in all three apps',
        sweep: false,
        ...options,
      }),
    )
    onTestFinished(async () => void (await Promise.all(apps.map((app) => app.close()))))
    return apps
  }

  /** What all of `count` calls give, spread over the apps and all at once. */
  function atOnce<Result>(
    apps: Awaited<ReturnType<typeof threeApps>>,
    count: number,
    act: (app: (typeof apps)[number], index: number) => Promise<Result>,
  ): Promise<Result[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => act(apps[index % apps.length]!, index)))
  }

  async function login(app: Awaited<ReturnType<typeof threeApps>>[number]): Promise<string> {
    const work = app.begin()
    await bag(work).signIn('ada')
    return committedToken(work)
  }

  test('lose none of 60 updates of one session, each of its own key', async () => {
    const apps = await threeApps()
    const token = await storedSession(apps[0]!, { base: 1 })
    await atOnce(apps, 60, async (app, index) => {
      const work = await app.load(token)
      bag(work)[`key${index}`] = index
      await work.commit()
    })
    const keys = Object.keys(await readData(apps[1]!, token)).filter((name) => name.startsWith('key'))
    expect(keys).toHaveLength(60)
  })

  test('count 60 increments by update() as 60', async () => {
    const apps = await threeApps()
    const token = await storedSession(apps[0]!, { n: 0 })
    await atOnce(apps, 60, async (app) => {
      const work = await app.load(token)
      await bag(work).update((session) => void ((session as { n?: number }).n! += 1))
    })
    expect(await readData(apps[2]!, token)).toMatchObject({ n: 60 })
  })

  test('have 50 sessions of a user ended by revokeAll, and none comes back by a late change, touch or rotation', async () => {
    const apps = await threeApps()
    const tokens = await atOnce(apps, 50, (app, index) => storedSession(app, { index }, 'ada'))
    const other = await storedSession(apps[0]!, { index: 'of another' }, 'bob')
    const late = await atOnce(apps, 50, async (app, index) => {
      const work = await app.load(tokens[index]!)
      if (index % 3 === 0) bag(work).late = true
      else if (index % 3 === 1) bag(work).touch()
      else await bag(work).rotate()
      return work
    })
    const ended = await apps[1]!.user('ada').revokeAll()
    expect(ended).toBe(50)
    await Promise.all(late.map(async (work) => work.commit()))
    const found = await atOnce(apps, 150, async (app, index) => {
      const work = await app.load(tokens[index % 50]!, late[index % 50]!.id)
      return work.isNew
    })
    expect(found).toEqual(found.map(() => true))
    expect(await apps[2]!.user('ada').list()).toEqual([])
    expect((await apps[2]!.load(other)).userId).toBe('bob')
  })

  test('sign nobody in whose request began before revokeAll and ends after it', async () => {
    const apps = await threeApps()
    const logins = await atOnce(apps, 12, async (app, index) => {
      const work = index % 2 === 0 ? app.begin() : await app.load(await storedSession(app, { cart: index }))
      await bag(work).signIn('ada')
      return work
    })
    await apps[0]!.user('ada').revokeAll()
    const results = await Promise.allSettled(logins.map(async (work) => work.commit()))
    expect(results.map(({ status }) => status)).toEqual(results.map(() => 'rejected'))
    expect(await apps[1]!.user('ada').list()).toEqual([])
  })

  test.each(['endOldest', 'refuse'] as const)(
    'leave a user three sessions when 100 sign in at once, %s',
    async (whenFull) => {
      const apps = await threeApps({ sessionsPerUser: { most: 3, whenFull } })
      const outcomes = await atOnce(apps, 100, (app) =>
        login(app).catch((error: unknown) => (error as { code: string }).code),
      )
      expect(await apps[0]!.user('ada').list()).toHaveLength(3)
      const refused = outcomes.filter((outcome) => outcome.startsWith('ERR_'))
      expect(new Set(refused)).toEqual(new Set(whenFull === 'refuse' ? ['ERR_SESSION_LIMIT'] : []))
      expect(refused).toHaveLength(whenFull === 'refuse' ? 97 : 0)
    },
  )

  test('write nothing for 30 requests that only read', async () => {
    const store = (await open())()
    const app = createSessions({ store, secret: 'the same secret in all three apps', sweep: false })
    onTestFinished(() => app.close())
    const token = await storedSession(app, { cart: ['tea'] }, 'ada')
    const write = vi.spyOn(store, 'write')
    const read = await atOnce([app], 30, async () => {
      const work = await app.load(token)
      const { cart } = bag(work) as { cart?: string[] }
      await work.commit()
      return cart
    })
    expect(read).toEqual(read.map(() => ['tea']))
    expect(write).not.toHaveBeenCalled()
  })
})
