import { startMariaDB } from './mariadb.ts'
import { startMySQL } from './mysql.ts'
import type { DatabaseServer } from './server-process.ts'

const starters = new Map([
  ['mariadb', startMariaDB],
  ['mysql', startMySQL],
])

/**
 * Starts the server that a script is told by `--database`.
 * @throws Error if there is none of that name, or it does not run here
 */
export async function startDatabase(name: string): Promise<DatabaseServer> {
  const start = starters.get(name)
  if (start) return start()
  throw new Error(`--database is one of ${[...starters.keys()].join(', ')}, not ${name}.`)
}
