import type { Migration } from './migrations.js'
import { largestBatch } from './batch-size.js'

/**
 * Every statement that MySQLStore sends, in the common part of MySQL and MariaDB.
 *
 * Time is milliseconds since the epoch by the database's clock. UTC_TIMESTAMP heeds neither time zones nor
 * daylight saving, unlike NOW(): in autumn that has two moments for 02:30, and UNIX_TIMESTAMP takes one.
 *
 * Each SELECT says how many rows it is for, because a server may have a sql_select_limit that is lower.
 *
 * Markers stand only where MySQL takes their type from a column or a number beside them. One in the
 * select list of a derived table would be taken for a text of at most 65,535 bytes there, which spoils `data`.
 */
export type MySQLStatements = ReturnType<typeof mysqlStatements>

/** Now, in milliseconds since the epoch by the database's clock. */
export const now = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000`
const live = `expires_at > ${now}`
const dead = `expires_at <= ${now}`
const expiresAt = `LEAST(${now} + ?, created_at + ?)`
/*
 * The index that the sweep reads is on `sweep_at`, which is never later than `expires_at`, and which no touch and no
 * update moves, unless the session is to live shorter. No assignment reads a column that another one in its statement changes:
 * MariaDB carries them out at once with SIMULTANEOUS_ASSIGNMENT, and from left to right without.
 */
const moveExpiry = `expires_at = ${expiresAt}, sweep_at = LEAST(sweep_at, ${expiresAt})`
const columns =
  'session_key, public_id, user_id, authenticated_at, data, version, created_at, seen_at, expires_at'
/** What the key from before a rotation found is dropped by the first update after it may no longer be found. */
const forgetFormer = ['key', 'data']
  .map((name) => `former_${name} = IF(former_until > ${now}, former_${name}, NULL)`)
  .join(', ')

/** @param table a checked name: it is part of the text */
export function mysqlStatements(table: string) {
  const sessions = `\`${table}\``
  const find = (size: number) =>
    `SELECT ${columns}, ${now} AS read_at FROM ${sessions} WHERE session_key IN (${repeat('?', size)}) AND ${live} LIMIT ${size}`
  const findFormer = (size: number) =>
    `SELECT ${columns}, ${now} AS read_at, former_key, former_user_id, former_authenticated_at, former_data ` +
    `FROM ${sessions} WHERE former_key IN (${repeat('?', size)}) AND former_until > ${now} AND ${live} LIMIT ${size}`
  const versions = (size: number) =>
    `SELECT session_key, version FROM ${sessions} WHERE session_key IN (${repeat('?', size)}) AND ${live} LIMIT ${size}`
  const insert = (size: number) =>
    `INSERT INTO ${sessions} (${columns}, sweep_at) VALUES ` +
    repeat(`(?, ?, ?, IF(? = 1, ${now}, NULL), ?, 1, ${now}, ${now}, ${now} + ?, expires_at)`, size)
  const touch = (size: number) =>
    `UPDATE ${sessions} SET expires_at = GREATEST(expires_at, ${expiresAt}), seen_at = ${now} ` +
    `WHERE session_key IN (${repeat('?', size)}) AND ${live}`

  /*
   * All or none: a live row with another version than the caller read makes its new version overflow, which
   * is an error (1690) in every sql_mode, and the statement is undone. Otherwise all live rows were updated.
   * Merely leaving such a row out would not do: nobody could tell afterwards whose change its next version is.
   */
  const updateMany = (size: number) => {
    const byKey = (otherwise: string) =>
      `CASE session_key ${'WHEN ? THEN ? '.repeat(size)}ELSE ${otherwise} END`
    return (
      `UPDATE ${sessions} SET user_id = ${byKey('user_id')}, data = ${byKey('data')}, ` +
      `version = IF(version = ${byKey('0')}, version + 1, version + 18446744073709551615), ` +
      `seen_at = ${now}, ${moveExpiry}, ${forgetFormer} WHERE session_key IN (${repeat('?', size)}) AND ${live}`
    )
  }
  /** @param grace whether the record's key finds it for a while after */
  const rotate = (grace: boolean) =>
    `UPDATE ${sessions} SET former_key = ${grace ? 'session_key' : 'NULL'}, former_until = ${now} + ?, ` +
    `former_user_id = user_id, former_authenticated_at = authenticated_at, former_data = ${grace ? 'data' : 'NULL'}, ` +
    `authenticated_at = IF(? = 1, ${now}, authenticated_at), session_key = ?, user_id = ?, data = ?, ` +
    `version = version + 1, seen_at = ${now}, ${moveExpiry} WHERE session_key = ? AND version = ? AND ${live}`
  const rotates = { withGrace: rotate(true), without: rotate(false) }

  return {
    find: bySize(find),
    findFormer: bySize(findFormer),
    versions: bySize(versions),
    insert: bySize(insert),
    touch: bySize(touch),
    updateMany: bySize(updateMany),
    update:
      `UPDATE ${sessions} SET user_id = ?, data = ?, version = version + 1, seen_at = ${now}, ` +
      `${moveExpiry}, ${forgetFormer} WHERE session_key = ? AND version = ? AND ${live}`,
    rotate: (grace: boolean) => rotates[grace ? 'withGrace' : 'without'],
    remove: `DELETE FROM ${sessions} WHERE session_key = ? AND ${live}`,
    removeWhateverItsAge: `DELETE FROM ${sessions} WHERE session_key = ?`,
    removeByUser: `DELETE FROM ${sessions} WHERE user_id = ? AND ${live}`,
    removeByUserExcept: `DELETE FROM ${sessions} WHERE user_id = ? AND public_id <> ? AND ${live}`,
    due: (limit: number) =>
      `SELECT session_key, ${dead} AS expired FROM ${sessions} WHERE sweep_at <= ${now} ` +
      `ORDER BY sweep_at LIMIT ${limit}`,
    removeThoseExpired: bySize(
      (size) => `DELETE FROM ${sessions} WHERE session_key IN (${repeat('?', size)}) AND ${dead}`,
    ),
    postpone: bySize(
      (size) => `UPDATE ${sessions} SET sweep_at = expires_at WHERE session_key IN (${repeat('?', size)})`,
    ),
    list: (options: { readonly user: boolean; readonly after: boolean; readonly limit: number }) =>
      `SELECT ${columns}, ${now} AS read_at FROM ${sessions} WHERE ${live}` +
      `${options.user ? ' AND user_id = ?' : ''}${options.after ? ' AND session_key > ?' : ''} ` +
      `ORDER BY session_key LIMIT ${options.limit}`,
    tableIsThere: `SELECT 1 FROM ${sessions} LIMIT 0`,
    recordedVersion: `SELECT COALESCE(MAX(version), 0) AS version FROM coatcheck_migrations WHERE table_name = '${table}'`,
    forgetVersions: `DELETE FROM coatcheck_migrations WHERE table_name = '${table}'`,
    recordVersion: `INSERT IGNORE INTO coatcheck_migrations (table_name, version, applied_at) VALUES ('${table}', ?, ${now})`,
  }
}

/** Holds the version of each table of ours in the database. */
export const migrationsTable = `CREATE TABLE IF NOT EXISTS coatcheck_migrations (
  table_name VARBINARY(64) NOT NULL,
  version INT UNSIGNED NOT NULL,
  applied_at BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (table_name, version)
) ENGINE=InnoDB`

/** How the table came to be. `schema/mysql.sql` says the same for those who make it by hand. */
export function mysqlMigrations(table: string): readonly Migration[] {
  return [
    {
      version: 1,
      statements: [
        `CREATE TABLE IF NOT EXISTS \`${table}\` (
  session_key BINARY(24) NOT NULL,
  public_id VARBINARY(64) NOT NULL,
  user_id VARBINARY(255) NULL,
  authenticated_at BIGINT UNSIGNED NULL,
  data MEDIUMBLOB NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  created_at BIGINT UNSIGNED NOT NULL,
  seen_at BIGINT UNSIGNED NOT NULL,
  expires_at BIGINT UNSIGNED NOT NULL,
  sweep_at BIGINT UNSIGNED NOT NULL,
  former_key BINARY(24) NULL,
  former_until BIGINT UNSIGNED NULL,
  former_user_id VARBINARY(255) NULL,
  former_authenticated_at BIGINT UNSIGNED NULL,
  former_data MEDIUMBLOB NULL,
  PRIMARY KEY (session_key),
  KEY user_id (user_id),
  KEY sweep_at (sweep_at),
  KEY former_key (former_key)
) ENGINE=InnoDB`,
      ],
    },
  ]
}

export function repeat(text: string, times: number): string {
  return Array.from({ length: times }, () => text).join(', ')
}

/** Makes a text once a size. Sizes are powers of two up to the largest batch, so that few are ever made. */
export function bySize(make: (size: number) => string): (size: number) => string {
  const made = new Map<number, string>()
  return (size) => {
    if (size > largestBatch) throw new RangeError(`a statement names at most ${largestBatch} records`)
    let text = made.get(size)
    if (text === undefined) made.set(size, (text = make(size)))
    return text
  }
}
