/**
 * The steps that make the tables, oldest first, each with a plain statement an entry. A step that was
 * released is never changed; the next change is a further step. schema/sqlite.sql is the sum of them.
 */
export function migrations(table: string): readonly (readonly string[])[] {
  return [
    [
      `CREATE TABLE IF NOT EXISTS "${table}" (
  session_key BLOB NOT NULL PRIMARY KEY,
  public_id TEXT NOT NULL,
  user_id TEXT,
  data BLOB NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS "${table}_user_id" ON "${table}" (user_id) WHERE user_id IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS "${table}_expires_at" ON "${table}" (expires_at)`,
    ],
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

/** SQLite's clock, in whole milliseconds. It stands still within one statement. */
const now = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`

/** Records a migration: the table's name, its version. */
export const insertMigration = `INSERT INTO "coatcheck_migrations" (table_name, version, applied_at) VALUES (?, ?, ${now})`

const columns = `session_key, public_id, user_id, data, version, created_at, seen_at, expires_at, ${now} AS read_at`

/** `min(now + idle, created_at + absolute)`: two parameters, Infinity for no absolute limit. */
const expiry = `CAST(min(${now} + ?, created_at + ?) AS INTEGER)`

const content = `user_id = ?, data = ?, version = version + 1, seen_at = ${now}, expires_at = ${expiry}`

/** Every statement that is used on a table of sessions. The question marks are named above each. */
export function statements(table: string) {
  return {
    /** As many keys as asked for. */
    find: (keys: number) =>
      `SELECT ${columns} FROM "${table}" WHERE session_key IN (${'?, '.repeat(keys - 1)}?) AND expires_at > ${now}`,
    /** Key. */
    version: `SELECT version FROM "${table}" WHERE session_key = ? AND expires_at > ${now}`,
    /** Key, public id, user id, data, lifetime. */
    insert: `INSERT INTO "${table}" (session_key, public_id, user_id, data, version, created_at, seen_at, expires_at)
      VALUES (?, ?, ?, ?, 1, ${now}, ${now}, CAST(${now} + ? AS INTEGER)) ON CONFLICT (session_key) DO NOTHING`,
    /** User id, data, idle, absolute; key, version. */
    update: `UPDATE "${table}" SET ${content} WHERE session_key = ? AND version = ? AND expires_at > ${now}`,
    /** Idle, absolute; key. */
    touch: `UPDATE "${table}" SET seen_at = ${now}, expires_at = max(expires_at, ${expiry})
      WHERE session_key = ? AND expires_at > ${now}`,
    /** New key, user id, data, idle, absolute; key, version, new key. */
    rotate: `UPDATE "${table}" SET session_key = ?, ${content} WHERE session_key = ? AND version = ? AND expires_at > ${now}
      AND NOT EXISTS (SELECT 1 FROM "${table}" WHERE session_key = ?)`,
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
