import { mostAttempts } from './attempts.js'
import { changedTooOften, headersSent, SessionError, sessionGone, signInByData } from './errors.js'
import type { EndReason } from './events.js'
import { referenceTo } from './content-write.js'
import type { SessionRecord } from './record.js'
import type { RequestSession, Session, SessionWork } from './session.js'
import type { SessionForm } from './session-form.js'
import type { Outcome } from './session-tokens.js'
import { Standing } from './standing.js'
import { Storing } from './storing.js'
import { Turns } from './turns.js'
import { type UserId, userIdText } from './user-id.js'
import type { WorkContext } from './work-context.js'

/** A session ends, for that reason. */
interface Ending {
  readonly standing: Standing
  readonly reason: EndReason
}

const noEndings: readonly Ending[] = []

/**
 * One request's work on one session: what it found, what it changed, and the commit that stores it.
 * The session is parsed when it is first opened, and stored only if there is something to store.
 */
export class UnitOfWork implements SessionWork {
  readonly #context: WorkContext
  readonly #form: SessionForm
  /** Another one once another session has begun in place of the first. */
  #standing: Standing
  /** What the commit has to end: because that was planned, or because it has failed before. */
  #endings: readonly Ending[] = noEndings
  readonly #turns = new Turns()
  #storingMade: Storing | undefined

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
    this.#standing = new Standing(context, form, token, record, unavailable)
  }

  /** The session in hand; `undefined` once it was destroyed or left. */
  get session(): RequestSession | undefined {
    const standing = this.#standing
    const isThere = standing.state === 'open' || standing.state === 'gone'
    if (!standing.session && isThere) standing.session = this.#form.open(this, standing.readData())
    return standing.session as RequestSession | undefined
  }

  get id(): string {
    return this.#standing.tokens.current
  }

  get publicId(): string {
    return this.#standing.publicId
  }

  get userId(): string | undefined {
    this.#standing.decrypt()
    this.#standing.followData()
    return this.#standing.userId
  }

  get createdAt(): Date | undefined {
    const at = this.#standing.record?.createdAt
    return at === undefined ? undefined : new Date(at)
  }

  get authenticatedAt(): Date | undefined {
    const at = this.#standing.record?.authenticatedAt
    return at === undefined ? undefined : new Date(at)
  }

  /** What the browser must be told of all that was stored so far. */
  get outcome(): Outcome {
    return this.#standing.tokens.outcome
  }

  /** That of the `outcome`, alone. */
  get action(): Outcome['action'] {
    return this.#standing.tokens.action
  }

  /** Whether the session was found by a token from before a rotation, or may have lost its token since. The browser is told nothing then. */
  get isFormer(): boolean {
    return this.#standing.former || this.#standing.unconfirmed
  }

  /** Whether the session is left as it is stored, and nothing is told of it. */
  get isLeft(): boolean {
    return this.#standing.state === 'left'
  }

  /** Whether this is the token that the session was found by. */
  leadsFrom(token: string): boolean {
    return token === this.#standing.tokens.client
  }

  /** Whether the expiry should move with this request although nothing else changed. */
  get touchDue(): boolean {
    return this.#standing.touchDue
  }

  /** Whether something is still to be done that nobody waited for, or an ending to be tried again; told by how much. */
  get unfinished(): number {
    return this.#endings.length + (this.#turns.pending ? 1 : 0)
  }

  /** Whether no stored session was found. */
  get isNew(): boolean {
    return this.#standing.record === undefined
  }

  /** Whether this work stored the session's content. */
  get saved(): boolean {
    return this.#standing.saved
  }

  /**
   * Stores what changed. `undefined` if there is nothing to store, so that the caller need not wait.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_CONFLICT, ERR_SESSION_DATA,
   *   ERR_SESSION_TOO_LARGE; nothing is stored then, or, if the store did not answer, perhaps all of it
   */
  commit(): Promise<void> | undefined {
    const { pending } = this.#turns
    // Something that the handler did not wait for: its failure is the commit's.
    if (pending) return this.#commitAfter(pending)
    if (this.#endings.length > 0) return this.#finishEndings().then(() => this.commit())
    if (!this.#standing.session)
      return this.#standing.state === 'open' && this.#standing.dueUnopened ? this.#storeInTurn() : undefined
    let data: Uint8Array
    try {
      data = this.#standing.encoded()
    } catch (error) {
      // What is not to be stored need not be encoded.
      return this.#standing.state === 'open' ? Promise.reject(error as Error) : undefined
    }
    return this.#standing.decide(data) === undefined
      ? undefined
      : this.#turns.take(() => this.#storing.store(data))
  }

  async #commitAfter(pending: Promise<unknown>): Promise<void> {
    const isPlanned = this.#endings.length > 0
    try {
      await pending
    } catch (error) {
      // What is to end ends, whatever else has failed.
      if (isPlanned) await this.#finishEndings().catch(() => undefined)
      throw error
    }
    await this.commit()
  }

  async #finishEndings(): Promise<void> {
    const endings = this.#endings
    // Unless another session has begun since, nothing is left to be stored.
    if (endings.some(({ standing }) => standing === this.#standing)) this.#leaveAs('ended')
    // One after the other, and each whatever becomes of those before.
    for (const ending of endings) this.#turns.take(() => this.#end(ending)).catch(() => undefined)
    await this.#turns.pending
  }

  /** Made when there is something to store, as in most requests there is not. */
  get #storing(): Storing {
    return (this.#storingMade ??= new Storing(this.#context, this.#form, this.#standing))
  }

  #storeInTurn(): Promise<void> {
    // Of the session in hand now, whichever is by the time that it is its turn.
    const storing = this.#storing
    return this.#turns.take(() => storing.store())
  }

  /** Ends the session with the commit. */
  end(): void {
    this.#leaveAs('ended')
    this.#plan({ standing: this.#standing, reason: 'destroy' })
  }

  /** Leaves the session as it is stored: this work stores nothing of it. */
  leave(): void {
    this.#leaveAs('left')
  }

  #leaveAs(state: 'ended' | 'left'): void {
    this.#standing.state = state
    this.#standing.session = undefined
  }

  /**
   * Goes on with a new session, under a new token, and leaves the one before as it is stored.
   * @param token one that the app has chosen: what is stored under it is replaced
   */
  startNew(token?: string): void {
    this.#standing = this.#standing.successor()
    if (token !== undefined) this.#standing.tokens.choose(token)
    this.#storingMade = undefined
    this.#standing.regenerated = true
    this.#standing.session = this.#form.open(this, {})
  }

  /** Puts other data into the session in hand. */
  replaceData(data: Record<string, unknown>): void {
    if (this.session) this.#form.refill(this.#standing.session!, data)
  }

  /** The browser can be told nothing more: from now on no commit begins a session or moves it to a new token. */
  closeHeaders(): void {
    this.#standing.headersOut = true
  }

  assertCurrent(session: Session): void {
    if (session !== this.#standing.session) {
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
      const standing = this.#standing
      standing.assertAvailable()
      // Before anything ends: what would come after it could reach nobody.
      if (standing.headersOut) throw headersSent()
      if (this.#form.userOf && this.userId !== text) throw signInByData()
      await this.#storingOf(standing).settle()
      standing.decrypt()
      // An ending that failed, and that nobody waited for, comes first: nothing of that session goes on.
      for (const ending of this.#endings) {
        await this.#remove(ending)
        if (ending.standing === standing) standing.becomeEmpty()
      }
      // What another user left in the session is theirs.
      const another = standing.userId !== undefined && standing.userId !== text
      if (another) await this.#remove({ standing, reason: 'signOut' })
      if (another || standing.state === 'gone') standing.becomeEmpty()
      // A session of its own: a third token for that one could reach the browser after the second, and end up with neither.
      else if (standing.former) standing.carryOn()
      standing.userId = text
      standing.signedIn = true
      standing.tokens.plan()
    })
  }

  signOut(): Promise<void> {
    return this.#turns.take(async () => {
      const standing = this.#standing
      await this.#remove({ standing, reason: 'signOut' })
      standing.becomeEmpty()
    })
  }

  rotate(): Promise<void> {
    return this.#turns.take(async () => {
      const standing = this.#standing
      standing.assertAvailable()
      await this.#storingOf(standing).settle()
      standing.decrypt()
      // One that has just got a new token needs no other.
      if (!standing.record || standing.former) return
      if (standing.headersOut) throw headersSent()
      standing.tokens.plan()
    })
  }

  regenerate(): Promise<void> {
    return this.#turns.take(async () => {
      const standing = this.#standing
      try {
        await this.#end({ standing, reason: 'regenerate' })
      } finally {
        // Unless it has not ended, or a handler that did not wait has begun one already.
        if (standing.state === 'ended' && standing === this.#standing) this.startNew()
      }
    })
  }

  destroy(): Promise<void> {
    // Another session may have begun by the time that it is its turn.
    const ending: Ending = { standing: this.#standing, reason: 'destroy' }
    this.#leaveAs('ended')
    return this.#turns.take(() => this.#end(ending))
  }

  reload(): Promise<void> {
    return this.#turns.take(async () => {
      const standing = this.#standing
      standing.assertAvailable()
      await this.#storingOf(standing).settle()
      const key = standing.record?.key
      const fresh = key && (await this.#context.follow(key))
      if (!fresh) {
        throw sessionGone('There is no stored session to reload: it has ended, or was never saved.')
      }
      standing.reload(fresh, key)
    })
  }

  save(): Promise<void> {
    // Told to whoever asked for the save, but no reason for the commit to fail: nothing is lost that could be kept.
    const standing = this.#standing
    return this.#storeInTurn().then(() => {
      if (standing.state === 'gone')
        throw sessionGone('This session has ended, so nothing more is stored in it.')
    })
  }

  async update<Result>(change: (session: RequestSession) => Result): Promise<Result> {
    const result = await this.#turns.take(() => {
      this.#standing.assertAvailable()
      const { session } = this
      return session ? this.#storing.storeChange(session, change) : Promise.resolve(undefined)
    })
    if (!result)
      throw sessionGone(
        'This session has ended, or somebody signed in on it meanwhile, so nothing was changed in it.',
      )
    return result.value
  }

  touch(): void {
    this.#standing.touched = true
  }

  /** If `endUnstored` fails, nothing is left to be ended: it is not tried again. */
  async #end(ending: Ending): Promise<void> {
    const wasStored = await this.#remove(ending)
    if (!wasStored) await this.#form.endUnstored?.(ending.standing.tokens.current)
  }

  /** @returns whether the session was stored */
  async #remove(ending: Ending): Promise<boolean> {
    const { standing, reason } = ending
    try {
      standing.assertAvailable()
      await this.#storingOf(standing).settle()
      if (standing.record) await this.#removeStored(standing.record, reason)
    } catch (error) {
      // If the handler did not wait for it, the commit tries again and fails with it.
      this.#plan(ending)
      throw error
    }
    // A save of it that is still to come stores nothing. Whoever goes on with it says so.
    standing.state = 'ended'
    const wasStored = standing.record !== undefined
    if (wasStored) {
      standing.record = undefined
      standing.tokens.retire()
    }
    this.#endings = this.#endings.filter((planned) => planned.standing !== standing)
    return wasStored
  }

  #plan(ending: Ending): void {
    if (!this.#endings.some(({ standing }) => standing === ending.standing))
      this.#endings = [...this.#endings, ending]
  }

  #storingOf(standing: Standing): Storing {
    return standing === this.#standing ? this.#storing : new Storing(this.#context, this.#form, standing)
  }

  async #removeStored(record: SessionRecord, reason: EndReason): Promise<void> {
    const result = await this.#context.write({ type: 'remove', key: record.key })
    if (result === 'done') this.#standing.tokens.end()
    const ended = result === 'done' ? record : await this.#removeMoved(record, reason)
    if (ended) this.#context.announce('destroyed', { ...referenceTo(ended), reason })
  }

  /**
   * Ended already, or under a new key since a parallel request rotated it: there too it ends.
   * @returns what it ended and is still to be told of
   */
  async #removeMoved(
    { key, userId, publicId }: SessionRecord,
    reason: EndReason,
  ): Promise<SessionRecord | undefined> {
    const { tokens } = this.#standing
    if (userId !== undefined) {
      await this.#context.revoke(userId, publicId, reason)
      tokens.end()
      return undefined
    }
    for (let from = key, attempt = 1; attempt <= mostAttempts; attempt++) {
      const moved = await this.#context.findFormer(from)
      // An anonymous session that somebody signed in on meanwhile is another's, and so is the cookie that this brings.
      if (moved?.userId !== undefined) return undefined
      if (!moved || (await this.#context.write({ type: 'remove', key: moved.key })) === 'done') {
        tokens.end()
        return moved
      }
      from = moved.key
    }
    throw changedTooOften(mostAttempts)
  }
}
