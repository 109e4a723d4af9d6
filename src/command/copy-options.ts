import { parseArgs } from 'node:util'
import { tableName } from '../stores/sql/table-name.js'
import { UsageError } from './command-error.js'
import type { OldColumns } from './copy-statements.js'

/** What `coatcheck copy` was told. */
export interface CopyOptions {
  readonly url: string
  readonly from: string
  readonly to: string
  readonly columns: OldColumns
  readonly userPath: readonly string[] | undefined
  readonly batch: number
  readonly follow: boolean
  /** Milliseconds between two passes of `--follow`. */
  readonly every: number
  readonly endAll: boolean
  readonly forget: boolean
}

export const copyHelp = `Copies the sessions of an express-mysql-session table into a table of coatcheck's own
layout, in the same database, while the apps on both are running. Nobody is signed out:
the cookies stay as they are.

  coatcheck copy --from sessions [--to coatcheck_sessions] [options]

  --from TABLE      the old table; it is only read
  --to TABLE        the new one, made if it is not there (default: coatcheck_sessions)
  --url URL         mysql://user:password@host:3306/database (default: DATABASE_URL of
                    the environment, where the list of processes does not show it)
  --user PATH       where a session's data names its user, such as passport.user, so that
                    sessions.user(id) finds it
  --columns LIST    other names of the old table's columns:
                    session_id=sid,expires=expires_at,data=payload
  --batch ROWS      rows in one transaction (default: 1000)
  --follow          go on bringing over what changes in the old table, until Ctrl-C or SIGTERM
  --every SECONDS   how long --follow rests after each pass (default: 2)
  --end-all         end sessions in the new table although most are gone from the old one
  --forget          drop the copy's ledger, once the old table is no longer used
  --help            this text

It may be stopped or killed at any moment: started again, it goes on where it was.
`

const options = {
  from: { type: 'string' },
  to: { type: 'string', default: 'coatcheck_sessions' },
  url: { type: 'string' },
  user: { type: 'string' },
  columns: { type: 'string' },
  batch: { type: 'string', default: '1000' },
  follow: { type: 'boolean', default: false },
  every: { type: 'string' },
  'end-all': { type: 'boolean', default: false },
  forget: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/**
 * Reads what follows `coatcheck copy`.
 *
 * @returns `'help'` if that was asked for
 * @throws UsageError for what is missing, unknown or malformed
 */
export function copyOptions(args: readonly string[], databaseUrl: string | undefined): CopyOptions | 'help' {
  const given = parsed(args)
  if (given.help) return 'help'
  const { from, to } = given
  if (from === undefined) throw new UsageError('Name the old table: --from sessions.')
  if (from === '' || from.length > 64 || from.includes('\0')) {
    throw new UsageError('--from must be the name of a table in the same database.')
  }
  if (to.toLowerCase() === from.toLowerCase()) {
    throw new UsageError('--from and --to name the same table; the new layout needs one of its own.')
  }
  if (given.every !== undefined && !given.follow) throw new UsageError('--every goes with --follow.')
  const url = given.url ?? databaseUrl
  if (!url) {
    throw new UsageError(
      'Name the database: set DATABASE_URL, or give --url mysql://user:password@host:3306/database.',
    )
  }
  return {
    url,
    from,
    to: newTable(to),
    columns: columnNames(given.columns),
    userPath: userPath(given.user),
    batch: number('--batch', given.batch, 1, 10_000),
    follow: given.follow,
    every: number('--every', given.every ?? '2', 0.1, 3600) * 1000,
    endAll: given['end-all'],
    forget: given.forget,
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, strict: true }).values
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // Node names the text, and that may be a URL with a password in it.
    if (code !== 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') throw new UsageError(message)
    throw new UsageError(
      'Each value comes after an option, such as --url mysql://user:password@host:3306/database.',
    )
  }
}

function newTable(name: string): string {
  try {
    return tableName(name)
  } catch (error) {
    throw new UsageError(`--to: ${(error as Error).message}`)
  }
}

function userPath(path: string | undefined): readonly string[] | undefined {
  const names = path?.split('.')
  if (names?.includes(''))
    throw new UsageError('--user must be names with dots between, as in passport.user.')
  return names
}

function columnNames(list: string | undefined): OldColumns {
  const names = { session_id: 'session_id', expires: 'expires', data: 'data' }
  for (const pair of list?.split(',') ?? []) {
    const [name, column, more] = pair.split('=').map((part) => part.trim())
    if (name === undefined || !Object.hasOwn(names, name) || !column || more !== undefined) {
      throw new UsageError(
        `--columns cannot be read at ${JSON.stringify(pair)}: write session_id=…,expires=…,data=…, of which each may be left out.`,
      )
    }
    names[name as keyof OldColumns] = column
  }
  return names
}

function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text)
  const isWhole = Number.isInteger(value) || least < 1
  if (text.trim() !== '' && isWhole && value >= least && value <= most) return value
  throw new UsageError(`${option} must be a number from ${least} to ${most}, not ${JSON.stringify(text)}.`)
}
