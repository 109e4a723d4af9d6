import { isError, SessionError } from '../../core/errors.js'
import {
  asNoOutage,
  codeShown,
  type FailureKind,
  kindOfSQLState,
  storeFailure,
} from '../../core/store/store-failure.js'
import { LostStatement, NoFreeConnection } from '../sql/lost-statement.js'
import { numberOf } from './connection.js'
import { errorNumber, listed, type MySQLRefusal, saidByPool, unlisted } from './error-codes.js'
import { refusedTLS } from './tls.js'

/** Classifies what mysql2 or the server fails with: by number or code, else by SQLSTATE. */
export function classifyMySQLError(error: unknown): MySQLRefusal {
  const { code, sqlState, message } = (error ?? {}) as Readonly<
    Record<'code' | 'sqlState' | 'message', unknown>
  >
  const known =
    listed.get(String(numberOf(error))) ?? listed.get(String(code)) ?? saidByPool.get(String(message))
  if (known) return known
  const tls = refusedTLS(error)
  if (tls) return { kind: 'configuration', ...tls, isListed: true }
  if (typeof sqlState === 'string')
    return { ...unlisted[kindOfSQLState(sqlState) ?? 'unknown'], isListed: false }
  // The driver's own: of a connection that is lost or cannot be made. What is not even that is a fault of a program.
  const isOfConnection = error instanceof LostStatement || typeof code === 'string' || isFatal(error)
  return { ...unlisted[isOfConnection ? 'away' : 'unknown'], isListed: false }
}

/** The kind of an error that a server gave to mysql2, whoever asked it; `undefined` for any other, and for one of no kind that is known. */
export function kindOfMySQLError(error: unknown): FailureKind | undefined {
  if (!(isError(error) && 'sqlState' in error && 'errno' in error)) return undefined
  const { kind, isListed } = classifyMySQLError(error)
  return isListed ? kind : kindOfSQLState(String(error.sqlState))
}

/** @returns an error of ours, with `error` as its cause and nothing of it in its message. */
export function mysqlFailure(doing: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const failure = failureOf(doing, error)
  return error instanceof LostStatement && error.answeredSince ? asNoOutage(failure) : failure
}

function failureOf(doing: string, error: unknown): SessionError {
  if (error instanceof NoFreeConnection || (error instanceof LostStatement && error.limit !== undefined)) {
    return tookTooLong(doing, error)
  }
  const { kind, what, cure } =
    error instanceof LostStatement && error.answeredSince ? lostAlone : classifyMySQLError(error)
  const number = numberOf(error)
  // Numbers and codes are constants, which tell nobody's secrets.
  const code =
    number > 0 ? ` (error ${number})` : codeShown(error instanceof LostStatement ? error.cause : error)
  return storeFailure(kind, doing, `${what}${code}. ${cure}.`, error)
}

/** The column that a table lacks, as the server names it: one of the store's own statements. */
export function missingColumn(error: unknown): string {
  const [, name] = /'(?:[\w.]+\.)?(\w+)'/.exec((error as Error).message) ?? []
  return name === undefined ? '' : ` What it lacks is '${name}'.`
}

/** Whether the server misses one of `tables`, which it names as `database.table`: it may miss one that a trigger of the app's uses. */
export function missesTable(error: unknown, tables: readonly string[]): boolean {
  if (numberOf(error) !== errorNumber.missingTable) return false
  const said = (error as Error).message.toLowerCase()
  return tables.some((table) => {
    const name = `.${table.toLowerCase()}`
    const at = said.indexOf(name)
    return at >= 0 && !/\w/.test(said.charAt(at + name.length))
  })
}

/** The server may end a connection without a word on a statement that is too long for it. */
const lostAlone = {
  kind: 'away',
  what: 'the connection was lost under the statement, and the database answers on another',
  cure: 'Whether the change was stored is not known. If the session is large, keep less in it, or raise max_allowed_packet of the server',
} as const

function tookTooLong(doing: string, error: NoFreeConnection | LostStatement): SessionError {
  const advice =
    error instanceof NoFreeConnection
      ? 'Give the pool a higher connectionLimit, give back what your own code takes from it, and check that the database is reachable'
      : 'Check that the database is up, reachable and not overloaded, and that no transaction of yours locks the sessions'
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The session store failed while ${doing}: ${error.message}. ${advice}, or give MySQLStore a longer statementTimeout.`,
    { cause: error, status: 503 },
  )
}

function isFatal(error: unknown): boolean {
  return isError(error) && 'fatal' in error && error.fatal === true
}
