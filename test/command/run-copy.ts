import { type CommandRun, startCommand } from './run-command.ts'

/** @param url the database of DATABASE_URL; `undefined`: the variable is not set */
export function startCopy(url: string | undefined, ...parameters: string[]): CommandRun {
  return startCommand(['copy', ...parameters], url === undefined ? {} : { DATABASE_URL: url })
}

/**
 * What is wrong with the copy, counted in the database itself: live sessions of the old table that the new one lacks or
 * holds with other data, and sessions of the new one that the old one has not.
 */
export const differences = `
  SELECT
    (SELECT COUNT(*) FROM sessions s LEFT JOIN coatcheck_sessions c ON c.id = ID_OF
      WHERE s.expires > UNIX_TIMESTAMP() AND c.id IS NULL) AS lost,
    (SELECT COUNT(*) FROM sessions s JOIN coatcheck_sessions c ON c.id = ID_OF
      WHERE s.expires > UNIX_TIMESTAMP() AND CONVERT(c.data USING utf8mb4) <> s.data) AS other,
    (SELECT COUNT(*) FROM coatcheck_sessions) - (SELECT COUNT(*) FROM sessions s JOIN coatcheck_sessions c
      ON c.id = ID_OF) AS surplus,
    (SELECT COUNT(*) - COUNT(DISTINCT secret_hash) FROM coatcheck_sessions) AS doubled
`.replaceAll('ID_OF', "UNHEX(LEFT(SHA2(CONCAT('coatcheck id of ', s.session_id), 256), 24))")
