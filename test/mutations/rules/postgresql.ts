import type { Mutation } from '../aim.ts'

const statements = {
  file: 'src/stores/postgresql/statements.ts',
  at: 'postgresqlStatements',
  tests: ['test/stores/postgresql.test.ts'],
  store: 'PostgreSQL',
} as const
const client = {
  file: 'src/stores/postgresql/client.ts',
  tests: ['test/stores/postgresql.test.ts'],
  store: 'PostgreSQL',
} as const

/** The conditions of PostgreSQLStore's statements, and what its client must not do. */
export const postgresqlRules: readonly Mutation[] = [
  {
    ...statements,
    name: 'an update goes onto any version (PostgreSQL)',
    find: 'AND one.version = given.version',
    replace: 'AND one.version >= given.version',
  },
  {
    ...statements,
    name: 'a touch goes onto any token (PostgreSQL)',
    find: 'AND one.secret_hash = given.hash',
    replace: 'AND one.secret_hash IS NOT NULL',
  },
  {
    ...statements,
    name: 'a removal ends the session of whoever it is by then (PostgreSQL)',
    find: 'AND one.user_id IS NOT DISTINCT FROM given.user_id AND ${live',
    replace: 'AND ${live',
  },
  {
    ...statements,
    name: 'an insert replaces a live session (PostgreSQL)',
    find: "WHERE ${dead('one')} RETURNING one.id",
    replace: 'RETURNING one.id',
  },
  {
    ...statements,
    name: 'a child is found without its root (PostgreSQL)',
    find: 'one.root_id IS NULL OR EXISTS',
    replace: 'true OR EXISTS',
  },
  {
    ...statements,
    name: 'a child is found though its root has another user (PostgreSQL)',
    find: 'AND root.user_id IS NOT DISTINCT FROM one.user_id',
    replace: '',
  },
  {
    ...statements,
    name: 'a rotation without grace leaves the old token working (PostgreSQL)',
    find: 'CASE WHEN given.hash IS NULL THEN one.former_until WHEN given.grace > 0 THEN',
    replace: 'CASE WHEN given.hash IS NULL THEN one.former_until WHEN given.grace IS NOT NULL THEN 60000 +',
  },
  {
    ...statements,
    name: 'an idle session lives on beyond its absolute lifetime (PostgreSQL)',
    find: 'LEAST(clock.now + given.idle, one.created_at + given.absolute)',
    replace: 'clock.now + given.idle',
  },
  {
    ...statements,
    name: 'only the last mark is kept (PostgreSQL)',
    find: 'substring(given.mark || one.marks FOR ${markLength * marksKept})',
    replace: 'given.mark',
  },
  {
    ...client,
    name: 'a connection that is in a transaction of the app is used (PostgreSQL)',
    at: 'PostgreSQLClient.#take',
    find: '!isInTransaction(connection) && answeredAt',
    replace: 'answeredAt',
  },
  {
    ...client,
    name: 'a connection that was lost goes back to its pool (PostgreSQL)',
    at: 'PostgreSQLClient.#onOneConnection',
    find: 'connection.release(lost || isInTransaction(connection))',
    replace: 'connection.release(isInTransaction(connection))',
  },
  {
    ...client,
    name: 'a statement that took too long waits on in the server (PostgreSQL)',
    at: 'PostgreSQLClient.#onOneConnection',
    find: 'if (tookTooLong) {',
    replace: 'if (false as boolean) {',
  },
]
