import type { FaultyDatabase } from './faulty-database.ts'
import { mariadb, mysql } from './mysql.ts'
import { postgresql } from './postgresql.ts'

export const faultyDatabases: readonly FaultyDatabase[] = [mariadb, mysql, postgresql]

/** The one that a script is told by `--database`. */
export function faultyDatabase(name: string): FaultyDatabase {
  const found = faultyDatabases.find((database) => database.name.toLowerCase() === name.toLowerCase())
  if (found) return found
  const names = faultyDatabases.map((database) => database.name.toLowerCase())
  throw new Error(`--database is one of ${names.join(', ')}, not ${name}.`)
}
