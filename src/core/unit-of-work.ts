import { randomBytes } from 'node:crypto'
import { changedTooOften, headersSent, SessionError, sessionGone } from './errors.ts'
import { type ContentWrite, recordAfter, referenceTo } from './content-write.ts'
import type { EndReason } from './events.ts'
import { mergeRecords } from './merge.ts'
import type { SessionRecord } from './record.ts'
import type { RequestSession, Session, SessionWork } from './session.ts'
import type { SessionForm } from './session-form.ts'
import { type Outcome, SessionTokens } from './session-tokens.ts'
import { Turns } from './turns.ts'
import { type UserId, userIdText } from './user-id.ts'
import type { WorkContext } from './work-context.ts'

type Decision = 'insert' | 'update' | 'rotate' | 'touch' | undefined

/** How often a change is tried again on what others stored meanwhile. */
export const mostAttempts = 50

/**
 * One request's work on one session: what it found, what it changed, and the commit that stores it.
 * The session is parsed when it is first opened, and stored only if there is something to store.
 */
export class UnitOfWork implements SessionWork {
  readonly #context: WorkContext
  readonly #form: SessionForm
  readonly #tokens: SessionTokens
  readonly #unavailable: SessionError | undefined
  #record: SessionRecord | undefined
  #nextPublicId: string | undefined
  #userId: string | undefined
  #session: Session | undefined
  #state: 'open' | 'ended' | 'gone' | 'left' = 'open'
  #regenerated = false
  #saved = false
  #signedIn = false
  #touched = false
  /** Why the session ends with the commit, if it does. */
  #endPlanned: EndReason | undefined
  #headersOut = false
  readonly #turns = new Turns()

  /**
   * @internal
   * @param token the browser's, if it led to `record`
   */
  constructor(
    context: WorkContext,
    form: SessionForm,
    token?: string,
    record?: SessionRecord,
    unavailable?: SessionError,
  ) {
    this.#context = context
    this.#form = form
    this.#tokens = new SessionTokens(token, form)
    this.#record = record
    this.#userId = record?.userId
    this.#unavailable = unavailable
  }

  /** The session in hand; `undefined` once it was destroyed or left. */
  get session(): RequestSession | undefined {
    const isThere = this.#state === 'open' || this.#state === 'gone'
    if (!this.#session && isThere) this.#session = this.#form.open(this, this.#readData())
    return this.#session as RequestSession | undefined
  }

  get id(): string {
    return this.#tokens.current
  }

  get publicId(): string {
    return this.#record?.publicId ?? (this.#nextPublicId ??= randomBytes(12).toString('base64url'))
  }

  get userId(): string | undefined {
    return this.#userId
  }

  get createdAt(): Date | undefined {
    return this.#record && new Date(this.#record.createdAt)
  }

  /** What the browser must be told of all that was stored so far. */
  get outcome(): Outcome {
    return this.#tokens.outcome
  }

  /** That of the `outcome`, alone. */
  get action(): Outcome['action'] {
    return this.#tokens.action
  }

  /** Whether this is the token that the session was found by. */
  leadsFrom(token: string): boolean {
    return token === this.#tokens.client
  }

  /** Whether the expiry should move with this request although nothing else changed. */
  get touchDue(): boolean {
    const record = this.#record
    // One that this request stored under a new token has its whole life before it.
    if (!record || this.action !== 'keep') return false
    return this.#touched || record.readAt - record.seenAt >= this.#form.touchAfter(record)
  }

  /** Whether the commit has something to store although the handler never opens the session. */
  get dueUnopened(): boolean {
    const kept = this.#record ? this.#form.keepsUnchanged : this.#form.keepsEmpty(false)
    return kept || this.touchDue || this.#tokens.planned
  }

  /** Whether no stored session was found. */
  get isNew(): boolean {
    return this.#record === undefined
  }

  /** Whether this work stored the session's content. */
  get saved(): boolean {
    return this.#saved
  }

  /**
   * Stores what changed. `undefined` if there is nothing to store, so that the caller need not wait.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_CONFLICT, ERR_SESSION_DATA,
   *   ERR_SESSION_TOO_LARGE; nothing is stored then, or, if the store did not answer, perhaps all of it
   */
  commit(): Promise<void> | undefined {
    if (this.#endPlanned) {
      const reason = this.#endPlanned
      this.end()
      return this.#turns.take(() => this.#remove(reason))
    }
    const { pending } = this.#turns
    // Something that the handler did not wait for: its failure is the commit's.
    if (pending) return pending.then(() => this.#storeInTurn())
    if (!this.#session) return this.#state === 'open' && this.dueUnopened ? this.#storeInTurn() : undefined
    let data: Uint8Array
    try {
      data = this.#encoded()
    } catch (error) {
      // What is not to be stored need not be encoded.
      return this.#state === 'open' ? Promise.reject(error as Error) : undefined
    }
    return this.#decide(data) === undefined ? undefined : this.#turns.take(() => this.#store(data))
  }

  #storeInTurn(): Promise<void> {
    return this.#turns.take(() => this.#store())
  }

  /** Ends the session with the commit. */
  end(): void {
    this.#state = 'ended'
    this.#session = undefined
    this.#endPlanned ??= 'destroy'
  }

  /** Leaves the session as it is stored: this work stores nothing of it. */
  leave(): void {
    this.#state = 'left'
    this.#session = undefined
  }

  /** Goes on with a new session, under a new token, and leaves the one before as it is stored. */
  startNew(): void {
    this.#becomeNew()
    this.#regenerated = true
    this.#session = this.#form.open(this, {})
  }

  /** Puts other data into the session in hand. */
  replaceData(data: Record<string, unknown>): void {
    if (this.session) this.#form.refill(this.#session!, data)
  }

  /** The browser can be told nothing more: from now on no commit begins a session or moves it to a new token. */
  closeHeaders(): void {
    this.#headersOut = true
  }

  assertCurrent(session: Session): void {
    if (session !== this.#session) {
      throw new SessionError(
        'ERR_SESSION_REPLACED',
        'This session was destroyed or regenerated in this request; use req.session, which is the one that came after it.',
      )
    }
  }

  signIn(userId: UserId): Promise<void> {
    // In turn: a save under way must not take the new token for the one that it stored.
    return this.#turns.take(async () => {
      const text = userIdText(userId)
      this.#assertAvailable()
      // What another user left in the session is theirs.
      const another = this.#userId !== undefined && this.#userId !== text
      if (another) await this.#remove('signOut')
      if (another || this.#state === 'gone') this.#becomeEmpty()
      this.#userId = text
      this.#signedIn = true
      this.#tokens.plan()
    })
  }

  signOut(): Promise<void> {
    return this.#turns.take(async () => {
      await this.#remove('signOut')
      this.#becomeEmpty()
    })
  }

  rotate(): Promise<void> {
    return this.#turns.take(async () => {
      this.#assertAvailable()
      if (this.#record) this.#tokens.plan()
    })
  }

  regenerate(): Promise<void> {
    return this.#turns.take(async () => {
      await this.#remove('regenerate')
      this.startNew()
    })
  }

  destroy(): Promise<void> {
    this.#state = 'ended'
    this.#session = undefined
    return this.#turns.take(() => this.#remove('destroy'))
  }

  reload(): Promise<void> {
    return this.#turns.take(async () => {
      this.#assertAvailable()
      const fresh = this.#record && (await this.#context.find(this.#record.key))
      if (!fresh) {
        throw sessionGone('There is no stored session to reload: it has ended, or was never saved.')
      }
      this.#record = fresh
      this.#userId = fresh.userId
      this.#tokens.unplan()
      this.#signedIn = false
      if (this.#session) this.#form.refill(this.#session, this.#readData())
    })
  }

  save(): Promise<void> {
    // Told to whoever asked for the save, but no reason for the commit to fail: nothing is lost that could be kept.
    return this.#storeInTurn().then(() => {
      if (this.#state === 'gone')
        throw sessionGone('This session has ended, so nothing more is stored in it.')
    })
  }

  touch(): void {
    this.#touched = true
  }

  #assertAvailable(): void {
    if (this.#unavailable) throw this.#unavailable
  }

  #readData(): Record<string, unknown> {
    if (!this.#record) return {}
    const data = this.#context.decode(this.#record, (read) => this.#form.accepts(read))
    if (data) return data
    // A record that cannot be read is as good as none: signed out, and a new session if one is needed.
    this.#becomeNew()
    return {}
  }

  #becomeNew(): void {
    this.#state = 'open'
    this.#regenerated = false
    this.#record = undefined
    this.#tokens.forget()
    this.#nextPublicId = undefined
    this.#userId = undefined
    this.#signedIn = false
  }

  #becomeEmpty(): void {
    this.#becomeNew()
    if (this.#session) this.#form.refill(this.#session, {})
  }

  #decide(data: Uint8Array): Decision {
    // An id that is no text, as an app's own generator may give, is neither stored nor sent.
    if (this.#state !== 'open' || typeof this.id !== 'string') return undefined
    if (!this.#record) return this.#isWorthKeeping() ? 'insert' : undefined
    if (this.#tokens.planned) return 'rotate'
    if (this.#userId !== this.#record.userId) return 'update'
    if (this.#form.keepsUnchanged && !this.#saved) return 'update'
    if (this.#session && this.#form.differs(this.#session, data, this.#record)) return 'update'
    return this.touchDue ? 'touch' : undefined
  }

  #isWorthKeeping(): boolean {
    if (this.#userId !== undefined || this.#form.keepsEmpty(this.#regenerated)) return true
    if (!this.#session) return false
    return Object.keys(this.#form.visible(this.#form.dataOf(this.#session))).length > 0
  }

  #encoded(): Uint8Array {
    if (this.#session) return this.#context.encode(this.#form.dataOf(this.#session))
    return this.#record?.data ?? this.#context.encode({})
  }

  /** @param encoded what the session holds, where that was encoded in this very moment */
  async #store(encoded?: Uint8Array): Promise<void> {
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const data = (attempt === 1 && encoded) || this.#encoded()
      const decision = this.#decide(data)
      if (!decision) return
      if (decision === 'touch') return this.#touchRecord(this.#record!, data)
      this.#assertAvailable()
      if (this.#headersOut && decision !== 'update') throw headersSent()
      const write = this.#contentWrite(decision, data)
      const result = await this.#context.write(write)
      if (result === 'done') return this.#stored(write)
      if (result === 'exists') this.#tokens.plan()
      else if (result === 'gone' || !(await this.#mergeFresh())) {
        if (!this.#signedIn) {
          this.#state = 'gone'
          this.#record = undefined
          this.#tokens.forget()
          return
        }
        this.#startAnew()
      } else await jitter(attempt)
    }
    throw changedTooOften(mostAttempts)
  }

  #contentWrite(decision: 'insert' | 'update' | 'rotate', data: Uint8Array): ContentWrite {
    const content = { userId: this.#userId, data, lifetime: this.#form.lifetime(this.#session) }
    if (decision === 'insert') {
      return { type: 'insert', key: this.#context.keyOf(this.id), publicId: this.publicId, ...content }
    }
    const { key, version } = this.#record!
    if (decision === 'update') return { type: 'update', key, version, ...content }
    return { type: 'rotate', key, newKey: this.#context.keyOf(this.id), version, ...content }
  }

  #stored(write: ContentWrite): void {
    this.#record = recordAfter(write, this.#record, this.publicId)
    if (write.type !== 'update') this.#tokens.store()
    this.#touched = false
    this.#saved = true
    this.#signedIn = false // it is stored; from here on a revocation reaches it
    const reference = referenceTo(this.#record)
    if (write.type === 'insert') this.#context.announce('created', reference)
    if (write.type === 'rotate') this.#context.announce('rotated', reference)
    this.#context.announce('committed', { ...reference, version: this.#record.version })
  }

  /** A failed touch shortens a session by a little; it must not fail the request. The engine has told the event. */
  async #touchRecord({ key }: SessionRecord, data: Uint8Array): Promise<void> {
    this.#touched = false
    const lifetime = this.#form.lifetime(this.#session)
    try {
      await this.#context.write({ type: 'touch', key, data, lifetime })
    } catch {
      // Not in this request again: the store has just shown that it is not well.
    }
    this.#record &&= { ...this.#record, seenAt: this.#record.readAt }
  }

  /** Takes in what others stored since; false if the session has ended. */
  async #mergeFresh(): Promise<boolean> {
    const base = this.#record!
    const fresh = await this.#context.find(base.key)
    if (!fresh) return false
    if (this.#session) mergeRecords(this.#context, this.#form, this.#session, base, fresh)
    if (!this.#signedIn) this.#userId = fresh.userId
    this.#record = fresh
    return true
  }

  /**
   * The session ended while somebody signed in on it. The sign-in stands, on a session of its own that
   * holds only what this request put there: nothing of an ended session comes back.
   */
  #startAnew(): void {
    const userId = this.#userId
    if (this.#session && this.#record) {
      mergeRecords(this.#context, this.#form, this.#session, this.#record, undefined)
    }
    this.#becomeNew()
    this.#userId = userId
    this.#signedIn = true
  }

  async #remove(reason: EndReason): Promise<void> {
    this.#assertAvailable()
    const record = this.#record
    if (record) {
      const result = await this.#context
        .write({ type: 'remove', key: record.key })
        .catch((error: unknown) => {
          // If the handler did not wait for it, the commit tries again and fails with it.
          this.#endPlanned = reason
          throw error
        })
      if (result === 'done') this.#context.announce('destroyed', { ...referenceTo(record), reason })
      // Ended already, or under a new key since a parallel request rotated it: there too it ends.
      else if (record.userId !== undefined) await this.#context.revoke(record.userId, record.publicId)
      this.#tokens.end()
      this.#record = undefined
    }
    this.#endPlanned = undefined
  }
}

/** Waits a little longer, and more randomly, with each attempt: up to 50 ms. */
export function jitter(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(50, attempt * 2)))
}
