/**
 * `PostgreSQLStore`, for PostgreSQL.
 *
 * @module coatcheck/postgresql
 */

export * from '../stores/postgresql.js'
