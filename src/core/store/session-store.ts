import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from './record.js'

/**
 * What every store does, and all that it does. The engine calls nothing else.
 *
 * The contract, for all methods:
 *
 * - **Batches.** `find`, `alive` and `write` take many at once and answer in the order asked. The engine
 *   never names one id twice in a call. An empty batch is answered with `[]`, without asking the
 *   database.
 * - **Time is the store's own clock** (the database's, where it has one): `createdAt`, `seenAt`,
 *   `expiresAt` and `readAt` all come from it. Callers hand in durations, never moments.
 * - **Expired is absent.** A record whose `expiresAt` is not later than the store's clock is not
 *   found, not listed and not written to, whether or not it was swept yet. An insert takes its place.
 * - **A child lives by its root.** A record with a `rootId` is found, alive and listed only while the record of that id lives. Both must
 *   be the same user's, or both nobody's. Both are read in one statement. Writes do not look at the root.
 * - **User ids are compared byte by byte.** Case, spaces at the end, NUL and Unicode forms tell users apart. A store that cannot
 *   keep an id apart from every other rejects it with `ERR_SESSION_USER_ID`.
 * - **A write says what it found.** It names the version, the hash or the user that its caller has read, and changes nothing if that is
 *   another by now. No store reads first to find out: the condition is part of the write.
 * - **Nothing is half done.** Each write takes effect whole or not at all, and its result is
 *   durable when the promise resolves.
 * - **A rejected promise** means that the store could not answer, never that a session is absent.
 *   What of a rejected `write` took effect is unknown. So it is of one write that is answered with an Error.
 * - **An error says its kind by its `code`**, and only one kind shuts requests out: after `ERR_SESSION_STORE_UNAVAILABLE` (make it by
 *   `storeUnavailable`) or `ERR_SESSION_STORE_TIMEOUT` several times in a row, the engine refuses calls at once for a while. Throw these
 *   while the store is away for all sessions alike. What one session holds and the database refuses is
 *   `ERR_SESSION_DATA_REFUSED`: of a batch it fails that write alone. What the app has to change, such as a right or a table, is
 *   `ERR_SESSION_STORE_CONFIGURATION`. Locks that others held for too long are `ERR_SESSION_STORE_BUSY`. An error that is no
 *   SessionError is a 503, and counts only if its `code` is that of a network or a disk that fails (`ECONNREFUSED`), or it has an SQLSTATE
 *   that says so: it may be the doing of one visitor.
 * - **A message holds nothing of a session**, no user, no host and no port. It may be shown and logged; what the database said goes
 *   into `cause`.
 *
 * A store holds no settings of the engine, so that several apps can share one. Run
 * `storeSuite` of `coatcheck/testing` against the real database to check an implementation.
 */
export interface SessionStore {
  /**
   * Reads records by id. Absent and expired ones are `undefined`. A record has its `former` while the grace of its last new secret
   * holds, so that one statement answers for the token of now and for the one from before.
   */
  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]>

  /** Reads of records only what tells whether they live, and whose they are: for whoever watches many sessions, as for sockets. */
  alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]>

  /**
   * Carries out writes. Each stands alone: one that finds its record `stale` does not touch its neighbours.
   *
   * @returns what became of each. An Error is the failure of that write, where a store can tell it from its
   *   neighbours; those that failed together share one. A store that carries out a batch as a whole rejects instead.
   */
  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]>

  /**
   * Reads live sessions a page at a time, and no notes. One user's: the one seen last first. Everybody's: the one that began last first,
   * as far as ids tell, so that no index has to move with every use. A `TokenKeyedStore` lists in any order that stays.
   */
  list(query: ListQuery): Promise<Page<ListedRecord>>

  /**
   * Removes all records of a user, but for the one with the id `except`. A `TokenKeyedStore` is given a publicId.
   * @returns how many live records were removed
   */
  removeByUser(userId: string, except?: string): Promise<number>

  /**
   * Removes at most `limit` expired records, unless another process is at it (then it removes none).
   * @returns how many were removed; fewer than `limit` says that a sweep need not go on
   */
  removeExpired(limit: number): Promise<number>

  /** Lets go of what the store itself opened; a pool that was passed in stays open. May be called twice. */
  close(): Promise<void>
}

/**
 * A store that knows sessions by their tokens as they are, as older session libraries do. The engine hands such a
 * store tokens in place of ids: to live beside apps of those libraries, which look for the tokens there.
 * Whoever can read its database and knows the secret can use the sessions in it. It has no grace, keeps no marks and no children. `version` is any number there
 * that is another one after each change of the content, such as a hash of it, because those libraries keep no count. A record whose id is
 * the token of a session has that token's SHA-256 for its `hash`.
 */
export interface TokenKeyedStore extends SessionStore {
  readonly keyedBy: 'token'
}

/** How long a session lives, in milliseconds. The store turns these into `expiresAt` by its own clock. */
export interface Lifetime {
  /** From the last use: `expiresAt` is at most this far ahead. */
  readonly idle: number
  /** From `createdAt`, however much it is used. `undefined`: no such limit. */
  readonly absolute: number | undefined
}

/** The fields that an `insert` and an `update` store. */
export interface SessionContent {
  readonly userId: string | undefined
  readonly data: Uint8Array
  /** Left out: it stays what it was. */
  readonly about?: string | undefined
  readonly format: number
  /**
   * 8 random bytes that no other write has. Put before the marks that are there, of which four stay: by them a write whose answer was
   * lost is known again, whatever was written after it.
   */
  readonly mark: Uint8Array
}

/** One change to one record. `SessionStore` says what holds for all. */
export type SessionWrite = InsertWrite | UpdateWrite | TouchWrite | RemoveWrite

/**
 * Creates a record with version 1. Never overwrites a live one: `exists` if that has the id. An expired one is replaced as a
 * whole: nothing that it held is left, nor its former token.
 */
export interface InsertWrite extends SessionContent {
  readonly type: 'insert'
  readonly id: SessionId
  /** Only for a `TokenKeyedStore`. */
  readonly publicId?: string | undefined
  /** Left out: a note. */
  readonly hash: Uint8Array | undefined
  /** The session that this one lives by. */
  readonly rootId?: SessionId | undefined
  /** Whether the user has just proved who they are: `authenticatedAt` is then this moment. */
  readonly signedIn: boolean
  readonly lifetime: Lifetime
}

/**
 * Replaces content and adds 1 to the version, if `version` is still the stored one; moves `seenAt` and `expiresAt`. Never creates.
 * With a `secret` the token changes in the same step: at no moment do both lead to the same content, or neither to any.
 */
export interface UpdateWrite extends SessionContent {
  readonly type: 'update'
  readonly id: SessionId
  readonly version: number
  /** Left out: the token stays. */
  readonly secret?: NewSecret | undefined
  readonly lifetime: Lifetime
}

/** A token that takes the place of the one before. */
export interface NewSecret {
  readonly hash: Uint8Array
  /** Whether the user has just proved who they are: `authenticatedAt` is then this moment, else it stays. */
  readonly signedIn: boolean
  /**
   * For so many milliseconds the record keeps, as its `former`, the hash and the content from before. Of several new secrets only the
   * last counts. 0: it keeps nothing of that, nor of what was kept before.
   */
  readonly grace: number
  /** Only for a `TokenKeyedStore`: the new token, which is its id from now on. `exists` if that is taken. */
  readonly token?: SessionId | undefined
}

/**
 * Moves `seenAt`, and `expiresAt` if that makes it later: a late touch never shortens. The version stays, and so do the marks.
 * `moved` if the record has another hash: then the token that is in use elsewhere is not this one.
 */
export interface TouchWrite {
  readonly type: 'touch'
  readonly id: SessionId
  readonly hash: Uint8Array
  /** Only for a `TokenKeyedStore`, as some cannot move an expiry without it: the data as it was last read. */
  readonly data?: Uint8Array | undefined
  readonly lifetime: Lifetime
}

/** Removes a record, if it is still this user's, or nobody's if that is `undefined`; else it answers `moved`. */
export interface RemoveWrite {
  readonly type: 'remove'
  readonly id: SessionId
  readonly userId: string | undefined
}

/**
 * - `done`: it is stored.
 * - `exists`: the id to be created is taken (insert).
 * - `stale`: the record has another version than the caller read (update).
 * - `moved`: the record has another hash (touch) or another user (remove) than the caller read.
 * - `gone`: there is no such live record (update, touch, remove).
 */
export type WriteResult = 'done' | 'exists' | 'stale' | 'moved' | 'gone'

/** Which records to list. */
export interface ListQuery {
  /** Only this user's. Left out: everybody's. */
  readonly userId?: string | undefined
  /** The `next` of the page before. Left out: from the start. */
  readonly after?: string | undefined
  /** At most this many records a page. */
  readonly limit: number
  /** Whether the data is read as well. */
  readonly data: boolean
}

/** One page of a listing. */
export interface Page<Item> {
  readonly items: readonly Item[]
  /** Hand it in as `after` for the next page; `undefined` on the last. */
  readonly next: string | undefined
}
