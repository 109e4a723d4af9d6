/**
 * The steps that make the tables, oldest first, each with a plain statement an entry. A step that was
 * released is never changed; the next change is a further step. schema/sqlite.sql is the sum of them.
 */
export function migrations(table: string): readonly (readonly string[])[] {
  const rebuilt = `${table}_rebuilt`
  return [
    [createTable(table, 'TEXT'), ...createIndexes(table)],
    // node:sqlite of Node 22 and 24.0 reads a text up to its first NUL. Bytes come back whole on each.
    [
      createTable(rebuilt, 'BLOB'),
      `INSERT INTO "${rebuilt}" SELECT session_key, CAST(public_id AS BLOB), CAST(user_id AS BLOB), authenticated_at,
  data, version, created_at, seen_at, expires_at, former_key, former_until, CAST(former_user_id AS BLOB),
  former_authenticated_at, former_data FROM "${table}"`,
      `DROP TABLE "${table}"`,
      `ALTER TABLE "${rebuilt}" RENAME TO "${table}"`,
      ...createIndexes(table),
    ],
  ]
}

/** @param name the type of what names a session or a user */
function createTable(table: string, name: 'TEXT' | 'BLOB'): string {
  return `CREATE TABLE IF NOT EXISTS "${table}" (
  session_key BLOB NOT NULL PRIMARY KEY,
  public_id ${name} NOT NULL,
  user_id ${name},
  authenticated_at INTEGER,
  data BLOB NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  former_key BLOB,
  former_until INTEGER,
  former_user_id ${name},
  former_authenticated_at INTEGER,
  former_data BLOB
) STRICT, WITHOUT ROWID`
}

function createIndexes(table: string): readonly string[] {
  return [
    `CREATE INDEX IF NOT EXISTS "${table}_user_id" ON "${table}" (user_id) WHERE user_id IS NOT NULL`,
    `CREATE INDEX IF NOT EXISTS "${table}_expires_at" ON "${table}" (expires_at)`,
    `CREATE INDEX IF NOT EXISTS "${table}_former_key" ON "${table}" (former_key) WHERE former_key IS NOT NULL`,
  ]
}

/** Remembers which migrations each table has been through. */
export const migrationsTable = `CREATE TABLE IF NOT EXISTS "coatcheck_migrations" (
  table_name TEXT NOT NULL,
  version INTEGER NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (table_name, version)
) STRICT, WITHOUT ROWID`

/** The newest migration that `table` has been through, in the column `version`: NULL if none. */
export const selectNewestMigration =
  'SELECT max(version) AS version FROM "coatcheck_migrations" WHERE table_name = ?'

/** Forgets the migrations of a table: its name. */
export const deleteMigrations = 'DELETE FROM "coatcheck_migrations" WHERE table_name = ?'

/** One row if there is a table of that name. */
export const selectTable = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)"

/** The columns of `table` that are of the layout before: a row each. What is compared with bytes there is never found. */
export const selectOlderColumns =
  "SELECT name FROM pragma_table_info(?) WHERE name = 'public_id' AND type = 'TEXT'"

/** SQLite's clock, in whole milliseconds. It stands still within one statement. */
const now = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`

/** Records a migration: the table's name, its version. */
export const insertMigration = `INSERT INTO "coatcheck_migrations" (table_name, version, applied_at) VALUES (?, ?, ${now})`

const columns = `session_key, public_id, user_id, authenticated_at, data, version, created_at, seen_at, expires_at, ${now} AS read_at`

/** `min(now + idle, created_at + absolute)`: two parameters, Infinity for no absolute limit. */
const expiry = `CAST(min(${now} + ?, created_at + ?) AS INTEGER)`

const content = `user_id = ?, data = ?, version = version + 1, seen_at = ${now}, expires_at = ${expiry}`

/** What the key from before a rotation found is dropped by the first update after it may no longer be found. */
const forgetFormer = ['key', 'data']
  .map((name) => `former_${name} = CASE WHEN former_until > ${now} THEN former_${name} END`)
  .join(', ')

/** Every statement that is used on a table of sessions. The question marks are named above each. */
export function statements(table: string) {
  /** Grace, new key, 1 if the user has just signed in, user id, data, idle, absolute; key, version, new key. */
  const rotate = (grace: boolean) => `UPDATE "${table}" SET
    former_key = ${grace ? 'session_key' : 'NULL'}, former_until = ${now} + ?, former_user_id = user_id,
    former_authenticated_at = authenticated_at, former_data = ${grace ? 'data' : 'NULL'}, session_key = ?,
    authenticated_at = CASE ? WHEN 1 THEN ${now} ELSE authenticated_at END, ${content}
    WHERE session_key = ? AND version = ? AND expires_at > ${now}
    AND NOT EXISTS (SELECT 1 FROM "${table}" WHERE session_key = ?)`
  const rotates = { withGrace: rotate(true), without: rotate(false) }
  return {
    /** As many keys as asked for. */
    find: (keys: number) =>
      `SELECT ${columns} FROM "${table}" WHERE session_key IN (${'?, '.repeat(keys - 1)}?) AND expires_at > ${now}`,
    /** As many former keys as asked for. */
    findFormer: (keys: number) =>
      `SELECT ${columns}, former_key, former_user_id, former_authenticated_at, former_data FROM "${table}"
      WHERE former_key IN (${'?, '.repeat(keys - 1)}?) AND former_until > ${now} AND expires_at > ${now}`,
    /** Key. */
    version: `SELECT version FROM "${table}" WHERE session_key = ? AND expires_at > ${now}`,
    /** Key, public id, user id, 1 if the user has just signed in, data, lifetime; key. Replaces an expired record, as a whole. */
    insert: `INSERT OR REPLACE INTO "${table}"
      (session_key, public_id, user_id, authenticated_at, data, version, created_at, seen_at, expires_at)
      SELECT ?, ?, ?, CASE ? WHEN 1 THEN ${now} END, ?, 1, ${now}, ${now}, CAST(${now} + ? AS INTEGER)
      WHERE NOT EXISTS (SELECT 1 FROM "${table}" WHERE session_key = ? AND expires_at > ${now})`,
    /** User id, data, idle, absolute; key, version. */
    update: `UPDATE "${table}" SET ${content}, ${forgetFormer} WHERE session_key = ? AND version = ? AND expires_at > ${now}`,
    /** Idle, absolute; key. */
    touch: `UPDATE "${table}" SET seen_at = ${now}, expires_at = max(expires_at, ${expiry})
      WHERE session_key = ? AND expires_at > ${now}`,
    rotate: (grace: boolean) => rotates[grace ? 'withGrace' : 'without'],
    /** Key. One row for each record removed, `live` being 1 or 0. */
    remove: `DELETE FROM "${table}" WHERE session_key = ? RETURNING expires_at > ${now} AS live`,
    /** Key to start after, limit. */
    list: `SELECT ${columns} FROM "${table}" WHERE session_key > ? AND expires_at > ${now} ORDER BY session_key LIMIT ?`,
    /** User id, key to start after, limit. */
    listByUser: `SELECT ${columns} FROM "${table}" WHERE user_id = ? AND session_key > ? AND expires_at > ${now}
      ORDER BY session_key LIMIT ?`,
    /** User id, public id to spare or null. One row for each record removed, `live` being 1 or 0. */
    removeByUser: `DELETE FROM "${table}" WHERE user_id = ? AND public_id IS NOT ?
      RETURNING expires_at > ${now} AS live`,
    /** Limit. */
    removeExpired: `DELETE FROM "${table}" WHERE session_key IN
      (SELECT session_key FROM "${table}" WHERE expires_at <= ${now} ORDER BY expires_at LIMIT ?)`,
  }
}
