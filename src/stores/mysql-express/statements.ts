import { optionError, refuseUnknownOptions, shown } from '../../core/errors.js'
import { keyPrefix, notePrefix } from '../../core/token.js'
import { bySize, now, repeat } from '../mysql/statements.js'

/**
 * Every statement on a table of express-mysql-session, in the common part of MySQL and MariaDB.
 *
 * Texts come and go as bytes of UTF-8, whatever the connection's character set, and are compared as the table's own
 * collation compares them, so that the primary key serves. No statement uses a JSON function. On a row that is not
 * JSON, the functions fail the statement on one of the servers. On deep data, they give up on the other.
 */
export type ExpressStatements = ReturnType<typeof expressStatements>

/** The names of the columns in a table of express-mysql-session. */
export interface MySQLColumns {
  /** The column of the session id. Default: `session_id`. */
  readonly session_id?: string | undefined
  /** The column of the expiry, in Unix seconds. Default: `expires`. */
  readonly expires?: string | undefined
  /** The column of the data, which is JSON. Default: `data`. */
  readonly data?: string | undefined
}

/** What is listed, and how many. */
interface ListOptions {
  readonly sorted: boolean
  readonly containing: boolean
  readonly after: boolean
  readonly limit: number
}

const text = 'CONVERT(CAST(? AS BINARY) USING utf8mb4) COLLATE utf8mb4_bin'
/** The end of time for a column of Unix seconds in 32 bits: the year 2106. */
const lastSecond = 2 ** 32 - 1
const inSeconds = (moment: string) => `LEAST(CEIL(${moment} / 1000), ${lastSecond})`
/** For an idle time and a moment that it does not get past, both in milliseconds. */
const expiry = inSeconds(`LEAST(${now} + ?, ?)`)
const bytesOf = (column: string) => `CAST(CONVERT(${column} USING utf8mb4) AS BINARY)`

/** @throws ERR_SESSION_OPTION for what is no name. */
export function expressStatements(table: string, columns: MySQLColumns = {}) {
  refuseUnknownOptions('columns', columns, ['session_id', 'expires', 'data'])
  const sessions = quoted('table', table)
  const id = quoted('columns.session_id', columns.session_id ?? 'session_id')
  const expires = quoted('columns.expires', columns.expires ?? 'expires')
  const data = quoted('columns.data', columns.data ?? 'data')
  const live = `${expires} > UNIX_TIMESTAMP()`
  const dead = `${expires} <= UNIX_TIMESTAMP()`
  /** 52 bits of a hash of what is stored. */
  const fingerprint = `CAST(CONV(LEFT(SHA2(COALESCE(${data}, ''), 256), 13), 16, 10) AS UNSIGNED)`
  const asRead = `WHERE ${id} = ${text} AND ${fingerprint} = ? AND ${live}`
  const among = (size: number) => `${id} IN (${repeat(text, size)})`
  /*
   * All or none: a live row that holds something else than the caller read makes its expiry overflow, outside of what
   * keeps that within the column, which is an error (1690) in every sql_mode, and the statement is undone. The expiry
   * goes first: assignments are carried out from left to right, and the fingerprint must be that of the data as it was.
   */
  const updateMany = (size: number) => {
    const byId = (value: string, otherwise: string) =>
      `CASE ${bytesOf(id)} ${`WHEN ? THEN ${value} `.repeat(size)}ELSE ${otherwise} END`
    return (
      `UPDATE ${sessions} SET ${expires} = IF(${fingerprint} = ${byId('?', '-1')}, ${expiry}, ` +
      `CAST(${expires} AS UNSIGNED) + 18446744073709551615), ${data} = ${byId(text, data)} WHERE ${among(size)} AND ${live}`
    )
  }
  /** Any text of these, if also the first of them, which is a part of the others and settles it for most rows. */
  const contains = (() => {
    const text = `LOCATE(CAST(? AS BINARY), ${bytesOf(data)}) > 0`
    return `${text} AND (${text} OR ${text})`
  })()
  const rows =
    `SELECT ${bytesOf(id)} AS id_bytes, ${bytesOf(data)} AS data_bytes, ${expires} AS expires_at, ` +
    `${fingerprint} AS fingerprint, ${now} AS read_at FROM ${sessions}`

  return {
    find: bySize((size) => `${rows} WHERE ${among(size)} AND ${live} LIMIT ${size}`),
    insert: bySize(
      (size) =>
        `INSERT INTO ${sessions} (${id}, ${expires}, ${data}) VALUES ` +
        repeat(`(${text}, ${expiry}, ${text})`, size),
    ),
    /** The database's clock, and whether a key is still there. */
    moment: `SELECT ${now} AS moment, EXISTS(SELECT 1 FROM ${sessions} WHERE ${id} = ${text}) AS has_key`,
    /** The rows that hold keys: few, and found by the primary key. */
    keys: `SELECT ${bytesOf(id)} AS id_bytes FROM ${sessions} WHERE ${id} LIKE '${keyPrefix}%' AND ${live} ORDER BY ${id} LIMIT 1000`,
    insertKey: `INSERT INTO ${sessions} (${id}, ${expires}, ${data}) VALUES (${text}, ${lastSecond}, ${text})`,
    updateMany: bySize(updateMany),
    update: `UPDATE ${sessions} SET ${data} = ${text}, ${expires} = ${expiry} ${asRead}`,
    rotate: `UPDATE ${sessions} SET ${data} = ${text}, ${expires} = ${expiry}, ${id} = ${text} ${asRead}`,
    touch: bySize(
      (size) =>
        `UPDATE ${sessions} SET ${expires} = GREATEST(${expires}, ${expiry}) WHERE ${among(size)} AND ${live}`,
    ),
    remove: `DELETE FROM ${sessions} ${asRead}`,
    removeThoseThatContain: bySize(
      (size) => `DELETE FROM ${sessions} WHERE ${among(size)} AND ${live} AND ${contains}`,
    ),
    removeThoseExpired: bySize((size) => `DELETE FROM ${sessions} WHERE ${among(size)} AND ${dead}`),
    expired: (limit: number) =>
      `SELECT ${bytesOf(id)} AS id_bytes FROM ${sessions} WHERE ${dead} LIMIT ${limit}`,
    /**
     * Sessions, and no notes, in the order of the bytes of UTF-8. @param options.sorted whether the ids' own order is
     * that one
     */
    list: (options: ListOptions) =>
      `${rows} WHERE ${live} AND LEFT(${bytesOf(id)}, 5) <> '${notePrefix}'${options.after ? ` AND ${id} > ${text}` : ''}` +
      `${options.containing ? ` AND ${contains}` : ''} ORDER BY ` +
      `${options.sorted ? id : `CONVERT(${id} USING utf8mb4) COLLATE utf8mb4_bin`} LIMIT ${options.limit}`,
    /** The collation of the ids, also of no rows. */
    collation: `SELECT COLLATION(MIN(${id})) AS name FROM ${sessions}`,
    tableIsThere: `SELECT 1 FROM ${sessions} LIMIT 0`,
    /** To the letter the table that express-mysql-session makes. */
    createTable: `CREATE TABLE IF NOT EXISTS ${sessions} (
  ${id} varchar(128) COLLATE utf8mb4_bin NOT NULL,
  ${expires} int(11) unsigned NOT NULL,
  ${data} mediumtext COLLATE utf8mb4_bin,
  PRIMARY KEY (${id})
) ENGINE=InnoDB`,
  }
}

/** As express-mysql-session quotes names: any text, in which a dot parts a database from its table. */
function quoted(option: string, name: unknown): string {
  if (typeof name === 'string' && name !== '' && !name.includes('\0')) {
    return `\`${name.replaceAll('`', '``').replaceAll('.', '`.`')}\``
  }
  throw optionError(`${option} must be a name in the database, not ${shown(name)}.`)
}
