import { RedisStore } from 'coatcheck/redis'
import { storeSuite } from 'coatcheck/testing'
import { afterAll, beforeAll, describe, inject, it } from 'vitest'
import { type RedisCluster, startRedisCluster } from '../servers/redis-cluster.ts'
import { type RedisSentinels, startSentinels } from '../servers/redis-sentinel.ts'
import { libraries, newPrefix, type OpenedClient } from './redis-subject.ts'

/** Two stores on one client each, as in two processes. */
function suiteOn(name: string, open: () => Promise<OpenedClient>): void {
  let clients: readonly OpenedClient[]
  beforeAll(async () => {
    clients = await Promise.all([open(), open()])
  })
  afterAll(() => Promise.all(clients.map((client) => client.close())))
  storeSuite(name, {
    describe,
    it,
    expiredRemovedBy: 'database',
    open: async () => {
      const prefix = newPrefix()
      const [store, other] = clients.map(({ client }) => new RedisStore(client, { prefix }))
      return { store: store!, other: other!, cleanUp: () => Promise.resolve() }
    },
  })
}

describe('on one server', () => {
  for (const { name, single } of libraries) suiteOn(`RedisStore by ${name}`, () => single(inject('redis')))
})

describe('on a cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 })
  })
  afterAll(() => cluster.stop())
  for (const { name, cluster: open } of libraries) suiteOn(`RedisStore by ${name}`, () => open(cluster))
})

describe('on a server that Sentinel names', () => {
  let sentinels: RedisSentinels
  beforeAll(async () => {
    sentinels = await startSentinels()
  })
  afterAll(() => sentinels.stop())
  for (const { name, sentinel } of libraries) suiteOn(`RedisStore by ${name}`, () => sentinel(sentinels))
})
