import { isError } from '../../core/errors.js'
import type { FailureKind } from '../../core/store/store-failure.js'

/** What an error of the server means. Neither text holds anything of what the server said. */
export interface PostgreSQLRefusal {
  readonly kind: FailureKind | 'timeout'
  readonly what: string
  readonly cure: string
  /** Whether the server has undone the statement because others were in the way. */
  readonly mayTryAgain?: true
}

export const sqlState = {
  undefinedTable: '42P01',
  undefinedColumn: '42703',
  insufficientPrivilege: '42501',
  serializationFailure: '40001',
} as const

const up = 'Check that the database is up and reachable'
const schema = 'Give the table the columns that schema/postgresql.sql has'

/** By SQLSTATE (PostgreSQL's manual, appendix A). What is not listed goes by its class. */
const listed: readonly (readonly [codes: string, PostgreSQLRefusal])[] = [
  [
    '40001 40P01',
    {
      kind: 'busy',
      what: 'others changed the sessions at the same time',
      cure: 'Try again; if it recurs, find what locks the sessions',
      mayTryAgain: true,
    },
  ],
  [
    '55P03 55006',
    { kind: 'busy', what: 'others locked the sessions for too long', cure: 'Find what locks the sessions' },
  ],
  [
    '57014',
    {
      kind: 'timeout',
      what: "the server cancelled the statement: its statement_timeout is over, or somebody's pg_cancel_backend",
      cure: 'Raise statement_timeout, or find what makes the database slow',
    },
  ],
  [
    '25006',
    {
      kind: 'away',
      what: 'the database takes no changes: it is a standby, or default_transaction_read_only is on',
      cure: 'Let the store connect to the primary',
    },
  ],
  [
    '53300',
    {
      kind: 'away',
      what: 'the server lets no more connections in',
      cure: 'Lower max of the pools, put PgBouncer before the server, or raise max_connections',
    },
  ],
  [
    '53100',
    {
      kind: 'away',
      what: 'the server has no room left on its disk',
      cure: 'Make room on the disk of the server',
    },
  ],
  ['53200', { kind: 'away', what: 'the server has not enough memory', cure: 'Give the server more memory' }],
  [
    '57P01 57P02 57P05 25P02 25P03 25P04',
    { kind: 'away', what: 'the server has ended the connection', cure: up },
  ],
  ['57P03', { kind: 'away', what: 'the server is starting up or shutting down', cure: up }],
  [
    '28000 28P01',
    {
      kind: 'configuration',
      what: 'the server refuses the user or the password',
      cure: 'Check both in DATABASE_URL or in your pool; characters such as % and @ in a URL are written %25 and %40. Where pg_hba.conf lets users in over TLS only, add ?sslmode=verify-full to the URL',
    },
  ],
  [
    '3D000',
    {
      kind: 'configuration',
      what: 'there is no database of that name',
      cure: 'Create it, or name another one in DATABASE_URL or your pool',
    },
  ],
  [
    '3F000',
    {
      kind: 'configuration',
      what: 'there is no schema of that name',
      cure: 'Create it, or name another one with the option schema',
    },
  ],
  [
    '42501',
    {
      kind: 'configuration',
      what: 'the user lacks a right',
      cure: 'GRANT SELECT, INSERT, UPDATE and DELETE on the tables of the store, and USAGE on their schema. CREATE on the schema is needed only to make the tables',
    },
  ],
  [
    '42703 42804',
    { kind: 'configuration', what: 'the table has other columns than the store', cure: schema },
  ],
  [
    '42883 42601 0A000',
    {
      kind: 'configuration',
      what: 'the server does not understand a statement of the store',
      cure: 'coatcheck needs PostgreSQL 13 or later. If the server is newer than this coatcheck, update coatcheck',
    },
  ],
  [
    '23502 23505 23514 23P01 P0001',
    {
      kind: 'data',
      what: 'a constraint or a trigger of the table refuses the session',
      cure: 'Change that, or what the session holds. What it says is the cause of this error',
    },
  ],
  [
    '54000',
    { kind: 'data', what: 'the session is larger than the server takes', cure: 'Keep less in the session' },
  ],
]

const byState: ReadonlyMap<string, PostgreSQLRefusal> = new Map(
  listed.flatMap(([codes, refusal]) => codes.split(' ').map((code) => [code, refusal] as const)),
)

/** The SQLSTATE of an error that the server gave; `undefined` for any other, such as EPIPE, which looks like one. */
export function stateOf(error: unknown): string | undefined {
  if (!(isError(error) && 'severity' in error && 'code' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

/** @returns what is known of an error of the server, or of the TLS handshake. `undefined`: it is not listed, or is neither. */
export function classifyPostgreSQLError(error: unknown): PostgreSQLRefusal | undefined {
  return byState.get(stateOf(error) ?? '') ?? refusedTLS(error)
}

function refusedTLS(error: unknown): PostgreSQLRefusal | undefined {
  if (!isError(error)) return undefined
  if (error.message === 'The server does not support SSL connections') return noTLS
  // Only errors of Node's check of a certificate have one, and those of OpenSSL that are about none have other codes.
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherHost
  return 'cert' in error || /CERT|LEAF_SIGNATURE/.test(code) ? notTrusted : undefined
}

const noTLS: PostgreSQLRefusal = {
  kind: 'configuration',
  what: 'the database offers no TLS, and sslmode asks for it',
  cure: 'Turn TLS on in the database; leave sslmode out only where the network between is trusted',
}
const otherHost: PostgreSQLRefusal = {
  kind: 'configuration',
  what: "the database's certificate is for another host",
  cure: 'Connect to the host name that is in the certificate. sslmode=verify-ca verifies only who signed it',
}
const notTrusted: PostgreSQLRefusal = {
  kind: 'configuration',
  what: "nobody whom the app trusts has signed the database's certificate, or it has expired",
  cure: 'Name the authority with sslrootcert in DATABASE_URL, or with ssl in your pool',
}

/**
 * Whether a connection is of no more use. The server ends it, or serves reads only there, such as a primary that became
 * a standby. Another connection may lead to a server that can. What became of the statement is unknown then.
 */
export function endsConnection(error: unknown): boolean {
  const state = stateOf(error)
  if (state === undefined) return false
  return /^(?:08|57P)/.test(state) || ['25P02', '25P03', '25P04', '25006', '53300'].includes(state)
}
