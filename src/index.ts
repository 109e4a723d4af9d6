export { type Codec, jsonCodec } from './core/codec.js'
export type { EncryptionKey } from './core/encryption.js'
export { SessionError, type SessionErrorCode } from './core/errors.js'
export type { EndReason, SessionEvents, SessionReference } from './core/events.js'
export type { Duration } from './core/lifetime.js'
export type { Merge, MergeConflict } from './core/merge.js'
export type { FormerContent, SessionKey, SessionRecord } from './core/record.js'
export type { RequestSession, Session, SessionData, Synchronous } from './core/session.js'
export { storeUnavailable } from './core/store-failure.js'
export type {
  InsertWrite,
  Lifetime,
  ListQuery,
  Page,
  RemoveWrite,
  RotateWrite,
  SessionContent,
  SessionStore,
  SessionWrite,
  TokenKeyedStore,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from './core/store.js'
export type { Secret } from './core/token.js'
export type { Outcome } from './core/session-tokens.js'
export type { UnitOfWork } from './core/unit-of-work.js'
export type { UserId } from './core/user-id.js'
export type { UserOf } from './core/user-of.js'
export type { SessionInfo, UserSessions } from './core/user-sessions.js'
export type { CookieOptions } from './http/cookie.js'
export type { SitePolicy } from './http/sites.js'
export { createSessions, type Sessions, type SessionsOptions } from './sessions.js'
export { MemoryStore, type MemoryStoreOptions } from './stores/memory.js'
