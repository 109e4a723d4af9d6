import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection, type Connection } from 'mysql2/promise'
import { startContainer } from './container.ts'
import { freePort } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'

const run = promisify(execFile)

/** A MariaDB of this test run's own. */
export interface DatabaseServer {
  /** `mysql://user:password@127.0.0.1:port` of a user who may do everything; no database in it. */
  readonly url: string
  /** The server's process; `undefined` if it runs in a container. */
  readonly pid?: number | undefined
  /** Kills it as a failing machine would (SIGKILL), and waits until it is gone. Not in a container. */
  crash?(): Promise<void>
  /** Starts it again after `crash`, on the same data and port, and waits until it answers. */
  restart?(): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a private MariaDB, with the server's own defaults for durability: the program of this
 * machine, or what apt-get brings, or a container.
 *
 * @param options more of the server's own, such as `--innodb-buffer-pool-size=1G`; a container goes without
 * @param parent where the folder of its data is made; a container goes without
 */
export async function startMariaDB(
  options: readonly string[] = [],
  parent: string = tmpdir(),
): Promise<DatabaseServer> {
  const programs = (await findServer()) ?? (await installServer())
  const server =
    programs === undefined ? await startContainer() : await startProgram(programs, options, parent)
  if (server !== undefined) return server
  throw new Error(
    'The tests need a MariaDB: install mariadbd and mariadb-install-db (Debian: apt-get install ' +
      'mariadb-server-core mariadb-client-core), or start Docker, and run them again.',
  )
}

interface Programs {
  readonly server: string
  readonly installer: string
}

export async function findServer(): Promise<Programs | undefined> {
  const server = await findProgram('mariadbd')
  const installer = await findProgram('mariadb-install-db')
  return server !== undefined && installer !== undefined ? { server, installer } : undefined
}

export async function installServer(): Promise<Programs | undefined> {
  // The "core" packages are the programs alone: no system service starts.
  const installed = await installDebianPackages('mariadb-server-core', 'mariadb-client-core')
  return installed ? findServer() : undefined
}

async function startProgram(
  { server, installer }: Programs,
  options: readonly string[],
  parent: string,
): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(parent, 'coatcheck-mariadb-'))
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true })
  let child: ChildProcess | undefined
  // Ctrl-C and process.exit() give no time to await anything.
  const abandon = (): void => {
    child?.kill('SIGKILL')
    removeFolder()
  }
  process.once('exit', abandon)
  try {
    const account = await ownAccount(folder)
    const data = join(folder, 'data')
    const install = [
      '--no-defaults',
      `--datadir=${data}`,
      // A server that starts removes what it takes for leftovers there: also those of another one.
      `--tmpdir=${folder}`,
      '--skip-test-db',
      '--auth-root-authentication-method=normal',
      ...account,
    ]
    // A server that starts clears away what others have in a folder for temporary files that they share.
    const env = { ...process.env, TMPDIR: folder }
    await run(installer, install, { cwd: folder, env })
    const port = await freePort()
    const socketPath = join(folder, 'socket')
    const launch = async (ready: (root: Connection) => Promise<unknown>): Promise<void> => {
      child = spawn(
        server,
        [
          '--no-defaults',
          `--datadir=${data}`,
          `--socket=${socketPath}`,
          `--pid-file=${join(folder, 'pid')}`,
          '--bind-address=127.0.0.1',
          `--port=${port}`,
          '--skip-name-resolve',
          ...account,
          ...options,
        ],
        { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] },
      )
      await whenItAnswers(socketPath, child, collectLog(child), ready)
    }
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    }
    const password = randomBytes(12).toString('hex')
    // The one user that the tests are.
    await launch(async (root) => {
      await root.query(`CREATE USER coatcheck@'127.0.0.1' IDENTIFIED BY '${password}'`)
      await root.query(`GRANT ALL ON *.* TO coatcheck@'127.0.0.1' WITH GRANT OPTION`)
    })
    return {
      url: `mysql://coatcheck:${password}@127.0.0.1:${port}`,
      get pid() {
        return child?.pid
      },
      crash: () => end('SIGKILL'),
      restart: () => launch((root) => root.ping()),
      async stop() {
        process.off('exit', abandon)
        await end('SIGTERM')
        removeFolder()
      },
    }
  } catch (error) {
    process.off('exit', abandon)
    abandon()
    throw error
  }
}

/** mariadbd refuses to run as root unless told so; where there is a user for it, the data folder is that one's. */
export async function ownAccount(folder: string): Promise<string[]> {
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

export function collectLog(child: ChildProcess): () => string {
  const lines: string[] = []
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lines.push(text)
    if (lines.length > 200) lines.shift()
  })
  return () => lines.join('')
}

/** Waits until the server answers, and has done what `ready` asks of it. */
async function whenItAnswers(
  socketPath: string,
  child: ChildProcess,
  log: () => string,
  ready: (root: Connection) => Promise<unknown>,
): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`The MariaDB for the tests ended as it started. Its log:\n${log()}`)
    }
    try {
      const connection = await createConnection({ socketPath, user: 'root' })
      try {
        await ready(connection)
      } finally {
        await connection.end()
      }
      return
    } catch (error) {
      if (Date.now() > deadline) {
        throw new Error(`The MariaDB for the tests does not answer. Its log:\n${log()}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
