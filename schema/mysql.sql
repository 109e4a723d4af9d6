-- The tables of coatcheck's MySQLStore, for MySQL 8.0 or later and MariaDB 10.6 or later.
--
-- The store makes them by itself on first use. Run this file instead where the app's own database
-- user may not create tables (SELECT, INSERT, UPDATE and DELETE are enough then), and pass
-- { createTable: false } to the store. It may be run again without harm.
-- For another table name, replace coatcheck_sessions throughout.
--
-- Times are milliseconds since 1970 in UTC. `secret_hash` is a hash of the token: no cookie can be made of it.

CREATE TABLE IF NOT EXISTS coatcheck_migrations (
  table_name VARBINARY(64) NOT NULL,
  version INT UNSIGNED NOT NULL,
  applied_at BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (table_name, version)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS coatcheck_sessions (
  id BINARY(12) NOT NULL,
  secret_hash BINARY(32) NULL,
  user_id VARBINARY(255) NULL,
  authenticated_at BIGINT UNSIGNED NULL,
  data MEDIUMBLOB NOT NULL,
  about VARBINARY(1000) NULL,
  format TINYINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  marks VARBINARY(32) NOT NULL,
  root_id BINARY(12) NULL,
  created_at BIGINT UNSIGNED NOT NULL,
  seen_at BIGINT UNSIGNED NOT NULL,
  expires_at BIGINT UNSIGNED NOT NULL,
  sweep_at BIGINT UNSIGNED NOT NULL,
  former_hash BINARY(32) NULL,
  former_until BIGINT UNSIGNED NULL,
  former_user_id VARBINARY(255) NULL,
  former_authenticated_at BIGINT UNSIGNED NULL,
  former_data MEDIUMBLOB NULL,
  PRIMARY KEY (id),
  KEY user_id (user_id),
  KEY sweep_at (sweep_at)
) ENGINE=InnoDB;

INSERT IGNORE INTO coatcheck_migrations (table_name, version, applied_at)
VALUES ('coatcheck_sessions', 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000);
