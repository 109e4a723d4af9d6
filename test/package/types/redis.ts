import { createSessions } from 'coatcheck'
import { type RedisClient, RedisStore, type RedisStoreOptions, type RedisTarget } from 'coatcheck/redis'
import { Cluster, Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { createClient, createCluster, createSentinel } from 'redis'

// What the libraries give is what the store takes.
const url = 'redis://localhost:6379'
const clients: RedisClient[] = [
  createClient({ url }),
  createCluster({ rootNodes: [{ url }] }),
  createSentinel({ name: 'shop', sentinelRootNodes: [{ host: 'localhost', port: 26379 }] }),
  new Redis(url, { autoResendUnfulfilledCommands: false }),
  new Cluster([url], { retryDelayOnFailover: 0 }),
  new Valkey(url, { autoResendUnfulfilledCommands: false }),
]
const targets: RedisTarget[] = [process.env.REDIS_URL, ...clients]
const options: RedisStoreOptions = { prefix: 'shop:', waitForReplicas: { atLeast: 1, within: '1s' } }
const secret = 'a secret that only these tests use'
for (const target of targets)
  createSessions({ store: new RedisStore(target, { ...options, commandTimeout: '2s' }), secret })
