import { tmpdir } from 'node:os'
import { startContainer } from './container.ts'
import { serverAccount, startMySQLServer } from './mysql-server.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import type { DatabaseServer } from './server-process.ts'

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
    programs === undefined
      ? await startContainer()
      : await startMySQLServer(asProgram(programs), options, parent)
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

function asProgram({ server, installer }: Programs) {
  return {
    name: 'mariadb',
    command: [server],
    installer: [installer, '--no-defaults', '--skip-test-db', '--auth-root-authentication-method=normal'],
    account: serverAccount,
    options: [],
  } as const
}
