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
import { hashOf, idOf, isOwnToken } from './token.js'
import { KeyedSerialQueues } from './serial-queue.js'
import { tokenPlaceOf } from './session/state.js'
import { chooseSession, firstOf } from './session/several-tokens.js'
import { type Found, ownerOfFound, UnitOfWork } from './session/unit-of-work.js'
import { type UserId, userIdText } from './users/user-id.js'
import type { UserRule } from './users/user-of.js'
import { UserSessions } from './users/user-sessions.js'
import type { SignIn } from './session/work-context.js'

/** The engine's options in their resolved, read-only form; lengths of time in milliseconds, sizes in bytes. */
export interface EngineSettings {
  readonly store: SessionStore
  readonly lifetime: Lifetime
  readonly touchAfter: number
  readonly codec: Codec
  readonly encryption?: Encryption | undefined
  /** Of what the codec made, before it is encrypted. */
  readonly sizeLimit: number
  /** For how long the token from before a rotation still leads to what the session was then. 0: not at all. */
  readonly rotationGrace: number
  readonly merge?: Merge | undefined
  /** Whose a session is, by its data. Left out: `signIn` says it. */
  readonly userOf?: UserRule | undefined
  readonly sessionsPerUser?: UserLimit | undefined
  readonly sweep: SweepSettings | undefined
  /** What is left out is as `defaultBatching`, which is best for a store that answers many at once. */
  readonly batching?: Partial<BatchSettings>
}

/** What a token's session is found by, and what its token is known by. */
interface TokenKey {
  readonly id: SessionId
  readonly hash: Uint8Array
}

/** Stores that know sessions by their tokens keep times in whole seconds. */
const precisionOfOldTables = 2_000

/** Loads sessions by token, commits them, ends them. Knows nothing of HTTP. */
export class SessionEngine extends EventEmitter<SessionEvents> {
  readonly #settings: EngineSettings
  readonly #form: SessionForm
  /** @internal Whether the store knows sessions by their tokens. */
  readonly tokensAreKeys: boolean
  /** @internal */
  readonly rotationGrace: number
  /** @internal */
  readonly merge: Merge | undefined
  readonly #batcher: Batcher
  readonly #sweeper: Sweeper | undefined
  readonly #warnedAt = new Map<string, number>()
  readonly #corruptIds = new Set<SessionId>()
  readonly #turns: KeyedSerialQueues
  /** Of the tokens that were used last. Only of our form: others may be of any length. */
  readonly #keys = new RecentValues<TokenKey>()
  readonly #uncounted = new RecentValues<number>()
  #closing: Promise<void> | undefined

  constructor(settings: EngineSettings) {
    super()
    this.#settings = settings
    this.#form = bagForm(settings)
    this.tokensAreKeys = (settings.store as Partial<TokenKeyedStore>).keyedBy === 'token'
    this.rotationGrace = this.tokensAreKeys ? 0 : settings.rotationGrace
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

  /** Begins work without a token, or while the store is `unavailable`: then the work can be read, as empty, but not stored. */
  begin(unavailable?: SessionError): UnitOfWork {
    return this.beginAs(this.#form, unavailable)
  }

  /** @internal Begins work in another form. */
  beginAs(form: SessionForm = this.#form, unavailable?: SessionError): UnitOfWork {
    return new UnitOfWork(this, form, undefined, unavailable)
  }

  /**
   * Begins work on the session of the first of `tokens` that leads to a live record; on a new, empty one
   * if none does, or if they lead to sessions of several users. A token that leads nowhere is never adopted. A current token goes before
   * one from before a rotation. `signOut` ends all the sessions that the tokens lead to.
   *
   * For use without HTTP, such as on a WebSocket that keeps the `req.sessionID` of the request that opened it:
   * @example
   * const work = await sessions.load(token)
   * work.session!.cart = []
   * await work.commit()
   *
   * @throws ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY
   */
  load(...tokens: readonly string[]): Promise<UnitOfWork> {
    return this.loadAs(this.#form, tokens)
  }

  /** @internal Loads in another form. */
  loadAs(form: SessionForm = this.#form, tokens: readonly string[]): Promise<UnitOfWork> {
    if (tokens.length > 1) return this.#loadOneOf(form, tokens)
    const token = tokens[0]
    if (token === undefined) return Promise.resolve(this.beginAs(form))
    return this.#found(token).then((found) => new UnitOfWork(this, form, found))
  }

  async #loadOneOf(form: SessionForm, tokens: readonly string[]): Promise<UnitOfWork> {
    const all = await Promise.all([...new Set(tokens)].map((token) => this.#found(token)))
    const live = all.filter((found) => found !== undefined)
    if (form.takesFirst) return new UnitOfWork(this, form, firstOf(live))
    const owners = new Map<Found, string | undefined>()
    const slices = new Slices()
    for (const each of live) {
      // Where the app goes by the data, that is decoded.
      await slices.before(form.userOf ? each.record.data.length : 0)
      owners.set(each, ownerOfFound({ context: this, form }, each))
    }
    const { found, others } = chooseSession(live, (each) => owners.get(each))
    return new UnitOfWork(this, form, found, undefined, others)
  }

  /**
   * One user's sessions, in all apps.
   * @throws ERR_SESSION_USER_ID
   */
  user(userId: UserId): UserSessions {
    return new UserSessions(userIdText(userId), this.#settings.store, this)
  }

  /**
   * Resolves when the store answers. For a readiness probe: an app whose store is down, or that is closing, should get
   * no requests.
   *
   * @throws ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY, ERR_SESSION_CLOSED
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
   * Stops sweeping, waits for what is under way, and closes the store. May be called twice. Requests that are still
   * being answered need the store, so stop the server first. A store that is not closed by `storeLimits.deadline` is waited for no
   * longer, and `storeError` tells of it.
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

  /** One that hangs must not keep a server from ending. */
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

  /** The session that a token leads to. */
  #found(token: string): Promise<Found | undefined> {
    // No async function, which would be one more promise: each request comes here.
    let key: TokenKey
    try {
      key = this.#keyOf(token)
    } catch (error) {
      return Promise.reject(error as Error) // no text
    }
    const { id, hash } = key
    return this.#read(id).then((record) => {
      const place = record && tokenPlaceOf(hash, record)
      return place && { token, record, place }
    })
  }

  #keyOf(token: string): TokenKey {
    const known = this.#keys.get(token)
    if (known) return known
    if (!isOwnToken(token)) return { id: this.idOf(token), hash: hashOf(token) }
    // Copies: neither the header that the token came in nor the pool that Node takes buffers from is to be kept in memory for it.
    const copy = Buffer.from(token, 'latin1').toString('latin1')
    const key = { id: this.idOf(copy), hash: new Uint8Array(hashOf(copy)) }
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

  /** @internal Asks the store; its failure becomes a typed error and an event. */
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

  /** @internal Tells an event. A listener's error is the app's own: it must not make a stored change look failed. */
  announce<Name extends keyof SessionEvents>(name: Name, ...event: SessionEvents[Name]): void {
    // Raw ones: they are what takes a listener of `once` off again.
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

  /** Nobody listens: then at least one line a minute for each kind of fault, not one a request. */
  #warn(error: SessionError): void {
    const now = Date.now()
    if (now - (this.#warnedAt.get(error.code) ?? -Infinity) < 60_000) return
    this.#warnedAt.set(error.code, now)
    warnOfError(error)
  }

  /** Of the first thousand top-level names: each is encoded by itself for it. */
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
