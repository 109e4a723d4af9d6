import { hash } from 'node:crypto'
import { lockName } from '../stores/sql/mysql-lock.js'
import { now } from '../stores/sql/mysql-statements.js'

/** The tables of a copy, and the names of the old one's columns. */
export interface CopyTables {
  readonly from: string
  readonly to: string
  readonly columns: OldColumns
}

/** What express-mysql-session calls its columns, and what they are called here. */
export interface OldColumns {
  readonly session_id: string
  readonly expires: string
  readonly data: string
}

/**
 * One of 1, 2, 4, … 64 equal slices of all keys. Rows lie in the old table in one order and in the new one in another,
 * at random; a table that outgrows the server's memory is filled a slice at a time, or each row would cost
 * the reading of a page.
 */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** Every statement that copying sends, in the common part of MySQL and MariaDB. */
export type CopyStatements = ReturnType<typeof copyStatements>

/** So many hexadecimal digits of a key's end make a number that JavaScript holds exactly. */
export const keyEndLength = 13

/**
 * How long before its end a session that is gone from the old table counts as expired there, not as ended: the
 * unmoved apps clear away by clocks of their own.
 */
const clockMargin = 60_000

/** The copy's ledger: which sessions were copied, and how they looked then on both sides. No token is in it. */
export function ledgerName({ from, to }: Pick<CopyTables, 'from' | 'to'>): string {
  const name = `${to}_from_${from}`
  // Names of tables have at most 64 characters.
  return name.length <= 64 ? name : `${to}_from_${hash('sha256', from).slice(0, 8)}`
}

export function copyStatements(tables: CopyTables) {
  const old = quoted(tables.from)
  const sessions = quoted(tables.to)
  const ledger = quoted(ledgerName(tables))
  const [id, expires, data] = [tables.columns.session_id, tables.columns.expires, tables.columns.data].map(
    quoted,
  ) as [string, string, string]
  const live = `${expires} * 1000 > ${now}`
  const utf8Data = `CONVERT(COALESCE(${data}, '') USING utf8mb4)`
  /** Those whose going from the old table means that they were ended there. */
  const endable = `ended = 0 AND expires * 1000 > ${now} + ${clockMargin}`

  return {
    /**
     * One copy at a time into a table.
     * @param database what `databaseStatement` gave
     */
    lock: (database: string | null) => {
      const name = lockName(database, { table: tables.to, purpose: 'copy' })
      return `SELECT GET_LOCK(${name}, 3) AS locked, IS_USED_LOCK(${name}) AS holder`
    },
    /** Whether the server writes its log by statement: InnoDB then refuses changes at READ COMMITTED (error 1665). */
    logsStatements: "SELECT @@binlog_format = 'STATEMENT' AS yes",
    /** Locks on missing rows then leave the gaps between rows free. */
    isolation: 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    lengthOfLists: 'SET SESSION group_concat_max_len = 16777216',
    oldTable: `SELECT ${id}, ${expires}, ${data} FROM ${old} LIMIT 0`,
    countOld: `SELECT COUNT(*) AS count FROM ${old}`,
    countCopied: `SELECT COUNT(*) AS count FROM ${ledger} WHERE ${endable}`,
    anySession: `SELECT 1 FROM ${sessions} LIMIT 1`,
    ledgerIsThere: `SELECT 1 FROM ${ledger} LIMIT 0`,
    createLedger: `CREATE TABLE IF NOT EXISTS ${ledger} (
  session_key BINARY(24) NOT NULL,
  fingerprint BINARY(8) NOT NULL,
  expires BIGINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  ended TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (session_key)
) ENGINE=InnoDB`,
    dropLedger: `DROP TABLE IF EXISTS ${ledger}`,

    /** What it would take to hold the old table's rows in the server's memory, and how much of that there is. */
    sizes:
      `SELECT data_length, @@innodb_buffer_pool_size AS memory FROM information_schema.tables ` +
      `WHERE table_schema = DATABASE() AND table_name = ?`,

    /** The next part of the old table in the order of its primary key: where it ends, and the ends of the slice's keys. */
    oldPart: (first: boolean, size: number, slice: Slice) =>
      `SELECT MAX(id) AS last, COUNT(*) AS rows_read, COALESCE(SUM(is_here), 0) AS rows_here, ` +
      `COALESCE(SUM(is_here AND is_live = 0), 0) AS expired, ` +
      `COALESCE(GROUP_CONCAT(IF(is_here, key_end, NULL) SEPARATOR ''), '') AS key_ends FROM (` +
      `SELECT ${id} AS id, ${live} AS is_live, ${isIn(slice, id)} AS is_here, ` +
      `RIGHT(${hashOf(id)}, ${keyEndLength}) AS key_end ` +
      `FROM ${old} ${first ? '' : `WHERE ${id} > ? `}ORDER BY ${id} LIMIT ${size}) AS part`,

    /**
     * The live rows of a part that differ from what the ledger says of them. Only for those is the new table read:
     * its rows lie in another order, and a pass that finds nothing to do is to cost little.
     */
    differing: (first: boolean, slice: Slice) =>
      `SELECT old.session_key, old.expires, old.fingerprint, old.data, ` +
      `copied.fingerprint AS copied_fingerprint, copied.expires AS copied_expires, ` +
      `copied.version AS copied_version, copied.expires * 1000 <= ${now} AS copy_had_expired, ` +
      `present.version AS present_version, ${fingerprintOf('present.data')} AS present_fingerprint, ` +
      `${now} AS read_at FROM (` +
      `SELECT ${keyOfId(id)} AS session_key, ${expires} AS expires, ${fingerprintOf(utf8Data)} AS fingerprint, ` +
      `CAST(${utf8Data} AS BINARY) AS data FROM ${old} ` +
      `WHERE ${first ? '' : `${id} > ? AND `}${id} <= ? AND ${live} AND ${isIn(slice, id)}) AS old ` +
      `LEFT JOIN ${ledger} AS copied ON copied.session_key = old.session_key ` +
      `LEFT JOIN ${sessions} AS present ON present.session_key = old.session_key ` +
      `WHERE copied.session_key IS NULL OR (copied.ended = 0 AND ` +
      `(copied.expires <> old.expires OR copied.fingerprint <> old.fingerprint))`,

    lockVersions: (count: number) =>
      `SELECT session_key, version FROM ${sessions} WHERE session_key IN (${list('?', count)}) FOR UPDATE`,
    insert: (count: number) => insertInto(sessions, count),
    /** Only for rows that are locked, so that they are there: it must not bring an ended one back. */
    change: (count: number) =>
      `${insertInto(sessions, count)} ON DUPLICATE KEY UPDATE user_id = VALUES(user_id), ` +
      `authenticated_at = VALUES(authenticated_at), data = VALUES(data), version = ${sessions}.version + 1, ${later(sessions)}`,
    /** Likewise. */
    touch: (count: number) => `${insertInto(sessions, count)} ON DUPLICATE KEY UPDATE ${later(sessions)}`,
    enter: (count: number) =>
      `INSERT INTO ${ledger} (session_key, fingerprint, expires, version, ended) VALUES ` +
      `${list('(?, ?, ?, ?, ?)', count)} ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), ` +
      `expires = VALUES(expires), version = VALUES(version), ended = VALUES(ended)`,

    /** The next keys of the ledger whose rows should still be in the old table. */
    ledgerPart: (first: boolean, size: number) =>
      `SELECT MAX(session_key) AS last, GROUP_CONCAT(LOWER(HEX(session_key)) SEPARATOR '') AS session_keys FROM (` +
      `SELECT session_key FROM ${ledger} WHERE ${first ? '' : 'session_key > ? AND '}${endable} ` +
      `ORDER BY session_key LIMIT ${size}) AS part`,
    /** Ends what nobody changed here since it was copied. */
    endUnchanged: (count: number) =>
      `DELETE present FROM ${sessions} AS present JOIN ${ledger} AS copied ` +
      `ON copied.session_key = present.session_key AND copied.version = present.version ` +
      `WHERE copied.session_key IN (${list('?', count)})`,
    enterEnded: (count: number) =>
      `UPDATE ${ledger} SET ended = 1 WHERE session_key IN (${list('?', count)})`,
  }
}

const columns =
  'session_key, public_id, user_id, authenticated_at, data, version, created_at, seen_at, expires_at, sweep_at'

function insertInto(sessions: string, count: number): string {
  return `INSERT INTO ${sessions} (${columns}) VALUES ${list('(?, ?, ?, ?, ?, 1, ?, ?, ?, expires_at)', count)}`
}

/** Times only ever move on; `sweep_at` need not, being never later than the expiry. */
function later(sessions: string): string {
  return ['seen_at', 'expires_at']
    .map((column) => `${column} = GREATEST(${sessions}.${column}, VALUES(${column}))`)
    .join(', ')
}

function hashOf(id: string): string {
  return `LEFT(SHA2(CONVERT(${id} USING utf8mb4), 256), 42)`
}

/** By the hash's first byte, which is what the keys of copied sessions are ordered by. */
function isIn({ index, of }: Slice, id: string): string {
  if (of === 1) return '1'
  const byte = (value: number) => `'${value.toString(16).padStart(2, '0')}'`
  const size = 256 / of
  return `LEFT(${hashOf(id)}, 2) BETWEEN ${byte(index * size)} AND ${byte((index + 1) * size - 1)}`
}

/** `keyOf` of core/token.ts in SQL: apps that share the old table through coatcheck leave tokens of ours there. */
function keyOfId(id: string): string {
  const text = `CONVERT(${id} USING utf8mb4)`
  const base64 = `REPLACE(REPLACE(LEFT(${text}, 4), '-', '+'), '_', '/')`
  const isOurs = `CHAR_LENGTH(${text}) = 36 AND ${text} NOT REGEXP '[^A-Za-z0-9_-]'`
  return `UNHEX(CONCAT(IF(${isOurs}, HEX(FROM_BASE64(${base64})), '000000'), ${hashOf(id)}))`
}

function fingerprintOf(bytes: string): string {
  return `UNHEX(LEFT(SHA2(${bytes}, 256), 16))`
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function list(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join(', ')
}
