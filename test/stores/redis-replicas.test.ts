import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RedisCluster, startRedisCluster } from '../servers/redis-cluster.ts'
import { insert, newId, removal, rotation, stored, storedMany, touch, update } from './mysql-subject.ts'
import {
  afterTest,
  day,
  hour,
  isUnavailable,
  libraries,
  newPrefix,
  newServer,
  openStore,
  signedIn,
} from './redis-subject.ts'

describe('waitForReplicas', () => {
  it('answers a sign-in, a sign-out and a rotation once a replica has them; a change and a touch at once', async () => {
    const primary = await newServer()
    const settings = ['--replicaof', '127.0.0.1', `${primary.port}`]
    const replica = await newServer({ password: primary.password, settings })
    const prefix = newPrefix()
    const patient = openStore(primary.url, { prefix, waitForReplicas: { atLeast: 1, within: '60s' } })
    const store = openStore(primary.url, { prefix, waitForReplicas: { atLeast: 1, within: 100 } })
    const lifetime = { idle: hour, absolute: day }
    const anonymous = await stored(store)
    const id = newId()
    expect(await patient.write([signedIn(id, 'ada', lifetime)])).toEqual(['done'])
    process.kill(replica.pid!, 'SIGSTOP')
    const lacking = { code: 'ERR_SESSION_NOT_REPLICATED', status: 503 }
    expect(await store.write([signedIn(newId(), 'ada', lifetime)])).toMatchObject([lacking])
    expect(await store.write([rotation(anonymous, 1)])).toMatchObject([lacking])
    expect(await store.write([{ ...insert(newId()), hash: undefined }])).toMatchObject([lacking])
    await expect(store.removeByUser('bob')).resolves.toBe(0)
    expect(await store.write([update(anonymous, 2), touch(id), insert(newId())])).toEqual([
      'done',
      'done',
      'done',
    ])
    expect(await store.write([removal(id, 'ada')])).toMatchObject([lacking])
    process.kill(replica.pid!, 'SIGCONT')
    // It is stored all the same.
    expect(await store.find([anonymous, id])).toMatchObject([{ version: 3 }, undefined])
    expect(await patient.write([signedIn(newId(), 'ada', lifetime)])).toEqual(['done'])
  })

  it('asks the server of each session in a cluster', async () => {
    const cluster = await startRedisCluster({ masters: 3, replicas: 1 })
    afterTest(() => cluster.stop())
    for (const { cluster: open } of [libraries[0]!, libraries[2]!]) {
      const { client, close } = await open(cluster)
      afterTest(close)
      const store = openStore(client, { waitForReplicas: { atLeast: 1, within: 5_000 } })
      const ids = Array.from({ length: 20 }, newId)
      const writes = ids.map((id) => signedIn(id, 'ada', { idle: hour, absolute: day }))
      expect(await store.write(writes)).toEqual(ids.map(() => 'done'))
      expect(await store.removeByUser('ada')).toBe(20)
    }
  })
})

describe('a Redis Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicas: 1, nodeTimeout: 1_000 })
  })
  afterAll(() => cluster.stop())

  it('is refused for a client of one server', async () => {
    const store = openStore(cluster.nodes[0]!.url)
    await expect(store.find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringContaining('createCluster'),
    })
  })

  it.each(libraries)('moves slots under a store by $name: nothing is lost', async ({ cluster: open }) => {
    const { client, close } = await open(cluster)
    afterTest(close)
    const store = openStore(client)
    const ids = await storedMany(store, 60)
    const [one, other] = cluster.nodes
    let isMoving = true
    const moving = cluster.moveSlots(one!, other!, 100).finally(() => (isMoving = false))
    let version = 1
    while (isMoving) {
      expect(await store.write(ids.map((id) => update(id, version)))).toEqual(ids.map(() => 'done'))
      version++
      expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id, version })))
    }
    await moving
    await cluster.moveSlots(other!, one!, 100)
    expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id, version })))
    const { items } = await store.list({ limit: 100, data: false })
    expect(items.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  })

  it('goes on with the replica of a master that was killed', async () => {
    const { client, close } = await libraries[0]!.cluster(cluster)
    afterTest(close)
    const store = openStore(client, { commandTimeout: 1_000 })
    const ids = await storedMany(store, 60)
    const [killed] = cluster.nodes
    await killed!.crash()
    const results = await store.write(ids.map((id) => update(id, 1)))
    expect(results.filter((result) => result === 'done').length).toBeGreaterThan(0)
    for (const result of results)
      expect(result === 'done' || isUnavailable(result), String(result)).toBe(true)
    await expect.poll(() => store.find(ids).catch(() => [])).toMatchObject(ids.map((id) => ({ id })))
    await killed!.restart()
    await cluster.whole()
  })
})
