import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { unpackDebianPackage } from './debian-packages.ts'
import { freePort } from './ports.ts'
import { findProgram, type Program, installDebianPackages } from './programs.ts'
import { accountOf, ServerFolder } from './server-process.ts'

const run = promisify(execFile)

/** A PgBouncer of this test run's own, before one database. */
export interface Pooler {
  /** The URL of the database through it. */
  readonly url: string
  /** Such as `'1.18.0'`. */
  readonly version: string
  stop(): Promise<void>
}

/**
 * Starts PgBouncer in transaction mode.
 * @param database the `postgres://` URL of the database behind it
 * @param program one of another version; by default the program of this machine, or what apt-get brings
 */
export async function startPgBouncer(database: string, program?: Program): Promise<Pooler> {
  const { path, arguments: first = [] } = program ?? (await findPgBouncer())
  const { stdout } = await run(path, [...first, '--version'])
  const [, version = ''] = /PgBouncer ([\d.]+)/.exec(stdout) ?? []
  // It refuses to run as root. The packages of PostgreSQL bring a user for it.
  const account = await accountOf('postgres')
  const folder = await ServerFolder.make('pgbouncer', account)
  const { username, password, hostname, port: serverPort, pathname } = new URL(database)
  const name = pathname.slice(1)
  const port = await freePort()
  const own = randomBytes(12).toString('hex')
  const settings = `
[databases]
${name} = host=${hostname} port=${serverPort} dbname=${name} user=${username} password=${password} pool_size=3
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(folder.path, 'users')}
pool_mode = transaction
`
  await writeFile(join(folder.path, 'users'), `"app" "${own}"\n`)
  await writeFile(join(folder.path, 'pgbouncer.ini'), settings)
  const url = `postgres://app:${own}@127.0.0.1:${port}/${name}`
  try {
    // It takes that user itself: its program may lie where only root can read.
    const user = account ? ['--user=postgres'] : []
    await folder.start(path, [...first, ...user, join(folder.path, 'pgbouncer.ini')], () => ask(url))
  } catch (error) {
    await folder.remove('SIGKILL')
    throw error
  }
  return { url, version, stop: () => folder.remove('SIGKILL') }
}

/** The PgBouncer of this machine, or what apt-get brings; with `COATCHECK_PGBOUNCER=newest` that of Debian's `sid`. */
async function findPgBouncer(): Promise<Program> {
  if (process.env['COATCHECK_PGBOUNCER'] === 'newest') return newestPgBouncer()
  const path =
    (await findProgram('pgbouncer')) ??
    ((await installDebianPackages('pgbouncer')) ? await findProgram('pgbouncer') : undefined)
  if (path !== undefined) return { path }
  throw new Error(
    'These tests need PgBouncer: install it (Debian: apt-get install pgbouncer), and run them again.',
  )
}

/** A PgBouncer that keeps the prepared statements of its clients: the one of this Debian is older than 1.21. */
async function newestPgBouncer(): Promise<Program> {
  const unpacked = await unpackDebianPackage({
    title: 'PgBouncer',
    name: 'pgbouncer',
    triedVersion: '1.26.1-1',
  })
  return unpacked.program('usr/sbin/pgbouncer')
}

async function ask(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('SELECT 1')
  await client.end()
}
