import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection, type Connection } from 'mysql2/promise'
import { freePort } from './ports.ts'
import { type DatabaseServer, ServerFolder } from './server-process.ts'

const run = promisify(execFile)

/** A MySQL or a MariaDB that can be started. */
export interface MySQLProgram {
  readonly name: 'mysql' | 'mariadb'
  /** The program; what else has to be on its command line, in front of the options, comes after it. */
  readonly command: readonly [string, ...string[]]
  /** The command that makes a data folder, without the options that name it. */
  readonly installer: readonly [string, ...string[]]
  /** The options that name the account to run as. Called with a folder that the account must own. */
  account(folder: string): Promise<readonly string[]>
  /** Options of this kind of server, beyond those that both have. */
  readonly options: readonly string[]
}

/**
 * For tests that do not cut the power: what is committed is with the operating system, and survives the server's own end
 * by SIGKILL, but no statement waits for the disk.
 */
export const leaveDiskToSystem = ['--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0'] as const

/**
 * Starts a private server on a free port, with the server's own defaults, and one user that the tests are.
 *
 * @param options more of the server's own, such as `--innodb-buffer-pool-size=1G`
 * @param parent where the folder of its data is made
 */
export async function startMySQLServer(
  { name, command, installer, account: ownAccount, options: own }: MySQLProgram,
  options: readonly string[],
  parent: string,
): Promise<DatabaseServer> {
  const folder = await ServerFolder.make(name, undefined, parent)
  try {
    const account = await ownAccount(folder.path)
    const data = join(folder.path, 'data')
    const socketPath = join(folder.path, 'socket')
    // A server that starts removes what it takes for leftovers in its folder for temporary files: also those of another one.
    const env = { ...process.env, TMPDIR: folder.path }
    const [install, ...installOptions] = installer
    // MySQL writes down the case of names with its first data.
    const ofData = options.filter((option) => option.startsWith('--lower-case-table-names'))
    const where = [`--datadir=${data}`, `--tmpdir=${folder.path}`, ...account]
    await run(install, [...installOptions, ...where, ...ofData], { cwd: folder.path, env })
    const port = await freePort()
    const [program, ...first] = command
    const all = [
      ...first,
      '--no-defaults',
      ...where,
      `--socket=${socketPath}`,
      `--pid-file=${join(folder.path, 'pid')}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      ...own,
      ...options,
    ]
    const launch = (ready: (root: Connection) => Promise<unknown>): Promise<void> =>
      folder.start(program, all, () => asRoot(socketPath, ready))
    const password = randomBytes(12).toString('hex')
    await launch(async (root) => {
      await root.query(`CREATE USER coatcheck@'127.0.0.1' IDENTIFIED BY '${password}'`)
      await root.query(`GRANT ALL ON *.* TO coatcheck@'127.0.0.1' WITH GRANT OPTION`)
    })
    return {
      url: `mysql://coatcheck:${password}@127.0.0.1:${port}`,
      get pid() {
        return folder.pid
      },
      crash: () => folder.end('SIGKILL'),
      restart: () => launch((root) => root.ping()),
      stop: () => folder.remove(),
    }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

/** A server refuses to run as root unless told so. Where there is a user for it, the folder becomes that one's. */
export async function serverAccount(folder: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  chmodSync(folder, 0o755)
  try {
    const [{ stdout: uid }, { stdout: gid }] = await Promise.all([
      run('id', ['-u', 'mysql']),
      run('id', ['-g', 'mysql']),
    ])
    await chown(folder, Number(uid), Number(gid))
    return ['--user=mysql']
  } catch {
    return ['--user=root']
  }
}

async function asRoot(socketPath: string, act: (root: Connection) => Promise<unknown>): Promise<void> {
  const connection = await createConnection({ socketPath, user: 'root' })
  try {
    await act(connection)
  } finally {
    await connection.end()
  }
}
