import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import type { Program } from './programs.ts'
import { ask } from './redis-commands.ts'
import { findRedis } from './redis-programs.ts'
import { type DatabaseServer, ServerFolder } from './server-process.ts'

export interface RedisOptions {
  /** More of its command line. */
  readonly settings?: readonly string[]
  /** The paths of the certificate and the key by which it offers TLS, and nothing else. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** What reaches the disk: nothing; or what Debian's redis.conf says; or each write, as the docs advise. */
  readonly persistence?: 'none' | 'default' | 'each write' | 'each second'
  readonly password?: string
  readonly port?: number
  /** The port of the server that it is a replica of, until a sentinel makes it another's. */
  readonly replicaOf?: number
  /** A server of another version; by default the Redis of this machine. */
  readonly program?: Program
}

/** A server that can be killed, and started again on its data. */
export type RedisServer = DatabaseServer &
  Required<Pick<DatabaseServer, 'crash' | 'restart'>> & {
    readonly port: number
    readonly password: string
  }

const persistence = {
  none: ['--save', ''],
  default: ['--save', '3600 1 300 100 60 10000'],
  'each write': ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
  'each second': ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
}

/** Starts a private Redis, empty and in memory: the program of this machine, or what apt-get brings. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const program = options.program ?? (await findRedis())
  const folder = await ServerFolder.make('redis')
  try {
    const port = options.port ?? (await freePort())
    const password = options.password ?? randomBytes(12).toString('hex')
    const { tls, replicaOf } = options
    // Sentinels have the server write down here whose replica it is now.
    const file = join(folder.path, 'redis.conf')
    await writeFile(file, replicaOf === undefined ? '' : `replicaof 127.0.0.1 ${replicaOf}\n`)
    const listening = tls
      ? ['--port', '0', '--tls-port', `${port}`, '--tls-cert-file', tls.certificate, '--tls-key-file', tls.key,
         '--tls-auth-clients', 'no'] // prettier-ignore
      : ['--port', `${port}`]
    const commandLine = [
      ...(program.arguments ?? []), file, '--bind', '127.0.0.1', ...listening, '--requirepass', password,
      '--masterauth', password, '--dir', folder.path, '--enable-debug-command', 'yes',
      '--repl-diskless-sync-delay', '0', // no waiting for more replicas
      ...persistence[options.persistence ?? 'none'], ...(options.settings ?? []),
    ] // prettier-ignore
    const url = `${tls ? 'rediss' : 'redis'}://:${password}@127.0.0.1:${port}`
    // It takes connections before it has read its data, but answers no PING then.
    const start = (): Promise<void> =>
      folder.start(program.path, commandLine, () => ask({ url }, 'PING'), undefined, 'redis-server')
    await start()
    return {
      url,
      port,
      password,
      get pid() {
        return folder.pid
      },
      crash: () => folder.end('SIGKILL'),
      restart: start,
      // SIGTERM would wait for replicas.
      stop: () => folder.remove('SIGKILL'),
    }
  } catch (error) {
    await folder.remove('SIGKILL')
    throw error
  }
}
