import { randomBytes } from 'node:crypto'
import { changedTooOften, headersSent, SessionError, sessionGone } from './errors.ts'
import { type ContentWrite, recordAfter, referenceTo } from './content-write.ts'
import type { EndReason } from './events.ts'
import { mergeRecords } from './merge.ts'
import type { SessionKey, SessionRecord } from './record.ts'
import type { RequestSession, Session, SessionWork } from './session.ts'
import type { SessionForm } from './session-form.ts'
import { type Outcome, SessionTokens } from './session-tokens.ts'
import { Turns } from './turns.ts'
import { type UserId, userIdText } from './user-id.ts'
import type { WriteResult } from './store.ts'
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
  /** The token that a write was to store, while no answer says whether it did. */
  #unanswered: string | undefined
  readonly #unavailable: SessionError | undefined
  #record: SessionRecord | undefined
  /** When the session was found, by the store's clock; where it was not, when the work began, by this process's. */
  #readAt: number | undefined
  readonly #begunAt: number
  /** The session has got another token by a parallel request: this work sees and says what it was before. */
  #former = false
  /** What this work saw and held when it stored something into a session that had got another token. */
  #beforeMerge: { readonly seen: SessionRecord; readonly held: Uint8Array } | undefined
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
    this.#former = record?.former !== undefined
    this.#record = record?.former ? asItWas(record, context.keyOf(token!)) : record
    this.#readAt = record?.readAt
    this.#begunAt = record ? 0 : performance.now()
    this.#userId = this.#record?.userId
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

  get authenticatedAt(): Date | undefined {
    const at = this.#record?.authenticatedAt
    return at === undefined ? undefined : new Date(at)
  }

  /** Whether the session was found by a token from before a rotation. The browser is told nothing then. */
  get isFormer(): boolean {
    return this.#former
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
    if (!record || this.#former || this.action !== 'keep') return false
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
      // A session of its own: a third token for that one could reach the browser after the second, and end up with neither.
      else if (this.#former) this.#becomeNew()
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
      // One that has just got a new token needs no other.
      if (this.#record && !this.#former) this.#tokens.plan()
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
      const key = this.#record?.key
      const fresh = key && (await this.#context.find(key))
      if (!fresh) {
        throw sessionGone('There is no stored session to reload: it has ended, or was never saved.')
      }
      this.#former ||= fresh.former !== undefined
      this.#record = fresh.former ? asItWas(fresh, key) : fresh
      this.#readAt = fresh.readAt
      this.#userId = this.#record.userId
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

  async update<Result>(change: (session: RequestSession) => Result): Promise<Result> {
    const result = await this.#turns.take(() => {
      this.#assertAvailable()
      const key = this.#record?.key
      return key === undefined
        ? this.#storeChange(change)
        : this.#context.inTurn(key, () => this.#storeChange(change))
    })
    if (!result) throw sessionGone('This session has ended, so nothing was changed in it.')
    return result.value
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
    this.#former = false
    this.#beforeMerge = undefined
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
    try {
      for (let attempt = 1; attempt <= mostAttempts; attempt++) {
        if (await this.#storedOnce((attempt === 1 && encoded) || this.#encoded())) return
        await jitter(attempt)
      }
    } finally {
      this.#unmerge()
    }
    throw changedTooOften(mostAttempts)
  }

  /** @returns what `change` gave; `undefined` if the session has ended */
  async #storeChange<Result>(
    change: (session: RequestSession) => Result,
  ): Promise<{ readonly value: Result } | undefined> {
    try {
      for (let attempt = 1; attempt <= mostAttempts; attempt++) {
        const { session } = this
        if (!session || this.#state !== 'open') return undefined
        const before = this.#encoded()
        const value = this.#changed(session, change, before)
        if (await this.#storedOnce(this.#encoded(), before)) return this.#isOpen ? { value } : undefined
        await jitter(attempt)
      }
    } finally {
      this.#unmerge()
    }
    throw changedTooOften(mostAttempts)
  }

  #changed<Result>(
    session: RequestSession,
    change: (session: RequestSession) => Result,
    before: Uint8Array,
  ): Result {
    try {
      const value = change(session)
      if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') return value
    } catch (error) {
      this.#putBack(before)
      throw error
    }
    this.#putBack(before)
    throw new TypeError(
      'What update() is given must not be async, for it may run several times: await before it.',
    )
  }

  #putBack(data: Uint8Array): void {
    if (this.#session)
      this.#form.refill(this.#session, this.#context.decode({ ...this.#record!, data }) ?? {})
  }

  get #isOpen(): boolean {
    return this.#state === 'open'
  }

  /**
   * @param undo what to put back into the session before what others stored is merged into it
   * @returns whether there is nothing left to do; else the session holds what is to be stored next
   */
  async #storedOnce(data: Uint8Array, undo?: Uint8Array): Promise<boolean> {
    const decision = this.#decide(data)
    if (!decision) return true
    if (decision === 'touch') {
      await this.#touchRecord(this.#record!, data)
      return true
    }
    this.#assertAvailable()
    if (this.#headersOut && decision !== 'update') throw headersSent()
    const write = this.#contentWrite(decision, data)
    const again = decision !== 'update' && this.#unanswered === this.id
    if (decision !== 'update') this.#unanswered = this.id
    const signedIn = this.#signedIn
    let result: WriteResult
    try {
      result = await this.#context.write(write)
      if (result === 'done') await this.#stored(write)
    } catch (error) {
      // Who goes on with the session must not store later what was worked out from data that is old by then.
      if (undo && this.#signedIn === signedIn) this.#putBack(undo)
      throw error
    }
    if (result === 'done') return true
    if (undo) this.#putBack(undo)
    if (again && (await this.#storedBefore(write))) return false
    this.#unanswered = undefined
    if (result === 'exists') this.#tokens.plan()
    else if (await this.#takeInFresh()) return false
    else if (this.#signedIn) this.#startAnew()
    else {
      this.#state = 'gone'
      this.#record = undefined
      this.#tokens.forget()
      return true
    }
    return false
  }

  #contentWrite(decision: 'insert' | 'update' | 'rotate', data: Uint8Array): ContentWrite {
    const content = { userId: this.#userId, data, lifetime: this.#form.lifetime(this.#session) }
    const signedIn = this.#signedIn
    if (decision === 'insert') {
      return {
        type: 'insert',
        key: this.#context.keyOf(this.id),
        publicId: this.publicId,
        signedIn,
        ...content,
      }
    }
    const { key, version } = this.#record!
    if (decision === 'update') return { type: 'update', key, version, ...content }
    const grace = this.#context.rotationGrace
    return { type: 'rotate', key, newKey: this.#context.keyOf(this.id), version, signedIn, grace, ...content }
  }

  /** Goes on from what an earlier write of the same token stored, if it did although its answer never came. */
  async #storedBefore(write: ContentWrite): Promise<boolean> {
    const stored = await this.#context.find(this.#context.keyOf(this.id))
    if (stored?.publicId !== this.publicId) return false
    if (this.#session && this.#record)
      mergeRecords(this.#context, this.#form, this.#session, this.#record, stored)
    await this.#stored(write, stored)
    return true
  }

  async #stored(
    write: ContentWrite,
    record = recordAfter(write, this.#record, this.publicId),
  ): Promise<void> {
    if (this.#signedIn) await this.#stand(record)
    this.#record = record
    if (write.type !== 'update') this.#tokens.store()
    this.#unanswered = undefined
    this.#touched = false
    this.#saved = true
    this.#signedIn = false
    const reference = referenceTo(this.#record)
    if (write.type === 'insert') this.#context.announce('created', reference)
    if (write.type === 'rotate') this.#context.announce('rotated', reference)
    this.#context.announce('committed', { ...reference, version: this.#record.version })
    this.#hideWhatCameAfter()
  }

  /**
   * Ends what was just stored if it may not stay. Nobody has been told its token; nor is anybody where the store does not
   * answer, so there it may lie until the commit is tried again.
   */
  async #stand({ publicId, userId, key }: SessionRecord): Promise<void> {
    const refusal = await this.#context.refusalOf({
      userId: userId!,
      publicId,
      readAt: this.#readAt,
      age: performance.now() - this.#begunAt,
    })
    if (!refusal) return
    this.#becomeEmpty()
    // It is not told if this fails: what is told already is that the sign-in failed.
    await this.#context.write({ type: 'remove', key }).catch(() => undefined)
    throw refusal
  }

  /** What a request with a former token stored stands in the session, but it sees of that what it saw before. */
  #hideWhatCameAfter(): void {
    const before = this.#beforeMerge
    if (!before || !this.#record) return
    this.#beforeMerge = undefined
    const { key, authenticatedAt } = before.seen
    this.#record = { ...this.#record, key, authenticatedAt, data: before.held }
    this.#putBack(before.held)
  }

  /** What a request with a former token took in, and then did not store, it never saw. */
  #unmerge(): void {
    const before = this.#beforeMerge
    if (!before) return
    this.#beforeMerge = undefined
    if (this.#record) this.#record = before.seen
    this.#putBack(before.held)
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

  /** Takes in what others stored since; false if the session has ended, or is another's by now. */
  async #takeInFresh(): Promise<boolean> {
    const base = this.#record!
    const fresh = await this.#context.find(base.key)
    if (!fresh) return false
    if (this.#signedIn) {
      // As in `signIn`: a session of its own.
      if (fresh.former) return false
    } else {
      // Nothing that began before a sign-in writes into what came of it.
      if (fresh.userId !== base.userId) return false
      this.#userId = fresh.userId
    }
    if (fresh.former) {
      this.#former = true
      this.#tokens.unplan()
      this.#beforeMerge ??= { seen: base, held: this.#encoded() }
    }
    if (this.#session) mergeRecords(this.#context, this.#form, this.#session, base, fresh)
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
      try {
        const result = await this.#context.write({ type: 'remove', key: record.key })
        if (result === 'done') this.#context.announce('destroyed', { ...referenceTo(record), reason })
        else await this.#removeMoved(record)
      } catch (error) {
        // If the handler did not wait for it, the commit tries again and fails with it.
        this.#endPlanned = reason
        throw error
      }
      this.#tokens.end()
      this.#record = undefined
    }
    this.#endPlanned = undefined
  }

  /** Ended already, or under a new key since a parallel request rotated it: there too it ends. */
  async #removeMoved({ key, userId, publicId }: SessionRecord): Promise<void> {
    if (userId !== undefined) return void (await this.#context.revoke(userId, publicId))
    for (let from = key, attempt = 1; attempt <= mostAttempts; attempt++) {
      const moved = await this.#context.find(from)
      // An anonymous session that somebody signed in on meanwhile is another's.
      if (!moved || moved.userId !== undefined) return
      if ((await this.#context.write({ type: 'remove', key: moved.key })) === 'done') return
      from = moved.key
    }
    throw changedTooOften(mostAttempts)
  }
}

/** A record that was found by a former key, as it was then: under that key, which nothing but a look finds it by. */
function asItWas(record: SessionRecord, key: SessionKey): SessionRecord {
  return { ...record, ...record.former, key }
}

/** Waits a little longer, and more randomly, with each attempt: up to 50 ms. */
export function jitter(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(50, attempt * 2)))
}
