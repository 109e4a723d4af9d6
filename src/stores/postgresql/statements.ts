import { hash } from 'node:crypto'
import { markLength, marksKept } from '../../core/store/mark.js'
import type { Migration } from '../sql/migrations.js'

/** A statement, and the name that a connection prepares it by. */
export interface Statement {
  readonly name: string
  readonly text: string
}

/**
 * Every statement that PostgreSQLStore sends.
 *
 * Time is milliseconds since the epoch by the database's clock, as it is when a row is looked at. now() would be the time
 * at which the transaction began, which may have waited since for a lock.
 *
 * Writes go by arrays, so that one text serves a batch of any size. A row that a write waits for is looked at again once
 * it is free, with all conditions. RETURNING tells which of them were carried out.
 */
export type PostgreSQLStatements = ReturnType<typeof postgresqlStatements>

/** Now, in milliseconds since the epoch by the database's clock. */
export const now = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
/** The clock once for a whole statement, as an index can be asked for. */
const clock = `WITH clock AS MATERIALIZED (SELECT ${now} AS now)`
const former = ['hash', 'user_id', 'authenticated_at', 'data'].map((name) => `former_${name}`)
const columns = [
  'id', 'secret_hash', 'user_id', 'authenticated_at', 'data', 'about', 'format', 'version', 'marks', 'root_id', 'created_at',
  'seen_at', 'expires_at', 'sweep_at', 'former_until', ...former,
] // prettier-ignore
const listed =
  'id, secret_hash, user_id, authenticated_at, about, root_id, format, version, created_at, seen_at, expires_at'

/** @param table the quoted name, with its schema if it has one. @param migrations that of the table of versions. */
export function postgresqlStatements(table: string, migrations: string) {
  const live = (alias: string) => `${alias}.expires_at > ${now}`
  const dead = (alias: string) => `${alias}.expires_at <= ${now}`
  /** Live, and its root too, if it has one. */
  const found =
    `${live('one')} AND (one.root_id IS NULL OR EXISTS (SELECT 1 FROM ${table} AS root WHERE root.id = one.root_id ` +
    `AND ${live('root')} AND root.user_id IS NOT DISTINCT FROM one.user_id))`
  const untilGraceEnds = (column: string) => `CASE WHEN one.former_until > ${now} THEN one.${column} END`
  const moved = 'LEAST(clock.now + given.idle, one.created_at + given.absolute)'
  /** What a record held before its last new secret: the new secret says, or it is dropped by the first update after the grace. */
  const formerAfter = (column: string, current: string) =>
    `${column} = CASE WHEN given.hash IS NULL THEN ${untilGraceEnds(column)} WHEN given.grace > 0 THEN one.${current} END`

  return {
    find: statement(
      `SELECT ${listed}, data, marks, ${former.map((column) => `${untilGraceEnds(column)} AS ${column}`).join(', ')}, ` +
        `${now} AS read_at FROM ${table} AS one WHERE id = ANY ($1::bytea[]) AND ${found}`,
    ),
    alive: statement(
      `SELECT id, secret_hash, user_id FROM ${table} AS one WHERE id = ANY ($1::bytea[]) AND ${found}`,
    ),
    look: statement(`SELECT id FROM ${table} AS one WHERE id = ANY ($1::bytea[]) AND ${live('one')}`),
    // A record that has expired makes way as a whole.
    insert: statement(
      `${clock} INSERT INTO ${table} AS one (${columns.join(', ')}) SELECT given.id, given.hash, given.user_id, ` +
        'CASE WHEN given.signed_in THEN clock.now END, given.data, given.about, given.format, 1, given.mark, given.root_id, ' +
        'clock.now, clock.now, clock.now + given.lives, clock.now + given.lives, NULL::bigint, NULL::bytea, NULL::bytea, ' +
        'NULL::bigint, NULL::bytea FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::boolean[], $5::bytea[], ' +
        '$6::bytea[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bigint[]) AS given (id, hash, user_id, signed_in, ' +
        'data, about, format, mark, root_id, lives), clock ' +
        `ON CONFLICT (id) DO UPDATE SET (${columns.join(', ')}) = ROW (${columns.map((column) => `excluded.${column}`).join(', ')}) ` +
        `WHERE ${dead('one')} RETURNING one.id`,
    ),
    update: statement(
      `UPDATE ${table} AS one SET user_id = given.user_id, data = given.data, about = COALESCE(given.about, one.about), ` +
        'format = given.format, version = one.version + 1, ' +
        `marks = substring(given.mark || one.marks FOR ${markLength * marksKept}), ` +
        `(seen_at, expires_at, sweep_at, authenticated_at) = (SELECT clock.now, ${moved}, LEAST(one.sweep_at, ${moved}), ` +
        `CASE WHEN given.signed_in THEN clock.now ELSE one.authenticated_at END FROM (SELECT ${now} AS now) AS clock), ` +
        'secret_hash = COALESCE(given.hash, one.secret_hash), ' +
        `former_until = CASE WHEN given.hash IS NULL THEN one.former_until WHEN given.grace > 0 THEN ${now} + given.grace END, ` +
        [
          formerAfter('former_hash', 'secret_hash'),
          formerAfter('former_user_id', 'user_id'),
          formerAfter('former_authenticated_at', 'authenticated_at'),
          formerAfter('former_data', 'data'),
        ].join(', ') +
        ' FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::smallint[], $7::bytea[], ' +
        '$8::bigint[], $9::bigint[], $10::bytea[], $11::boolean[], $12::bigint[]) AS given (id, version, user_id, data, about, ' +
        'format, mark, idle, absolute, hash, signed_in, grace) ' +
        `WHERE one.id = given.id AND one.version = given.version AND ${live('one')} RETURNING one.id`,
    ),
    touch: statement(
      `UPDATE ${table} AS one SET (seen_at, expires_at) = (SELECT clock.now, GREATEST(one.expires_at, ${moved}) ` +
        `FROM (SELECT ${now} AS now) AS clock) ` +
        'FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]) AS given (id, hash, idle, absolute) ' +
        `WHERE one.id = given.id AND one.secret_hash = given.hash AND ${live('one')} RETURNING one.id`,
    ),
    remove: statement(
      `DELETE FROM ${table} AS one USING unnest($1::bytea[], $2::bytea[]) AS given (id, user_id) WHERE one.id = given.id ` +
        `AND one.user_id IS NOT DISTINCT FROM given.user_id AND ${live('one')} RETURNING one.id`,
    ),
    removeByUser: statement(`DELETE FROM ${table} AS one WHERE user_id = $1 AND ${live('one')}`),
    removeByUserExcept: statement(
      `DELETE FROM ${table} AS one WHERE user_id = $1 AND id <> $2 AND ${live('one')}`,
    ),
    /*
     * The index that the sweep reads is on `sweep_at`, which is never later than `expires_at`, and which no touch and no
     * update moves, unless the session is to live shorter. What lives on is looked at again when it expires as things are
     * now. Rows that others have locked are left to the next sweep.
     */
    sweep: statement(
      `${clock}, lock AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1::bigint) AS taken), ` +
        `due AS MATERIALIZED (SELECT id FROM ${table} WHERE (SELECT taken FROM lock) AND sweep_at <= (SELECT now FROM clock) ` +
        'ORDER BY sweep_at LIMIT $2::int FOR UPDATE SKIP LOCKED), ' +
        `removed AS (DELETE FROM ${table} AS one USING due WHERE one.id = due.id ` +
        'AND one.expires_at <= (SELECT now FROM clock) RETURNING 1), ' +
        `postponed AS (UPDATE ${table} AS one SET sweep_at = expires_at FROM due WHERE one.id = due.id ` +
        'AND one.expires_at > (SELECT now FROM clock)) ' +
        'SELECT (SELECT taken FROM lock) AS taken, (SELECT count(*) FROM due) AS due, (SELECT count(*) FROM removed) AS removed',
    ),
    list: ({ user, after, data }: ListOptions) =>
      statement(
        `SELECT ${listed}${data ? ', data' : ''}, ${now} AS read_at FROM ${table} AS one ` +
          `WHERE secret_hash IS NOT NULL AND ${found}` +
          (user
            ? ` AND user_id = $2${after ? ' AND (seen_at, id) < ($3::bigint, $4::bytea)' : ''} ORDER BY seen_at DESC, id DESC`
            : `${after ? ' AND id < $2::bytea' : ''} ORDER BY id DESC`) +
          ' LIMIT $1::bigint',
      ),
    tableIsThere: statement(`SELECT 1 FROM ${table} LIMIT 0`),
    recordedVersion: statement(
      `SELECT COALESCE(max(version), 0) AS version FROM ${migrations} WHERE table_name = $1`,
    ),
    forgetVersions: statement(`DELETE FROM ${migrations} WHERE table_name = $1`),
    recordVersion: statement(
      `INSERT INTO ${migrations} (table_name, version, applied_at) VALUES ($1, $2, ${now}) ON CONFLICT DO NOTHING`,
    ),
  }
}

/** What is listed. @param user one user's, the one seen last first; else all, the last id first. */
interface ListOptions {
  readonly user: boolean
  readonly after: boolean
  readonly data: boolean
}

/** A connection refuses another text for a name that it has prepared, so the name is of the text. */
export function statement(text: string): Statement {
  return { name: `coatcheck_${hash('sha256', text).slice(0, 16)}`, text }
}

/** Holds the version of each table of ours in the schema. */
export function migrationsTable(migrations: string): string {
  return `CREATE TABLE IF NOT EXISTS ${migrations} (
  table_name text NOT NULL,
  version integer NOT NULL,
  applied_at bigint NOT NULL,
  PRIMARY KEY (table_name, version)
)`
}

/** How the table came to be. `schema/postgresql.sql` says the same for those who make it by hand. */
export function postgresqlMigrations(table: string, name: string): readonly Migration[] {
  return [
    {
      version: 1,
      statements: [
        `CREATE TABLE IF NOT EXISTS ${table} (
  id bytea NOT NULL PRIMARY KEY CHECK (octet_length(id) = 12),
  secret_hash bytea,
  user_id bytea,
  authenticated_at bigint,
  data bytea NOT NULL,
  about bytea,
  format smallint NOT NULL,
  version bigint NOT NULL,
  marks bytea NOT NULL,
  root_id bytea,
  created_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  sweep_at bigint NOT NULL,
  former_hash bytea,
  former_until bigint,
  former_user_id bytea,
  former_authenticated_at bigint,
  former_data bytea
) WITH (fillfactor = 70)`,
        `CREATE INDEX IF NOT EXISTS "${name}_user_id" ON ${table} (user_id) WHERE user_id IS NOT NULL`,
        `CREATE INDEX IF NOT EXISTS "${name}_sweep_at" ON ${table} (sweep_at)`,
      ],
    },
  ]
}
