import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { freePort } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { type DatabaseServer, ServerFolder } from './server-process.ts'

/** A program that is a Redis or a Valkey, with the arguments that come before all others. */
export interface RedisProgram {
  readonly path: string
  readonly arguments?: readonly string[]
}

export interface RedisOptions {
  /** More of its command line. */
  readonly settings?: readonly string[]
  /** The paths of the certificate and the key by which it offers TLS, and nothing else. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly ca: string }
  /** What reaches the disk: nothing; or what Debian's redis.conf says; or each write, as the docs advise. */
  readonly persistence?: 'none' | 'default' | 'each write' | 'each second'
  readonly password?: string
  readonly port?: number
  readonly program?: RedisProgram
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
    const { tls } = options
    const listening = tls
      ? ['--port', '0', '--tls-port', `${port}`, '--tls-cert-file', tls.certificate, '--tls-key-file', tls.key,
         '--tls-ca-cert-file', tls.ca, '--tls-auth-clients', 'no'] // prettier-ignore
      : ['--port', `${port}`]
    const commandLine = [
      ...(program.arguments ?? []), '--bind', '127.0.0.1', ...listening, '--requirepass', password,
      '--masterauth', password, '--dir', folder.path, '--repl-diskless-sync-delay', '0',
      '--enable-debug-command', 'yes',
      ...persistence[options.persistence ?? 'none'], ...(options.settings ?? []),
    ] // prettier-ignore
    const url = `${tls ? 'rediss' : 'redis'}://:${password}@127.0.0.1:${port}`
    const start = (): Promise<void> =>
      folder.start(program.path, commandLine, () => ask(url), undefined, 'redis-server')
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
      stop: () => folder.remove('SIGKILL'),
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

/** Debian's package redis-server would start a service. The same program is in redis-tools, by another name. */
export async function findRedis(): Promise<RedisProgram> {
  const path =
    (await findProgram('redis-server')) ??
    ((await installDebianPackages('redis-tools')) ? await findProgram('redis-check-rdb') : undefined)
  if (path !== undefined) return { path }
  throw new Error(
    'These tests need a Redis: install redis-server (Debian: apt-get install redis-server), and run them again.',
  )
}

async function ask(url: string): Promise<void> {
  const client = createClient({
    url,
    socket: { reconnectStrategy: false, ...(url.startsWith('rediss') && { rejectUnauthorized: false }) },
  })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  try {
    await client.ping()
  } finally {
    client.destroy()
  }
}
