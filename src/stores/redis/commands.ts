import { optionError } from '../../core/errors.js'

/** A command and its arguments, as it is sent. */
export type Command = readonly (string | Buffer)[]

/** Sends a command to one server. Texts come back as buffers. */
export type Send = (command: Command) => Promise<unknown>

/** What `RedisStore` needs of a client, whatever library it is of. */
export interface RedisCommands {
  /** Whether keys lie on several servers. */
  readonly isCluster: boolean
  /** Sends a command to the server that has the key. */
  send(key: string, command: Command): Promise<unknown>
  /** A function for each server that takes writes. */
  servers(): Promise<readonly Send[]>
  /** Waits until replicas have the writes that were sent for the key. Returns how many do. @param limit milliseconds */
  waitForReplicas(key: string, replicas: number, limit: number): Promise<number>
  /** The same with connections of its own, which `close` closes. */
  duplicate(): RedisCommands
  close(): Promise<void>
}

/** A client of the package redis (node-redis) 5 or 6, as far as the store uses it. */
export interface NodeRedisClient {
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<unknown>
  duplicate(): unknown
  readonly isOpen: boolean
}

/** Its `createCluster`. */
export interface NodeRedisCluster {
  sendCommand(
    firstKey: string | Buffer | undefined,
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: object,
  ): Promise<unknown>
  readonly masters: readonly unknown[]
  nodeClient(node: never): unknown
  duplicate(): unknown
}

/** Its `createSentinel`. */
export interface NodeRedisSentinel {
  sendCommand(isReadonly: boolean | undefined, args: (string | Buffer)[], options?: object): Promise<unknown>
  getSentinelNode(): unknown
  /** From version 6 on. */
  duplicate?(): unknown
}

/** A client of ioredis 5 or 6 or of iovalkey: a server, one that Sentinel names, or a cluster. */
export interface IORedisClient {
  readonly isCluster: boolean
  readonly options: object
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>
  duplicate(...options: never[]): unknown
}

/** The client of an app. */
export type RedisClient = NodeRedisClient | NodeRedisCluster | NodeRedisSentinel | IORedisClient

/**
 * The commands by a client of the app, which stays open.
 * @throws ERR_SESSION_OPTION if it is none, or sends writes again by itself.
 */
export function commandsOf(client: unknown): RedisCommands {
  if (typeof client === 'object' && client !== null) {
    if ('isCluster' in client && 'callBuffer' in client) return ofIORedis(client as IORedisClient)
    if ('sendCommand' in client) {
      if ('nodeClient' in client) return ofNodeRedisCluster(client as NodeRedisCluster)
      if ('getSentinelNode' in client) return ofNodeRedisSentinel(client as NodeRedisSentinel)
      if ('isOpen' in client) return ofNodeRedis(client as NodeRedisClient)
    }
  }
  throw optionError(
    'RedisStore needs a URL, such as redis://user:password@host:6379, or a client: createClient, createCluster or createSentinel of the package redis (5 or later), or one of ioredis (5 or later) or iovalkey.',
  )
}

/** Bulk strings ($, RESP 2 and 3) as buffers, whatever the client is set up for; numbers and maps as they are by default. */
const asBuffers = { typeMapping: { [36]: Buffer } }

export function ofNodeRedis(client: NodeRedisClient): RedisCommands {
  const send: Send = (command) => client.sendCommand(command, asBuffers)
  return {
    isCluster: false,
    send: (_key, command) => send(command),
    servers: async () => [send],
    waitForReplicas: async (_key, replicas, limit) => Number(await send(waitCommand(replicas, limit))),
    duplicate: () => connected(client.duplicate(), ofNodeRedis),
    close: async () => undefined,
  }
}

function ofNodeRedisCluster(cluster: NodeRedisCluster): RedisCommands {
  const send = (key: string, command: Command): Promise<unknown> =>
    cluster.sendCommand(key, false, [...command], asBuffers)
  return {
    isCluster: true,
    send,
    servers: () =>
      Promise.all(
        cluster.masters.map(async (master): Promise<Send> => {
          const client = (await cluster.nodeClient(master as never)) as NodeRedisClient
          return (command) => client.sendCommand(command, asBuffers)
        }),
      ),
    waitForReplicas: async (key, replicas, limit) => Number(await send(key, waitCommand(replicas, limit))),
    duplicate: () => connected(cluster.duplicate(), ofNodeRedisCluster),
    close: async () => undefined,
  }
}

function ofNodeRedisSentinel(sentinel: NodeRedisSentinel): RedisCommands {
  const send: Send = (command) => sentinel.sendCommand(false, [...command], asBuffers)
  return {
    isCluster: false,
    send: (_key, command) => send(command),
    servers: async () => [send],
    waitForReplicas: async (_key, replicas, limit) => Number(await send(waitCommand(replicas, limit))),
    duplicate: () => {
      if (!sentinel.duplicate)
        throw optionError(
          'waitForReplicas needs a second client, and createSentinel of redis 5 cannot make one. Upgrade the package redis to version 6.',
        )
      return connected(sentinel.duplicate(), ofNodeRedisSentinel)
    },
    close: async () => undefined,
  }
}

interface NodeRedisConnecting {
  connect(): Promise<unknown>
  destroy(): unknown
  on(event: 'error', listener: () => void): unknown
}

/** Duplicates of node-redis connect only when told. */
function connected<Client>(duplicate: unknown, commands: (client: Client) => RedisCommands): RedisCommands {
  const client = duplicate as Client & NodeRedisConnecting
  client.on('error', () => undefined)
  const connecting = client.connect()
  connecting.catch(() => undefined)
  const own = commands(client)
  const afterConnecting =
    <Args extends unknown[], Answer>(work: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      await connecting
      return work(...args)
    }
  return {
    ...own,
    send: afterConnecting(own.send),
    servers: afterConnecting(own.servers),
    waitForReplicas: afterConnecting(own.waitForReplicas),
    close: async () => void client.destroy(),
  }
}

interface IORedisOptions {
  readonly autoResendUnfulfilledCommands?: boolean
  readonly retryDelayOnFailover?: number
  readonly keyPrefix?: string
}

function ofIORedis(client: IORedisClient): RedisCommands {
  refuseResending(client)
  const sendBy =
    (redis: IORedisClient): Send =>
    ([name, ...args]) =>
      redis.callBuffer(String(name), ...args)
  const send = client.isCluster ? sendBy(client) : endedByClose(client, sendBy(client))
  return {
    isCluster: client.isCluster,
    // The library finds the key among the arguments, and its server by that.
    send: (_key, command) => send(command),
    servers: async () => {
      if (!client.isCluster) return [send]
      const { nodes } = client as unknown as { nodes(role: 'master'): IORedisClient[] }
      return nodes.call(client, 'master').map(sendBy)
    },
    waitForReplicas: async (key, replicas, limit) => {
      if (!client.isCluster) return Number(await send(waitCommand(replicas, limit)))
      // WAIT has no key: a pipeline takes it to the server of the command before it.
      const { pipeline } = client as unknown as {
        pipeline(commands: unknown[]): { exec(): Promise<[Error | null, unknown][]> }
      }
      const answers = await pipeline
        .call(client, [
          ['exists', key],
          ['wait', replicas, limit],
        ])
        .exec()
      for (const [error] of answers) if (error) throw error
      return Number(answers[1]![1])
    },
    duplicate: () => {
      const duplicate = client.duplicate() as IORedisClient & {
        on(event: 'error', listener: () => void): unknown
        disconnect(): void
      }
      duplicate.on('error', () => undefined)
      return { ...ofIORedis(duplicate), close: async () => duplicate.disconnect() }
    },
    close: async () => undefined,
  }
}

/**
 * Rejects the commands that were under way when the connection closed. Clients that do not send them again leave them
 * without any answer.
 */
function endedByClose(client: IORedisClient, send: Send): Send {
  const { status, on } = client as unknown as {
    readonly status: string
    on(event: 'ready' | 'close', listener: () => void): void
  }
  const underWay = new Set<(error: Error) => void>()
  let isReady = status === 'ready'
  on.call(client, 'ready', () => {
    isReady = true
  })
  on.call(client, 'close', () => {
    // What was asked for since waits for the next connection.
    if (isReady) for (const reject of underWay) reject(new Error('Connection is closed.'))
    isReady = false
  })
  return (command) =>
    new Promise((resolve, reject) => {
      underWay.add(reject)
      const settled = (settle: () => void): void => {
        underWay.delete(reject)
        settle()
      }
      send(command).then(
        (answer) => settled(() => resolve(answer)),
        (error: Error) => settled(() => reject(error)),
      )
    })
}

/**
 * A write whose answer was lost must not be sent again behind the store's back: an insert that arrives late brings a session
 * back.
 * @throws ERR_SESSION_OPTION
 */
function refuseResending({ isCluster, options }: IORedisClient): void {
  const { autoResendUnfulfilledCommands, retryDelayOnFailover = 100, keyPrefix } = options as IORedisOptions
  if (keyPrefix)
    throw optionError(
      'The ioredis client has a keyPrefix. Leave it out there, and give RedisStore a prefix: { prefix }.',
    )
  if (!isCluster && autoResendUnfulfilledCommands !== false)
    throw optionError(
      'The ioredis client would send writes again by itself after a lost connection, and so bring ended sessions back. Make it with { autoResendUnfulfilledCommands: false }.',
    )
  if (isCluster && retryDelayOnFailover > 0)
    throw optionError(
      'The ioredis cluster would send writes again by itself after a lost connection, and so bring ended sessions back. Make it with { retryDelayOnFailover: 0 }.',
    )
}

function waitCommand(replicas: number, limit: number): Command {
  return ['WAIT', `${replicas}`, `${limit}`]
}
