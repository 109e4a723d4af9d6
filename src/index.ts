export { type Codec, jsonCodec } from './core/codec.ts'
export type { EncryptionKey } from './core/encryption.ts'
export { SessionError, type SessionErrorCode } from './core/errors.ts'
export type { EndReason, SessionEvents, SessionReference } from './core/events.ts'
export type { Duration } from './core/lifetime.ts'
export type { Merge, MergeConflict } from './core/merge.ts'
export type { FormerContent, SessionKey, SessionRecord } from './core/record.ts'
export type { RequestSession, Session, SessionData, Synchronous } from './core/session.ts'
export { storeUnavailable } from './core/store-failure.ts'
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
} from './core/store.ts'
export type { Secret } from './core/token.ts'
export type { Outcome } from './core/session-tokens.ts'
export type { UnitOfWork } from './core/unit-of-work.ts'
export type { UserId } from './core/user-id.ts'
export type { UserOf } from './core/user-of.ts'
export type { SessionInfo, UserSessions } from './core/user-sessions.ts'
export type { CookieOptions } from './http/cookie.ts'
export type { SitePolicy } from './http/sites.ts'
export { createSessions, type Sessions, type SessionsOptions } from './sessions.ts'
export { MemoryStore, type MemoryStoreOptions } from './stores/memory.ts'
