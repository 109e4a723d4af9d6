import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ownProcess } from '../servers/owned.ts'

/** `coatcheck copy` in a process of its own, as it is installed. */
export interface CopyRun {
  readonly child: ChildProcess
  readonly ended: Promise<CopyEnd>
}

export interface CopyEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export function startCopy(url: string | undefined, ...parameters: string[]): CopyRun {
  const program = join(import.meta.dirname, '../../dist/command/coatcheck.js')
  const { DATABASE_URL: _, ...env } = process.env
  const child = ownProcess(
    spawn(process.execPath, [program, 'copy', ...parameters], {
      env: { ...env, ...(url !== undefined && { DATABASE_URL: url }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code, signal]): CopyEnd => {
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr }
  })
  return { child, ended }
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
