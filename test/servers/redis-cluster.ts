import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { freePorts } from './ports.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'

const slots = 16_384

export interface RedisClusterOptions extends Pick<RedisOptions, 'settings' | 'persistence' | 'program'> {
  readonly masters: number
  /** Replicas of each master. */
  readonly replicas?: number
  /** Milliseconds after which a silent node counts as failing. */
  readonly nodeTimeout?: number
}

export interface RedisClusterNode extends RedisServer {
  /** How the cluster names it. */
  readonly id: string
}

/** A Redis Cluster of this test run's own. */
export interface RedisCluster {
  readonly password: string
  /** The masters as it started, then their replicas in the same order. */
  readonly nodes: readonly RedisClusterNode[]
  /** Moves so many slots with their keys from one master to another, key by key. */
  moveSlots(from: RedisClusterNode, to: RedisClusterNode, count: number): Promise<void>
  /** Resolves when all nodes that run say that the cluster is whole. */
  whole(): Promise<void>
  stop(): Promise<void>
}

export async function startRedisCluster(options: RedisClusterOptions): Promise<RedisCluster> {
  const { masters, replicas = 0, nodeTimeout = 2_000 } = options
  const password = randomBytes(12).toString('hex')
  const count = masters * (1 + replicas)
  // The port of the cluster's own bus is another one.
  const ports = await freePorts(2 * count)
  const started = await Promise.allSettled(
    Array.from({ length: count }, (_, index) =>
      startRedis({
        ...options,
        password,
        port: ports[index]!,
        settings: [
          '--cluster-enabled', 'yes', '--cluster-port', `${ports[count + index]!}`, '--cluster-node-timeout', `${nodeTimeout}`,
          '--cluster-config-file', 'nodes.conf', '--cluster-announce-ip', '127.0.0.1', ...(options.settings ?? []),
        ], // prettier-ignore
      }),
    ),
  )
  const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    for (const one of started) if (one.status === 'rejected') throw one.reason
    const nodes = await Promise.all(
      servers.map(async (server) => {
        const id = String(await ask(server, 'CLUSTER', 'MYID'))
        // By getters, so not by spreading: a server that started again has another process.
        return Object.assign(Object.create(server) as RedisServer, { id })
      }),
    )
    const whole = (): Promise<void> => isWhole(nodes, count)
    await join(nodes, ports.slice(count), masters)
    await whole()
    return { password, nodes, whole, stop, moveSlots: (from, to, some) => moveSlots(nodes, from, to, some) }
  } catch (error) {
    await stop()
    throw error
  }
}

async function join(
  nodes: readonly RedisClusterNode[],
  busPorts: readonly number[],
  masters: number,
): Promise<void> {
  const [first, ...others] = nodes
  for (const [index, node] of others.entries())
    await ask(first!, 'CLUSTER', 'MEET', '127.0.0.1', `${node.port}`, `${busPorts[index + 1]!}`)
  await Promise.all(
    nodes.slice(0, masters).map((node, index) => {
      const begin = Math.floor((slots * index) / masters)
      const end = Math.floor((slots * (index + 1)) / masters) - 1
      return ask(node, 'CLUSTER', 'ADDSLOTSRANGE', `${begin}`, `${end}`)
    }),
  )
  for (const [index, node] of nodes.slice(masters).entries()) {
    const { id } = nodes[index % masters]!
    // It has to have heard of its master first.
    await until(async () => (await ask(node, 'CLUSTER', 'REPLICATE', id)) === 'OK')
  }
}

async function isWhole(nodes: readonly RedisServer[], count: number): Promise<void> {
  for (const node of nodes) {
    await until(async () => {
      const info = String(await ask(node, 'CLUSTER', 'INFO'))
      const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1])
      if (!info.includes('cluster_state:ok') || known < count) return false
      const role = String(await ask(node, 'INFO', 'replication'))
      return role.includes('role:master') || role.includes('master_link_status:up')
    })
  }
}

/** As redis-cli does it: so clients meet ASK for keys that have left, and MOVED at the end. */
async function moveSlots(
  nodes: readonly RedisClusterNode[],
  from: RedisClusterNode,
  to: RedisClusterNode,
  count: number,
): Promise<void> {
  const clients = new Map(await Promise.all(nodes.map(async (node) => [node, await connect(node)] as const)))
  const tell = (node: RedisClusterNode, ...command: string[]): Promise<unknown> =>
    clients.get(node)!.sendCommand(command)
  try {
    const shards = (await tell(from, 'CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][]
    const own = shards.flatMap(([begin, end, [, , id]]) =>
      id === from.id ? Array.from({ length: end - begin + 1 }, (_, index) => begin + index) : [],
    )
    for (const slot of own.slice(0, count).map(String)) {
      await tell(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
      await tell(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
      for (;;) {
        const keys = (await tell(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[]
        if (keys.length === 0) break
        await tell(
          from, 'MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '5000', 'AUTH', to.password, 'KEYS', ...keys,
        ) // prettier-ignore
      }
      for (const node of [to, from, ...nodes.filter((each) => each !== to && each !== from)])
        // A replica learns of it by itself.
        await tell(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch(() => undefined)
    }
  } finally {
    for (const client of clients.values()) client.destroy()
  }
}

/** Sends one command to one server. */
export async function ask(server: Pick<RedisServer, 'url'>, ...command: string[]): Promise<unknown> {
  const client = await connect(server)
  try {
    return await client.sendCommand(command)
  } finally {
    client.destroy()
  }
}

async function connect({ url }: Pick<RedisServer, 'url'>) {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  return client
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const error = await holds().then(
      (yes) => (yes ? undefined : new Error('It does not hold.')),
      (failure: unknown) => failure as Error,
    )
    if (error === undefined) return
    if (Date.now() > deadline) throw error
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
