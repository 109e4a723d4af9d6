// Measures MySQLStore on tables of 10 thousand to 10 million rows, on a private MariaDB with its default settings.
// `npm run bench -- scale --quick` takes under a minute and keeps no results; `--rows 6` stops at 10^6 rows;
// `--only sizes`, `keys`, `layouts` or `sweep` measures one part. 10^7 rows take 7 GB of a temporary folder, removed at the end.
import { parseArgs } from 'node:util'
import { type Connection, createConnection } from 'mysql2/promise'
import { startMariaDB } from '../test/servers/mariadb.ts'
import { measureChanges, measureIds } from './scale/changes.ts'
import { measureSweepEffect } from './scale/foreground.ts'
import { compareLayouts } from './scale/layouts.ts'
import { measureLookups } from './scale/lookups.ts'
import { asMarkdown, machine, type Results, save, type SizeResult } from './scale/report.ts'
import { type FilledTable, type Filling, fillTable, megabytesOf, settle } from './scale/table.ts'

const longest = 30 * 60_000 // ms, for all of it
const day = 86_400_000 // ms
const partNames: readonly string[] = ['sizes', 'keys', 'layouts', 'sweep']

const { quick, exponent, parts } = readOptions()
const began = performance.now()
const say = (text: string) =>
  console.log(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${text}`)

// On leaving like this the server is killed, and its folder removed.
setTimeout(() => {
  console.error('It took too long.')
  process.exit(1)
}, longest).unref()
process.once('SIGTERM', () => process.exit(1))
process.once('SIGINT', () => process.exit(1))

const server = await startMariaDB()
try {
  const connection = await createConnection(server.url)
  try {
    await connection.query('CREATE DATABASE scale')
    await connection.query('USE scale')
    const on = await machineOf(connection)
    const measured = (): { on: string; at: string } => ({ on, at: new Date().toISOString() })
    const results: Results = {}
    if (parts.has('sizes')) results.sizes = { ...measured(), tables: await measureSizes(connection) }
    if (parts.has('keys')) results.keys = { ...measured(), ...(await compareKeys(connection)) }
    if (parts.has('layouts')) results.layouts = { ...measured(), ...(await insertIntoLayouts(connection)) }
    if (parts.has('sweep')) results.sweep = { ...measured(), ...(await sweepBesideRequests(connection)) }
    console.log(`\n${quick ? asMarkdown(results) : save(results)}`)
  } finally {
    await connection.end()
  }
} finally {
  await server.stop()
}

async function measureSizes(connection: Connection) {
  const tables: FilledTable[] = []
  for (let size = 4; size <= exponent; size++) {
    tables.push(await filled(connection, `rows_${size}`, { rows: 10 ** size }))
  }
  const megabytes: SizeResult['megabytes'][] = []
  for (const table of tables) megabytes.push(await megabytesOf(connection, table))
  const lookups = await measureLookups(tables, quick ? 3 : 9)
  say('looked up')
  const changes = await measureChanges(tables, quick ? 2 : 5)
  say('inserted, touched, swept')
  for (const table of tables) await drop(connection, table)
  return tables.map(({ rows, fillSeconds }, index) => ({
    rows,
    fillSeconds,
    megabytes: megabytes[index]!,
    lookup: lookups[index]!,
    changes: changes[index]!,
  }))
}

async function compareKeys(connection: Connection) {
  const rows = quick ? 100_000 : 1_000_000
  const timed = await filled(connection, 'timed_keys', { rows })
  const random = await filled(connection, 'random_keys', { rows, timedIds: false })
  const rates = await measureIds(timed, random, quick ? 2 : 7)
  say('inserted by both kinds of keys')
  for (const table of [timed, random]) await drop(connection, table)
  return { rows, ...rates }
}

async function insertIntoLayouts(connection: Connection) {
  const other = await createConnection(server.url + '/scale')
  try {
    const comparison = await compareLayouts([connection, other], quick ? 64_000 : 1_000_000)
    say('inserted into both layouts')
    return comparison
  } finally {
    await other.end()
  }
}

async function sweepBesideRequests(connection: Connection) {
  const half = quick ? 20_000 : 1_000_000
  const table = await filled(connection, 'half_expired', { rows: 2 * half, idle: 3.5 * day })
  const effect = await measureSweepEffect(table, quick ? 1 : 10)
  say('swept beside requests')
  await drop(connection, table)
  return { live: half, expired: half, ...effect }
}

async function filled(connection: Connection, name: string, filling: Filling): Promise<FilledTable> {
  const table = await fillTable(connection, server.url + '/scale', name, filling)
  await settle(connection)
  say(`${name}: ${filling.rows.toLocaleString('en')} rows filled in`)
  return table
}

async function drop(connection: Connection, table: FilledTable): Promise<void> {
  await table.store.close()
  await connection.query(`DROP TABLE ${table.name}`)
}

async function machineOf(connection: Connection): Promise<string> {
  const [rows] = await connection.query('SELECT VERSION() AS version, @@innodb_buffer_pool_size AS bytes')
  const [{ version, bytes }] = rows as [{ version: string; bytes: number }]
  return machine(version.replace(/-.*$/, ' MariaDB'), Number(bytes) / 2 ** 20)
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rows: { type: 'string' },
      only: { type: 'string', multiple: true, default: [...partNames] },
    },
  })
  const exponent = Number(values.rows ?? (values.quick ? 5 : 7))
  if (![4, 5, 6, 7].includes(exponent))
    throw new Error('--rows is the power of ten to stop at: 4, 5, 6 or 7.')
  const wrong = values.only.find((part) => !partNames.includes(part))
  if (wrong !== undefined) throw new Error(`--only is one of ${partNames.join(', ')}, not ${wrong}.`)
  return { quick: values.quick, exponent, parts: new Set(values.only) }
}
