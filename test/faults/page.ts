import { join } from 'node:path'
import { faultyDatabases } from './databases/by-name.ts'
import type { FaultyDatabase } from './databases/faulty-database.ts'

/** Where it is written down what came of the faults. */
export const page = join(import.meta.dirname, '../../docs/faults.md')

/** Those whose outcomes are on the page. */
export const databasesOfPage = faultyDatabases.filter(({ name }) => name !== 'MySQL')

/** The lines between which the outcomes on one of them are. */
export function marksOf({ name }: FaultyDatabase): { readonly begin: string; readonly end: string } {
  const command = `npm run test:long -- faults${name === 'MariaDB' ? '' : ` --database ${name.toLowerCase()}`}`
  return { begin: `<!-- measured by ${command} -->`, end: '<!-- end of what was measured -->' }
}
