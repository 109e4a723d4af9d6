import { markLength, marksKept } from '../../core/store/mark.js'
import type { Migration } from '../sql/migrations.js'
import { largestBatch } from '../sql/batch-size.js'

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
 * update moves, unless the session is to live shorter. An assignment reads no column that one before it changes: MariaDB
 * carries them out at once with SIMULTANEOUS_ASSIGNMENT, and from left to right without.
 */
const moveExpiry = `expires_at = ${expiresAt}, sweep_at = LEAST(sweep_at, ${expiresAt})`
const listed =
  'id, secret_hash, user_id, authenticated_at, about, root_id, format, version, created_at, seen_at, expires_at'
const former = ['hash', 'user_id', 'authenticated_at', 'data'].map((name) => `former_${name}`)
const untilGraceEnds = (column: string) => `IF(former_until > ${now}, ${column}, NULL)`
/** What a record held before its last new secret is dropped by the first update after the grace. */
const forgetFormer = former.map((column) => `${column} = ${untilGraceEnds(column)}`).join(', ')
const asRead = `id = ? AND version = ? AND ${live}`
const withMark = (mark: string) => `LEFT(CONCAT(${mark}, marks), ${markLength * marksKept})`

/** @param table a checked name: it is part of the text. */
export function mysqlStatements(table: string) {
  const sessions = `\`${table}\``
  /** Live, and its root too, if it has one. */
  const found =
    `${live} AND (root_id IS NULL OR EXISTS (SELECT 1 FROM ${sessions} AS root WHERE root.id = ${sessions}.root_id ` +
    `AND root.expires_at > ${now} AND root.user_id <=> ${sessions}.user_id))`
  const find = (size: number) =>
    `SELECT ${listed}, data, marks, ${former.map((column) => `${untilGraceEnds(column)} AS ${column}`).join(', ')}, ` +
    `${now} AS read_at FROM ${sessions} WHERE ${among(size)} AND ${found} LIMIT ${size}`
  const alive = (size: number) =>
    `SELECT id, secret_hash, user_id FROM ${sessions} WHERE ${among(size)} AND ${found} LIMIT ${size}`
  const look = (size: number) =>
    `SELECT id, secret_hash, version FROM ${sessions} WHERE ${among(size)} AND ${live} LIMIT ${size}`
  const insert = (size: number) =>
    `INSERT INTO ${sessions} (id, secret_hash, root_id, user_id, authenticated_at, data, about, format, marks, version, ` +
    'created_at, seen_at, expires_at, sweep_at) VALUES ' +
    repeat(
      `(?, ?, ?, ?, IF(? = 1, ${now}, NULL), ?, ?, ?, ?, 1, ${now}, ${now}, ${now} + ?, expires_at)`,
      size,
    )
  // A row constructor, `(id, secret_hash) IN ((?, ?))`, makes MariaDB read the whole index.
  const touch = (size: number) =>
    `UPDATE ${sessions} SET expires_at = GREATEST(expires_at, ${expiresAt}), seen_at = ${now} ` +
    `WHERE ${among(size)} AND secret_hash = ${byId(size, 'secret_hash')} AND ${live}`

  /*
   * All or none: a live row with another version than the caller read makes its new version overflow, which
   * is an error (1690) in every sql_mode, and the statement is undone. Otherwise all live rows were updated.
   * Merely leaving such a row out would not do: nobody could tell afterwards whose change its next version is.
   */
  const updateMany = (size: number) =>
    `UPDATE ${sessions} SET user_id = ${byId(size, 'user_id')}, data = ${byId(size, 'data')}, ` +
    `format = ?, marks = ${withMark(byId(size, 'marks'))}, ` +
    `version = IF(version = ${byId(size, '0')}, version + 1, version + 18446744073709551615), ` +
    `seen_at = ${now}, ${moveExpiry}, ${forgetFormer} WHERE ${among(size)} AND ${live}`
  const content =
    `user_id = ?, data = ?, about = COALESCE(?, about), format = ?, marks = ${withMark('CAST(? AS BINARY)')}, ` +
    `version = version + 1, seen_at = ${now}, ${moveExpiry}`
  const replaceSecret = (keepFormer: string) =>
    `UPDATE ${sessions} SET ${keepFormer}, authenticated_at = IF(? = 1, ${now}, authenticated_at), secret_hash = ?, ` +
    `${content} WHERE ${asRead}`

  return {
    find: bySize(find),
    alive: bySize(alive),
    look: bySize(look),
    insert: bySize(insert),
    touch: bySize(touch),
    updateMany: bySize(updateMany),
    update: `UPDATE ${sessions} SET ${content}, ${forgetFormer} WHERE ${asRead}`,
    replaceSecret: replaceSecret(
      'former_until = NULL, ' + former.map((column) => `${column} = NULL`).join(', '),
    ),
    replaceSecretWithGrace: replaceSecret(
      `former_until = ${now} + ?, former_hash = secret_hash, former_user_id = user_id, ` +
        'former_authenticated_at = authenticated_at, former_data = data',
    ),
    // IF: MariaDB may take the key on user_id else, and lock in another order than updates do.
    remove: `DELETE FROM ${sessions} WHERE id = ? AND IF(user_id <=> ?, 1, 0) = 1 AND ${live}`,
    removeByUser: `DELETE FROM ${sessions} WHERE user_id = ? AND ${live}`,
    removeByUserExcept: `DELETE FROM ${sessions} WHERE user_id = ? AND id <> ? AND ${live}`,
    due: (limit: number) =>
      `SELECT id, ${dead} AS expired FROM ${sessions} WHERE sweep_at <= ${now} ORDER BY sweep_at LIMIT ${limit}`,
    removeThoseExpired: bySize((size) => `DELETE FROM ${sessions} WHERE ${among(size)} AND ${dead}`),
    postpone: bySize((size) => `UPDATE ${sessions} SET sweep_at = expires_at WHERE ${among(size)}`),
    list: ({ user, after, limit, data }: ListOptions) =>
      `SELECT ${listed}${data ? ', data' : ''}, ${now} AS read_at FROM ${sessions} ` +
      `WHERE secret_hash IS NOT NULL AND ${found}` +
      (user
        ? ` AND user_id = ?${after ? ' AND (seen_at < ? OR (seen_at = ? AND id < ?))' : ''} ORDER BY seen_at DESC, id DESC`
        : `${after ? ' AND id < ?' : ''} ORDER BY id DESC`) +
      ` LIMIT ${limit}`,
    tableIsThere: `SELECT 1 FROM ${sessions} LIMIT 0`,
    recordedVersion: `SELECT COALESCE(MAX(version), 0) AS version FROM coatcheck_migrations WHERE table_name = '${table}'`,
    forgetVersions: `DELETE FROM coatcheck_migrations WHERE table_name = '${table}'`,
    recordVersion: `INSERT IGNORE INTO coatcheck_migrations (table_name, version, applied_at) VALUES ('${table}', ?, ${now})`,
  }
}

/** What is listed. @param user one user's, the one seen last first; else all, the last id first. */
interface ListOptions {
  readonly user: boolean
  readonly after: boolean
  readonly limit: number
  readonly data: boolean
}

function among(size: number): string {
  return `id IN (${repeat('?', size)})`
}

/** A value for each id. @param otherwise gives the values their type. */
function byId(size: number, otherwise: string): string {
  return `CASE id ${'WHEN ? THEN ? '.repeat(size)}ELSE ${otherwise} END`
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
  id BINARY(12) NOT NULL,
  secret_hash BINARY(32) NULL,
  user_id VARBINARY(255) NULL,
  authenticated_at BIGINT UNSIGNED NULL,
  data MEDIUMBLOB NOT NULL,
  about VARBINARY(1000) NULL,
  format TINYINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  marks VARBINARY(32) NOT NULL,
  root_id BINARY(12) NULL,
  created_at BIGINT UNSIGNED NOT NULL,
  seen_at BIGINT UNSIGNED NOT NULL,
  expires_at BIGINT UNSIGNED NOT NULL,
  sweep_at BIGINT UNSIGNED NOT NULL,
  former_hash BINARY(32) NULL,
  former_until BIGINT UNSIGNED NULL,
  former_user_id VARBINARY(255) NULL,
  former_authenticated_at BIGINT UNSIGNED NULL,
  former_data MEDIUMBLOB NULL,
  PRIMARY KEY (id),
  KEY user_id (user_id),
  KEY sweep_at (sweep_at)
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
