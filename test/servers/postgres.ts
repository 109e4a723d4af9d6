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
  /** A folder with the programs `initdb` and `postgres` of another version. */
  readonly programs?: string
}

/** A server that can be killed, and started again on its data. */
export type PostgresServer = DatabaseServer & Required<Pick<DatabaseServer, 'crash' | 'restart'>>

/** Starts a private PostgreSQL with an empty database: the programs of this machine, or what apt-get brings. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = options.programs
    ? { installer: join(options.programs, 'initdb'), server: join(options.programs, 'postgres') }
    : ((await findPrograms()) ?? (await installPrograms()))
  if (programs === undefined) {
    throw new Error(
      'These tests need a PostgreSQL: install it with initdb (Debian: apt-get install postgresql), and run them again.',
    )
  }
  // The server refuses to run as root. Its packages bring a user for it.
  const account = await accountOf('postgres')
  const folder = await ServerFolder.make('postgres', account, options.parent)
  try {
    const port = await freePort()
    const password = randomBytes(12).toString('hex')
    const passwordFile = join(folder.path, 'password')
    await writeFile(passwordFile, password, { mode: 0o644 })
    const data = join(folder.path, 'data')
    const install = ['--pgdata', data, '--username=coatcheck', `--pwfile=${passwordFile}`]
    const access = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale']
    await run(programs.installer, [...install, ...access], { cwd: folder.path, ...account })
    const url = `postgres://coatcheck:${password}@127.0.0.1:${port}/postgres`
    const commandLine = [
      '-D', data, '-h', '127.0.0.1', '-p', `${port}`, '-k', '', '-c', 'max_connections=300',
      ...(options.tls ? await tlsSettings(options.tls, folder.path, account) : []),
      ...(options.settings ?? []),
    ] // prettier-ignore
    const start = () => folder.start(programs.server, commandLine, () => ask(url), account)
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

interface Programs {
  readonly server: string
  readonly installer: string
}

async function findPrograms(): Promise<Programs | undefined> {
  const installer = (await findInDebianFolder()) ?? (await findProgram('initdb'))
  // Of one version, so beside it, where a link to it leads.
  return installer === undefined
    ? undefined
    : { installer, server: join(dirname(await realpath(installer)), 'postgres') }
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

async function installPrograms(): Promise<Programs | undefined> {
  if (!(await installDebianPackages('postgresql'))) return undefined
  // The package starts a service, where services run at all. Nobody asked for that one.
  await run('service', ['postgresql', 'stop']).catch(() => undefined)
  return findPrograms()
}

async function ask(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  await client.end()
}
