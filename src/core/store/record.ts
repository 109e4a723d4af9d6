/**
 * The id of a session, which it keeps for its whole life: 12 bytes as 16 characters of base64url (RFC 4648, section 5).
 * It is no secret. In a `TokenKeyedStore`, the id is the token, which is a secret and changes with a rotation.
 */
export type SessionId = string & { readonly __brand: 'SessionId' }

/** A session as a store keeps it. Times are milliseconds since the Unix epoch, by the store's clock. */
export interface SessionRecord {
  readonly id: SessionId
  /** Only from a `TokenKeyedStore`, whose ids are secrets: a name for the session that is safe to show and to log. */
  readonly publicId?: string | undefined
  /** The SHA-256 of the token, 32 bytes. A record without a hash is no session, but a note of coatcheck's. */
  readonly hash: Uint8Array | undefined
  /** The user who is signed in; `undefined` if nobody is. At most 255 bytes of UTF-8. */
  readonly userId: string | undefined
  /** When the user last signed in; `undefined` if nobody is signed in. */
  readonly authenticatedAt: number | undefined
  /** The session's data as the codec encoded it, and encrypted if `encryption` is on. Its bytes are never changed. */
  readonly data: Uint8Array
  /** A text that listings show without the data, such as the device. At most 1,000 bytes of UTF-8. */
  readonly about: string | undefined
  /** The id of this record's root, if it is a child. The child is found only while its root is live. */
  readonly rootId: SessionId | undefined
  /**
   * The format that coatcheck wrote the record in. A version of coatcheck that does not know it leaves the record
   * alone.
   */
  readonly format: number
  /** 1 when it was created, and 1 more after each change of the content. */
  readonly version: number
  /** The marks of the last four changes, 8 bytes each, the newest first. `undefined`: the store keeps no marks. */
  readonly marks: Uint8Array | undefined
  /** When it was created. */
  readonly createdAt: number
  /** When it was last created, changed or touched. */
  readonly seenAt: number
  /** When it expires. From then on, it is not found. */
  readonly expiresAt: number
  /** When this copy was read. */
  readonly readAt: number
  /** Its hash and content from before the last rotation, until the grace of that is over. */
  readonly former?: FormerContent | undefined
}

/** The content of a record from before its last rotation, and the hash of the old token. */
export interface FormerContent extends Pick<SessionRecord, 'userId' | 'authenticatedAt' | 'data'> {
  readonly hash: Uint8Array
}

/** A record as a listing shows it. */
export type ListedRecord = Omit<SessionRecord, 'data' | 'former' | 'marks'> & {
  /** `undefined`, unless the query asks for the data. */
  readonly data: Uint8Array | undefined
}

/** The fields that tell whether a session is still live, whose it is, and whether its token is still the same. */
export type AliveRecord = Pick<SessionRecord, 'id' | 'userId' | 'hash'>

/** The fields for `alive` out of a whole record, for stores that cannot read less. */
export function aliveOf({ id, userId, hash }: AliveRecord): AliveRecord {
  return { id, userId, hash }
}

/** The publicId of a session: its id, unless that is a secret. */
export function publicIdOf({ id, publicId }: Pick<SessionRecord, 'id' | 'publicId'>): string {
  return publicId ?? id
}

/** The format in which this version writes records. */
export const recordFormat = 1
