/**
 * What a store knows a session by, for its whole life: 12 bytes as 16 characters of base64url (RFC 4648, section 5). It is no
 * secret. For a `TokenKeyedStore` it is the token itself, which is one.
 */
export type SessionId = string & { readonly __brand: 'SessionId' }

/** A session as a store sees it. Times are milliseconds since the Unix epoch, by the store's clock. */
export interface SessionRecord {
  readonly id: SessionId
  /** Only from a `TokenKeyedStore`, whose ids are secrets: names the session for people. */
  readonly publicId?: string | undefined
  /** The SHA-256 of the token, 32 bytes. A record without it is no session, but a note that the engine keeps. */
  readonly hash: Uint8Array | undefined
  /** Whose session it is; `undefined` while nobody is signed in. At most 255 bytes of UTF-8. */
  readonly userId: string | undefined
  /** When its user last proved who they are; `undefined` while nobody is signed in. */
  readonly authenticatedAt: number | undefined
  /** The session's data as the codec encoded it; in a store, encrypted, if `encryption` says so. Never changed in place. */
  readonly data: Uint8Array
  /** What a listing shows without reading the data, such as the device: a text of at most 1,000 bytes of UTF-8. */
  readonly about: string | undefined
  /** The session that this one lives by, if it is a child. */
  readonly rootId: SessionId | undefined
  /** How the engine that stored it writes records. One that it does not know it leaves alone. */
  readonly format: number
  /** 1 when created, 1 more with each change of the content. */
  readonly version: number
  /** The marks of the last four writes of its content, 8 bytes each, the newest first. `undefined`: the store keeps none. */
  readonly marks: Uint8Array | undefined
  readonly createdAt: number
  /** When it was last created, changed or touched. */
  readonly seenAt: number
  readonly expiresAt: number
  /** When this copy was read. */
  readonly readAt: number
  /** What it held before its secret was last replaced, for as long as the grace says. */
  readonly former?: FormerContent | undefined
}

/** What a record held before its secret was replaced, and the hash of the token from before. */
export interface FormerContent extends Pick<SessionRecord, 'userId' | 'authenticatedAt' | 'data'> {
  readonly hash: Uint8Array
}

/** A record as a listing shows it. */
export type ListedRecord = Omit<SessionRecord, 'data' | 'former' | 'marks'> & {
  /** `undefined` unless the query asks for it. */
  readonly data: Uint8Array | undefined
}

/** What tells whether somebody may go on with a session that they hold open. */
export type AliveRecord = Pick<SessionRecord, 'id' | 'userId' | 'hash'>

/** What `alive` gives of a record, for stores that can read nothing less. */
export function aliveOf({ id, userId, hash }: AliveRecord): AliveRecord {
  return { id, userId, hash }
}

/** The name of a session for people: its id, where that is no secret. */
export function publicIdOf({ id, publicId }: Pick<SessionRecord, 'id' | 'publicId'>): string {
  return publicId ?? id
}

/** How the engine of this build writes records. */
export const recordFormat = 1
