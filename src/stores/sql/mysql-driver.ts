import { createRequire } from 'node:module'
import { optionError } from '../../core/errors.ts'

/** The mysql2 package, as `import * as mysql from 'mysql2'` gives it. */
type Driver = typeof import('mysql2')

const require = createRequire(import.meta.url)

/**
 * The mysql2 driver, an optional package: who brings a pool or only asks for help needs none.
 * @throws ERR_SESSION_OPTION if it is not installed
 */
export function driver(): Driver {
  try {
    require.resolve('mysql2')
  } catch {
    throw optionError(
      'Sessions in MySQL need the driver mysql2, and it is not installed. Install it with "npm install mysql2".',
    )
  }
  return require('mysql2') as Driver
}
