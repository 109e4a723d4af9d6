import { optionError, refuseUnknownOptions } from '../core/errors.js'
import type { FormerContent, SessionKey, SessionRecord } from '../core/record.js'
import { isNote } from '../core/sign-in.js'
import type {
  InsertWrite,
  Lifetime,
  ListQuery,
  Page,
  RotateWrite,
  SessionContent,
  SessionStore,
  SessionWrite,
  UpdateWrite,
  WriteResult,
} from '../core/store.js'
import { ExpiryHeap } from './expiry-heap.js'
import type { Expiring } from './expiry-heap.js'

/** What `MemoryStore` takes. */
export interface MemoryStoreOptions {
  /**
   * How many sessions are held at most. When one more comes, expired ones go first, else the one that
   * was least recently used: its user is signed out.
   *
   * What has to be remembered of users, such as that all their sessions were ended, is not counted among these. Of that
   * as much is kept again, so that no number of sessions makes the store forget it.
   * @default 100_000
   */
  readonly maxSessions?: number | undefined
}

/** A record as it is held. `sequence` grows with each insert and stays over rotation: the order of listings. */
interface Entry extends Expiring {
  readonly sequence: number
  readonly publicId: string
  readonly createdAt: number
  key: SessionKey
  userId: string | undefined
  authenticatedAt: number | undefined
  data: Uint8Array
  version: number
  seenAt: number
  /** What the key from before the last rotation finds, and until when. */
  former: (FormerContent & { readonly key: SessionKey; readonly until: number }) | undefined
}

/**
 * Sessions in this process's memory, for tests, development and apps of one process. They are gone when
 * it ends, and no other process sees them. The data is copied on its way in and out, expiry is as real
 * as in a database, and there is no timer.
 *
 * @example
 * const sessions = createSessions({ store: new MemoryStore({ maxSessions: 10_000 }), secret })
 */
export class MemoryStore implements SessionStore {
  readonly #maxSessions: number
  /** Sessions by their keys. Least recently used first. */
  readonly #byKey = new Map<SessionKey, Entry>()
  /** Notes about users, in the same order. Apart, so that neither pushes the other out. */
  readonly #notes = new Map<SessionKey, Entry>()
  readonly #byFormerKey = new Map<SessionKey, Entry>()
  /** Oldest first. */
  readonly #bySequence = new Map<number, Entry>()
  readonly #byUser = new Map<string, Set<Entry>>()
  readonly #byExpiry = new ExpiryHeap<Entry>()
  #lastSequence = 0

  /** @throws `ERR_SESSION_OPTION` for an unknown option, or a `maxSessions` that is not a positive whole number */
  constructor(options: MemoryStoreOptions = {}) {
    refuseUnknownOptions('MemoryStore', options, ['maxSessions'])
    this.#maxSessions = options.maxSessions ?? 100_000
    if (!Number.isSafeInteger(this.#maxSessions) || this.#maxSessions < 1) {
      throw optionError(`maxSessions must be a positive whole number, not ${String(options.maxSessions)}.`)
    }
  }

  async find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const now = Date.now()
    return keys.map((key) => {
      const entry = this.#live(key, now)
      if (entry === undefined) return undefined
      this.#used(entry)
      return recordOf(entry, now)
    })
  }

  async findFormer(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    const now = Date.now()
    return keys.map((key) => {
      const entry = this.#byFormerKey.get(key)
      if (!entry?.former || entry.former.until <= now || entry.expiresAt <= now) return undefined
      const { userId, authenticatedAt, data } = entry.former
      return { ...recordOf(entry, now), former: { userId, authenticatedAt, data: Buffer.from(data) } }
    })
  }

  async write(writes: readonly SessionWrite[]): Promise<WriteResult[]> {
    const now = Date.now()
    return writes.map((write) => this.#carryOut(write, now))
  }

  async list(query: ListQuery): Promise<Page<SessionRecord>> {
    const now = Date.now()
    const after = Number(query.after ?? 0)
    const live: Entry[] = []
    for (const entry of this.#candidates(query.userId)) {
      if (entry.sequence <= after || entry.expiresAt <= now) continue
      live.push(entry)
      if (live.length > query.limit) break
    }
    const page = live.slice(0, query.limit)
    return {
      items: page.map((entry) => recordOf(entry, now)),
      next: live.length > page.length ? String(page.at(-1)?.sequence ?? after) : undefined,
    }
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const now = Date.now()
    let removed = 0
    for (const entry of this.#byUser.get(userId) ?? []) {
      if (entry.publicId === except) continue
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

  /** Does nothing: what is in memory goes with the store itself, and another app may still use it. */
  async close(): Promise<void> {}

  #carryOut(write: SessionWrite, now: number): WriteResult {
    if (write.type === 'insert') return this.#insert(write, now)
    const entry = this.#live(write.key, now)
    if (entry === undefined) return 'gone'
    switch (write.type) {
      case 'update':
        return this.#update(entry, write, now)
      case 'rotate':
        return this.#rotate(entry, write, now)
      case 'touch':
        entry.seenAt = now
        this.#expireAt(entry, Math.max(entry.expiresAt, expiry(write.lifetime, entry.createdAt, now)))
        this.#used(entry)
        return 'done'
      case 'remove':
        this.#remove(entry)
        return 'done'
    }
  }

  #insert(write: InsertWrite, now: number): WriteResult {
    if (this.#live(write.key, now)) return 'exists'
    const expired = this.#held(write.key)
    if (expired) this.#remove(expired)
    const entries = this.#among(write)
    if (entries.size >= this.#maxSessions) this.#makeRoom(entries, now)
    const entry: Entry = {
      sequence: ++this.#lastSequence,
      key: write.key,
      publicId: write.publicId,
      userId: undefined,
      authenticatedAt: write.signedIn ? now : undefined,
      data: new Uint8Array(write.data),
      version: 1,
      createdAt: now,
      seenAt: now,
      former: undefined,
      expiresAt: expiry(write.lifetime, now, now),
      heapIndex: -1,
    }
    entries.set(entry.key, entry)
    this.#bySequence.set(entry.sequence, entry)
    this.#byExpiry.add(entry)
    this.#belongsTo(entry, write.userId)
    return 'done'
  }

  #update(entry: Entry, write: UpdateWrite, now: number): WriteResult {
    if (entry.version !== write.version) return 'stale'
    this.#replace(entry, write, write.lifetime, now)
    this.#used(entry)
    return 'done'
  }

  #rotate(entry: Entry, write: RotateWrite, now: number): WriteResult {
    if (entry.version !== write.version) return 'stale'
    if (this.#held(write.newKey)) return 'exists'
    const entries = this.#among(entry)
    const { key, userId, authenticatedAt, data } = entry
    this.#replace(entry, write, write.lifetime, now)
    if (write.signedIn) entry.authenticatedAt = now
    entries.delete(key)
    entry.key = write.newKey
    entries.set(entry.key, entry)
    this.#forgetFormer(entry)
    if (write.grace === 0) return 'done'
    entry.former = { key, userId, authenticatedAt, data, until: now + write.grace }
    this.#byFormerKey.set(key, entry)
    return 'done'
  }

  #replace(entry: Entry, content: SessionContent, lifetime: Lifetime, now: number): void {
    if (entry.former && entry.former.until <= now) this.#forgetFormer(entry)
    entry.data = new Uint8Array(content.data)
    entry.version++
    entry.seenAt = now
    this.#belongsTo(entry, content.userId)
    this.#expireAt(entry, expiry(lifetime, entry.createdAt, now))
  }

  #among(record: Pick<SessionRecord, 'publicId' | 'key'>): Map<SessionKey, Entry> {
    return isNote(record) ? this.#notes : this.#byKey
  }

  #held(key: SessionKey): Entry | undefined {
    return this.#byKey.get(key) ?? this.#notes.get(key)
  }

  #live(key: SessionKey, now: number): Entry | undefined {
    const entry = this.#held(key)
    return entry !== undefined && entry.expiresAt > now ? entry : undefined
  }

  #forgetFormer(entry: Entry): void {
    if (entry.former && this.#byFormerKey.get(entry.former.key) === entry)
      this.#byFormerKey.delete(entry.former.key)
    entry.former = undefined
  }

  #used(entry: Entry): void {
    const entries = this.#among(entry)
    entries.delete(entry.key)
    entries.set(entry.key, entry)
  }

  #expireAt(entry: Entry, moment: number): void {
    entry.expiresAt = moment
    this.#byExpiry.moved(entry)
  }

  #belongsTo(entry: Entry, userId: string | undefined): void {
    if (entry.userId === userId) return
    this.#leaveUser(entry)
    entry.userId = userId
    if (userId === undefined) return
    const entries = this.#byUser.get(userId)
    if (entries === undefined) this.#byUser.set(userId, new Set([entry]))
    else entries.add(entry)
  }

  #leaveUser(entry: Entry): void {
    if (entry.userId === undefined) return
    const entries = this.#byUser.get(entry.userId)
    entries?.delete(entry)
    if (entries?.size === 0) this.#byUser.delete(entry.userId)
  }

  #remove(entry: Entry): void {
    this.#among(entry).delete(entry.key)
    this.#bySequence.delete(entry.sequence)
    this.#byExpiry.remove(entry)
    this.#leaveUser(entry)
    this.#forgetFormer(entry)
  }

  #removeOneExpired(now: number): boolean {
    const entry = this.#byExpiry.first
    if (entry === undefined || entry.expiresAt > now) return false
    this.#remove(entry)
    return true
  }

  #makeRoom(entries: Map<SessionKey, Entry>, now: number): void {
    while (entries.size >= this.#maxSessions) {
      // It may be among the others.
      if (this.#removeOneExpired(now)) continue
      this.#remove(entries.values().next().value!)
    }
  }

  #candidates(userId: string | undefined): Iterable<Entry> {
    if (userId === undefined) return this.#bySequence.values()
    // A user's set is in the order of signing in, not of creation.
    return [...(this.#byUser.get(userId) ?? [])].sort((one, other) => one.sequence - other.sequence)
  }
}

function expiry(lifetime: Lifetime, createdAt: number, now: number): number {
  return Math.min(now + lifetime.idle, createdAt + (lifetime.absolute ?? Infinity))
}

function recordOf(entry: Entry, now: number): SessionRecord {
  return {
    key: entry.key,
    publicId: entry.publicId,
    userId: entry.userId,
    authenticatedAt: entry.userId === undefined ? undefined : entry.authenticatedAt,
    data: Buffer.from(entry.data), // out of Node's pool: a memory block of its own costs more than all else here
    version: entry.version,
    createdAt: entry.createdAt,
    seenAt: entry.seenAt,
    expiresAt: entry.expiresAt,
    readAt: now,
  }
}
