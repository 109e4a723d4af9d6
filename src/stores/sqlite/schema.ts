import { now } from './statements.js'

/**
 * The steps that make the tables, oldest first, each with a plain statement an entry. A step that was
 * released is never changed; the next change is a further step. schema/sqlite.sql is the sum of them.
 */
export function migrations(table: string): readonly (readonly string[])[] {
  return [
    [
      // With a rowid: to find a row by another key, SQLite would read rows as a whole, data included, only to compare their keys.
      // What may be long comes last: SQLite reads a row up to the last column that a statement asks for. Texts of the app are bytes: node:sqlite of Node 22 and 24.0 reads a text up to its first NUL.
      `CREATE TABLE IF NOT EXISTS "${table}" (
  id BLOB NOT NULL PRIMARY KEY,
  secret_hash BLOB,
  user_id BLOB,
  authenticated_at INTEGER,
  about BLOB,
  format INTEGER NOT NULL,
  version INTEGER NOT NULL,
  marks BLOB NOT NULL,
  root_id BLOB,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  former_hash BLOB,
  former_until INTEGER,
  former_user_id BLOB,
  former_authenticated_at INTEGER,
  data BLOB NOT NULL,
  former_data BLOB
) STRICT`,
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

/** Records a migration: the table's name, its version. */
export const insertMigration = `INSERT INTO "coatcheck_migrations" (table_name, version, applied_at) VALUES (?, ?, ${now})`

/** Forgets the migrations of a table: its name. */
export const deleteMigrations = 'DELETE FROM "coatcheck_migrations" WHERE table_name = ?'

/** One row if there is a table of that name. */
export const selectTable = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)"
