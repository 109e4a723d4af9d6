import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { accountOf, type DatabaseServer, ServerFolder } from './server-process.ts'

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

/**
 * Starts a private PostgreSQL with an empty database: the programs of this machine, or what apt-get brings.
 * @param settings more of its command line
 */
export async function startPostgres(settings: readonly string[] = []): Promise<DatabaseServer> {
  const programs = (await findPrograms()) ?? (await installPrograms())
  if (programs === undefined) {
    throw new Error(
      'These tests need a PostgreSQL: install it with initdb (Debian: apt-get install postgresql), and run them again.',
    )
  }
  // The server refuses to run as root. Its packages bring a user for it.
  const account = await accountOf('postgres')
  const folder = await ServerFolder.make('postgres', account)
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
    const options = [
      '-D',
      data,
      '-h',
      '127.0.0.1',
      '-p',
      `${port}`,
      '-k',
      '',
      '-c',
      'max_connections=300',
      ...settings,
    ]
    await folder.start(programs.server, options, () => ask(url), account)
    // SIGTERM would wait for clients.
    return { url, pid: folder.pid, stop: () => folder.remove('SIGINT') }
  } catch (error) {
    await folder.remove()
    throw error
  }
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
