/**
 * The middleware for Express, connect and `node:http`, in both forms: `session(sessions)` and the drop-in
 * `session(options)`.
 *
 * @module coatcheck/express
 */

// Loads what `declare module 'coatcheck'` in an app adds to.
import './index.mjs'

export type { Callback as StoreCallback } from '../core/callback.js'
export { type ExpressSessionOptions, session as default } from '../adapters/express.js'
export type { Next, SessionMiddleware } from '../adapters/request-in-hand.js'
export {
  Cookie,
  type CookieAttributes,
  type Priority,
  type SameSite,
} from '../express-session/model/cookie.js'
export { ExpressStore, type ExpressStoreOptions } from '../express-session/bridge/express-store.js'
export type { ExpressSessionStore } from '../express-session/foreign/foreign-store.js'
export { MemoryStore, type MemoryStoreConstructor } from '../express-session/bridge/memory-store.js'
export type {
  HmacKey,
  SessionCookieOptions as CookieOptions,
  SessionCookieOptions,
  SessionOptions,
} from '../express-session/model/options.js'
export { type OldMembers, Session, type SessionConstructor } from '../express-session/model/session.js'
export {
  Store,
  type StoreConstructor,
  type StoredData as SessionData,
} from '../express-session/bridge/store.js'
export type { StoredSession } from '../express-session/bridge/bridge-form.js'
