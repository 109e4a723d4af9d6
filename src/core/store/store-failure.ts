import { isError, SessionError } from '../errors.js'

/**
 * The kinds of store failures:
 *
 * - `data`: the database refuses what one session holds. Only that session fails.
 * - `configuration`: the database refuses the app: its user, its rights or its table. Waiting does not help.
 * - `busy`: others were in the way. Another try may succeed.
 * - `away`: the database does not answer, or cannot store anything. Only this counts for the circuit.
 */
export type FailureKind = 'data' | 'configuration' | 'busy' | 'away'

const typeOf = {
  data: { code: 'ERR_SESSION_DATA_REFUSED', status: 500 },
  configuration: { code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 },
  busy: { code: 'ERR_SESSION_STORE_BUSY', status: 503 },
  away: { code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 },
} as const

/** The kind by an SQLSTATE's class, its first two characters: those of the standard, and those that PostgreSQL adds. */
const kindOfClass: Readonly<Record<string, FailureKind>> = {
  '08': 'away', // connection
  '0A': 'configuration', // feature not supported
  '22': 'data', // data
  '23': 'data', // integrity constraint
  '25': 'configuration', // transaction state
  '28': 'configuration', // authorization
  '3D': 'configuration', // catalog name
  '3F': 'configuration', // schema name
  '40': 'busy', // transaction rollback
  '42': 'configuration', // syntax or access
  '44': 'data', // WITH CHECK OPTION
  '45': 'data', // a trigger's own
  '53': 'away', // insufficient resources
  '54': 'data', // program limit exceeded
  '55': 'busy', // object not in prerequisite state: locks
  '57': 'away', // operator intervention
  '58': 'away', // system error
  '70': 'busy', // query interrupted
}

/** The kind by the codes of Node's own errors. Those of `away` come from a network, or from a full or broken disk. */
const kindOfCode: Readonly<Record<string, FailureKind>> = {
  EACCES: 'configuration',
  EPERM: 'configuration',
  ...Object.fromEntries(
    'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENOSPC EDQUOT EIO EROFS EMFILE ENFILE'
      .split(' ')
      .map((code) => [code, 'away']),
  ),
}

type Advice = readonly [what: string, cure: string]
const advice: Readonly<Record<FailureKind, Advice>> = {
  data: [
    'the database refused what the session holds',
    'Change the table so that it takes it, or keep it out of the session',
  ],
  configuration: [
    'the database refused the app',
    'Check its URL, its user, the rights of that user, and the table',
  ],
  busy: ['others were in the way for too long', 'Try again; if it recurs, find what locks the sessions'],
  away: ['the database does not answer, or can store nothing', 'Check that the database is up and reachable'],
}
const unknownFailure: Advice = [
  'the reason is not one that coatcheck knows',
  'What the store said is the cause of this error',
]

/** Marks an error that does not count as an outage, also after it has passed through an `ExpressStore`. */
const noOutage = Symbol('coatcheck failure that is no outage')

/** The kind by an SQLSTATE. `undefined` for a class that says nothing, such as HY, the general error. */
export function kindOfSQLState(state: string): FailureKind | undefined {
  // Unlike the others of class 40, 40003 does not say whether the statement was undone: it must not be sent again.
  if (state === '40003') return 'away'
  return kindOfClass[state.slice(0, 2)]
}

/**
 * @param says what happened, and what to do. A message holds nothing of a session, and no user, host or port. The cause
 *   may.
 */
export function storeFailure(kind: FailureKind, doing: string, says: string, cause: unknown): SessionError {
  const { code, status } = typeOf[kind]
  return new SessionError(code, `The session store failed while ${doing}: ${says}`, { cause, status })
}

/**
 * Makes the error of a store that is away: `ERR_SESSION_STORE_UNAVAILABLE` (503). For stores of your own. Nobody is
 * signed out by it, because the session may well exist.
 *
 * Throw it only while the store is away for all sessions: after several in a row, coatcheck refuses calls at once for a
 * while.
 *
 * @param doing what failed, for the message: "The session store failed while `doing`".
 * @param cause what the database or its driver said. A `SessionError` is returned as it is.
 * @example
 * throw storeUnavailable('reading sessions', error)
 */
export function storeUnavailable(doing: string, cause: unknown): SessionError {
  return failureOf(doing, cause, 'away')
}

/**
 * Turns any error of a store into a `SessionError`. An error of unknown kind is a 503, because many database clients
 * give an outage no code. The drivers of MySQLStore and SQLiteStore give one: there, such an error is a fault of the
 * program, a 500.
 */
export function failureOf(doing: string, cause: unknown, kind = kindOf(cause)): SessionError {
  if (cause instanceof SessionError) return cause
  const [what, cure] = kind === undefined ? unknownFailure : advice[kind]
  const failure = storeFailure(kind ?? 'away', doing, `${what}${codeShown(cause)}. ${cure}.`, cause)
  return kind === undefined ? asNoOutage(failure) : failure
}

/** Marks an error as one that says nothing about the store as a whole. */
export function asNoOutage(failure: SessionError): SessionError {
  return Object.defineProperty(failure, noOutage, { value: true })
}

/**
 * Whether an answer says that the store is away for all sessions. An error of unknown kind does not: it may be about
 * the data of one session, and one visitor must not be able to shut out all others.
 */
export function isAway(answer: unknown): boolean {
  if (!isError(answer) || noOutage in answer) return false
  if (!(answer instanceof SessionError)) return kindOf(answer) === 'away'
  return answer.code === 'ERR_SESSION_STORE_UNAVAILABLE' || answer.code === 'ERR_SESSION_STORE_TIMEOUT'
}

/** The kind of an error that is not coatcheck's: by its Node code, or by its SQLSTATE. */
function kindOf(error: unknown): FailureKind | undefined {
  const { code, sqlState } = (error ?? {}) as { readonly code?: unknown; readonly sqlState?: unknown }
  if (typeof code === 'string' && Object.hasOwn(kindOfCode, code)) return kindOfCode[code]
  const state = [sqlState, code].find((text) => typeof text === 'string' && /^[0-9A-Z]{5}$/.test(text))
  return state === undefined ? undefined : kindOfSQLState(state as string)
}

/** An error's code as a message shows it: a constant of the driver, which reveals nothing. Empty if there is none. */
export function codeShown(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' && /^[0-9A-Z][0-9A-Z_]{1,39}$/.test(code) ? ` (${code})` : ''
}
