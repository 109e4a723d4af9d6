/**
 * Sessions in a database: `createSessions`, the stores' contract, `MemoryStore` and the errors.
 *
 * @module coatcheck
 */

export * from '../index.js'
