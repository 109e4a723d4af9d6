import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { ask } from './redis-cluster.ts'
import { findRedis, type RedisServer, startRedis } from './redis.ts'
import { ServerFolder } from './server-process.ts'

/** A primary, a replica, and three sentinels that let the replica take over. */
export interface RedisSentinels {
  /** How the sentinels call the primary. */
  readonly name: string
  readonly password: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  readonly primary: RedisServer
  readonly replica: RedisServer
  stop(): Promise<void>
}

export async function startSentinels(settings: readonly string[] = []): Promise<RedisSentinels> {
  const password = randomBytes(12).toString('hex')
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(stops.splice(0).map((each) => each()))
  }
  try {
    const primary = await startRedis({ password, settings })
    stops.push(() => primary.stop())
    const of = ['--replicaof', '127.0.0.1', `${primary.port}`]
    const replica = await startRedis({ password, settings: [...settings, ...of] })
    stops.push(() => replica.stop())
    const program = await findRedis()
    const sentinels = []
    for (let count = 0; count < 3; count++) {
      const folder = await ServerFolder.make('sentinel')
      stops.push(() => folder.remove('SIGKILL'))
      const port = await freePort()
      const file = join(folder.path, 'sentinel.conf')
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder.path}`,
        `sentinel monitor shop 127.0.0.1 ${primary.port} 2`,
        `sentinel auth-pass shop ${password}`,
        'sentinel down-after-milliseconds shop 1000',
        'sentinel failover-timeout shop 3000',
      ]
      await writeFile(file, `${lines.join('\n')}\n`)
      const url = `redis://127.0.0.1:${port}`
      const asked = async (): Promise<void> => {
        const replicas = (await ask({ url }, 'SENTINEL', 'REPLICAS', 'shop')) as unknown[]
        if (replicas.length === 0) throw new Error('It does not know the replica yet.')
      }
      await folder.start(program.path, [file, '--sentinel'], asked, undefined, 'redis-sentinel')
      sentinels.push({ host: '127.0.0.1', port })
    }
    return { name: 'shop', password, sentinels, primary, replica, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
