import { createSessions } from 'coatcheck'
import { Cluster } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { secret } from '../core/works.ts'
import { type RedisCluster, startRedisCluster } from '../servers/redis-cluster.ts'
import { ask } from '../servers/redis-commands.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'
import { insert, newId, removal, rotation, touch, update } from './mysql-subject.ts'
import { afterTest, openStore } from './redis-subject.ts'

/** As docs/stores.md has them. */
const rights = [
  '+info', '+time', '+eval', '+evalsha', '+get', '+mget', '+getrange', '+set', '+setrange', '+del', '+pexpireat',
  '+zadd', '+zrange', '+zrem', '+zremrangebyscore',
] // prettier-ignore
const inCluster = ['+cluster|slots', '+cluster|info', '+asking']

const username = 'shop'
const password = 'a long random password'
const lifetime = { idle: 3_600_000, absolute: undefined }

/** Gives the user these rights and no other. */
async function give(server: { readonly url: string }, given: readonly string[]): Promise<void> {
  const nothing = ['reset', 'on', `>${password}`, '~coatcheck:*', 'resetchannels', '-@all']
  await ask(server, 'ACL', 'SETUSER', username, ...nothing, ...given)
}

/** Does all that sessions do, and gives the errors. */
async function failuresOf(store: ReturnType<typeof openStore>): Promise<unknown[]> {
  const failures: unknown[] = []
  const [id, other] = [newId(), newId()]
  const signIn = { userId: 'ada', signedIn: true, lifetime }
  const steps = [
    () => store.find([id]),
    () => store.alive([id]),
    () =>
      store.write([
        { ...insert(id), ...signIn },
        { ...insert(other), ...signIn },
      ]),
    () => store.write([touch(id)]),
    () => store.write([{ ...update(id, 1), userId: 'ada' }]),
    () => store.write([{ ...rotation(id, 2), userId: 'ada' }]),
    () => store.list({ userId: 'ada', limit: 9, data: true }),
    () => store.write([removal(other, 'ada')]),
    () => store.removeByUser('ada'),
  ]
  for (const step of steps) {
    const results = await step().catch((error: unknown) => [error])
    if (Array.isArray(results)) failures.push(...results.filter((result) => result instanceof Error))
  }
  return failures
}

describe('the rights of a user of Redis', () => {
  let server: RedisServer
  let url: string
  beforeAll(async () => {
    server = await startRedis()
    const ofUser = new URL(server.url)
    ofUser.username = username
    ofUser.password = password
    url = ofUser.href
  })
  afterAll(() => server.stop())

  const open = (options = {}) => openStore(url, { prefix: 'coatcheck:', ...options })

  it('are enough for all that sessions do', async () => {
    await give(server, rights)
    expect(await failuresOf(open())).toEqual([])
  })

  it.each(rights.filter((right) => right !== '+zrem'))(
    'are too few without %s, and the app is told so',
    async (missing) => {
      await give(
        server,
        rights.filter((right) => right !== missing),
      )
      await ask(server, 'SCRIPT', 'FLUSH') // so that the first use of a script takes EVAL
      const failures = await failuresOf(open())
      expect(failures).not.toHaveLength(0)
      for (const failure of failures)
        expect(failure).toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 })
    },
  )

  it('leave entries in the index of a user until they expire, without +zrem', async () => {
    await ask(server, 'FLUSHALL')
    const entries = async (): Promise<unknown> => {
      const [key] = (await ask(server, 'KEYS', 'coatcheck:user:*')) as string[]
      return key === undefined ? 0 : ask(server, 'ZCARD', key)
    }
    await give(
      server,
      rights.filter((right) => right !== '+zrem'),
    )
    expect(await failuresOf(open())).toEqual([])
    expect(await entries()).toBe(2)
    await ask(server, 'FLUSHALL')
    await give(server, rights)
    expect(await failuresOf(open())).toEqual([])
    await expect.poll(entries).toBe(0)
  })

  it('are asked for at start-up by ready()', async () => {
    await give(
      server,
      rights.filter((right) => right !== '+info'),
    )
    const sessions = createSessions({ store: open(), secret })
    onTestFinished(() => sessions.close())
    await expect(sessions.ready()).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringContaining('(NOPERM)'),
    })
  })

  it('of another prefix are refused', async () => {
    await give(server, rights)
    await expect(open({ prefix: 'shop:' }).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
    })
  })

  it('include SELECT, for a database that the URL numbers', async () => {
    const numbered = () => openStore(`${url}/1`, { prefix: 'coatcheck:' }).find([newId()])
    await give(server, rights)
    await expect(numbered()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION' })
    await give(server, [...rights, '+select'])
    expect(await numbered()).toEqual([undefined])
  })

  it('include SCAN, for a list of everybody', async () => {
    const list = () => open().list({ limit: 9, data: false })
    await give(server, rights)
    await expect(list()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION' })
    await give(server, [...rights, '+scan'])
    expect(await list()).toMatchObject({ items: [] })
  })

  it('include WAIT, for waitForReplicas', async () => {
    const signIn = () =>
      open({ waitForReplicas: { atLeast: 1, within: 10 } }).write([
        { ...insert(newId()), userId: 'ada', signedIn: true, lifetime },
      ])
    await give(server, rights)
    expect(await signIn()).toMatchObject([{ code: 'ERR_SESSION_STORE_CONFIGURATION' }])
    await give(server, [...rights, '+wait'])
    expect(await signIn()).toMatchObject([{ code: 'ERR_SESSION_NOT_REPLICATED' }])
  })
})

describe('the rights of a user of a Redis Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 })
    await Promise.all(cluster.nodes.map((node) => give(node, [...rights, ...inCluster])))
  })
  afterAll(() => cluster.stop())

  const byNodeRedis = async () => {
    const rootNodes = cluster.nodes.map(({ port }) => ({ url: `redis://127.0.0.1:${port}` }))
    const client = createCluster({ rootNodes, defaults: { username, password } })
    await client.connect()
    afterTest(async () => client.destroy())
    return client
  }
  const byIORedis = async () => {
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const client = new Cluster(nodes, { retryDelayOnFailover: 0, redisOptions: { username, password } })
    afterTest(async () => client.disconnect())
    return client
  }

  it.each([
    ['redis', byNodeRedis],
    ['ioredis', byIORedis],
  ] as const)('are enough by %s, also while slots move', async (_, connect) => {
    const store = openStore(await connect(), { prefix: 'coatcheck:' })
    expect(await failuresOf(store)).toEqual([])
    const ids = Array.from({ length: 60 }, newId)
    expect(await store.write(ids.map((id) => insert(id)))).toEqual(ids.map(() => 'done'))
    const [from, to] = cluster.nodes
    const slots = await Promise.all(
      ids.map(async (id) => Number(await ask(from!, 'CLUSTER', 'KEYSLOT', `coatcheck:${id}`))),
    )
    const own = [...new Set(slots.filter((slot) => slot < 5_000))]
    expect(own.length).toBeGreaterThan(0)
    let isMoving = true
    const moving = cluster.moveSlots(from!, to!, own).finally(() => (isMoving = false))
    while (isMoving) expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id })))
    await moving
    await cluster.moveSlots(to!, from!, own)
  })

  it('are too few without CLUSTER SLOTS', async () => {
    await Promise.all(cluster.nodes.map((node) => give(node, rights)))
    await expect(byNodeRedis()).rejects.toThrow(/root nodes|cluster.slots/)
  })
})

it('HELLO, AUTH and what the client says of itself need no right', async () => {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  await give(server, rights)
  for (const RESP of [2, 3] as const) {
    const client = createClient({ url: server.url, username, password, RESP })
    await client.connect()
    afterTest(async () => client.destroy())
    expect(await failuresOf(openStore(client, { prefix: 'coatcheck:' }))).toEqual([])
  }
})
