import { hash } from 'node:crypto'
import { lockName } from '../stores/mysql/lock.js'
import { recordFormat } from '../core/store/record.js'
import { markLength, marksKept } from '../core/store/mark.js'
import { keyPrefix, notePrefix } from '../core/token.js'
import { now } from '../stores/mysql/statements.js'

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
 * One of 1, 2, 4, … 64 equal slices of all ids. Rows lie in the old table in one order and in the new one in another,
 * at random; a table that outgrows the server's memory is filled a slice at a time, or each row would cost
 * the reading of a page.
 */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** Every statement that copying sends, in the common part of MySQL and MariaDB. */
export type CopyStatements = ReturnType<typeof copyStatements>

/** So many hexadecimal digits of an id's end make a number that JavaScript holds exactly. */
export const idEndLength = 13

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
  const [token, expires, data] = [tables.columns.session_id, tables.columns.expires, tables.columns.data].map(
    quoted,
  ) as [string, string, string]
  const live = `${expires} * 1000 > ${now}`
  const utf8Data = utf8(`COALESCE(${data}, '')`)
  const secretHash = `UNHEX(SHA2(${utf8(token)}, 256))`
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
    oldTable: `SELECT ${token}, ${expires}, ${data} FROM ${old} LIMIT 0`,
    countOld: `SELECT COUNT(*) AS count FROM ${old}`,
    countCopied: `SELECT COUNT(*) AS count FROM ${ledger} WHERE ${endable}`,
    anySession: `SELECT 1 FROM ${sessions} LIMIT 1`,
    ledgerIsThere: `SELECT 1 FROM ${ledger} LIMIT 0`,
    createLedger: `CREATE TABLE IF NOT EXISTS ${ledger} (
  id BINARY(12) NOT NULL,
  fingerprint BINARY(12) NOT NULL,
  expires BIGINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  ended TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB`,
    dropLedger: `DROP TABLE IF EXISTS ${ledger}`,

    /** What it would take to hold the old table's rows in the server's memory, and how much of that there is. */
    sizes:
      `SELECT data_length, @@innodb_buffer_pool_size AS memory FROM information_schema.tables ` +
      `WHERE table_schema = DATABASE() AND table_name = ?`,

    /** The next part of the old table in the order of its primary key: where it ends, and the ends of the slice's ids. */
    oldPart: (first: boolean, size: number, slice: Slice) =>
      `SELECT MAX(token) AS last, COUNT(*) AS rows_read, COALESCE(SUM(is_here), 0) AS rows_here, ` +
      `COALESCE(SUM(is_here AND is_live = 0), 0) AS expired, ` +
      `COALESCE(GROUP_CONCAT(IF(is_here, id_end, NULL) SEPARATOR ''), '') AS id_ends FROM (` +
      `SELECT ${token} AS token, ${live} AS is_live, ${isIn(slice, token)} AS is_here, ` +
      `RIGHT(${idInHexOf(token)}, ${idEndLength}) AS id_end ` +
      `FROM ${old} ${first ? '' : `WHERE ${token} > ? `}ORDER BY ${token} LIMIT ${size}) AS part`,

    /**
     * The live rows of a part that differ from what the ledger says of them. Only for those is the new table read:
     * its rows lie in another order, and a pass that finds nothing to do is to cost little.
     *
     * Of two tokens of one id the one that expires later is copied. Notes are not: they name sessions as the old table does.
     */
    differing: (first: boolean, slice: Slice) =>
      `SELECT old.id, old.secret_hash, old.expires, old.fingerprint, old.data, ` +
      `copied.fingerprint AS copied_fingerprint, copied.expires AS copied_expires, ` +
      `copied.version AS copied_version, copied.expires * 1000 <= ${now} AS copy_had_expired, ` +
      `present.version AS present_version, ` +
      `${fingerprintOf('present.secret_hash', 'present.data')} AS present_fingerprint, ` +
      `${now} AS read_at FROM (` +
      `SELECT UNHEX(${idInHexOf(token)}) AS id, ${secretHash} AS secret_hash, ${expires} AS expires, ` +
      `${fingerprintOf(secretHash, utf8Data)} AS fingerprint, CAST(${utf8Data} AS BINARY) AS data FROM ${old} ` +
      `WHERE ${first ? '' : `${token} > ? AND `}${token} <= ? AND ${live} AND ${isIn(slice, token)} ` +
      `AND ${utf8(token)} COLLATE utf8mb4_bin NOT LIKE '${notePrefix}%') AS old ` +
      `LEFT JOIN ${ledger} AS copied ON copied.id = old.id ` +
      `LEFT JOIN ${sessions} AS present ON present.id = old.id ` +
      `WHERE copied.id IS NULL OR (copied.ended = 0 AND ` +
      `(copied.expires <> old.expires OR copied.fingerprint <> old.fingerprint) AND ` +
      `(copied.expires <= old.expires OR LEFT(copied.fingerprint, 4) = LEFT(old.fingerprint, 4)))`,

    /** The keys that have signed what coatcheck keeps in sessions of the old table. */
    keys: `SELECT CAST(${utf8(token)} AS BINARY) AS name FROM ${old} WHERE ${token} LIKE '${keyPrefix}%' AND ${live} LIMIT 1000`,

    lockVersions: (count: number) =>
      `SELECT id, version FROM ${sessions} WHERE id IN (${list('?', count)}) FOR UPDATE`,
    insert: (count: number) => insertInto(sessions, count),
    /** Only for rows that are locked, so that they are there: it must not bring an ended one back. */
    change: (count: number) =>
      `${insertInto(sessions, count)} ON DUPLICATE KEY UPDATE secret_hash = VALUES(secret_hash), ` +
      `user_id = VALUES(user_id), authenticated_at = VALUES(authenticated_at), data = VALUES(data), ` +
      `marks = LEFT(CONCAT(VALUES(marks), ${sessions}.marks), ${markLength * marksKept}), ` +
      `version = ${sessions}.version + 1, ${later(sessions)}`,
    /** Likewise. */
    touch: (count: number) => `${insertInto(sessions, count)} ON DUPLICATE KEY UPDATE ${later(sessions)}`,
    enter: (count: number) =>
      `INSERT INTO ${ledger} (id, fingerprint, expires, version, ended) VALUES ` +
      `${list('(?, ?, ?, ?, ?)', count)} ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), ` +
      `expires = VALUES(expires), version = VALUES(version), ended = VALUES(ended)`,

    /** The next ids of the ledger whose rows should still be in the old table. */
    ledgerPart: (first: boolean, size: number) =>
      `SELECT MAX(id) AS last, GROUP_CONCAT(LOWER(HEX(id)) SEPARATOR '') AS ids FROM (` +
      `SELECT id FROM ${ledger} WHERE ${first ? '' : 'id > ? AND '}${endable} ORDER BY id LIMIT ${size}) AS part`,
    /** Ends what nobody changed here since it was copied. */
    endUnchanged: (count: number) =>
      `DELETE present FROM ${sessions} AS present JOIN ${ledger} AS copied ` +
      `ON copied.id = present.id AND copied.version = present.version ` +
      `WHERE copied.id IN (${list('?', count)})`,
    enterEnded: (count: number) => `UPDATE ${ledger} SET ended = 1 WHERE id IN (${list('?', count)})`,
  }
}

const columns =
  'id, secret_hash, user_id, authenticated_at, data, format, marks, version, created_at, seen_at, expires_at, sweep_at'

function insertInto(sessions: string, count: number): string {
  const row = `(?, ?, ?, ?, ?, ${recordFormat}, ?, 1, ?, ?, ?, expires_at)`
  return `INSERT INTO ${sessions} (${columns}) VALUES ${list(row, count)}`
}

/** Times only ever move on; `sweep_at` need not, being never later than the expiry. */
function later(sessions: string): string {
  return ['seen_at', 'expires_at']
    .map((column) => `${column} = GREATEST(${sessions}.${column}, VALUES(${column}))`)
    .join(', ')
}

function utf8(text: string): string {
  return `CONVERT(${text} USING utf8mb4)`
}

/** By the first byte of the id, which is what the new table is ordered by. */
function isIn({ index, of }: Slice, token: string): string {
  if (of === 1) return '1'
  const byte = (value: number) => `'${value.toString(16).padStart(2, '0')}'`
  const size = 256 / of
  return `LEFT(${idInHexOf(token)}, 2) BETWEEN ${byte(index * size)} AND ${byte((index + 1) * size - 1)}`
}

/** `idOf` of core/token.ts in SQL: apps that share the old table through coatcheck leave tokens of ours there. */
function idInHexOf(token: string): string {
  const text = utf8(token)
  const base64 = `REPLACE(REPLACE(SUBSTRING(${text}, 6, 16), '-', '+'), '_', '/')`
  // The length too: to a regular expression a line's end is an end.
  const isOurs = `CHAR_LENGTH(${text}) = 53 AND ${text} COLLATE utf8mb4_bin REGEXP '^coat_[A-Za-z0-9_-]{48}$'`
  const hashed = `LEFT(SHA2(CONCAT('coatcheck id of ', ${text}), 256), 24)`
  return `IF(${isOurs}, LOWER(HEX(FROM_BASE64(${base64}))), ${hashed})`
}

/** Of the token 4 bytes, then of the data 8. `fingerprintOf` of copy-pass.ts makes the same. */
function fingerprintOf(secretHash: string, data: string): string {
  return `CONCAT(LEFT(${secretHash}, 4), UNHEX(LEFT(SHA2(${data}, 256), 16)))`
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function list(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join(', ')
}
