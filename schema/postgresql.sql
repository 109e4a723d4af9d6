-- The tables of coatcheck's PostgreSQLStore, for PostgreSQL 13 or later.
--
-- The store makes them by itself on first use. Run this file instead where the app's own database
-- user may not create tables (USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on the tables,
-- are enough then), and pass { createTable: false } to the store. It may be run again without harm.
-- For another table name, replace coatcheck_sessions throughout. For another schema, run
-- SET search_path = … before.
--
-- Times are milliseconds since 1970 in UTC. `secret_hash` is a hash of the token: no cookie can be made of it.
-- The fill factor leaves room for changed rows beside the old ones, so that changes touch no index.

CREATE TABLE IF NOT EXISTS "coatcheck_migrations" (
  table_name text NOT NULL,
  version integer NOT NULL,
  applied_at bigint NOT NULL,
  PRIMARY KEY (table_name, version)
);

CREATE TABLE IF NOT EXISTS "coatcheck_sessions" (
  id bytea NOT NULL PRIMARY KEY CHECK (octet_length(id) = 12),
  secret_hash bytea,
  user_id bytea,
  authenticated_at bigint,
  data bytea NOT NULL,
  about bytea,
  format smallint NOT NULL,
  version bigint NOT NULL,
  marks bytea NOT NULL,
  root_id bytea,
  created_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  sweep_at bigint NOT NULL,
  former_hash bytea,
  former_until bigint,
  former_user_id bytea,
  former_authenticated_at bigint,
  former_data bytea
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS "coatcheck_sessions_user_id" ON "coatcheck_sessions" (user_id) WHERE user_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS "coatcheck_sessions_sweep_at" ON "coatcheck_sessions" (sweep_at);

INSERT INTO "coatcheck_migrations" (table_name, version, applied_at)
VALUES ('coatcheck_sessions', 1, floor(extract(epoch FROM clock_timestamp()) * 1000))
ON CONFLICT DO NOTHING;
