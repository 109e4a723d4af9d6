import type { Callback } from '../../core/callback.js'
import { SessionError } from '../../core/errors.js'
import type { EmbeddedMetadata } from '../../core/data/embedded-metadata.js'
import {
  type AliveRecord,
  aliveOf,
  type ListedRecord,
  type SessionId,
  type SessionRecord,
} from '../../core/store/record.js'
import type {
  InsertWrite,
  ListQuery,
  Page,
  RemoveWrite,
  SessionStore,
  SessionWrite,
  TokenKeyedStore,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { idOf } from '../../core/token.js'
import { type FailureKind, failureOf } from '../../core/store/store-failure.js'
import { KeyedSerialQueues } from '../../core/serial-queue.js'
import {
  type ForeignRecord,
  readForeign,
  touchedForeign,
  unreadableForeign,
  writeForeign,
} from './foreign-session.js'
import { withoutToken } from './without-token.js'

/** The property of a store for express-session that holds the coatcheck store inside it. */
export const nativeStore = Symbol('coatcheck store')

/** A coatcheck store, and how long sessions live there. */
export interface NativeStore {
  readonly store: SessionStore
  /** The lifetime of a session whose cookie has no `maxAge`, in milliseconds. */
  readonly idle: number
  /** Whether reading a session moves its expiry. */
  readonly touches: boolean
}

/** A store that was written for express-session, such as connect-redis: the methods that coatcheck calls. */
export interface ExpressSessionStore {
  readonly [nativeStore]?: NativeStore | undefined
  get(token: string, callback: Callback): unknown
  set(token: string, session: object, callback: Callback): unknown
  destroy(token: string, callback: Callback): unknown
  touch?(token: string, session: object, callback: Callback): unknown
  all?(callback: Callback): unknown
  on?(event: 'connect' | 'disconnect', listener: () => void): unknown
}

/** The turns of each store, so that two middlewares on one store take turns with each other too. */
const turnsByStore = new WeakMap<ExpressSessionStore, KeyedSerialQueues>()

/**
 * Makes a coatcheck store of one that was written for express-session.
 *
 * Within this process no update is lost: for each session, comparing and storing happen in turn. Between processes an
 * update can be lost between a `get` and the following `set`, and a session that another process ends then comes back.
 * The reason: such a store has no compare-and-set. Apps that share sessions should use a coatcheck store.
 *
 * Sessions are kept as express-session keeps them, under the token, so that apps on express-session find them. The
 * store has no place for a userId, a publicId and a createdAt. So a session also has a `coatcheck` object with these,
 * once it has a user by `signIn`, was rotated, or has an absolute lifetime. That object is trusted. So no app on the
 * store may let a visitor choose the name of what it puts into a session.
 *
 * Data is read as JSON: what the store's own serializer keeps beyond that, such as a Date, becomes text.
 *
 * The store's methods are looked up at each call, because apps replace them. The store decides what has expired, and
 * removes it. The app closes the store's connections.
 */
export class ForeignStore implements TokenKeyedStore {
  readonly keyedBy = 'token'
  readonly #store: ExpressSessionStore
  readonly #turns: KeyedSerialQueues
  readonly #kindOf: (error: unknown) => FailureKind | undefined
  readonly #absolute: number
  #connected = true

  /**
   * @param kindOf the kind of a driver's error, if it is known. Otherwise, the engine goes by SQLSTATE and Node's
   *   codes.
   * @param absolute how many milliseconds after it began a session is no longer found: such a store has no such limit.
   */
  constructor(
    store: ExpressSessionStore,
    kindOf: (error: unknown) => FailureKind | undefined = () => undefined,
    absolute = Infinity,
  ) {
    this.#store = store
    this.#kindOf = kindOf
    this.#absolute = absolute
    this.#turns = turnsByStore.get(store) ?? new KeyedSerialQueues()
    turnsByStore.set(store, this.#turns)
    store.on?.('connect', () => (this.#connected = true))
    store.on?.('disconnect', () => (this.#connected = false))
  }

  /** Whether the store can move an expiry without storing the session. */
  get canTouch(): boolean {
    return typeof this.#store.touch === 'function'
  }

  /** False from the store's event `disconnect` until its next `connect`. */
  get connected(): boolean {
    return this.#connected
  }

  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return this.#typed('reading sessions', () => Promise.all(ids.map((id) => this.#read(id))))
  }

  /** Such a store cannot read less than whole sessions. */
  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    return (await this.find(ids)).map((record) => record && aliveOf(record))
  }

  write(writes: readonly SessionWrite[]): Promise<WriteResult[]> {
    const carryOut = (write: SessionWrite) => this.#turns.take(write.id, () => this.#carryOut(write))
    return this.#typed('writing sessions', () => Promise.all(writes.map(carryOut)))
  }

  /** Ends a session that was never stored. It is not read first: see `#insert`. */
  endUnstored(token: string): Promise<void> {
    const id = token as SessionId
    return this.#typed('ending a session', () => this.#turns.take(id, () => this.#destroy(id)))
  }

  /** @throws (by the promise) ERR_SESSION_STORE_LISTING, if the store cannot list sessions with their ids. */
  async list({ userId, after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    const records = (await this.#all())
      .filter((record) => record.hash && (userId === undefined || record.userId === userId))
      .filter((record) => after === undefined || record.id > after)
      .sort((one, other) => (one.id < other.id ? -1 : 1))
    const items = records.slice(0, limit)
    return {
      items: data ? items : items.map((record) => ({ ...record, data: undefined })),
      next: records.length > limit ? items.at(-1)?.id : undefined,
    }
  }

  /** @throws (by the promise) ERR_SESSION_STORE_LISTING, if the store cannot list sessions with their ids. */
  async removeByUser(userId: string, except?: string): Promise<number> {
    const records = (await this.#all()).filter(
      (record) => record.userId === userId && record.publicId !== except,
    )
    const results = await this.write(records.map(({ id }) => ({ type: 'remove', id, userId })))
    return results.filter((result) => result === 'done').length
  }

  /** Does nothing: the store itself removes what has expired. */
  async removeExpired(): Promise<number> {
    return 0
  }

  /** Does nothing: the store is the app's own. */
  async close(): Promise<void> {}

  #carryOut(write: SessionWrite): Promise<WriteResult> {
    switch (write.type) {
      case 'insert':
        return this.#insert(write)
      case 'update':
        return this.#update(write)
      case 'touch':
        return this.#touch(write)
      case 'remove':
        return this.#remove(write)
    }
  }

  /** Does not read first, as in express-session: some stores try for long, or fail, if there is no session. */
  async #insert(write: InsertWrite): Promise<WriteResult> {
    const { id, userId, publicId = idOf(id) } = write
    const metadata = { userId, publicId, createdAt: Date.now() }
    await this.#set(id, write.data, this.#mustKeep(write) ? metadata : undefined)
    return 'done'
  }

  /**
   * A new token takes two steps. If the process ends between them, both tokens open the session until the old one
   * expires. In the other order, neither would.
   */
  async #update(write: UpdateWrite): Promise<WriteResult> {
    const { id, userId, data, version, secret } = write
    const found = await this.#read(id)
    if (!found) return 'gone'
    if (found.version !== version) return 'stale'
    const { publicId, createdAt, kept } = found
    const authenticatedAt = secret?.signedIn ? Date.now() : found.authenticatedAt
    const metadata = { userId, publicId, authenticatedAt, createdAt }
    await this.#set(secret?.token ?? id, data, kept || secret || this.#mustKeep(write) ? metadata : undefined)
    if (secret?.token !== undefined) await this.#destroy(id)
    return 'done'
  }

  /** Whether the store has to keep a session's user, or when it began. */
  #mustKeep({ userId, lifetime }: InsertWrite | UpdateWrite): boolean {
    return userId !== undefined || lifetime.absolute !== undefined
  }

  /**
   * Passes the store the session as it is stored now. Some stores replace what they have with what they are given, and
   * what this request has read may be out of date. A store without `touch` is not called: there, only `set` moves the
   * expiry.
   */
  async #touch({ id, data }: TouchWrite): Promise<WriteResult> {
    const found = await this.#read(id)
    const session = found && touchedForeign(found, data)
    if (!session) return 'gone'
    const store = this.#store
    if (!store.touch) return 'done'
    try {
      await this.#ask(id, (callback) => store.touch!(id, session, callback))
      return 'done'
    } catch (error) {
      if (isNotFound(error)) return 'gone'
      throw error
    }
  }

  async #remove({ id, userId }: RemoveWrite): Promise<WriteResult> {
    const found = await this.#read(id)
    if (!found) return 'gone'
    if (found.userId !== userId) return 'moved'
    await this.#destroy(id)
    return 'done'
  }

  async #read(id: SessionId): Promise<ForeignRecord | undefined> {
    try {
      const session = await this.#ask(id, (callback) => this.#store.get(id, callback))
      const record = session ? readable(id, session) : undefined
      return record && this.#isOver(record) ? undefined : record
    } catch (error) {
      if (isNotFound(error)) return undefined
      // JSON.parse failed on a damaged row. Its holder should lose the session, not get an error on each request.
      if (error instanceof SyntaxError) return unreadableForeign(id)
      throw error
    }
  }

  /**
   * Whether the absolute lifetime is over. For a session that began in another app, it counts from its first change
   * here.
   */
  #isOver({ kept, createdAt, readAt }: ForeignRecord): boolean {
    return kept && createdAt + this.#absolute <= readAt
  }

  async #set(id: SessionId, data: Uint8Array, metadata: EmbeddedMetadata | undefined): Promise<void> {
    const session = writeForeign(data, metadata)
    await this.#ask(id, (callback) => this.#store.set(id, session, callback))
  }

  async #destroy(id: SessionId): Promise<void> {
    await this.#ask(id, (callback) => this.#store.destroy(id, callback))
  }

  /**
   * Asks the store about one session. Its errors may be logged and shown to other visitors, so they must not name the
   * token.
   */
  async #ask(id: SessionId, ask: (callback: Callback) => unknown): Promise<unknown> {
    try {
      return await answerOf(ask)
    } catch (error) {
      throw withoutToken(error, id)
    }
  }

  async #all(): Promise<ForeignRecord[]> {
    const store = this.#store
    if (!store.all) throw cannotList()
    const all = () => answerOf((callback) => store.all!(callback))
    const sessions = (await this.#typed('listing sessions', all)) ?? []
    return entriesOf(sessions)
      .map(([token, session]) => readable(token as SessionId, session))
      .filter((record) => !this.#isOver(record))
  }

  /** Turns a driver's error of known kind into a SessionError: what a database refuses of one session is no outage. */
  async #typed<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask()
    } catch (error) {
      const kind = this.#kindOf(error)
      throw kind === undefined ? error : failureOf(doing, error, kind)
    }
  }
}

/**
 * The answer that a store gives by its callback. If its method also returns a promise, only a rejection counts: an
 * `async` method around older code resolves before that code has an answer. Only the first answer counts.
 */
function answerOf(ask: (callback: Callback) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const returned = ask((error, value) => (error ? reject(error as Error) : resolve(value)))
    Promise.resolve(returned).catch(reject)
  })
}

/**
 * The record of a session. If it is nested too deep for JSON.stringify, the engine will treat the record as corrupt.
 */
function readable(id: SessionId, session: unknown): ForeignRecord {
  try {
    return readForeign(id, session)
  } catch (error) {
    if (error instanceof RangeError) return unreadableForeign(id)
    throw error
  }
}

function isNotFound(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT'
}

/**
 * The token and data of each session. Some stores list them by token, some in an array where each has its token as
 * `id`.
 */
function entriesOf(sessions: object): [token: string, session: unknown][] {
  if (!Array.isArray(sessions)) return Object.entries(sessions)
  return (sessions as Record<string, unknown>[]).map(({ id, ...session }) => {
    if (typeof id !== 'string') throw cannotList()
    return [id, session]
  })
}

function cannotList(): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_LISTING',
    'This store, written for express-session, cannot list its sessions with their ids, so they cannot be found by user. Use one that can, such as MySQLStore of coatcheck/mysql.',
  )
}
