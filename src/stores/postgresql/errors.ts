import { isError, SessionError } from '../../core/errors.js'
import {
  asNoOutage,
  codeShown,
  type FailureKind,
  failureOf,
  kindOfSQLState,
  storeFailure,
} from '../../core/store/store-failure.js'
import type { Judgement } from '../sql/carry-out.js'
import type { TableErrors } from '../sql/layout.js'
import { LostStatement, NoFreeConnection } from '../sql/lost-statement.js'
import { classifyPostgreSQLError, sqlState, stateOf } from './error-codes.js'

/** What errors of PostgreSQL and of pg say about the other statements of a batch. */
export const postgresqlJudgement: Judgement = {
  isRefusal: (error) => error instanceof SessionError || kindOf(error) === 'data',

  failsAllAlike(error) {
    if (error instanceof NoFreeConnection) return true
    if (error instanceof LostStatement) return error.limit !== undefined
    if (kindOf(error) === 'configuration') return true
    return stateOf(error) === undefined && !(error instanceof SessionError)
  },
}

/** @param table the name, as the app gave it. */
export function postgresqlErrors(table: string): TableErrors {
  return {
    missesTable: (error) => stateOf(error) === sqlState.undefinedTable,
    failsAllAlike: postgresqlJudgement.failsAllAlike,
    failureOf(doing, error) {
      const state = stateOf(error)
      if (state === sqlState.undefinedTable)
        return new SessionError(
          'ERR_SESSION_MISSING_TABLE',
          `The table ${table} or coatcheck_migrations is not in the database, and the store did not make it: its user may not, or createTable is false. Let a user who may create tables start the app once; or run schema/postgresql.sql of the coatcheck package.`,
          { cause: error },
        )
      if (state === sqlState.undefinedColumn)
        return new SessionError(
          'ERR_SESSION_WRONG_TABLE',
          `The table ${table} lacks a column of this version's.${missingColumn(error)} If it is another library's, give PostgreSQLStore another table. Else add what schema/postgresql.sql has.`,
          { cause: error },
        )
      return postgresqlFailure(doing, error)
    },
  }
}

/** The column that a table lacks, as an English server names it: one of the store's own statements. */
function missingColumn(error: unknown): string {
  const [, name] = /^column "?(?:\w+\.)?(\w+)"? does not exist$/.exec((error as Error).message) ?? []
  return name === undefined ? '' : ` What it lacks is '${name}'.`
}

function postgresqlFailure(doing: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  if (error instanceof NoFreeConnection || (error instanceof LostStatement && error.limit !== undefined))
    return tookTooLong(doing, error)
  const cause = error instanceof LostStatement ? error.cause : error
  const listed = classifyPostgreSQLError(cause)
  if (listed?.kind === 'timeout') return timedOut(doing, `${listed.what} (57014). ${listed.cure}`, error)
  const shown = codeShown(cause)
  const failure = listed
    ? storeFailure(listed.kind as FailureKind, doing, `${listed.what}${shown}. ${listed.cure}.`, error)
    : failureOf(doing, error, kindOf(error))
  return error instanceof LostStatement && error.answeredSince ? asNoOutage(failure) : failure
}

/** The kind of a failure. What has no SQLSTATE is the driver's own: of a connection that is lost or cannot be made. */
function kindOf(error: unknown): FailureKind | undefined {
  const listed = classifyPostgreSQLError(error)
  if (listed) return listed.kind === 'timeout' ? 'busy' : listed.kind
  const state = stateOf(error)
  if (state !== undefined) return kindOfSQLState(state)
  return isError(error) && !(error instanceof TypeError || error instanceof RangeError) ? 'away' : undefined
}

function tookTooLong(doing: string, error: NoFreeConnection | LostStatement): SessionError {
  const advice =
    error instanceof NoFreeConnection
      ? 'Give the pool a higher max, give back what your own code takes from it, and check that the database is reachable'
      : 'Check that the database is up, reachable and not overloaded, and that no transaction of yours locks the sessions'
  return timedOut(
    doing,
    `${error.message}. ${advice}, or give PostgreSQLStore a longer statementTimeout`,
    error,
  )
}

function timedOut(doing: string, says: string, cause: unknown): SessionError {
  return new SessionError('ERR_SESSION_STORE_TIMEOUT', `The session store failed while ${doing}: ${says}.`, {
    cause,
    status: 503,
  })
}
