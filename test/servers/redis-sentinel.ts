import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import type { Program } from './programs.ts'
import { ask } from './redis-commands.ts'
import { findRedis } from './redis-programs.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'
import { ServerFolder, startAll } from './server-process.ts'
import { until } from './until.ts'

/** How the sentinels call the primary. */
const name = 'shop'
const sentinelCount = 3
/** By default sentinels talk to each other every two seconds, and to the servers every ten. Milliseconds. */
const talkative = ['PUBLISH-PERIOD', '250', 'INFO-PERIOD', '500']

export interface RedisSentinelOptions extends Pick<RedisOptions, 'settings' | 'persistence' | 'program'> {
  readonly replicas?: number
  /** Milliseconds after which a silent server counts as failing. */
  readonly downAfter?: number
}

/** A primary, its replicas, and three sentinels, two of which must agree that a replica takes over. */
export interface RedisSentinels {
  readonly name: string
  /** Of the servers. The sentinels ask for none. */
  readonly password: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** The one that is the primary as it starts. */
  readonly primary: RedisServer
  readonly replicas: readonly RedisServer[]
  stop(): Promise<void>
}

export async function startSentinels(options: RedisSentinelOptions = {}): Promise<RedisSentinels> {
  const { replicas: replicaCount = 1, downAfter = 1_000 } = options
  const password = randomBytes(12).toString('hex')
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(stops.splice(0).map((each) => each()))
  }
  try {
    const primary = await startRedis({ ...options, password })
    stops.push(primary.stop)
    const replicas = await startAll(
      Array.from({ length: replicaCount }, () =>
        startRedis({ ...options, password, replicaOf: primary.port }),
      ),
    )
    stops.push(...replicas.map((replica) => replica.stop))
    for (const replica of replicas)
      await until('a replica has copied the primary', async () => {
        const [, , , link] = (await ask(replica, 'ROLE')) as string[]
        return link === 'connected'
      })
    const program = options.program ?? (await findRedis())
    const watched = [
      `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
      `sentinel auth-pass ${name} ${password}`,
      `sentinel down-after-milliseconds ${name} ${downAfter}`,
      `sentinel failover-timeout ${name} 3000`,
    ]
    const sentinels = await startAll(
      Array.from({ length: sentinelCount }, () => startSentinel(program, watched)),
    )
    stops.push(...sentinels.map((sentinel) => sentinel.stop))
    for (const sentinel of sentinels)
      await until('a sentinel knows the others and the replicas', () => knowsAll(sentinel, replicaCount))
    const addresses = sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
    return { name, password, sentinels: addresses, primary, replicas, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Sentinel {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

/** @param watched the lines of its configuration that name the primary. It rewrites them as it learns more. */
async function startSentinel(program: Program, watched: readonly string[]): Promise<Sentinel> {
  const folder = await ServerFolder.make('sentinel')
  try {
    const port = await freePort()
    const file = join(folder.path, 'sentinel.conf')
    const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder.path}`, ...watched]
    await writeFile(file, `${lines.join('\n')}\n`)
    const url = `redis://127.0.0.1:${port}`
    const commandLine = [...(program.arguments ?? []), file, '--sentinel']
    await folder.start(program.path, commandLine, () => ask({ url }, 'PING'), undefined, 'redis-server')
    await ask({ url }, 'SENTINEL', 'DEBUG', ...talkative)
    return { url, port, stop: () => folder.remove('SIGKILL') }
  } catch (error) {
    await folder.remove('SIGKILL')
    throw error
  }
}

async function knowsAll(sentinel: Sentinel, replicas: number): Promise<boolean> {
  const fields = (await ask(sentinel, 'SENTINEL', 'MASTER', name)) as string[]
  const field = (wanted: string): string | undefined => fields[fields.indexOf(wanted) + 1]
  return (
    field('flags') === 'master' &&
    field('num-slaves') === `${replicas}` &&
    field('num-other-sentinels') === `${sentinelCount - 1}`
  )
}
