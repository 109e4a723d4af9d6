-- The tables of SQLiteStore, which makes them itself on first use unless it is given createTable: false.
-- For another table name, replace coatcheck_sessions throughout.

CREATE TABLE IF NOT EXISTS "coatcheck_sessions" (
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
) STRICT;

CREATE INDEX IF NOT EXISTS "coatcheck_sessions_user_id" ON "coatcheck_sessions" (user_id) WHERE user_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS "coatcheck_sessions_expires_at" ON "coatcheck_sessions" (expires_at);

-- Which versions of its layout a table has been through.
CREATE TABLE IF NOT EXISTS "coatcheck_migrations" (
  table_name TEXT NOT NULL,
  version INTEGER NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (table_name, version)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO "coatcheck_migrations" (table_name, version, applied_at)
VALUES ('coatcheck_sessions', 1, CAST(round(unixepoch('subsec') * 1000) AS INTEGER));
