export { type Codec, jsonCodec } from './core/data/codec.js'
export type { EncryptionKey } from './core/data/encryption.js'
export { SessionError, type SessionErrorCode } from './core/errors.js'
export type { EndReason, SessionEvents, SessionReference } from './core/events.js'
export type { Duration } from './core/lifetime.js'
export type { Merge, MergeConflict } from './core/data/merge.js'
export type {
  AliveRecord,
  FormerContent,
  ListedRecord,
  SessionId,
  SessionRecord,
} from './core/store/record.js'
export type {
  RequestSession,
  Session,
  SessionData,
  SessionRoot,
  SignInOptions,
  Synchronous,
} from './core/session/session.js'
export { storeUnavailable } from './core/store/store-failure.js'
export type {
  InsertWrite,
  Lifetime,
  ListQuery,
  NewSecret,
  Page,
  RemoveWrite,
  SessionContent,
  SessionStore,
  SessionWrite,
  TokenKeyedStore,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from './core/store/session-store.js'
export type { Secret } from './core/signer.js'
export type { Outcome } from './core/session/state.js'
export type { UnitOfWork } from './core/session/unit-of-work.js'
export type { UserId } from './core/users/user-id.js'
export type { UserOf } from './core/users/user-of.js'
export type { SessionInfo, SiteSessionInfo, UserSessions } from './core/users/user-sessions.js'
export type { CookieOptions } from './http/cookie.js'
export type { CookieFunction } from './http/cookie-function.js'
export type { Exchange, ResponseChanges } from './http/exchange.js'
export type { CookieRequest, ExchangeRequest } from './http/exchange-request.js'
export type { HeaderOptions } from './http/header-transport.js'
export type { CsrfOptions, CsrfPolicy } from './http/csrf.js'
export type { CsrfReason, CsrfRequest, CsrfRule, CsrfVerdict } from './http/csrf-request.js'
export type { ExplainedRequest, Explanation } from './http/explain.js'
export type {
  AskedRequest,
  SiteForPaths,
  SiteFunction,
  SitePolicy,
  SiteRequest,
  TrustedSite,
} from './http/sites.js'
export {
  type AdvancedSessionsOptions,
  createSessions,
  type Sessions,
  type SessionsOptions,
} from './sessions.js'
export { MemoryStore, type MemoryStoreOptions } from './stores/memory.js'
