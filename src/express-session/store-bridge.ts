import { randomBytes } from 'node:crypto'
import { jitter, mostAttempts } from '../core/attempts.js'
import { Batcher } from '../core/batcher.js'
import type { Codec } from '../core/codec.js'
import { recordAfter } from '../core/content-write.js'
import { changedTooOften } from '../core/errors.js'
import { isPlainObject, mergeInto } from '../core/merge.js'
import type { SessionKey, SessionRecord } from '../core/record.js'
import type { Lifetime, SessionStore, TokenKeyedStore, WriteResult } from '../core/store.js'
import { isNote } from '../core/sign-in.js'
import { failureOf } from '../core/store-failure.js'
import { keyOf } from '../core/token.js'
import { Turns } from '../core/turns.js'
import { type Cookie, mergeCookie } from './cookie.js'
import { ownData } from './session.js'
import { plainJson } from './stored-text.js'

/** A session as stores hand it over: the data, with the `cookie` as it was stored. */
export interface StoredSession {
  cookie?: unknown
  [name: string]: unknown
}

/** What a `StoreBridge` keeps of a session object: the record that it stands on, and the order of its saves. */
interface Known {
  record: SessionRecord | undefined
  /** The cookie's `originalMaxAge` as it is stored. */
  maxAge: unknown
  readonly turns: Turns
}

/**
 * Lets express-session work on a coatcheck store. express-session's `set` says only what a session is to be; this
 * remembers for each session object which record it began from, so that saving it takes in what others stored
 * meanwhile and brings no ended session back. Classes that stand where express-session expects a store hold one.
 */
export class StoreBridge {
  readonly #store: SessionStore
  readonly #batcher: Batcher
  readonly #codec: Codec
  readonly #idle: number
  readonly #tokensAreKeys: boolean
  readonly #known = new WeakMap<object, Known>()

  /** @param idle how long a session lives whose cookie has no `maxAge`, in milliseconds since its last use */
  constructor(store: SessionStore, idle: number, codec: Codec = plainJson) {
    this.#store = store
    this.#batcher = new Batcher(store)
    this.#codec = codec
    this.#idle = idle
    this.#tokensAreKeys = (store as Partial<TokenKeyedStore>).keyedBy === 'token'
  }

  /** Reads a session. One that cannot be decoded is as good as none. */
  async get(sid: string): Promise<StoredSession | undefined> {
    const record = await this.find(sid)
    const data = record && this.#decode(record.data)
    if (data) this.remember(data, record)
    return data
  }

  /** The record of a session, for who decodes it otherwise. */
  find(sid: string): Promise<SessionRecord | undefined> {
    return this.#find(this.#keyOf(sid))
  }

  /** Says that `data` is what `record` holds. */
  remember(data: StoredSession, record: SessionRecord): void {
    this.#known.set(data, { record, maxAge: maxAgeOf(data), turns: new Turns() })
  }

  /** Says that `session` was made of `data`, which `get` gave. */
  link(data: object, session: object): void {
    const known = this.#known.get(data)
    if (known) this.#known.set(session, known)
  }

  /**
   * Stores a session. One that was read is stored only as long as it is live: if it has ended meanwhile, nothing is
   * stored, and that is no error, because express-session saves after whatever a handler did. Changes that others
   * stored since are merged into `session`. An object that was never read begins a session, or replaces what is
   * stored under its id.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY,
   *   ERR_SESSION_CONFLICT, what the codec throws
   */
  async set(sid: string, session: StoredSession): Promise<void> {
    let known = this.#known.get(session)
    if (!known) {
      known = { record: undefined, maxAge: undefined, turns: new Turns() }
      this.#known.set(session, known)
    }
    const { turns } = known
    // In turn: a second save before the first is done must stand on what that one stored.
    await turns.take(() => this.#save(this.#keyOf(sid), session, known))
  }

  /** Moves a live session's expiry to what its cookie says; one that has ended stays so. */
  async touch(sid: string, session: StoredSession): Promise<void> {
    const known = this.#known.get(session)
    // express-session takes a new `maxAge` for no change, but the requests to come must find it.
    if (known?.record && known.maxAge !== maxAgeOf(session)) return this.set(sid, session)
    const [data, lifetime] = [this.#encode(session), this.#lifetime(session)]
    if (lifetime.idle <= 0) return this.destroy(sid)
    await this.#write({ type: 'touch', key: this.#keyOf(sid), data, lifetime })
  }

  /** Removes a session. */
  async destroy(sid: string): Promise<void> {
    await this.#write({ type: 'remove', key: this.#keyOf(sid) })
  }

  /** All live sessions, by their ids; by their publicIds if the store does not know the ids. */
  async all(): Promise<Record<string, StoredSession>> {
    const sessions = Object.create(null) as Record<string, StoredSession>
    for await (const records of this.pages()) {
      for (const { key, publicId, data } of records) {
        const session = this.#decode(data)
        if (session) sessions[this.#tokensAreKeys ? key : publicId] = session
      }
    }
    return sessions
  }

  /** How many sessions are live. They are counted one by one. */
  async length(): Promise<number> {
    let count = 0
    for await (const records of this.pages()) count += records.length
    return count
  }

  /** Removes all live sessions. */
  async clear(): Promise<void> {
    for await (const records of this.pages()) {
      await Promise.all(records.map(({ key }) => this.#write({ type: 'remove', key })))
    }
  }

  /** All live records, some at a time. */
  async *pages(): AsyncGenerator<readonly SessionRecord[]> {
    let after: string | undefined
    do {
      const query = { after, limit: 500 }
      const page = await asking('listing sessions', () => this.#store.list(query))
      yield page.items.filter((record) => !isNote(record))
      after = page.next
    } while (after !== undefined)
  }

  /** Closes the store, when all that was asked of it is answered. */
  async close(): Promise<void> {
    await this.#batcher.idle()
    await asking('closing', () => this.#store.close())
  }

  async #save(key: SessionKey, session: StoredSession, known: Known): Promise<void> {
    // A session that was read under one id and is stored under another is not the one that was read.
    if (known.record?.key !== key) known.record = undefined
    // A cookie that ends at once, as some apps sign out, ends its session.
    if (this.#lifetime(session).idle <= 0) {
      await this.#write({ type: 'remove', key })
      return
    }
    const wasRead = known.record !== undefined
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const result = await this.#writeContent(key, session, known)
      if (result === 'done' || result === 'gone') return
      const fresh = await this.#find(key)
      if (wasRead) {
        if (!fresh) return
        this.#merge(session, known.record!, fresh)
      }
      known.record = fresh
      await jitter(attempt)
    }
    throw changedTooOften(mostAttempts)
  }

  async #writeContent(key: SessionKey, session: StoredSession, known: Known): Promise<WriteResult> {
    const { record } = known
    const content = {
      key,
      userId: record?.userId,
      data: this.#encode(session),
      lifetime: this.#lifetime(session),
    }
    const publicId = record?.publicId ?? randomBytes(12).toString('base64url')
    const write = record
      ? ({ type: 'update', version: record.version, ...content } as const)
      : ({ type: 'insert', publicId, signedIn: false, ...content } as const)
    const maxAge = maxAgeOf(session)
    const result = await this.#write(write)
    if (result === 'done') Object.assign(known, { record: recordAfter(write, record, publicId), maxAge })
    return result
  }

  /** Takes into the session what others stored since it was read. */
  #merge(session: StoredSession, base: SessionRecord, fresh: SessionRecord): void {
    const mine = this.#decode(this.#encode(session)) ?? {}
    const before = this.#decode(base.data) ?? {}
    const theirs = this.#decode(fresh.data) ?? before
    mergeCookie(session, before, theirs)
    mergeInto(session, mine, ownData(before), ownData(theirs))
  }

  #keyOf(sid: string): SessionKey {
    return this.#tokensAreKeys ? (sid as SessionKey) : keyOf(sid)
  }

  #find(key: SessionKey): Promise<SessionRecord | undefined> {
    return asking('reading a session', () => this.#batcher.find(key))
  }

  #write(write: Parameters<Batcher['write']>[0]): Promise<WriteResult> {
    return asking('writing a session', () => this.#batcher.write(write))
  }

  #encode(session: StoredSession): Uint8Array {
    const data = { ...session }
    // express-session's own Cookie, or ours: codecs other than JSON would not find the fields.
    const { toJSON } = (data.cookie ?? {}) as Partial<Cookie>
    if (typeof toJSON === 'function') data.cookie = toJSON.call(data.cookie as Cookie)
    return this.#codec.encode(data)
  }

  #decode(bytes: Uint8Array): StoredSession | undefined {
    try {
      const data = this.#codec.decode(bytes)
      return isPlainObject(data) ? data : undefined
    } catch {
      return undefined
    }
  }

  #lifetime(session: StoredSession): Lifetime {
    const { expires, originalMaxAge } = (session.cookie ?? {}) as Partial<Cookie> & { expires?: unknown }
    if (typeof expires === 'number') return lasting(expires - Date.now())
    if (typeof originalMaxAge === 'number' && Number.isFinite(originalMaxAge)) return lasting(originalMaxAge)
    const end = typeof expires === 'string' || expires instanceof Date ? new Date(expires).getTime() : NaN
    return lasting(Number.isNaN(end) ? this.#idle : end - Date.now())
  }
}

function maxAgeOf({ cookie }: StoredSession): unknown {
  return (cookie as Partial<Cookie> | null | undefined)?.originalMaxAge
}

function lasting(idle: number): Lifetime {
  return { idle: Math.ceil(idle), absolute: undefined }
}

async function asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    throw failureOf(doing, error)
  }
}
