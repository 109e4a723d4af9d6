import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { createId } from '../../dist/core/token.js'
import { dataLength, megabytesOf } from './table.ts'

/** Rows of one statement, and rows that go into one table before it is the other's turn. */
const batchSize = 64
const portion = 6_400

/** How a session is laid out in a table. */
interface Layout {
  readonly table: string
  readonly create: string
  /** A row's values by their columns. */
  readonly row: (session: NewSession) => Readonly<Record<string, unknown>>
}

interface NewSession {
  readonly now: number
  readonly expires: number
  readonly userId: string | null
  readonly data: Buffer
}

/** What inserts into one layout came to. */
export interface LayoutResult {
  readonly perSecond: number
  readonly megabytes: { readonly data: number; readonly indexes: number }
}

/** The layout of today against the one of the first edition, which kept sessions by 24 bytes of a hash of their tokens. */
export interface LayoutComparison {
  readonly rows: number
  readonly today: LayoutResult
  readonly first: LayoutResult
}

/**
 * Inserts as many rows into a table of each layout, in turns and by the same client, so that only the layouts differ.
 * @param connections to the same database, all used at once
 */
export async function compareLayouts(
  connections: readonly Connection[],
  rows: number,
): Promise<LayoutComparison> {
  const layouts = [await todaysLayout(), firstLayout]
  const seconds = [0, 0]
  for (const layout of layouts) await connections[0]!.query(layout.create)
  for (let done = 0, turn = 0; done < rows; done += portion, turn++) {
    // Neither always comes after the other, whose pages the server may still be writing out.
    for (const index of turn % 2 === 0 ? [0, 1] : [1, 0]) {
      seconds[index]! += await fill(connections, layouts[index]!, Math.min(portion, rows - done))
    }
  }
  const results: LayoutResult[] = []
  for (const [index, { table }] of layouts.entries()) {
    const megabytes = await megabytesOf(connections[0]!, { name: table })
    results.push({ perSecond: rows / seconds[index]!, megabytes })
    await connections[0]!.query(`DROP TABLE ${table}`)
  }
  return { rows, today: results[0]!, first: results[1]! }
}

/** @returns the seconds that it took */
async function fill(connections: readonly Connection[], layout: Layout, rows: number): Promise<number> {
  const { table, row } = layout
  const columns = Object.keys(row(newSession(0)))
  const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES ?`
  const from = performance.now()
  let left = rows
  await Promise.all(
    connections.map(async (connection) => {
      while (left > 0) {
        const size = Math.min(batchSize, left)
        left -= size
        await connection.query(sql, [
          Array.from({ length: size }, (_, at) => Object.values(row(newSession(at)))),
        ])
      }
    }),
  )
  return (performance.now() - from) / 1_000
}

function newSession(at: number): NewSession {
  const now = Date.now()
  const userId = at % 4 === 0 ? `user-${Math.floor(Math.random() * 1e7)}` : null
  return { now, expires: now + 7 * 86_400_000, userId, data: Buffer.alloc(dataLength, 'x') }
}

/** A key of the first edition: 3 bytes of coarse time, the others random. */
function firstKey(now: number): Buffer {
  const bytes = randomBytes(24)
  bytes.writeUIntBE(Math.floor(now / 256_000) % 2 ** 24, 0, 3)
  return bytes
}

async function todaysLayout(): Promise<Layout> {
  const schema = await readFile(join(import.meta.dirname, '../../schema/mysql.sql'), 'utf8')
  const [create] = /CREATE TABLE IF NOT EXISTS coatcheck_sessions \([^;]*;/.exec(schema) ?? []
  if (create === undefined) throw new Error('schema/mysql.sql does not create coatcheck_sessions.')
  return {
    table: 'layout_of_today',
    create: create.replace('coatcheck_sessions', 'layout_of_today'),
    row: ({ now, expires, userId, data }) => ({
      id: Buffer.from(createId(), 'base64url'),
      secret_hash: randomBytes(32),
      user_id: userId,
      authenticated_at: userId && now,
      data,
      format: 1,
      version: 1,
      marks: randomBytes(8),
      created_at: now,
      seen_at: now,
      expires_at: expires,
      sweep_at: expires,
    }),
  }
}

const firstLayout: Layout = {
  table: 'first_layout',
  create: `CREATE TABLE first_layout (
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
  row: ({ now, expires, userId, data }) => ({
    session_key: firstKey(now),
    public_id: randomBytes(12).toString('base64url'),
    user_id: userId,
    authenticated_at: userId && now,
    data,
    version: 1,
    created_at: now,
    seen_at: now,
    expires_at: expires,
    sweep_at: expires,
  }),
}
