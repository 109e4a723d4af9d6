import { randomBytes } from 'node:crypto'
import { freePorts } from './ports.ts'
import { ask, connectedTo, type Send } from './redis-commands.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'
import { startAll } from './server-process.ts'
import { until } from './until.ts'

const slotCount = 16_384

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
  /** The role it started in. */
  readonly role: 'master' | 'replica'
}

/** A Redis Cluster of this test run's own. */
export interface RedisCluster {
  readonly password: string
  /** The masters as it started, then their replicas in the same order. */
  readonly nodes: readonly RedisClusterNode[]
  /**
   * Moves slots with their keys from one master to another, key by key, as redis-cli does it: clients meet ASK for keys
   * that have left, and MOVED at the end.
   * @param slots which, or how many of the first that `from` has
   */
  moveSlots(from: RedisClusterNode, to: RedisClusterNode, slots: number | readonly number[]): Promise<void>
  /** Has a replica take the place of its master, which runs. Resolves when all nodes know. */
  failover(replica: RedisClusterNode): Promise<void>
  /** Resolves when all nodes that run can serve all slots, agree on whose they are, and have copied their masters. */
  whole(): Promise<void>
  stop(): Promise<void>
}

export async function startRedisCluster(options: RedisClusterOptions): Promise<RedisCluster> {
  const { masters, replicas = 0, nodeTimeout = 2_000, settings = [] } = options
  const password = randomBytes(12).toString('hex')
  const count = masters * (1 + replicas)
  // The port of the cluster's own bus is another one.
  const ports = await freePorts(2 * count)
  const busPorts = ports.slice(count)
  const servers = await startAll(
    ports.slice(0, count).map((port, index) =>
      startRedis({
        ...options,
        password,
        port,
        settings: [
          '--cluster-enabled', 'yes', '--cluster-port', `${busPorts[index]!}`, '--cluster-announce-ip', '127.0.0.1',
          '--cluster-node-timeout', `${nodeTimeout}`, '--cluster-config-file', 'nodes.conf', ...settings,
        ], // prettier-ignore
      }),
    ),
  )
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    const nodes = await Promise.all(
      servers.map((server, index) => asNode(server, index < masters ? 'master' : 'replica')),
    )
    const whole = (): Promise<void> => until('the cluster is whole', () => isWhole(nodes))
    await join(nodes, busPorts, masters)
    await whole()
    return {
      password,
      nodes,
      moveSlots: (from, to, slots) => moveSlots(nodes, from, to, slots),
      async failover(replica) {
        await ask(replica, 'CLUSTER', 'FAILOVER')
        await until('the replica is the master', async () => (await roleOf(replica)) === 'master')
        await whole()
      },
      whole,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function asNode(server: RedisServer, role: RedisClusterNode['role']): Promise<RedisClusterNode> {
  const id = String(await ask(server, 'CLUSTER', 'MYID'))
  return {
    ...server,
    id,
    role,
    // Another one after a restart.
    get pid() {
      return server.pid
    },
  }
}

/** Makes one cluster of nodes that do not know of each other. */
async function join(
  nodes: readonly RedisClusterNode[],
  busPorts: readonly number[],
  masters: number,
): Promise<void> {
  await Promise.all(
    nodes.map((node, index) =>
      connectedTo(node, async (send) => {
        await send('CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`)
        if (index >= masters) return
        const begin = Math.floor((slotCount * index) / masters)
        const end = Math.floor((slotCount * (index + 1)) / masters) - 1
        await send('CLUSTER', 'ADDSLOTSRANGE', `${begin}`, `${end}`)
      }),
    ),
  )
  await connectedTo(nodes[0]!, async (send) => {
    for (const [index, node] of nodes.entries())
      if (index > 0) await send('CLUSTER', 'MEET', '127.0.0.1', `${node.port}`, `${busPorts[index]!}`)
  })
  await Promise.all(
    nodes.slice(masters).map((node, index) => {
      const { id } = nodes[index % masters]!
      // It has to have heard of its master first.
      return until('a replica has its master', async () => {
        return (await ask(node, 'CLUSTER', 'REPLICATE', id)) === 'OK'
      })
    }),
  )
}

async function isWhole(nodes: readonly RedisClusterNode[]): Promise<boolean> {
  const views = (await Promise.all(nodes.map(viewOf))).filter((view) => view !== undefined)
  const running = new Set(views.map(({ id }) => id))
  return (
    running.size > 0 &&
    views.every(
      ({ isReady, known, owners }) =>
        isReady &&
        known.length === nodes.length &&
        Object.keys(owners).every((id) => running.has(id)) &&
        JSON.stringify(owners) === JSON.stringify(views[0]!.owners),
    )
  )
}

/** What a node knows of its cluster. */
interface View {
  readonly id: string
  /** Whether it serves, and has copied its master if it has one. */
  readonly isReady: boolean
  /** The ids of the nodes it knows. */
  readonly known: readonly string[]
  /** The ids of the masters that have slots, and which, such as `0-5460`. */
  readonly owners: Readonly<Record<string, string>>
}

/** @returns `undefined` of a node that does not run */
async function viewOf(node: RedisClusterNode): Promise<View | undefined> {
  try {
    return await connectedTo(node, async (send) => {
      const info = String(await send('CLUSTER', 'INFO'))
      const replication = String(await send('INFO', 'replication'))
      const lines = await nodesKnownTo(send)
      const owners = lines
        .map(([id, , , , , , , , ...slots]) => [id!, slots.filter((slot) => !slot.startsWith('['))] as const)
        .filter(([, slots]) => slots.length > 0)
        .map(([id, slots]) => [id, slots.join(' ')] as const)
      return {
        id: node.id,
        isReady: info.includes('cluster_state:ok') && /role:master|master_link_status:up/.test(replication),
        // A node that it is only being introduced to has no id of its own yet.
        known: lines.filter(([, , flags]) => !flags!.includes('handshake')).map(([id]) => id!),
        owners: Object.fromEntries(
          owners.toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1)),
        ),
      }
    })
  } catch (error) {
    if ((error as { code?: string }).code === 'ECONNREFUSED') return undefined
    throw error
  }
}

/** A node's id, address, flags, master, two times, epoch, link, and slots. */
async function nodesKnownTo(send: Send): Promise<string[][]> {
  const lines = String(await send('CLUSTER', 'NODES'))
    .trim()
    .split('\n')
  return lines.map((line) => line.split(' '))
}

async function roleOf(node: RedisClusterNode): Promise<string> {
  const [role] = (await ask(node, 'ROLE')) as [string]
  return role
}

async function moveSlots(
  nodes: readonly RedisClusterNode[],
  from: RedisClusterNode,
  to: RedisClusterNode,
  slots: number | readonly number[],
): Promise<void> {
  const roles = await Promise.all(nodes.map((node) => roleOf(node).catch(() => 'killed')))
  // A replica learns of it by itself.
  const others = nodes.filter((node, at) => node !== from && node !== to && roles[at] === 'master')
  await connectedTo(from, (atSource) =>
    connectedTo(to, async (atTarget) => {
      const chosen = typeof slots === 'number' ? (await slotsOf(from, atSource)).slice(0, slots) : slots
      for (const slot of chosen.map(String)) {
        await atTarget('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
        await atSource('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
        await moveKeys(slot, atSource, to)
        const moved = ['CLUSTER', 'SETSLOT', slot, 'NODE', to.id]
        // Its new master first: a slot is never without one.
        await atTarget(...moved)
        await atSource(...moved)
        for (const node of others) await ask(node, ...moved)
      }
    }),
  )
}

async function moveKeys(slot: string, atSource: Send, to: RedisClusterNode): Promise<void> {
  for (;;) {
    const keys = (await atSource('CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[]
    if (keys.length === 0) return
    const target = ['127.0.0.1', `${to.port}`, '', '0', '30000', 'AUTH', to.password]
    await atSource('MIGRATE', ...target, 'KEYS', ...keys)
  }
}

async function slotsOf({ id }: RedisClusterNode, send: Send): Promise<number[]> {
  const own = (await nodesKnownTo(send)).find(([each]) => each === id)!.slice(8)
  return own
    .filter((range) => !range.startsWith('['))
    .flatMap((range) => {
      const [begin, end = begin] = range.split('-').map(Number)
      return Array.from({ length: end! - begin! + 1 }, (_, index) => begin! + index)
    })
}
