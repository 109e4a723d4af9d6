import { createSessions } from 'coatcheck'
import { type RedisClient, RedisStore, type RedisStoreOptions, type RedisTarget } from 'coatcheck/redis'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { createClient, createCluster, createSentinel } from 'redis'
import {
  createClient as createClient5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
} from 'redis5'

// What the packages give is what the store takes.
const options: RedisStoreOptions = { prefix: 'shop:', waitForReplicas: { atLeast: 1, within: '1s' } }
const noResending = { autoResendUnfulfilledCommands: false, lazyConnect: true }
const targets: RedisTarget[] = [
  process.env['REDIS_URL'],
  createClient({ url: process.env['REDIS_URL']! }),
  createCluster({ rootNodes: [{ url: 'redis://localhost' }] }),
  createSentinel({ name: 'shop', sentinelRootNodes: [{ host: 'localhost', port: 26_379 }] }),
  createClient5({ url: process.env['REDIS_URL']! }),
  createCluster5({ rootNodes: [{ url: 'redis://localhost' }] }),
  createSentinel5({ name: 'shop', sentinelRootNodes: [{ host: 'localhost', port: 26_379 }] }),
  new Redis5(noResending),
  new Cluster5([{ port: 6379 }], { retryDelayOnFailover: 0, lazyConnect: true }),
  new Redis(noResending),
  new Cluster([{ port: 6379 }], { retryDelayOnFailover: 0, lazyConnect: true }),
  new Valkey(noResending),
  new ValkeyCluster([{ port: 6379 }], { retryDelayOnFailover: 0, lazyConnect: true }),
]
export const client: RedisClient = createClient()
const secret = 'a secret that only these tests use'
for (const target of targets)
  createSessions({ store: new RedisStore(target, { ...options, commandTimeout: '2s' }), secret })

// @ts-expect-error neither a URL nor a client
export const wrong = new RedisStore({ host: 'localhost' })
