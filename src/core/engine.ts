import { EventEmitter } from 'node:events'
import { type BatchSettings, Batcher, defaultBatching } from './store/batcher.js'
import { bufferOf, type Codec } from './data/codec.js'
import { byDeadline } from './store/deadline.js'
import type { Encryption } from './data/encryption.js'
import { dataTooLarge, SessionError, warnOfError } from './errors.js'
import type { EndReason, SessionEvents } from './events.js'
import { isPlainObject, type Merge } from './data/merge.js'
import { publicIdOf, recordFormat, type SessionId, type SessionRecord } from './store/record.js'
import { RecentValues } from './recent-values.js'
import { queueMicrotask } from './scheduling.js'
import { Slices } from './slices.js'
import { bagForm, type SessionForm } from './session/session-form.js'
import { signInRefusal, type UserLimit } from './users/sign-in.js'
import { failureOf } from './store/store-failure.js'
import type {
  Lifetime,
  SessionStore,
  SessionWrite,
  TokenKeyedStore,
  WriteResult,
} from './store/session-store.js'
import { Sweeper, type SweepSettings } from './store/sweeper.js'
import { hashOf, idOf, isOwnToken, rootIdOf } from './token.js'
import { KeyedSerialQueues } from './serial-queue.js'
import { type Found, tokenPlaceOf } from './session/state.js'
import { chooseSession, firstOf } from './session/several-tokens.js'
import { ownerOfFound, UnitOfWork } from './session/unit-of-work.js'
import { type UserId, userIdText } from './users/user-id.js'
import type { UserRule } from './users/user-of.js'
import { UserSessions } from './users/user-sessions.js'
import type { SignIn } from './session/work-context.js'

/** The engine's options in their resolved, read-only form. Times are in milliseconds, sizes in bytes. */
export interface EngineSettings {
  readonly store: SessionStore
  /** The name of the site that these sessions are for. Left out: they are no site's. */
  readonly clientId?: string | undefined
  readonly lifetime: Lifetime
  readonly touchAfter: number
  readonly codec: Codec
  readonly encryption?: Encryption | undefined
  /** The most bytes that the codec may make of a session, before encryption. */
  readonly sizeLimit: number
  /** How long an old token still finds the session as it was before the rotation. 0: not at all. */
  readonly rotationGrace: number
  readonly merge?: Merge | undefined
  /** Finds a session's user in its data. Left out: `signIn` sets the user. */
  readonly userOf?: UserRule | undefined
  readonly sessionsPerUser?: UserLimit | undefined
  readonly sweep: SweepSettings | undefined
  /** What is left out is as in `defaultBatching`, which suits a store that answers many calls at once. */
  readonly batching?: Partial<BatchSettings>
}

/** The id by which a token's session is found, and the hash by which the token is checked. */
interface TokenKey {
  readonly id: SessionId
  /** If the token is a child's. */
  readonly rootId: SessionId | undefined
  readonly hash: Uint8Array
}

/** Milliseconds. A `TokenKeyedStore` keeps times in whole seconds. */
const precisionOfOldTables = 2_000

/** Loads sessions by their tokens, stores changes, and ends sessions. It knows nothing of HTTP. */
export class SessionEngine extends EventEmitter<SessionEvents> {
  readonly #settings: EngineSettings
  readonly #form: SessionForm
  /** @internal Whether the store finds sessions by their tokens. */
  readonly tokensAreKeys: boolean
  /** @internal */
  readonly comparesTimes: boolean
  /**
   * The name of this site at its hub, as given by `clientId`; `undefined` for all other sessions.
   */
  readonly clientId: string | undefined
  /** @internal */
  readonly rotationGrace: number
  /** @internal */
  readonly merge: Merge | undefined
  readonly #batcher: Batcher
  readonly #sweeper: Sweeper | undefined
  readonly #warnedAt = new Map<string, number>()
  readonly #corruptIds = new Set<SessionId>()
  readonly #turns: KeyedSerialQueues
  /** The keys of recent tokens. Only tokens of our own form are kept: others may have any length. */
  readonly #keys = new RecentValues<TokenKey>()
  readonly #uncounted = new RecentValues<number>()
  #closing: Promise<void> | undefined

  constructor(settings: EngineSettings) {
    super()
    this.#settings = settings
    this.#form = bagForm(settings)
    this.tokensAreKeys = (settings.store as Partial<TokenKeyedStore>).keyedBy === 'token'
    this.comparesTimes = settings.store.clocks !== 'several'
    this.rotationGrace = this.tokensAreKeys ? 0 : settings.rotationGrace
    this.clientId = settings.clientId
    this.merge = settings.merge
    const { longestQueue, deadline } = { ...defaultBatching, ...settings.batching }
    this.#turns = new KeyedSerialQueues({ longestQueue, deadline })
    this.#batcher = new Batcher(settings.store, settings.batching, (doing, cause) =>
      this.#fault(doing, cause),
    )
    const { store } = settings
    const sweeps = { removeExpired: (limit: number) => this.#byDeadline(() => store.removeExpired(limit)) }
    this.#sweeper =
      settings.sweep &&
      new Sweeper(sweeps, settings.sweep, {
        swept: (count) => this.announce('expired', { count }),
        failed: (error) => void this.#fault('sweeping expired sessions', error),
      })
  }

  /**
   * Makes a new, empty session without a request, such as in a test or a job. It is stored by `commit()`, if data or a
   * user was put into it.
   *
   * @param unavailable makes a session that cannot be stored: a commit fails with this error.
   * @example
   * const work = sessions.begin()
   * await work.session!.signIn('ada')
   * await work.commit()
   * const token = work.id
   */
  begin(unavailable?: SessionError): UnitOfWork {
    return this.beginAs(this.#form, unavailable)
  }

  /** @internal As `begin`, in another form. */
  beginAs(form: SessionForm = this.#form, unavailable?: SessionError): UnitOfWork {
    return new UnitOfWork(this, form, undefined, unavailable)
  }

  /**
   * Opens the session of a token without HTTP, such as on a WebSocket that kept the `req.sessionID` of its handshake.
   * If there is no such session, it gives a new, empty one under a new token.
   *
   * Of several tokens, one that finds a user's session comes first. Next comes a current token, before an old one from
   * before a rotation. Otherwise, the first token is taken. If they find sessions of several users, it gives a new,
   * empty session. `signOut` ends all sessions that current tokens have found.
   *
   * @param tokens tokens as in `req.sessionID`, not values of a cookie, which are signed.
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503).
   * @throws (rejects) `ERR_SESSION_CLOSED` (503) after `close()`.
   * @example
   * const work = await sessions.load(token)
   * work.session!.cart = []
   * await work.commit()
   */
  load(...tokens: readonly string[]): Promise<UnitOfWork> {
    return this.loadAs(this.#form, tokens)
  }

  /** @internal As `load`, in another form. */
  loadAs(form: SessionForm = this.#form, tokens: readonly string[]): Promise<UnitOfWork> {
    if (tokens.length > 1) return this.#loadOneOf(form, tokens)
    const token = tokens[0]
    if (token === undefined) return Promise.resolve(this.beginAs(form))
    return this.found(token).then((found) => new UnitOfWork(this, form, found))
  }

  async #loadOneOf(form: SessionForm, tokens: readonly string[]): Promise<UnitOfWork> {
    const all = await Promise.all([...new Set(tokens)].map((token) => this.found(token)))
    const live = all.filter((found) => found !== undefined)
    if (form.takesFirst) return new UnitOfWork(this, form, firstOf(live))
    const owners = new Map<Found, string | undefined>()
    const slices = new Slices()
    for (const each of live) {
      // With `userOf`, the owner is in the data, which is decoded for it.
      await slices.before(form.userOf ? each.record.data.length : 0)
      owners.set(each, ownerOfFound({ context: this, form }, each))
    }
    const { found, others } = chooseSession(live, (each) => owners.get(each))
    return new UnitOfWork(this, form, found, undefined, others)
  }

  /**
   * The sessions of one user, in all apps: list them, or end them.
   *
   * @param userId the user's id, as given to `signIn`: 1 to 255 bytes of text, or a whole number.
   * @throws `ERR_SESSION_USER_ID` if the id is missing, too long or malformed.
   * @example
   * await sessions.user(user.id).revokeAll()
   */
  user(userId: UserId): UserSessions {
    return new UserSessions(userIdText(userId), this.#settings.store, this)
  }

  /**
   * Resolves when the store answers a read: for a readiness probe. It makes missing tables first, and does not test
   * writes. Do not use it for a liveness probe: a restart does not bring a database back.
   *
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503).
   * @throws (rejects) `ERR_SESSION_CLOSED` (503) after `close()`.
   * @example
   * app.get('/ready', async (req, res) => {
   *   await sessions.ready()
   *   res.sendStatus(204)
   * })
   */
  async ready(): Promise<void> {
    await this.find(this.idOf('ready'))
  }

  /**
   * Stops the sweep, waits for calls to the store, and closes the store. Close the server first: requests that still
   * need a session fail with `ERR_SESSION_CLOSED` (503). It may be called twice.
   *
   * If the store has not closed within `storeLimits.deadline` (10 seconds), it resolves all the same, and the event
   * `storeError` fires. A database connection that you passed in stays open.
   *
   * @example
   * process.once('SIGTERM', () => server.close(() => void sessions.close()))
   */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#sweeper?.stop()
      await this.#batcher.idle()
      await this.#closeStore()
    })()
    return this.#closing
  }

  /** A store that hangs must not keep the process from ending. */
  async #closeStore(): Promise<void> {
    try {
      await this.#byDeadline(() => this.#settings.store.close())
    } catch (cause) {
      if (!(cause instanceof SessionError && cause.code === 'ERR_SESSION_STORE_TIMEOUT')) throw cause
      this.#fault('closing', cause)
    }
  }

  /** @internal */
  idOf(token: string): SessionId {
    return this.tokensAreKeys ? (token as SessionId) : idOf(token)
  }

  /** @internal */
  hashOf(token: string): Uint8Array {
    return hashOf(token, this.clientId)
  }

  /** @internal */
  found(token: string): Promise<Found | undefined> {
    // Every request comes here: an async function would cost one more promise.
    let key: TokenKey
    try {
      key = this.#keyOf(token)
    } catch (error) {
      return Promise.reject(error as Error) // the token is no text
    }
    const { id, rootId, hash } = key
    if (rootId !== undefined) return this.#foundChild(token, key, rootId)
    return this.#read(id).then((record) => {
      const place = record && tokenPlaceOf(hash, record)
      return place && { token, record, place }
    })
  }

  /** A child and its root are read at once. The store finds the child only while its root is live. */
  async #foundChild(token: string, { id, hash }: TokenKey, rootId: SessionId): Promise<Found | undefined> {
    const [record, root] = await Promise.all([this.#read(id), this.#read(rootId)])
    if (!record || !root || record.rootId !== rootId) return undefined
    if (record.userId === undefined || record.userId !== root.userId) return undefined
    const place = tokenPlaceOf(hash, record)
    return place && { token, record, place, root }
  }

  #keyOf(token: string): TokenKey {
    const known = this.#keys.get(token)
    if (known) return known
    if (!isOwnToken(token)) return { id: this.idOf(token), rootId: undefined, hash: this.hashOf(token) }
    // Copies: slices would keep the whole Cookie header and a block of Node's buffer pool in memory.
    const copy = Buffer.from(token, 'latin1').toString('latin1')
    const rootId = this.tokensAreKeys ? undefined : rootIdOf(copy)
    const key = { id: this.idOf(copy), rootId, hash: new Uint8Array(this.hashOf(copy)) }
    this.#keys.set(copy, key)
    return key
  }

  /** @internal */
  async find(id: SessionId): Promise<SessionRecord | undefined> {
    const record = await this.#read(id)
    return record && (this.open(record) ?? record)
  }

  #read(id: SessionId): Promise<SessionRecord | undefined> {
    if (this.#closing) return Promise.reject(closed())
    const reading = this.#batcher.find(id)
    return this.rotationGrace === 0 ? reading.then(withoutFormer) : reading
  }

  /** @internal */
  write(write: SessionWrite, hash?: Uint8Array): Promise<WriteResult> {
    if (this.#closing) return Promise.reject(closed())
    const { encryption } = this.#settings
    return this.#batcher.write(encryption && hash ? encryption.sealed(write, hash) : write)
  }

  /** @internal */
  revoke(userId: string, publicId: string, reason: EndReason): Promise<boolean> {
    return this.user(userId).end(publicId, reason)
  }

  /** @internal */
  endChildren(userId: string, rootId: SessionId): Promise<void> {
    return this.user(userId).endChildren(rootId)
  }

  /** @internal */
  signInRefusal(signIn: SignIn): Promise<SessionError | undefined> {
    const precision = this.tokensAreKeys ? precisionOfOldTables : 0
    return signInRefusal(this, signIn, this.user(signIn.userId), {
      limit: this.#settings.sessionsPerUser,
      uncounted: this.#uncounted,
      precision,
    })
  }

  /** @internal */
  inTurn<Result>(id: SessionId, act: () => Promise<Result>): Promise<Result> {
    return this.#turns.take(id, act)
  }

  /** @internal Asks the store. A failure becomes a `SessionError`, and the event `storeError`. */
  async asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#closing) throw closed()
    try {
      return await this.#byDeadline(ask)
    } catch (cause) {
      throw this.#fault(doing, cause)
    }
  }

  #byDeadline<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    return byDeadline(this.#settings.batching?.deadline ?? defaultBatching.deadline, ask)
  }

  #fault(doing: string, cause: unknown): SessionError {
    const error = failureOf(doing, cause)
    this.announce('storeError', error)
    return error
  }

  /** @internal */
  encode(data: Record<string, unknown>): Uint8Array {
    return this.#plain(this.#settings.codec.encode(data))
  }

  /** @internal */
  encodeFitting(data: Record<string, unknown>, stored?: Uint8Array): Uint8Array {
    const { codec, sizeLimit } = this.#settings
    return this.#plain(codec.encode(data, Math.max(sizeLimit, stored?.length ?? 0)))
  }

  #plain(bytes: Uint8Array): Uint8Array {
    const { encryption } = this.#settings
    return encryption ? encryption.plain(bytes) : bytes
  }

  /** @internal */
  readBack(encoded: Uint8Array): Record<string, unknown> {
    return this.#settings.codec.decode(bufferOf(encoded))
  }

  /** @internal */
  assertFits(encoded: Uint8Array): void {
    const { codec, sizeLimit } = this.#settings
    if (encoded.length <= sizeLimit) return
    throw dataTooLarge(sizeLimit, this.#largestName(codec.decode(bufferOf(encoded))))
  }

  /** @internal */
  open(record: SessionRecord): SessionRecord | undefined {
    const { encryption } = this.#settings
    try {
      if (record.format > recordFormat) throw new Error('a later build of coatcheck has stored it')
      return encryption && record.hash ? encryption.opened(record) : record
    } catch (cause) {
      this.#reportCorrupt(record, cause)
      return undefined
    }
  }

  /** @internal */
  decode(
    record: SessionRecord,
    accepts: (data: Record<string, unknown>) => boolean = () => true,
  ): Record<string, unknown> | undefined {
    const opened = this.open(record)
    if (!opened) return undefined
    try {
      const data = this.#settings.codec.decode(bufferOf(opened.data))
      if (isPlainObject(data) && accepts(data)) return data
      throw new TypeError('it is not the data of a session')
    } catch (cause) {
      this.#reportCorrupt(record, cause)
      return undefined
    }
  }

  /**
   * @internal Fires an event. If a listener throws, that is an uncaught exception: it must not make a stored change
   * look failed.
   */
  announce<Name extends keyof SessionEvents>(name: Name, ...event: SessionEvents[Name]): void {
    // Raw listeners: those of `once` remove themselves when they are called.
    const listeners = this.rawListeners(name) as ((...event: SessionEvents[Name]) => void)[]
    if (listeners.length === 0 && name === 'storeError') this.#warn(event[0] as SessionError)
    for (const listener of listeners) {
      try {
        listener.apply(this, event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  /** Without a listener for `storeError`: at most one warning a minute for each code. */
  #warn(error: SessionError): void {
    const now = Date.now()
    if (now - (this.#warnedAt.get(error.code) ?? -Infinity) < 60_000) return
    this.#warnedAt.set(error.code, now)
    warnOfError(error)
  }

  /** The name of the largest property. It looks at the first 1,000 only, as it encodes each by itself. */
  #largestName(data: Record<string, unknown>): string {
    const sizes = Object.entries(data)
      .slice(0, 1_000)
      .map(([name, value]) => [name, this.#settings.codec.encode({ [name]: value }).length] as const)
    return sizes.reduce((largest, next) => (next[1] > largest[1] ? next : largest), ['', 0] as const)[0]
  }

  #reportCorrupt(record: SessionRecord, cause: unknown): void {
    if (this.#corruptIds.has(record.id)) return
    if (this.#corruptIds.size >= 1_000) this.#corruptIds.clear()
    this.#corruptIds.add(record.id)
    this.announce(
      'storeError',
      new SessionError(
        'ERR_SESSION_CORRUPT',
        `The stored data of session ${publicIdOf(record)} cannot be read; its holder is treated as signed out. If all sessions are affected, check that every app uses the same codec and encryption, and the same build of coatcheck.`,
        { cause },
      ),
    )
  }
}

function withoutFormer(record: SessionRecord | undefined): SessionRecord | undefined {
  return record?.former ? { ...record, former: undefined } : record
}

function closed(): SessionError {
  return new SessionError(
    'ERR_SESSION_CLOSED',
    'These sessions were closed; stop the server before close().',
    {
      status: 503,
    },
  )
}
