import { hash, randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { SessionId } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import type { Connection } from 'mysql2/promise'
import { createId } from '../../dist/core/token.js'

const day = 86_400_000 // ms
/** Sessions began evenly over this long until now. */
const span = 8 * day
/** Each was used for up to this long after it began. */
const longestUse = day
/** Rows that one statement fills in. */
const portion = 50_000
/** Bytes of data in each session. */
export const dataLength = 300

/** A table of `MySQLStore` that was filled as use over days would have filled it. */
export interface FilledTable {
  readonly name: string
  readonly rows: number
  readonly store: MySQLStore
  /** Seconds that filling took. */
  readonly fillSeconds: number
  /** The id of the row of this number, from 1 to `rows` in the order in which the sessions began. */
  idOf(row: number): SessionId
}

export interface Filling {
  readonly rows: number
  /** How long after its last use a session expires, in ms: 7 days leave 1/16 expired, 3.5 days half. */
  readonly idle?: number
  /** `false`: ids without the time that they usually begin with. */
  readonly timedIds?: boolean
}

/**
 * Makes a table through the store and fills it in the order in which the sessions began, so that its pages are as full
 * as they would be. A quarter of the sessions have a user. Who signed in and how long it was used is arithmetic on the
 * row's number, spread evenly.
 *
 * @param connection to the same database as `url`
 */
export async function fillTable(
  connection: Connection,
  url: string,
  name: string,
  { rows, idle = 7 * day, timedIds = true }: Filling,
): Promise<FilledTable> {
  const store = new MySQLStore(url, { table: name })
  await store.removeExpired(1) // makes the table
  const from = performance.now()
  const start = Date.now() - span
  const began = (row: number) => start + Math.floor((row * span) / rows)
  // What is being filled can be filled again, so its durability need not be paid for.
  await connection.query('SET GLOBAL innodb_flush_log_at_trx_commit = 0')
  const beganSql = `${start} + FLOOR(seq * ${span} / ${rows})`
  const timeSql = timedIds ? `LPAD(HEX((${beganSql}) DIV 256000 % 16777216), 6, '0')` : "''"
  const hashSql = 'SHA2(seq, 256)'
  const seenSql = `LEAST(${beganSql} + seq * 48271 % 1000003 / 1000003 * ${longestUse}, ${Date.now()})`
  for (let first = 1; first <= rows; first += portion) {
    const last = Math.min(first + portion - 1, rows)
    await connection.query(
      `INSERT INTO ${name} (id, secret_hash, user_id, data, format, version, marks, created_at, seen_at, expires_at, sweep_at)
       SELECT UNHEX(LEFT(CONCAT(${timeSql}, SHA2(CONCAT('row ', seq), 256)), 24)), UNHEX(${hashSql}),
         IF(seq % 4 = 0, CONCAT('user-', seq * 69621 % ${rows}), NULL),
         CONCAT(RPAD(CONCAT('{"visits":', seq % 100, ',"text":"'), ${dataLength - 2}, 'x'), '"}'),
         1, 1 + seq % 10, LEFT(UNHEX(${hashSql}), 8), ${beganSql}, ${seenSql}, ${seenSql} + ${idle},
         ${beganSql} + ${idle}
       FROM seq_${first}_to_${last}`,
    )
  }
  await connection.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
  return {
    name,
    rows,
    store,
    fillSeconds: (performance.now() - from) / 1_000,
    idOf: (row) => {
      const time = timedIds ? (Math.floor(began(row) / 256_000) % 2 ** 24).toString(16).padStart(6, '0') : ''
      const bytes = Buffer.from((time + hash('sha256', `row ${row}`)).slice(0, 24), 'hex')
      return bytes.toString('base64url') as SessionId
    },
  }
}

/** Ids of rows drawn at random from all of a table, without the expired ones. */
export async function drawLiveIds(table: FilledTable, count: number): Promise<SessionId[]> {
  const live = new Set<SessionId>()
  while (live.size < count) {
    const drawn = Array.from({ length: 64 }, () => table.idOf(1 + Math.floor(Math.random() * table.rows)))
    const records = await table.store.find([...new Set(drawn)])
    for (const record of records) if (record) live.add(record.id)
  }
  return [...live].slice(0, count)
}

/** An id as a new session gets it, or one without time. */
export function newId(timed = true): SessionId {
  return timed ? createId() : (randomBytes(12).toString('base64url') as SessionId)
}

export async function megabytesOf(connection: Connection, table: Pick<FilledTable, 'name'>) {
  await connection.query(`ANALYZE TABLE ${table.name}`)
  const [rows] = await connection.query(
    `SELECT data_length AS data, index_length AS indexes FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_name = '${table.name}'`,
  )
  const [{ data, indexes }] = rows as [{ data: number; indexes: number }]
  return { data: Number(data) / 2 ** 20, indexes: Number(indexes) / 2 ** 20 }
}

/** Waits until the server has written out what was filled in, so that this is not measured with what follows. */
export async function settle(connection: Connection): Promise<void> {
  const [rows] = await connection.query(
    'SELECT @@innodb_io_capacity AS usual, @@innodb_io_capacity_max AS most',
  )
  const [{ usual, most }] = rows as [{ usual: number; most: number }]
  const dirty = async () => {
    const [rows] = await connection.query("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
    return Number((rows as [{ Value: string }])[0].Value)
  }
  await connection.query(
    'SET GLOBAL innodb_io_capacity_max = 20000, innodb_io_capacity = 20000, innodb_max_dirty_pages_pct = 0',
  )
  for (let tries = 0; tries < 300 && (await dirty()) > 100; tries++) await setTimeout(100)
  await connection.query(
    `SET GLOBAL innodb_io_capacity = ${usual}, innodb_io_capacity_max = ${most}, innodb_max_dirty_pages_pct = DEFAULT`,
  )
}
