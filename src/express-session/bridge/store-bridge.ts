import type { Codec } from '../../core/data/codec.js'
import { SessionEngine } from '../../core/engine.js'
import { SessionError } from '../../core/errors.js'
import { UnitOfWork } from '../../core/session/unit-of-work.js'
import type { ListedRecord, SessionRecord } from '../../core/store/record.js'
import type { SessionStore } from '../../core/store/session-store.js'
import { hashOf, isSameHash } from '../../core/token.js'
import type { Cookie } from '../model/cookie.js'
import { plainJson } from '../model/stored-text.js'
import { BridgeForm, lifetimeOf, plainOf, type StoredSession } from './bridge-form.js'

/** A session as it is listed here. */
type ListedSession = ListedRecord & Pick<SessionRecord, 'data'>

/** What a `StoreBridge` keeps of a session object: the work that it is in, and the cookie's `originalMaxAge` as it is stored. */
interface Known {
  readonly work: UnitOfWork
  readonly form: BridgeForm
  readonly sid: string
  maxAge: unknown
}

/**
 * Lets express-session work on a coatcheck store. express-session's `set` gives only the new state of a session. So this
 * class keeps, for each session object, the work that it began with: a save then merges what others have stored, and
 * brings no ended session back. The classes that express-session uses as stores hold one.
 */
export class StoreBridge {
  readonly #store: SessionStore
  readonly #engine: SessionEngine
  readonly #idle: number
  readonly #known = new WeakMap<object, Known>()

  /** @param idle how long a session lives whose cookie has no `maxAge`, in milliseconds since its last use. */
  constructor(store: SessionStore, idle: number, codec: Codec = plainJson) {
    this.#store = store
    this.#idle = idle
    this.#engine = new SessionEngine({
      store,
      codec,
      lifetime: { idle, absolute: undefined },
      touchAfter: Infinity,
      sizeLimit: Infinity,
      // What a token from before a rotation led to is nothing that express-session knows of.
      rotationGrace: 0,
      sweep: undefined,
    })
    // Every caller gets the error itself.
    this.#engine.on('storeError', () => undefined)
  }

  /** Reads a session. One that cannot be decoded is as good as none. */
  async get(sid: string): Promise<StoredSession | undefined> {
    const form = new BridgeForm(sid, this.#idle)
    const work = await this.#engine.loadAs(form, [sid])
    const data = work.session as StoredSession | undefined
    if (!data || work.isNew) return undefined
    this.#known.set(data, { work, form, sid, maxAge: maxAgeOf(data) })
    return data
  }

  /** The record of a session, for who decodes it otherwise. That of a token from before a rotation is not found. */
  async find(sid: string): Promise<SessionRecord | undefined> {
    const record = await this.#engine.find(this.#engine.idOf(sid))
    return record && isSameHash(record.hash, hashOf(sid)) ? record : undefined
  }

  /** Says that `data` is what `record` of this sid holds. */
  remember(sid: string, data: StoredSession, record: SessionRecord): void {
    const form = new BridgeForm(sid, this.#idle)
    const work = new UnitOfWork(this.#engine, form, { token: sid, record, place: 'current' })
    this.#known.set(data, { work, form, sid, maxAge: maxAgeOf(data) })
  }

  /** Says that `session` was made of `data`, which `get` gave. */
  link(data: object, session: object): void {
    const known = this.#known.get(data)
    if (known) this.#known.set(session, known)
  }

  /**
   * Stores a session. A session that was read is stored only while it is live. If it has ended meanwhile, nothing is
   * stored. That is no error, because express-session saves whatever the handler did. Changes that others stored since
   * are merged into `session`. An object that was never read begins a session, or replaces what is stored under its id.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY,
   *   ERR_SESSION_CONFLICT, what the codec throws.
   */
  async set(sid: string, session: StoredSession): Promise<void> {
    // A cookie that ends at once, as some apps sign out, ends its session.
    if (lifetimeOf(session, this.#idle).idle <= 0) return this.destroy(sid)
    const known = this.#knownOf(sid, session)
    const maxAge = maxAgeOf(session)
    known.form.take(session)
    known.work.take(session as never)
    try {
      await known.work.save()
    } catch (error) {
      if (!(error instanceof SessionError && error.code === 'ERR_SESSION_GONE')) throw error
    }
    known.maxAge = maxAge
  }

  /** A session that was read under one id and is stored under another is not the one that was read. */
  #knownOf(sid: string, session: StoredSession): Known {
    const known = this.#known.get(session)
    if (known?.sid === sid) return known
    const form = new BridgeForm(sid, this.#idle)
    const work = this.#engine.beginAs(form)
    work.startNew(sid)
    const begun = { work, form, sid, maxAge: undefined }
    this.#known.set(session, begun)
    return begun
  }

  /** Moves a live session's expiry to what its cookie says; one that has ended stays so. */
  async touch(sid: string, session: StoredSession): Promise<void> {
    const known = this.#known.get(session)
    // express-session takes a new `maxAge` for no change, but the requests to come must find it.
    if (known && !known.work.isNew && known.maxAge !== maxAgeOf(session)) return this.set(sid, session)
    const lifetime = lifetimeOf(session, this.#idle)
    if (lifetime.idle <= 0) return this.destroy(sid)
    const data = this.#engine.encode(plainOf(session))
    await this.#engine.write({ type: 'touch', id: this.#engine.idOf(sid), hash: hashOf(sid), data, lifetime })
  }

  /** Removes a session. */
  async destroy(sid: string): Promise<void> {
    const work = await this.#engine.loadAs(new BridgeForm(sid, this.#idle), [sid])
    if (!work.isNew) await work.destroy()
  }

  /** All live sessions, by their ids, which are the tokens only if the store knows these. */
  async all(): Promise<Record<string, StoredSession>> {
    const sessions = Object.create(null) as Record<string, StoredSession>
    for await (const records of this.pages()) {
      for (const record of records) {
        const session = this.#engine.decode({ ...record, marks: undefined })
        if (session) sessions[record.id] = session
      }
    }
    return sessions
  }

  /** How many sessions are live. They are counted one by one. */
  async length(): Promise<number> {
    let count = 0
    for await (const records of this.#pages(false)) count += records.length
    return count
  }

  /** Removes all live sessions. */
  async clear(): Promise<void> {
    for await (const records of this.#pages(false)) {
      await Promise.all(records.map(({ id, userId }) => this.#engine.write({ type: 'remove', id, userId })))
    }
  }

  /** All live sessions, some at a time. */
  pages(): AsyncGenerator<readonly ListedSession[]> {
    return this.#pages(true) as AsyncGenerator<readonly ListedSession[]>
  }

  async *#pages(data: boolean): AsyncGenerator<readonly ListedRecord[]> {
    let after: string | undefined
    do {
      const query = { after, limit: 500, data }
      const page = await this.#engine.asking('listing sessions', () => this.#store.list(query))
      yield page.items
      after = page.next
    } while (after !== undefined)
  }

  /** Closes the store, when all that was asked of it is answered. */
  close(): Promise<void> {
    return this.#engine.close()
  }
}

function maxAgeOf({ cookie }: StoredSession): unknown {
  return (cookie as Partial<Cookie> | null | undefined)?.originalMaxAge
}
