import { createId } from '../core/token.js'
import { performance, wait } from '../core/scheduling.js'
import { MySQLStore } from '../stores/mysql.js'
import { nextPowerOfTwo } from '../stores/sql/batch-size.js'
import { isDenied } from '../stores/mysql/layout.js'
import { databaseStatement } from '../stores/mysql/lock.js'
import { errorNumber } from '../stores/mysql/error-codes.js'
import { numberOf } from '../stores/mysql/pool.js'
import { CommandError } from './command-error.js'
import { CopyConnection } from './copy-connection.js'
import type { CopyOptions } from './copy-options.js'
import { add, emptyTally, pass, type Tally } from './copy-pass.js'
import { type CopyStatements, copyStatements, ledgerName } from './copy-statements.js'

/** What all passes did together. Of `rows`, `expired` and `corrupt`, what the last whole one found. */
export interface CopySummary extends Tally {
  readonly passes: number
  readonly seconds: number
  /** How many rows of the old table all passes looked at, and how long they took. */
  readonly through: number
  readonly passSeconds: number
  /** Whether a pass went through to the end, so that all that was there is copied. */
  readonly whole: boolean
}

/** Who watches a copy. */
export interface CopyWatcher {
  passBegins(number: number, rows: number): void
  progress(rows: number): void
  passEnds(tally: PassWork): void
}

/** What a pass did, of either kind of copy. */
export type PassWork = Pick<Tally, 'copied' | 'changed' | 'touched' | 'ended'>

/**
 * Copies until a pass finds next to nothing to do; with `follow`, until `stop`.
 *
 * @throws CommandError, ERR_SESSION_OPTION for a malformed URL, and what the driver throws
 */
export async function copy(
  options: CopyOptions,
  watcher: CopyWatcher,
  stop: AbortSignal,
): Promise<CopySummary> {
  const sql = copyStatements(options)
  return connected(options, sql, async (connection) => {
    await prepare(connection, sql, options)
    const progress = (rows: number) => watcher.progress(rows)
    const sum = emptyTally()
    const began = performance.now()
    let [passes, passSeconds, through, whole, before] = [0, 0, 0, false, Infinity]
    while (!stop.aborted) {
      const passBegan = performance.now()
      const rows = await count(connection, sql.countOld)
      watcher.passBegins(++passes, rows)
      const slices = await slicesFor(connection, sql, options.from, rows)
      const tally = await pass({
        ...options,
        userPath: options.user,
        connection,
        sql,
        stop,
        slices,
        progress,
      })
      watcher.passEnds(tally)
      passSeconds += secondsSince(passBegan)
      through += tally.rows
      if (!stop.aborted) whole = true
      add(sum, { ...tally, rows: 0, expired: 0, corrupt: 0 })
      if (!stop.aborted || passes === 1) {
        Object.assign(sum, { rows: tally.rows, expired: tally.expired, corrupt: tally.corrupt })
      }
      const work = tally.copied + tally.changed + tally.touched + tally.ended
      if (options.follow) await rest(options.every, stop)
      // Under load there is always something; when it no longer gets less, it is as near as it will get.
      else if (work <= tally.rows / 1000 || work >= before) break
      before = work
    }
    return { ...sum, passes, seconds: secondsSince(began), through, passSeconds, whole }
  })
}

/**
 * Drops the ledger.
 * @returns its name
 * @throws (by the promise) CommandError if the user may not
 */
export async function forget(options: CopyOptions): Promise<string> {
  const sql = copyStatements(options)
  return connected(options, sql, async (connection) => {
    const ledger = ledgerName(options)
    try {
      await connection.change(sql.dropLedger)
    } catch (error) {
      if (!isDenied(error)) throw error
      throw new CommandError(
        `The user may not drop ${ledger}. GRANT DROP on it and run the command again, or let another user drop it.`,
      )
    }
    return ledger
  })
}

/** Does `work` while no other copy into the same table runs. */
async function connected<Answer>(
  { url, to }: CopyOptions,
  sql: CopyStatements,
  work: (connection: CopyConnection) => Promise<Answer>,
): Promise<Answer> {
  const connection = await CopyConnection.open(url)
  try {
    const [database] = await connection.select(databaseStatement)
    const [row] = await connection.select(sql.lock(database!['name'] as string | null))
    if (Number(row?.['locked']) !== 1) {
      throw new CommandError(
        `Another copy into ${to} is running, on connection ${String(row?.['holder'])} of the database. Let it finish; if its process is gone for good, end that connection with KILL.`,
      )
    }
    return await work(connection)
  } finally {
    await connection.close()
  }
}

async function prepare(connection: CopyConnection, sql: CopyStatements, options: CopyOptions): Promise<void> {
  const [log] = await connection.select(sql.logsStatements)
  if (Number(log?.['yes']) !== 1) await connection.change(sql.isolation)
  await connection.change(sql.lengthOfLists)
  await checkOldTable(connection, sql, options)
  // The store makes its table on first use.
  await new MySQLStore(connection.pool, { table: options.to }).find([createId()])
  if (!(await ledgerIsThere(connection, sql))) await createLedger(connection, sql)
  const copied = await count(connection, sql.countCopied)
  const sessions = await connection.select(sql.anySession)
  if (sessions.length === 0 && copied > 0) {
    throw new CommandError(
      `${options.to} is empty although ${copied} live sessions were copied into it. If it was emptied so as to begin anew, run the command with --forget first.`,
    )
  }
}

async function checkOldTable(
  connection: CopyConnection,
  sql: CopyStatements,
  { from, columns }: CopyOptions,
): Promise<void> {
  try {
    await connection.select(sql.oldTable)
  } catch (error) {
    if (numberOf(error) === errorNumber.missingTable) {
      throw new CommandError(`There is no table ${from} in this database. Check --from, and the URL.`)
    }
    if (numberOf(error) === errorNumber.unknownColumn) {
      throw new CommandError(
        `The table ${from} does not have the columns ${Object.values(columns).join(', ')}. If they have other names, give them: --columns session_id=…,expires=…,data=….`,
      )
    }
    throw error
  }
}

async function ledgerIsThere(connection: CopyConnection, sql: CopyStatements): Promise<boolean> {
  try {
    await connection.select(sql.ledgerIsThere)
    return true
  } catch (error) {
    const number = numberOf(error)
    if (number === errorNumber.missingTable || number === errorNumber.deniedTable) return false
    throw error
  }
}

async function createLedger(connection: CopyConnection, sql: CopyStatements): Promise<void> {
  try {
    await connection.change(sql.createLedger)
  } catch (error) {
    if (numberOf(error) !== errorNumber.deniedTable) throw error
    throw new CommandError(
      `This user may not create the table that the copy keeps its ledger in. Let one who may run this, and grant SELECT, INSERT and UPDATE on it:\n\n${sql.createLedger};`,
    )
  }
}

/** As many slices as it takes for what is still to be copied to fit in a quarter of the server's memory. */
async function slicesFor(
  connection: CopyConnection,
  sql: CopyStatements,
  from: string,
  rows: number,
): Promise<number> {
  const copied = await count(connection, sql.countCopied)
  const [sizes] = await connection.select(sql.sizes, [from])
  const bytes = (Number(sizes?.['data_length']) || 0) * Math.max(0, 1 - copied / Math.max(1, rows))
  return Math.min(64, nextPowerOfTwo(bytes / (Number(sizes?.['memory']) / 4)))
}

async function count(connection: CopyConnection, statement: string): Promise<number> {
  const [row] = await connection.select(statement)
  return Number(row?.['count'])
}

async function rest(milliseconds: number, stop: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal: stop })
  } catch {
    // Stopped: the loop sees it.
  }
}

function secondsSince(moment: number): number {
  return (performance.now() - moment) / 1000
}
