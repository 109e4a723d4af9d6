import type { SessionKey, SessionRecord } from './record.js'

/**
 * What every store does, and all that it does. The engine calls nothing else.
 *
 * The contract, for all methods:
 *
 * - **Batches.** `find`, `findFormer` and `write` take many at once and answer in the order asked. The engine
 *   never names one key twice in a call. An empty batch is answered with `[]`, without asking the
 *   database.
 * - **Time is the store's own clock** (the database's, where it has one): `createdAt`, `seenAt`,
 *   `expiresAt` and `readAt` all come from it. Callers hand in durations, never moments.
 * - **Expired is absent.** A record whose `expiresAt` is not later than the store's clock is not
 *   found, not listed and not written to, whether or not it was swept yet. An insert takes its place.
 * - **User ids are compared byte by byte.** Case, spaces at the end, NUL and Unicode forms tell users apart. A store that cannot
 *   keep an id apart from every other rejects it with `ERR_SESSION_USER_ID`.
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
  /** Reads records by key. Absent and expired ones are `undefined`, and so is what was rotated to another key. */
  find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]>

  /**
   * Reads records by the key from before their last rotation, for as long as that said: each as it is now, under its new
   * `key`, and with `former`. All others are `undefined`.
   *
   * Apart from `find`, and asked only for keys that it did not find, so that a key which leads nowhere keeps no other
   * waiting. Every store has it, for a store that left it out, or a wrapper that forgot it, would drop requests on their way
   * without a word. One that cannot find a record so, as no `TokenKeyedStore` can, answers with `undefined` for each.
   */
  findFormer(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]>

  /**
   * Carries out writes. Each stands alone: one that finds its record `stale` does not touch its neighbours.
   *
   * @returns what became of each. An Error is the failure of that write, where a store can tell it from its
   *   neighbours; those that failed together share one. A store that carries out a batch as a whole rejects instead.
   */
  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]>

  /** Reads live records in a stable order, a page at a time: all, or one user's. */
  list(query: ListQuery): Promise<Page<SessionRecord>>

  /**
   * Removes all records of a user, but for the one with the publicId `except`.
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
 * store tokens in place of keys: to live beside apps of those libraries, which look for the tokens there.
 * Whoever can read its database can use the sessions in it. `version` is any number there that is another one after
 * each change of the content, such as a hash of it, because those libraries keep no count. `findFormer` finds nothing there, and
 * is not asked: those libraries would take what it finds for the session itself.
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

/** The fields that an `insert`, an `update` and a `rotate` store. */
export interface SessionContent {
  readonly userId: string | undefined
  readonly data: Uint8Array
}

/** One change to one record. `SessionStore` says what holds for all. */
export type SessionWrite = InsertWrite | UpdateWrite | TouchWrite | RotateWrite | RemoveWrite

/**
 * Creates a record with version 1. Never overwrites a live one: `exists` if that has the key. An expired one is replaced as a
 * whole: nothing that it held is left, nor its former key.
 */
export interface InsertWrite extends SessionContent {
  readonly type: 'insert'
  readonly key: SessionKey
  readonly publicId: string
  /** Whether the user has just proved who they are: `authenticatedAt` is then this moment. */
  readonly signedIn: boolean
  readonly lifetime: Lifetime
}

/** Replaces content and adds 1 to the version, if `version` is still the stored one; moves `seenAt` and `expiresAt`. Never creates. */
export interface UpdateWrite extends SessionContent {
  readonly type: 'update'
  readonly key: SessionKey
  readonly version: number
  readonly lifetime: Lifetime
}

/** Moves `seenAt`, and `expiresAt` if that makes it later: a late touch never shortens. The version stays. */
export interface TouchWrite {
  readonly type: 'touch'
  readonly key: SessionKey
  /** The data as it was last read, for stores that cannot move an expiry without it. All others leave it alone. */
  readonly data: Uint8Array
  readonly lifetime: Lifetime
}

/**
 * An `update` that also moves the record from `key` to `newKey` in the same step: at no moment
 * do both keys lead to the same content, or neither to any. `publicId` and `createdAt` stay. `exists` if `newKey` is taken; it
 * may be so too while an expired record has it, for a new key is one that nobody had before.
 */
export interface RotateWrite extends SessionContent {
  readonly type: 'rotate'
  readonly key: SessionKey
  readonly newKey: SessionKey
  readonly version: number
  /** Whether the user has just proved who they are: `authenticatedAt` is then this moment, else it stays. */
  readonly signedIn: boolean
  /**
   * For so many milliseconds `findFormer` gives the record for `key`, with what it held before as its `former`. To all else
   * the record is not there under that key. Of several rotations only the last counts. 0: not at all.
   */
  readonly grace: number
  readonly lifetime: Lifetime
}

/** Removes a record: `done`, or `gone` if there was none. */
export interface RemoveWrite {
  readonly type: 'remove'
  readonly key: SessionKey
}

/**
 * - `done`: it is stored.
 * - `exists`: the key to be created is taken (insert, rotate).
 * - `stale`: the record has another version than the caller read (update, rotate).
 * - `gone`: there is no such live record (update, touch, rotate, remove).
 */
export type WriteResult = 'done' | 'exists' | 'stale' | 'gone'

/** Which records to list. */
export interface ListQuery {
  /** Only this user's. Left out: everybody's. */
  readonly userId?: string | undefined
  /** The `next` of the page before. Left out: from the start. */
  readonly after?: string | undefined
  /** At most this many records a page. */
  readonly limit: number
}

/** One page of a listing. */
export interface Page<Item> {
  readonly items: readonly Item[]
  /** Hand it in as `after` for the next page; `undefined` on the last. */
  readonly next: string | undefined
}
