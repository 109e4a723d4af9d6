import { optionError } from '../../core/errors.js'

/** The mysql2 package, as `import * as mysql from 'mysql2'` gives it. */
type Driver = typeof import('mysql2')

/**
 * The mysql2 driver, an optional package: who brings a pool or only asks for help needs none. Bundlers see the `require` and take the
 * driver in.
 * @throws ERR_SESSION_OPTION if it is not installed.
 */
export function driver(): Driver {
  try {
    return require('mysql2') as Driver
  } catch (error) {
    if (!isMissing(error)) throw error
    throw optionError(
      'Sessions in MySQL need the driver mysql2, and it is not installed. Install it with "npm install mysql2".',
    )
  }
}

/** Whether it is mysql2 that was not found, and not something that it needs. Yarn's words are others. */
function isMissing(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'MODULE_NOT_FOUND' && /^Cannot find module 'mysql2'|tried to access mysql2/.test(message)
}
