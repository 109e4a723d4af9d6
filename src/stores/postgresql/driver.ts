import { optionError } from '../../core/errors.js'

/** The pg package, as `import * as pg from 'pg'` gives it. */
type Driver = typeof import('pg')

/**
 * The pg driver, an optional package: who brings a pool needs none of ours. Bundlers see the `require` and take the
 * driver in.
 * @throws ERR_SESSION_OPTION if it is not installed.
 */
export function driver(): Driver {
  try {
    return require('pg') as Driver
  } catch (error) {
    if (!isMissing(error)) throw error
    throw optionError(
      'Sessions in PostgreSQL need the driver pg, and it is not installed. Install it with "npm install pg".',
    )
  }
}

/** Whether it is pg that was not found, and not something that it needs. Yarn's words are others. */
function isMissing(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'MODULE_NOT_FOUND' && /^Cannot find module 'pg'|tried to access pg(?![\w-])/.test(message)
}
