/**
 * `MySQLStore`, for MySQL and MariaDB.
 *
 * @module coatcheck/mysql
 */

export * from '../stores/mysql.js'
