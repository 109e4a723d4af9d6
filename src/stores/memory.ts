import { optionError, refuseUnknownOptions, type SessionError } from '../core/errors.js'
import {
  type AliveRecord,
  type FormerContent,
  type ListedRecord,
  type SessionId,
  type SessionRecord,
} from '../core/store/record.js'
import { marksWith } from '../core/store/mark.js'
import type {
  InsertWrite,
  Lifetime,
  ListQuery,
  Page,
  RemoveWrite,
  SessionStore,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../core/store/session-store.js'
import { storeFailure } from '../core/store/store-failure.js'
import { isSameHash } from '../core/token.js'
import { ExpiryHeap } from './expiry-heap.js'
import type { Expiring } from './expiry-heap.js'
import { RecencyList } from './recency-list.js'
import type { Used } from './recency-list.js'

/** The options of `MemoryStore`. */
export interface MemoryStoreOptions {
  /**
   * The most sessions that are kept. A full store makes room for a new one in this order:
   *
   * 1. It removes expired sessions.
   * 2. It removes the anonymous session that was least recently used.
   * 3. If all sessions belong to users, a sign-in removes the one that was least recently used. An anonymous session is
   *    refused with `ERR_SESSION_STORE_BUSY` (503): visitors without an account can sign nobody out.
   *
   * A session without a bound user is anonymous here, as those of Passport without `userOf`.
   *
   * Notes about users, such as a revocation of all their sessions, are counted apart. As many of them are kept again,
   * so sessions never push them out.
   * @default 100_000
   */
  readonly maxSessions?: number | undefined
}

/** A record in memory. `sequence` grows with each insert. */
interface Entry extends Expiring, Used<Entry> {
  readonly sequence: number
  readonly id: SessionId
  readonly rootId: SessionId | undefined
  readonly createdAt: number
  hash: Uint8Array | undefined
  userId: string | undefined
  authenticatedAt: number | undefined
  data: Uint8Array
  about: string | undefined
  format: number
  version: number
  marks: Uint8Array
  seenAt: number
  /** The content and hash from before the last rotation, and until when they are shown. */
  former: (FormerContent & { readonly until: number }) | undefined
}

/**
 * Keeps sessions in the memory of this process: for tests, development and apps of one process. They end with the
 * process, and no other process sees them. Expiry works as in a database, by this machine's clock.
 *
 * Data is copied on its way in and out. The store has no timer of its own.
 *
 * @example
 * const sessions = createSessions({ store: new MemoryStore({ maxSessions: 10_000 }), secret })
 */
export class MemoryStore implements SessionStore {
  readonly #maxSessions: number
  /** Sessions and notes. */
  readonly #entries = new Map<SessionId, Entry>()
  readonly #anonymous = new RecencyList<Entry>()
  readonly #signedIn = new RecencyList<Entry>()
  /** Apart from sessions, so that neither push the others out. */
  readonly #notes = new RecencyList<Entry>()
  readonly #byUser = new Map<string, Set<Entry>>()
  readonly #byExpiry = new ExpiryHeap<Entry>()
  #lastSequence = 0

  /** @throws `ERR_SESSION_OPTION` for an unknown option, or if `maxSessions` is no positive whole number. */
  constructor(options: MemoryStoreOptions = {}) {
    refuseUnknownOptions('MemoryStore', options, ['maxSessions'])
    this.#maxSessions = options.maxSessions ?? 100_000
    if (!Number.isSafeInteger(this.#maxSessions) || this.#maxSessions < 1) {
      throw optionError(`maxSessions must be a positive whole number, not ${String(options.maxSessions)}.`)
    }
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    const now = Date.now()
    return ids.map((id) => {
      const entry = this.#found(id, now)
      if (entry === undefined) return undefined
      this.#used(entry)
      return recordOf(entry, now)
    })
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    const now = Date.now()
    return ids.map((id) => {
      const entry = this.#found(id, now)
      return entry && { id, userId: entry.userId, hash: entry.hash }
    })
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const now = Date.now()
    return writes.map((write) => this.#carryOut(write, now))
  }

  async list({ userId, after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    const now = Date.now()
    const all = userId === undefined
    const start = after === undefined ? undefined : placeIn(after)
    const live = [...(all ? this.#entries.values() : (this.#byUser.get(userId) ?? []))]
      .filter((entry) => entry.hash !== undefined && this.#isFound(entry, now))
      .map((entry) => ({ entry, place: [all ? 0 : entry.seenAt, entry.sequence] as const }))
      .filter(({ place }) => !start || isBefore(start, place))
      .sort((one, other) => (isBefore(one.place, other.place) ? -1 : 1))
    const page = live.slice(0, limit)
    return {
      items: page.map(({ entry }) => listed(entry, now, data)),
      next: live.length > page.length ? page.at(-1)?.place.join() : undefined,
    }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const now = Date.now()
    let removed = 0
    for (const entry of this.#byUser.get(userId) ?? []) {
      if (entry.id === except) continue
      if (entry.expiresAt > now) removed++
      this.#remove(entry)
    }
    return removed
  }

  async removeExpired(limit: number): Promise<number> {
    const now = Date.now()
    let removed = 0
    while (removed < limit && this.#removeOneExpired(now)) removed++
    return removed
  }

  /** Does nothing. The memory is freed with the store, and other code may still use it. */
  async close(): Promise<void> {}

  #carryOut(write: SessionWrite, now: number): WriteResult | Error {
    if (write.type === 'insert') return this.#insert(write, now)
    const entry = this.#live(write.id, now)
    if (entry === undefined) return 'gone'
    switch (write.type) {
      case 'update':
        return this.#update(entry, write, now)
      case 'touch':
        return this.#touch(entry, write, now)
      case 'remove':
        return this.#removeOf(entry, write)
    }
  }

  #insert(write: InsertWrite, now: number): WriteResult | Error {
    if (this.#live(write.id, now)) return 'exists'
    const expired = this.#entries.get(write.id)
    if (expired) this.#remove(expired)
    if (!this.#makeRoom(write, now)) return fullOfUsers(this.#maxSessions)
    const entry: Entry = {
      sequence: ++this.#lastSequence,
      id: write.id,
      rootId: write.rootId,
      hash: write.hash && new Uint8Array(write.hash),
      userId: write.userId,
      authenticatedAt: write.signedIn ? now : undefined,
      data: new Uint8Array(write.data),
      about: write.about,
      format: write.format,
      version: 1,
      marks: new Uint8Array(write.mark),
      createdAt: now,
      seenAt: now,
      former: undefined,
      expiresAt: expiry(write.lifetime, now, now),
      heapIndex: -1,
      before: undefined,
      after: undefined,
    }
    this.#entries.set(entry.id, entry)
    this.#orderOf(entry).add(entry)
    this.#byExpiry.add(entry)
    this.#joinUser(entry)
    return 'done'
  }

  #update(entry: Entry, write: UpdateWrite, now: number): WriteResult {
    if (entry.version !== write.version) return 'stale'
    // It is added again below, as the most recently used; maybe to another list, if its user has changed.
    this.#orderOf(entry).remove(entry)
    const { secret } = write
    if (secret) {
      const { hash, userId, authenticatedAt, data } = entry
      entry.former =
        secret.grace > 0 && hash
          ? { hash, userId, authenticatedAt, data, until: now + secret.grace }
          : undefined
      entry.hash = new Uint8Array(secret.hash)
      if (secret.signedIn) entry.authenticatedAt = now
    } else if (entry.former && entry.former.until <= now) entry.former = undefined
    entry.data = new Uint8Array(write.data)
    entry.about = write.about ?? entry.about
    entry.format = write.format
    entry.version++
    entry.marks = marksWith(write.mark, entry.marks)
    entry.seenAt = now
    this.#belongsTo(entry, write.userId)
    this.#expireAt(entry, expiry(write.lifetime, entry.createdAt, now))
    this.#orderOf(entry).add(entry)
    return 'done'
  }

  #touch(entry: Entry, write: TouchWrite, now: number): WriteResult {
    if (!isSameHash(entry.hash, write.hash)) return 'moved'
    entry.seenAt = now
    this.#expireAt(entry, Math.max(entry.expiresAt, expiry(write.lifetime, entry.createdAt, now)))
    this.#used(entry)
    return 'done'
  }

  #removeOf(entry: Entry, write: RemoveWrite): WriteResult {
    if (entry.userId !== write.userId) return 'moved'
    this.#remove(entry)
    return 'done'
  }

  #orderOf({ hash, userId }: Pick<SessionRecord, 'hash' | 'userId'>): RecencyList<Entry> {
    if (hash === undefined) return this.#notes
    return userId === undefined ? this.#anonymous : this.#signedIn
  }

  #live(id: SessionId, now: number): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry !== undefined && entry.expiresAt > now ? entry : undefined
  }

  #found(id: SessionId, now: number): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry !== undefined && this.#isFound(entry, now) ? entry : undefined
  }

  #isFound({ expiresAt, rootId, userId }: Entry, now: number): boolean {
    if (expiresAt <= now) return false
    if (rootId === undefined) return true
    const root = this.#live(rootId, now)
    return root !== undefined && root.userId === userId
  }

  #used(entry: Entry): void {
    const order = this.#orderOf(entry)
    order.remove(entry)
    order.add(entry)
  }

  #expireAt(entry: Entry, moment: number): void {
    entry.expiresAt = moment
    this.#byExpiry.moved(entry)
  }

  #belongsTo(entry: Entry, userId: string | undefined): void {
    if (entry.userId === userId) return
    this.#leaveUser(entry)
    entry.userId = userId
    this.#joinUser(entry)
  }

  #joinUser(entry: Entry): void {
    if (entry.userId === undefined) return
    const entries = this.#byUser.get(entry.userId)
    if (entries === undefined) this.#byUser.set(entry.userId, new Set([entry]))
    else entries.add(entry)
  }

  #leaveUser(entry: Entry): void {
    if (entry.userId === undefined) return
    const entries = this.#byUser.get(entry.userId)
    entries?.delete(entry)
    if (entries?.size === 0) this.#byUser.delete(entry.userId)
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.id)
    this.#orderOf(entry).remove(entry)
    this.#byExpiry.remove(entry)
    this.#leaveUser(entry)
  }

  #removeOneExpired(now: number): boolean {
    const entry = this.#byExpiry.first
    if (entry === undefined || entry.expiresAt > now) return false
    this.#remove(entry)
    return true
  }

  /** Makes room for a record. @returns whether there is room: no user's session gives way to an anonymous one. */
  #makeRoom(coming: Pick<InsertWrite, 'hash' | 'userId'>, now: number): boolean {
    const isNote = coming.hash === undefined
    while (this.#maxSessions <= (isNote ? this.#notes.size : this.#anonymous.size + this.#signedIn.size)) {
      // The expired record may be of the other kind, so look again.
      if (this.#removeOneExpired(now)) continue
      const least = isNote
        ? this.#notes.first
        : (this.#anonymous.first ?? (coming.userId === undefined ? undefined : this.#signedIn.first))
      if (least === undefined) return false
      this.#remove(least)
    }
    return true
  }
}

function fullOfUsers(maxSessions: number): SessionError {
  return storeFailure(
    'busy',
    'writing sessions',
    `all ${maxSessions} sessions that it may hold are of users, and no anonymous one ends those. Give MemoryStore a larger maxSessions, or use a store that keeps sessions in a database.`,
    undefined,
  )
}

function expiry(lifetime: Lifetime, createdAt: number, now: number): number {
  return Math.min(now + lifetime.idle, createdAt + (lifetime.absolute ?? Infinity))
}

/** The place of an entry in a listing: later moments come first, then higher sequences. */
type Place = readonly [moment: number, sequence: number]

function placeIn(after: string): Place {
  const [moment, sequence] = after.split(',').map(Number)
  return [moment ?? 0, sequence ?? 0]
}

function isBefore(one: Place, other: Place): boolean {
  return one[0] === other[0] ? one[1] > other[1] : one[0] > other[0]
}

function listed(entry: Entry, now: number, withData: boolean): ListedRecord {
  return {
    id: entry.id,
    hash: entry.hash,
    userId: entry.userId,
    authenticatedAt: entry.userId === undefined ? undefined : entry.authenticatedAt,
    data: withData ? Buffer.from(entry.data) : undefined,
    about: entry.about,
    rootId: entry.rootId,
    format: entry.format,
    version: entry.version,
    createdAt: entry.createdAt,
    seenAt: entry.seenAt,
    expiresAt: entry.expiresAt,
    readAt: now,
  }
}

function recordOf(entry: Entry, now: number): SessionRecord {
  const { userId, former } = entry
  // Field by field: spreading a listed record would take longer than everything else here.
  return {
    id: entry.id,
    hash: entry.hash,
    userId,
    authenticatedAt: userId === undefined ? undefined : entry.authenticatedAt,
    data: Buffer.from(entry.data), // from Node's pool, so it needs no memory block of its own
    about: entry.about,
    rootId: entry.rootId,
    format: entry.format,
    version: entry.version,
    marks: entry.marks,
    createdAt: entry.createdAt,
    seenAt: entry.seenAt,
    expiresAt: entry.expiresAt,
    readAt: now,
    former: former && former.until > now ? formerOf(former) : undefined,
  }
}

function formerOf({ hash, userId, authenticatedAt, data }: FormerContent): FormerContent {
  return {
    hash,
    userId,
    authenticatedAt: userId === undefined ? undefined : authenticatedAt,
    data: Buffer.from(data),
  }
}
