import { randomBytes } from 'node:crypto'
import type { SessionId, SessionStore } from 'coatcheck'
import { type RedisClient, RedisStore, type RedisStoreOptions, type RedisTarget } from 'coatcheck/redis'
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import {
  createClient as createClient6,
  createCluster as createCluster6,
  createSentinel as createSentinel6,
} from 'redis'
import {
  createClient as createClient5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
} from 'redis5'
import { afterEach } from 'vitest'
import type { RedisCluster } from '../servers/redis-cluster.ts'
import type { RedisSentinels } from '../servers/redis-sentinel.ts'
import { type RedisOptions, type RedisServer, startRedis } from '../servers/redis.ts'
import { insert } from './mysql-subject.ts'

const cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** The beginning of the keys of one test. */
export function newPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}:`
}

/** A store that is closed after the test. */
export function openStore(target: RedisTarget, options: RedisStoreOptions = {}): RedisStore {
  const store = new RedisStore(target, { prefix: newPrefix(), ...options })
  cleanUps.push(() => store.close())
  return store
}

/** Runs after the test, before what was opened earlier is closed. */
export function afterTest(cleanUp: () => Promise<unknown>): void {
  cleanUps.push(cleanUp)
}

/** A client as an app has it, and what closes it. */
export interface OpenedClient {
  readonly client: RedisClient
  close(): Promise<unknown>
}

/** A library, and how an app makes its clients. */
export interface Library {
  readonly name: string
  single(url: string): Promise<OpenedClient>
  cluster(cluster: RedisCluster): Promise<OpenedClient>
  sentinel(sentinels: RedisSentinels): Promise<OpenedClient>
}

interface Connecting {
  on(event: 'error', listener: () => void): unknown
  connect(): Promise<unknown>
  destroy(): unknown
}

async function connected<Client extends Connecting>(client: Client): Promise<OpenedClient> {
  client.on('error', () => undefined)
  await client.connect()
  return { client: client as unknown as RedisClient, close: async () => client.destroy() }
}

function nodeRedis(
  name: string,
  create: {
    readonly client: typeof createClient6
    readonly cluster: typeof createCluster6
    readonly sentinel: typeof createSentinel6
  },
): Library {
  return {
    name,
    single: (url) => connected(create.client({ url })),
    cluster: ({ nodes, password }) =>
      connected(
        create.cluster({ rootNodes: nodes.slice(0, 2).map(({ url }) => ({ url })), defaults: { password } }),
      ),
    sentinel: (watched) =>
      connected(
        create.sentinel({
          name: watched.name,
          sentinelRootNodes: [...watched.sentinels],
          nodeClientOptions: { password: watched.password },
        }),
      ),
  }
}

function ioredis(
  name: string,
  { Redis, Cluster }: { readonly Redis: typeof Redis6; readonly Cluster: typeof Cluster6 },
): Library {
  const opened = (client: { on: Redis6['on']; disconnect(): void }): OpenedClient => {
    client.on('error', () => undefined)
    return { client: client as unknown as RedisClient, close: async () => client.disconnect() }
  }
  const noResending = { autoResendUnfulfilledCommands: false }
  return {
    name,
    single: async (url) => opened(new Redis(url, noResending)),
    cluster: async ({ nodes, password }) =>
      opened(
        new Cluster(
          nodes.slice(0, 2).map(({ port }) => ({ host: '127.0.0.1', port })),
          { retryDelayOnFailover: 0, redisOptions: { password } },
        ) as unknown as Redis6,
      ),
    sentinel: async ({ name: master, sentinels, password }) =>
      opened(new Redis({ ...noResending, name: master, sentinels: [...sentinels], password })),
  }
}

/** Of two libraries, two versions: their faces are near enough to be used as one. */
export const libraries: readonly Library[] = [
  nodeRedis('redis 6', { client: createClient6, cluster: createCluster6, sentinel: createSentinel6 }),
  nodeRedis('redis 5', {
    client: createClient5 as unknown as typeof createClient6,
    cluster: createCluster5 as unknown as typeof createCluster6,
    sentinel: createSentinel5 as unknown as typeof createSentinel6,
  }),
  ioredis('ioredis 6', { Redis: Redis6, Cluster: Cluster6 }),
  ioredis('ioredis 5', {
    Redis: Redis5 as unknown as typeof Redis6,
    Cluster: Cluster5 as unknown as typeof Cluster6,
  }),
  ioredis('iovalkey', {
    Redis: Valkey as unknown as typeof Redis6,
    Cluster: ValkeyCluster as unknown as typeof Cluster6,
  }),
]

export const hour = 3_600_000
export const day = 24 * hour

/** A server that is stopped after the test. */
export async function newServer(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options)
  afterTest(() => server.stop())
  return server
}

export async function openClient(url: string): Promise<ReturnType<typeof createClient6>> {
  const client = createClient6({ url })
  client.on('error', () => undefined)
  await client.connect()
  afterTest(async () => client.destroy())
  return client as ReturnType<typeof createClient6>
}

/** An insert of a session of a user. */
export function signedIn(
  id: SessionId,
  userId: string,
  lifetime: { idle: number; absolute: number | undefined },
) {
  return { ...insert(id), userId, signedIn: true, lifetime } as const
}

/** Whether it is an error by which the store says that it does not know, or cannot. */
export function isUnavailable(result: unknown): boolean {
  const { code, status } = result as { readonly code?: string; readonly status?: number }
  return status === 503 && code?.startsWith('ERR_SESSION_STORE_') === true
}

export async function resultsOf(writing: ReturnType<SessionStore['write']>): Promise<unknown[]> {
  return writing.catch((error: unknown) => [error])
}
