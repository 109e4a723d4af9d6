import type { TestProject } from 'vitest/node'
import { startMariaDB } from './mariadb.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `mysql://…` of the one MariaDB of this run, without a database. `freshDatabase()` makes one on it. */
    mariadb: string
  }
}

/** Starts what all test files share; Vitest calls the returned function when the run is over. */
export default async function setup(project: Pick<TestProject, 'provide'>): Promise<() => Promise<void>> {
  // Of a script that runs the tests many times, and lends them its own.
  const lent = process.env['COATCHECK_MARIADB']
  if (lent !== undefined) {
    project.provide('mariadb', lent)
    return async () => undefined
  }
  const mariadb = await startMariaDB()
  project.provide('mariadb', mariadb.url)
  return () => mariadb.stop()
}
