import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { unpackDebianPackage } from './debian-packages.ts'
import { type MySQLProgram, serverAccount, startMySQLServer } from './mysql-server.ts'
import { findProgram, lastLine } from './programs.ts'
import type { DatabaseServer } from './server-process.ts'

const run = promisify(execFile)

/**
 * Starts a private MySQL as it is installed: the `mysqld` of this machine, or what Debian's packages bring.
 *
 * @param options more of the server's own, such as `--innodb-buffer-pool-size=1G`
 * @param parent where the folder of its data is made
 * @throws Error with one line that says why none runs here
 */
export async function startMySQL(
  options: readonly string[] = [],
  parent: string = tmpdir(),
): Promise<DatabaseServer> {
  const reasons: string[] = []
  for (const find of [installedProgram, unpackedProgram]) {
    try {
      return await startMySQLServer(await find(), options, parent)
    } catch (error) {
      reasons.push(lastLine(error))
    }
  }
  throw new Error(`No MySQL runs here: ${reasons.join('; ')}`)
}

async function installedProgram(): Promise<MySQLProgram> {
  const server = await findProgram('mysqld')
  // MariaDB calls itself so too.
  if (
    server === undefined ||
    (await run(server, ['--no-defaults', '--version'])).stdout.includes('MariaDB')
  ) {
    throw new Error('there is no mysqld on the PATH')
  }
  return asProgram([server], [], serverAccount)
}

/** Older Debians have none. */
async function unpackedProgram(): Promise<MySQLProgram> {
  const unpacked = await unpackDebianPackage({
    title: 'MySQL',
    name: 'mysql-server-core',
    triedVersion: '9.7.4-2',
  })
  const { path, arguments: first } = unpacked.program('usr/sbin/mysqld')
  // The folder may be one that only this account can read.
  const account = async () => (process.getuid?.() === 0 ? ['--user=root'] : [])
  return asProgram([path, ...first], [`--lc-messages-dir=${unpacked.folder}/usr/share/mysql`], account)
}

function asProgram(
  command: readonly [string, ...string[]],
  own: readonly string[],
  account: MySQLProgram['account'],
): MySQLProgram {
  // The folder that is compiled in is not there.
  const options = ['--secure-file-priv=', ...own]
  return {
    name: 'mysql',
    command,
    installer: [...command, '--no-defaults', '--initialize-insecure', ...options],
    account,
    options: ['--mysqlx=OFF', ...options],
  }
}
