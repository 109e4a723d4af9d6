// Checked by `npm run check`, never run.
import { type RedisClient, RedisStore, type RedisStoreOptions, type RedisTarget } from 'coatcheck/redis'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { Pool } from 'pg'
import {
  createClient,
  createClientPool,
  createCluster,
  createSentinel,
  type RedisClientType,
  type RedisClusterType,
  type RedisSentinelType,
} from 'redis'
import {
  createClient as createClient5,
  createClientPool as createClientPool5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
  type RedisClientType as RedisClientType5,
  type RedisClusterType as RedisClusterType5,
  type RedisSentinelType as RedisSentinelType5,
} from 'redis5'
import { expectTypeOf } from 'vitest'

const url = 'redis://localhost:6379'
const rootNodes = [{ url }]
const watched = { name: 'shop', sentinelRootNodes: [{ host: 'sentinel', port: 26379 }] }

// Whatever the package redis makes is taken without a cast, by either protocol
export const nodeRedis = () => [
  new RedisStore(createClient()),
  new RedisStore(createClient({ url, RESP: 2 })),
  new RedisStore(createClient({ url, RESP: 3 })),
  new RedisStore(createCluster({ rootNodes })),
  new RedisStore(createCluster({ rootNodes, RESP: 2 })),
  new RedisStore(createSentinel(watched)),
  new RedisStore(createSentinel({ ...watched, RESP: 2 })),
  new RedisStore(createClient5()),
  new RedisStore(createClient5({ url, RESP: 2 })),
  new RedisStore(createClient5({ url, RESP: 3 })),
  new RedisStore(createCluster5({ rootNodes })),
  new RedisStore(createCluster5({ rootNodes, RESP: 3 })),
  new RedisStore(createSentinel5(watched)),
  new RedisStore(createSentinel5({ ...watched, RESP: 3 })),
]

// So is what an app has declared by the types of the package redis
export const declared = (client: RedisClientType, cluster: RedisClusterType, sentinel: RedisSentinelType) => [
  new RedisStore(client),
  new RedisStore(cluster),
  new RedisStore(sentinel),
]
export const declared5 = (
  client: RedisClientType5,
  cluster: RedisClusterType5,
  sentinel: RedisSentinelType5,
) => [new RedisStore(client), new RedisStore(cluster), new RedisStore(sentinel)]

// And what ioredis and iovalkey make
export const others = () => [
  new RedisStore(new Redis(url, { autoResendUnfulfilledCommands: false })),
  new RedisStore(new Cluster([url], { retryDelayOnFailover: 0 })),
  new RedisStore(new Redis5(url, { autoResendUnfulfilledCommands: false })),
  new RedisStore(new Cluster5([url], { retryDelayOnFailover: 0 })),
  new RedisStore(new Valkey(url, { autoResendUnfulfilledCommands: false })),
  new RedisStore(new ValkeyCluster([url], { retryDelayOnFailover: 0 })),
]

// A URL may be missing, as those of the environment are: that is said when the app starts
export const targets = () => {
  expectTypeOf(RedisStore).toBeConstructibleWith(process.env['REDIS_URL'])
  expectTypeOf<RedisTarget>().toEqualTypeOf<string | RedisClient | undefined>()
  expectTypeOf<RedisClient>().not.toBeAny()
}

// What is no client is refused
export const mistakes = () => {
  // @ts-expect-error a client sends commands
  void new RedisStore({})
  // @ts-expect-error a URL is a text
  void new RedisStore(new URL(url))
  // @ts-expect-error a client of connect-redis' options is not the client
  void new RedisStore({ client: createClient() })
  // @ts-expect-error the client, not the function that makes it
  void new RedisStore(createClient)
  // @ts-expect-error nor a promise of it
  void new RedisStore(createClient().connect())
  // @ts-expect-error one client sends the commands of all requests
  void new RedisStore(createClientPool())
  // @ts-expect-error the same in version 5
  void new RedisStore(createClientPool5())
  // @ts-expect-error of another database
  void new RedisStore(new Pool())
}

// Options are checked by their names and types
export const options = () => {
  const all: RedisStoreOptions = {
    prefix: 'shop:',
    commandTimeout: '2s',
    waitForReplicas: { atLeast: 1, within: 500 },
  }
  // @ts-expect-error there is no such option
  void new RedisStore(url, { keyPrefix: 'shop:' })
  // @ts-expect-error a duration has a unit, or is a number of milliseconds
  void new RedisStore(url, { commandTimeout: '2 minutes ago' })
  // @ts-expect-error both parts are needed
  void new RedisStore(url, { waitForReplicas: { atLeast: 1 } })
  return new RedisStore(url, all)
}
