import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from './record.js'

/**
 * A store of sessions. To keep sessions in another database, implement this interface. coatcheck calls nothing else.
 *
 * The contract, for all methods:
 *
 * - **Batches.** `find`, `alive` and `write` take many items, and answer in the same order. One call never names an id
 *   twice. An empty batch gets `[]`, without a call to the database.
 * - **Times come from the store's own clock** (the database's, if it has one): `createdAt`, `seenAt`, `expiresAt` and
 *   `readAt`, in milliseconds since the Unix epoch. Callers pass durations in milliseconds, never times.
 * - **An expired record does not exist.** A record has expired if its `expiresAt` is not later than the store's clock.
 *   It is not found, not listed and not written to, whether it was swept or not. An insert replaces it.
 * - **A child needs its root.** A record with a `rootId` is found, alive and listed only while the record with that id
 *   is live. Both must have the same user, or no user. Both are read in one statement. Writes do not check the root.
 * - **User ids are compared byte by byte.** Case, trailing spaces, NUL and Unicode forms make a difference. A store
 *   that cannot keep an id apart from all others rejects it with `ERR_SESSION_USER_ID`.
 * - **Writes are conditional.** A write names the version, the hash or the user that its caller has read. If the record
 *   has another by now, the write changes nothing, and its result says so. The condition is part of the write: a store
 *   must not read first and then write.
 * - **Writes are atomic and durable.** Each takes effect as a whole or not at all. When the promise resolves, the
 *   result is durable.
 * - **A rejected promise** means that the store could not answer, never that a session does not exist. After a rejected
 *   `write`, it is unknown which of its writes took effect. The same holds for one write whose result is an Error.
 * - **Errors have a `code`:**
 *   - `ERR_SESSION_STORE_UNAVAILABLE` (make it with `storeUnavailable`) and `ERR_SESSION_STORE_TIMEOUT`: the store is
 *     away for all sessions. After several of these in a row, coatcheck refuses calls at once for a while. Only this
 *     kind of error does that.
 *   - `ERR_SESSION_DATA_REFUSED`: the database refuses what one session holds. It fails that write of a batch only.
 *   - `ERR_SESSION_STORE_CONFIGURATION`: the app must change something, such as a right or a table.
 *   - `ERR_SESSION_STORE_BUSY`: others held a lock for too long.
 *   - An error that is no `SessionError` becomes a 503. It counts as "away" only if its `code` is that of a failing
 *     network or disk (such as `ECONNREFUSED`), or its SQLSTATE says so. Otherwise one visitor could cause it for all.
 * - **Messages hold nothing of a session**, and no user, host or port: they may be shown and logged. What the database
 *   said goes into `cause`.
 *
 * A store holds no settings of coatcheck, so several apps can share one. Test it with `storeSuite` of
 * `coatcheck/testing`, on the real database.
 */
export interface SessionStore {
  /**
   * `'several'` if two records may have times of different clocks, as on the servers of a cluster. The times of one record are
   * of one clock always. Left out: all are of one clock.
   */
  readonly clocks?: 'one' | 'several' | undefined

  /**
   * Reads records by their ids. Absent and expired ones are `undefined`.
   *
   * A record includes its `former` until the grace of its last rotation is over. So one statement answers for the
   * current token and for the old one.
   */
  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]>

  /**
   * Reads only whether records are live, and whose they are. It is for callers that watch many sessions, such as those
   * of open sockets.
   */
  alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]>

  /**
   * Carries out writes, each by itself: if one is `stale`, the others are not affected.
   *
   * @returns the result of each write, or an Error if that write alone failed. Writes that failed together share one
   *   Error. A store that cannot tell which write failed rejects instead.
   */
  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]>

  /**
   * Lists live sessions, one page at a time. Notes, which have no hash, are not listed.
   *
   * One user's sessions come with the last used first. All sessions come with the newest first, as far as ids tell: so
   * no index has to change with every use. A `TokenKeyedStore` may use any stable order.
   */
  list(query: ListQuery): Promise<Page<ListedRecord>>

  /**
   * Removes all records of a user.
   * @param except the id of a record to spare; for a `TokenKeyedStore`, its publicId.
   * @returns how many live records were removed.
   */
  removeByUser(userId: string, except?: string): Promise<number>

  /**
   * Removes at most `limit` expired records; none, if another process is removing them just now.
   * @returns how many were removed. The sweep calls again only if that is `limit`. A database that removes them by itself
   *   leaves nothing to do: 0.
   */
  removeExpired(limit: number): Promise<number>

  /** Closes what the store itself opened. A pool that was passed in stays open. It may be called twice. */
  close(): Promise<void>
}

/**
 * A store that finds sessions by their tokens, as older session libraries do, so that apps on those libraries can share
 * it. coatcheck passes it tokens in place of ids.
 *
 * Whoever can read its database and knows the secret can use the sessions in it. It has no grace (`rotationGrace`), no
 * marks and no children. Its `version` is any number that differs after each change of the content, such as a hash of
 * it. The `hash` of a record is the SHA-256 of its token.
 */
export interface TokenKeyedStore extends SessionStore {
  /** Marks the store as one that finds sessions by their tokens. */
  readonly keyedBy: 'token'
}

/** How long a session lives. The store turns this into `expiresAt` by its own clock. */
export interface Lifetime {
  /** Milliseconds after the last use: `expiresAt` is at most this far ahead. */
  readonly idle: number
  /** Milliseconds after `createdAt`, even if the session is in use. `undefined`: no limit. */
  readonly absolute: number | undefined
}

/** The fields that an insert and an update store. */
export interface SessionContent {
  /** The session's user; `undefined` for none. */
  readonly userId: string | undefined
  /** The session's data, encoded, and encrypted if `encryption` is on. */
  readonly data: Uint8Array
  /** A text for listings, such as the device. Left out: the stored one stays. */
  readonly about?: string | undefined
  /** The format that coatcheck writes records in. */
  readonly format: number
  /**
   * 8 random bytes that identify this write. The store puts them before the record's marks, and keeps the first four.
   * By its mark, coatcheck recognizes a write whose answer was lost.
   */
  readonly mark: Uint8Array
}

/** One change of one record. The contract of `SessionStore` applies to all kinds. */
export type SessionWrite = InsertWrite | UpdateWrite | TouchWrite | RemoveWrite

/**
 * Creates a record with version 1. If a live record has the id, the result is `exists`, and nothing changes. An expired
 * one is replaced as a whole: nothing of it stays, not even its former token.
 */
export interface InsertWrite extends SessionContent {
  readonly type: 'insert'
  readonly id: SessionId
  /** Only for a `TokenKeyedStore`: the session's publicId. */
  readonly publicId?: string | undefined
  /** The SHA-256 of the token, 32 bytes. `undefined`: the record is a note. */
  readonly hash: Uint8Array | undefined
  /** The root of this record, if it is a child. */
  readonly rootId?: SessionId | undefined
  /** Whether the user has just signed in: `authenticatedAt` is then the time of this write. */
  readonly signedIn: boolean
  readonly lifetime: Lifetime
}

/**
 * Replaces the content of a record, adds 1 to its version, and moves `seenAt` and `expiresAt`. If the stored version is
 * not `version`, the result is `stale`. It never creates a record.
 *
 * With a `secret`, the token changes in the same step. At no time do both tokens open the same content, or neither any.
 */
export interface UpdateWrite extends SessionContent {
  readonly type: 'update'
  readonly id: SessionId
  readonly version: number
  /** Left out: the token stays. */
  readonly secret?: NewSecret | undefined
  readonly lifetime: Lifetime
}

/** The new token of a rotation. */
export interface NewSecret {
  /** The SHA-256 of the new token, 32 bytes. */
  readonly hash: Uint8Array
  /** Whether the user has just signed in: `authenticatedAt` is then the time of this write. Otherwise it stays. */
  readonly signedIn: boolean
  /**
   * How many milliseconds the record keeps its former hash and content, as `former`. A further rotation replaces them.
   * 0: it keeps none, and drops what an earlier rotation kept.
   */
  readonly grace: number
  /**
   * Only for a `TokenKeyedStore`: the new token, which becomes the record's id. The result is `exists` if it is taken.
   */
  readonly token?: SessionId | undefined
}

/**
 * Moves `seenAt`; and `expiresAt`, unless that would make it earlier. The version and the marks stay. If the record has
 * another hash, the result is `moved`: the session has got another token.
 */
export interface TouchWrite {
  readonly type: 'touch'
  readonly id: SessionId
  /** The hash that the record had when it was read. */
  readonly hash: Uint8Array
  /** Only for a `TokenKeyedStore`: the data as it was last read, because some cannot move an expiry without it. */
  readonly data?: Uint8Array | undefined
  readonly lifetime: Lifetime
}

/** Removes a record, if its user is still `userId` (`undefined`: none). Otherwise the result is `moved`. */
export interface RemoveWrite {
  readonly type: 'remove'
  readonly id: SessionId
  readonly userId: string | undefined
}

/**
 * The result of a write.
 *
 * - `done`: it is stored.
 * - `exists`: the id to be created is taken (insert).
 * - `stale`: the record has another version than the caller read (update).
 * - `moved`: the record has another hash (touch) or another user (remove) than the caller read.
 * - `gone`: there is no such live record (update, touch, remove).
 */
export type WriteResult = 'done' | 'exists' | 'stale' | 'moved' | 'gone'

/** Which sessions to list. */
export interface ListQuery {
  /** Only sessions of this user. Left out: all sessions. */
  readonly userId?: string | undefined
  /** The `next` of the previous page. Left out: the first page. */
  readonly after?: string | undefined
  /** The most records in a page. */
  readonly limit: number
  /** Whether to read the data too. */
  readonly data: boolean
}

/** One page of a listing. */
export interface Page<Item> {
  readonly items: readonly Item[]
  /** Pass it as `after` to get the next page. `undefined` on the last page. */
  readonly next: string | undefined
}
