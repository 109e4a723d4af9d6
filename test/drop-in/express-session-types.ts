import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'

// What apps use of express-session, as its documentation has it. Both packages are loaded by `require` and seen
// through these types.

export type Next = (error?: unknown) => void
export type Done = (error?: unknown) => void

export type Handler = (request: SideRequest, response: ServerResponse, next: Next) => unknown

export interface SideRequest extends IncomingMessage {
  session: SessionObject
  sessionID: string
  sessionStore: StoreObject
  originalUrl?: string
  secret?: unknown
  secure?: boolean
  cookies?: Record<string, string>
  signedCookies?: Record<string, string | false>
}

export interface SessionObject {
  readonly id: string
  readonly req: SideRequest
  cookie: CookieObject
  regenerate(done: Done): SessionObject
  destroy(done?: Done): SessionObject
  reload(done: Done): SessionObject
  save(done?: Done): SessionObject
  touch(): SessionObject
  resetMaxAge(): SessionObject
  [key: string]: unknown
}

export interface CookieObject {
  path?: string | undefined
  domain?: string
  httpOnly?: boolean
  secure?: boolean | 'auto'
  sameSite?: boolean | string
  priority?: string
  partitioned?: boolean
  expires: Date | null | false | undefined
  maxAge: number | null | undefined
  originalMaxAge: number | null | undefined
  readonly data: Record<string, unknown>
  serialize(name: string, value: string): string
  toJSON(): Record<string, unknown>
}

/** Sessions as stores get and give them. */
export interface StoredSession {
  cookie: { expires?: unknown; originalMaxAge?: unknown; [key: string]: unknown }
  [key: string]: unknown
}

export interface StoreObject extends EventEmitter {
  get(id: string, done: (error?: unknown, session?: StoredSession | null) => void): void
  set(id: string, session: StoredSession, done?: Done): void
  destroy(id: string, done?: Done): void
  touch?(id: string, session: StoredSession, done?: Done): void
  regenerate(request: SideRequest, done: Done): void
  load(id: string, done: (error?: unknown, session?: SessionObject) => void): void
  createSession(request: SideRequest, session: StoredSession): SessionObject
  generate(request: SideRequest): void
}

export interface MemoryStoreObject extends StoreObject {
  all(done?: (error: unknown, sessions: Record<string, StoredSession>) => void): void
  length(done: (error: unknown, length: number) => void): void
  clear(done?: Done): void
  touch(id: string, session: StoredSession, done?: Done): void
}

/** Wrong values are among what is tested, so the options are not told any closer. */
export type SessionOptions = Record<string, unknown>

export interface SessionModule {
  (options?: SessionOptions): Handler
  readonly Store: { new (): StoreObject; call(self: unknown): void; prototype: StoreObject }
  readonly MemoryStore: new () => MemoryStoreObject
  readonly Session: new (request: unknown, data?: unknown) => SessionObject
  readonly Cookie: new (options?: unknown) => CookieObject
}
