/**
 * `SQLiteStore`, for several processes on one machine.
 *
 * @module coatcheck/sqlite
 */

export * from '../stores/sqlite.js'
