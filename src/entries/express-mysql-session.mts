/**
 * The store of an app that used express-mysql-session, on the same table.
 *
 * @module coatcheck/express-mysql-session
 */

export {
  expressMySQLSession as default,
  type MySQLConnection,
  type MySQLStore,
  type MySQLStoreConstructor,
} from '../adapters/express-mysql-session.js'
export type { MySQLStoreOptions, ResolvedOptions } from '../adapters/express-mysql-session-options.js'
