import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { type Duration, timerMilliseconds } from '../core/lifetime.js'
import { RedisClient as Client } from './redis/client.js'
import { commandsOf, type RedisClient } from './redis/commands.js'
import { redisErrors } from './redis/errors.js'
import { OwnCommands } from './redis/own-client.js'
import { RedisRecords } from './redis/records.js'
import type { Replicas } from './redis/writer.js'
import { TableStore, type TableStoreParts } from './sql/table-store.js'

export type {
  IORedisClient,
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisSentinel,
  RedisClient,
} from './redis/commands.js'

const optionNames = ['prefix', 'commandTimeout', 'waitForReplicas'] as const
/** Half of the default `storeLimits.deadline`. */
const defaultCommandTimeout = '5s'

/** What `RedisStore` takes first: a URL, or a client. */
export type RedisTarget = string | RedisClient | undefined

/** The options of `RedisStore`. */
export interface RedisStoreOptions {
  /**
   * What all keys of the store begin with, the same in all apps that share sessions. 1 to 100 printable characters of
   * ASCII, without spaces.
   *
   * In a cluster, leave braces out: a part in braces, such as `{shop}`, would put all sessions on one server.
   * @default 'coatcheck:'
   */
  readonly prefix?: string | undefined
  /**
   * How long a command may take, and how long connecting may take: a text such as `'5s'`, or milliseconds. After that, the
   * request gets `ERR_SESSION_STORE_TIMEOUT`, and a connection of the store's own is closed.
   * @default '5s'
   */
  readonly commandTimeout?: Duration | undefined
  /**
   * Waits, after a sign-in, a sign-out, a rotation or a revocation, until so many replicas have it (`WAIT`). If they do not in
   * time, the request gets `ERR_SESSION_NOT_REPLICATED` (503), although the server itself has stored it. Left out: it does not
   * wait.
   *
   * It makes it less likely that a failover undoes an answered sign-out. It does not exclude that: a replica without the
   * write may still become the primary. The store opens a second connection for its writes.
   *
   * - `atLeast`: how many replicas of the server that has the session.
   * - `within`: how long they may take, such as `'1s'`, or milliseconds.
   */
  readonly waitForReplicas?: { readonly atLeast: number; readonly within: Duration } | undefined
}

/**
 * Keeps sessions in Redis 6.2 or later, or in Valkey: on one server, on one that Sentinel watches over, or on a cluster.
 *
 * `target` is one of these:
 *
 * - A URL: `redis://user:password@host:6379/0`, or `rediss://` for TLS, which verifies the server's certificate and its host
 *   name. The store makes a connection by the package redis, when it is first used; `close()` closes it.
 * - A client of the package redis (5 or later): `createClient`, `createCluster` or `createSentinel`, connected by you. Or one of
 *   ioredis (5 or later) or iovalkey: a server, Sentinel or a `Cluster`. What you pass in stays open. Clients of ioredis and
 *   iovalkey need `autoResendUnfulfilledCommands: false`, and a `Cluster` needs `retryDelayOnFailover: 0`. Otherwise they
 *   would send a write again whose answer was lost, long after its session has ended.
 *
 * Requests of the same moment share a script; in a cluster, a round trip for each server. Each session is one key, and a script on
 * that key alone changes it. The server's clock tells the times, and the server removes what has expired.
 *
 * **What a failover may lose.** Redis copies to replicas after it has answered, and to the disk once a second at best. So a
 * failover, or a server that restarts, can undo what was answered: also a sign-out. See docs/guarantees.md, and
 * `waitForReplicas`.
 *
 * **Memory.** A server that may evict keys is refused: `maxmemory-policy` must be `noeviction`, or `maxmemory` 0.
 *
 * **Errors** of its methods. What the server said is their `cause`, never their message.
 *
 * - `ERR_SESSION_STORE_UNAVAILABLE` (503): the server does not answer, takes no writes, or has no memory left.
 * - `ERR_SESSION_STORE_TIMEOUT` (503): a command took longer than `commandTimeout`.
 * - `ERR_SESSION_STORE_BUSY` (503): others were in the way for too long.
 * - `ERR_SESSION_NOT_REPLICATED` (503): too few replicas have a write that was to wait for them.
 * - `ERR_SESSION_STORE_CONFIGURATION` (500): the server refuses the user or its rights, may evict keys, or is one of a cluster.
 * - `ERR_SESSION_TOO_LARGE` (500): the data is larger than 64 MiB.
 * - `ERR_SESSION_CLOSED` (503): after `close()`.
 *
 * @example
 * const store = new RedisStore(process.env.REDIS_URL)
 * @example
 * const cluster = createCluster({ rootNodes: [{ url: 'redis://node1:6379' }, { url: 'redis://node2:6379' }] })
 * await cluster.connect()
 * const store = new RedisStore(cluster, { prefix: 'shop:' })
 */
export class RedisStore extends TableStore {
  /**
   * @param target a URL, or a client.
   * @throws `ERR_SESSION_OPTION` if `target` is neither, if the client sends writes again by itself, or if an option is
   *   unknown or malformed. The message never shows the password.
   */
  constructor(target: RedisTarget, options: RedisStoreOptions = {}) {
    super(partsOf(target, options))
  }
}

function partsOf(target: RedisTarget, options: RedisStoreOptions): TableStoreParts {
  refuseUnknownOptions('RedisStore', options, optionNames)
  const limit = timerMilliseconds('commandTimeout', options.commandTimeout ?? defaultCommandTimeout)
  const prefix = prefixOf(options.prefix)
  const replicas = replicasOf(options.waitForReplicas)
  const commands = typeof target === 'string' ? new OwnCommands(target, limit) : commandsOf(target)
  // WAIT keeps a connection from all other commands.
  const writing = replicas ? commands.duplicate() : commands
  const [reader, writer] = [commands, writing].map((each) =>
    each instanceof OwnCommands ? new Client(each, limit, () => each.reconnect()) : new Client(each, limit),
  )
  return {
    layout: new RedisRecords(reader!, writer!, prefix, replicas),
    errors: redisErrors,
    createTable: true,
    end: async () => {
      if (writing !== commands) await writing.close()
      await commands.close()
    },
  }
}

function prefixOf(prefix: unknown = 'coatcheck:'): string {
  if (typeof prefix === 'string' && /^[!-~]{1,100}$/.test(prefix)) return prefix
  throw optionError('prefix must be a text of 1 to 100 printable characters of ASCII, without spaces.')
}

function replicasOf(option: RedisStoreOptions['waitForReplicas']): Replicas | undefined {
  if (option === undefined) return undefined
  if (typeof option !== 'object' || option === null)
    throw optionError("waitForReplicas must be an object, such as { atLeast: 1, within: '1s' }.")
  refuseUnknownOptions('waitForReplicas', option, ['atLeast', 'within'])
  const { atLeast, within } = option
  if (!Number.isSafeInteger(atLeast) || atLeast < 1)
    throw optionError('waitForReplicas.atLeast must be a whole number of replicas, 1 or more.')
  return { atLeast, within: timerMilliseconds('waitForReplicas.within', within) }
}
