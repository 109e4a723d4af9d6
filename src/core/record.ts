/**
 * What a store knows a session by: 24 bytes as 48 lower-case hexadecimal digits, made from the
 * token by a one-way hash. Whoever reads a key cannot make a cookie of it. For a `TokenKeyedStore`, the token itself.
 */
export type SessionKey = string & { readonly __brand: 'SessionKey' }

/** A session as a store sees it. Times are milliseconds since the Unix epoch, by the store's clock. */
export interface SessionRecord {
  readonly key: SessionKey
  /** Names the session for people: stable over rotation, safe to show and to log. */
  readonly publicId: string
  /** Whose session it is; `undefined` while nobody is signed in. At most 255 bytes of UTF-8. */
  readonly userId: string | undefined
  /** When its user last proved who they are; `undefined` while nobody is signed in. */
  readonly authenticatedAt: number | undefined
  /** The session's data as the codec encoded it; in a store, encrypted, if `encryption` says so. Never changed in place. */
  readonly data: Uint8Array
  /** 1 when created, 1 more with each change of the content. */
  readonly version: number
  readonly createdAt: number
  /** When it was last created, changed or touched. */
  readonly seenAt: number
  readonly expiresAt: number
  /** When this copy was read. */
  readonly readAt: number
  /** What it held before its last rotation: only on a record that `findFormer` gave, by the key from before it. */
  readonly former?: FormerContent
}

/** What a record held before a rotation. */
export type FormerContent = Pick<SessionRecord, 'userId' | 'authenticatedAt' | 'data'>
