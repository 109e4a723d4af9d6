import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, copyFile, readdir, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from './ports.ts'
import { descendantsOf } from './process-table.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { type Account, accountOf, type DatabaseServer, ServerFolder } from './server-process.ts'

const run = promisify(execFile)

/** Settings for tests that do not kill the server: what it writes reaches the disk when the system likes. */
export const leaveDiskToPostgres = [
  '-c',
  'fsync=off',
  '-c',
  'synchronous_commit=off',
  '-c',
  'full_page_writes=off',
]

export interface PostgresOptions {
  /** More of its command line. */
  readonly settings?: readonly string[]
  /** The paths of the certificate and the key by which it offers TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** Where the folder of its data is made. */
  readonly parent?: string
  /** A folder with the programs of another version. */
  readonly programs?: string
}

/** A server that can be killed, and started again on its data. */
export interface PostgresServer extends DatabaseServer {
  crash(): Promise<void>
  restart(): Promise<void>
  /** Starts another one that follows it by streaming replication, and serves reads. */
  startStandby(): Promise<PostgresStandby>
}

export interface PostgresStandby extends Omit<PostgresServer, 'startStandby'> {
  /** Makes it a primary. Resolves when it takes changes. */
  promote(): Promise<void>
}

/** Starts a private PostgreSQL with an empty database: the programs of this machine, or what apt-get brings. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = options.programs ?? (await findPrograms()) ?? (await installPrograms())
  if (programs === undefined) {
    throw new Error(
      'These tests need a PostgreSQL: install it with initdb (Debian: apt-get install postgresql), and run them again.',
    )
  }
  // The server refuses to run as root. Its packages bring a user for it.
  const account = await accountOf('postgres')
  const password = randomBytes(12).toString('hex')
  const server = await startIn({ programs, account, password }, options, async (folder, data) => {
    const passwordFile = join(folder.path, 'password')
    await writeFile(passwordFile, password, { mode: 0o644 })
    const install = ['--pgdata', data, '--username=coatcheck', `--pwfile=${passwordFile}`]
    const access = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale']
    await run(join(programs, 'initdb'), [...install, ...access], { cwd: folder.path, ...account })
  })
  return Object.assign(server, {
    async startStandby() {
      const standby = await startIn({ programs, account, password }, options, async (folder, data) => {
        const copy = ['--pgdata', data, '--dbname', server.url, '--write-recovery-conf', '--checkpoint=fast']
        await run(join(programs, 'pg_basebackup'), copy, { cwd: folder.path, ...account })
      })
      return Object.assign(standby, { promote: () => ask(standby.url, 'SELECT pg_promote()') })
    },
  })
}

/** What one server and those that follow it have in common. */
interface Installation {
  /** The folder of its programs. */
  readonly programs: string
  readonly account: Account | undefined
  readonly password: string
}

/** Starts a server on what `fill` puts into the folder of its data. */
async function startIn(
  { programs, account, password }: Installation,
  { parent, tls, settings = [] }: PostgresOptions,
  fill: (folder: ServerFolder, data: string) => Promise<void>,
): Promise<Omit<PostgresServer, 'startStandby'>> {
  const folder = await ServerFolder.make('postgres', account, parent)
  try {
    const data = join(folder.path, 'data')
    await fill(folder, data)
    const port = await freePort()
    const url = `postgres://coatcheck:${password}@127.0.0.1:${port}/postgres`
    const commandLine = [
      '-D', data, '-h', '127.0.0.1', '-p', `${port}`, '-k', '', '-c', 'max_connections=300',
      ...(tls ? await tlsSettings(tls, folder.path, account) : []),
      ...settings,
    ] // prettier-ignore
    const start = () => folder.start(join(programs, 'postgres'), commandLine, () => ask(url), account)
    await start()
    return {
      url,
      get pid() {
        return folder.pid
      },
      crash: () => killAll(folder),
      restart: () => startAgain(start),
      // SIGTERM would wait for clients.
      stop: () => folder.remove('SIGINT'),
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

/** All of its processes, as where the machine or a container fails. */
async function killAll(folder: ServerFolder): Promise<void> {
  const others = descendantsOf(folder.pid!)
  await folder.end('SIGKILL')
  for (const pid of others) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has noticed, and ended by itself.
    }
  }
}

/** Processes of a server that was killed end a moment later, and until then it does not start again. */
async function startAgain(start: () => Promise<void>): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      return await start()
    } catch (error) {
      if (tried === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The server takes a key only if nobody but its own user can read it. */
async function tlsSettings(
  { certificate, key }: NonNullable<PostgresOptions['tls']>,
  folder: string,
  account: Account | undefined,
): Promise<string[]> {
  const own = join(folder, 'key.pem')
  await copyFile(key, own)
  await chmod(own, 0o600)
  if (account) await chown(own, account.uid, account.gid)
  return ['-c', 'ssl=on', '-c', `ssl_cert_file=${certificate}`, '-c', `ssl_key_file=${own}`]
}

/** The folder of the programs of a PostgreSQL that is installed here, with initdb. */
async function findPrograms(): Promise<string | undefined> {
  const installer = (await findInDebianFolder()) ?? (await findProgram('initdb'))
  // The others are beside it, where a link to it leads.
  return installer === undefined ? undefined : dirname(await realpath(installer))
}

/** Debian keeps each version's programs in a folder of their own, off the PATH. */
async function findInDebianFolder(): Promise<string | undefined> {
  const root = '/usr/lib/postgresql'
  for (const version of await readdir(root).catch(() => [])) {
    const folder = join(root, version, 'bin')
    // The client's package alone has a folder there too.
    if ((await readdir(folder).catch((): string[] => [])).includes('initdb')) return join(folder, 'initdb')
  }
  return undefined
}

async function installPrograms(): Promise<string | undefined> {
  if (!(await installDebianPackages('postgresql'))) return undefined
  // The package starts a service, where services run at all. Nobody asked for that one.
  await run('service', ['postgresql', 'stop']).catch(() => undefined)
  return findPrograms()
}

async function ask(url: string, query = 'SELECT 1'): Promise<void> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  try {
    await client.query(query)
  } finally {
    await client.end()
  }
}
