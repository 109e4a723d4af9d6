import { headersSent, SessionError, sessionGone, signInByData, tokenReplaced } from '../errors.js'
import type { EndReason } from '../events.js'
import { performance } from '../scheduling.js'
import { SerialQueue } from '../serial-queue.js'
import { publicIdOf, type SessionRecord } from '../store/record.js'
import { idOf } from '../token.js'
import { type UserId, userIdText } from '../users/user-id.js'
import { settleUnanswered, storeHeld } from './commit.js'
import { storeChange } from './change.js'
import { type EndedSession, removeStored } from './ending.js'
import { baseOfRow, decrypt, foundState, InHand, ownerNow, readData, type Reading } from './in-hand.js'
import { type Keep, kept, resolveKeep } from './keep.js'
import { isAsRefused, type RefusedCommit, refusedCommit } from './refused-commit.js'
import { plan } from './plan.js'
import type { RequestSession, Session, SessionWork, SignInOptions } from './session.js'
import type { SessionForm } from './session-form.js'
import {
  after,
  baseOf,
  type Former,
  isOpen,
  type Live,
  newState,
  noIntent,
  openPart,
  type Outcome,
  type TokenPlace,
  tokenPlaceOf,
  type SignInIntent,
  storedTokenOf,
  tokenOf,
} from './state.js'
import { becomeEmpty, factsOf, isTouchDue, nextToken, refill, tokenFor } from './work.js'
import type { WorkContext } from './work-context.js'

/** A session that a token led to: the record, and which of its tokens that was. */
export interface Found {
  readonly token: string
  readonly record: SessionRecord
  readonly place: TokenPlace
}

/** A session ends, for that reason. */
interface Ended {
  readonly inHand: InHand
  readonly reason: EndReason
}

const noEndings: readonly Ended[] = []
const noOthers: readonly InHand[] = []

/**
 * One request's work on one session: what it found, what it changed, and the commit that stores it.
 * The session is parsed when it is first opened, and stored only if there is something to store.
 */
export class UnitOfWork implements SessionWork {
  readonly #context: WorkContext
  readonly #form: SessionForm
  readonly #client: string | undefined
  readonly #readAt: number | undefined
  readonly #begunAt: number
  readonly #unavailable: SessionError | undefined
  readonly #queue = new SerialQueue()
  readonly #others: readonly InHand[]
  /** Another one once another session has begun in place of the first. */
  #inHand: InHand
  /** What the commit has to end: because that was planned, or because it has failed before. */
  #endings: readonly Ended[] = noEndings
  #hasEnded = false
  #headersSent = false
  #wasOpened = false
  #refused: RefusedCommit | undefined

  /**
   * @internal
   * @param others the other sessions that tokens of the request lead to
   */
  constructor(
    context: WorkContext,
    form: SessionForm,
    found?: Found,
    unavailable?: SessionError,
    others?: readonly Found[],
  ) {
    this.#context = context
    this.#form = form
    this.#client = found?.token
    this.#readAt = found?.record.readAt
    this.#begunAt = found ? 0 : performance.now()
    this.#unavailable = unavailable
    this.#inHand = new InHand(found ? stateOf(this, found) : newState('begun'))
    // One from before a rotation is not this request's to end.
    const current = others?.filter(({ place }) => place === 'current')
    this.#others = current?.map((other) => new InHand(stateOf(this, other))) ?? noOthers
  }

  /** The session in hand; `undefined` once it was destroyed or left. */
  get session(): RequestSession | undefined {
    this.#wasOpened = true
    const inHand = this.#inHand
    if (!inHand.session && (isOpen(inHand.state) || inHand.state.kind === 'gone'))
      inHand.session = this.form.open(this, readData(this, inHand))
    return inHand.session as RequestSession | undefined
  }

  /** Whether anybody has asked for the session. */
  get wasOpened(): boolean {
    return this.#wasOpened
  }

  get id(): string {
    return tokenFor(this, this.#inHand)
  }

  get publicId(): string {
    const { state } = this.#inHand
    const base = baseOf(state)
    if (base) return publicIdOf(base.record)
    const token = this.id
    return typeof token === 'string' ? idOf(token) : ''
  }

  get userId(): string | undefined {
    const inHand = this.#inHand
    decrypt(this, inHand)
    return openPart(inHand.state) && ownerNow(this, inHand)
  }

  get createdAt(): Date | undefined {
    const at = baseOf(this.#inHand.state)?.record.createdAt
    return at === undefined ? undefined : new Date(at)
  }

  get authenticatedAt(): Date | undefined {
    const at = baseOf(this.#inHand.state)?.record.authenticatedAt
    return at === undefined ? undefined : new Date(at)
  }

  /** What the browser must be told of all that was stored so far: derived, so that it cannot be forgotten. */
  get outcome(): Outcome {
    const token = storedTokenOf(this.#inHand.state)
    if (token !== undefined)
      return { action: token === this.#client || this.isFormer ? 'keep' : 'issue', token }
    // Not for a session that is merely gone: another request may have given it a new token, and to drop the browser's cookie would drop that.
    const hasCookie = this.#client !== undefined || this.#others.length > 0
    return this.#hasEnded && hasCookie ? { action: 'clear' } : { action: 'keep', token }
  }

  /** That of the `outcome`, alone. */
  get action(): Outcome['action'] {
    return this.outcome.action
  }

  /** Whether the session was found by a token from before a rotation, or may have lost its token since. The browser is told nothing then. */
  get isFormer(): boolean {
    const open = openPart(this.#inHand.state)
    return open?.kind === 'former' || (open?.kind === 'live' && open.isUnconfirmed)
  }

  /** Whether the session is left as it is stored, and nothing is told of it. */
  get isLeft(): boolean {
    return this.#inHand.state.kind === 'left'
  }

  /** Whether this is the token that the session was found by. */
  leadsFrom(token: string): boolean {
    return token === this.#client
  }

  /** Whether the expiry should move with this request although nothing else changed. */
  get touchDue(): boolean {
    return isTouchDue(this, this.#inHand)
  }

  /** Whether no stored session was found. */
  get isNew(): boolean {
    return baseOf(this.#inHand.state) === undefined
  }

  // Accessors, so that nothing of it is printed with the work.

  /** @internal */
  get context(): WorkContext {
    return this.#context
  }

  /** @internal */
  get form(): SessionForm {
    return this.#form
  }

  /** @internal */
  get readAt(): number | undefined {
    return this.#readAt
  }

  /** @internal */
  get begunAt(): number {
    return this.#begunAt
  }

  /** @internal */
  get headersSent(): boolean {
    return this.#headersSent
  }

  /**
   * Stores what changed. `undefined` if there is nothing to store, so that the caller need not wait.
   *
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_CONFLICT, ERR_SESSION_DATA,
   *   ERR_SESSION_TOO_LARGE; nothing is stored then, or, if the store did not answer, perhaps all of it
   */
  commit(): Promise<void> | undefined {
    const committing = this.#commit()
    if (!committing) return undefined
    return committing.catch((error: unknown) => {
      this.#refused = refusedCommit(this, this.#inHand)
      throw error
    })
  }

  /** Whether a commit has failed. */
  get wasRefused(): boolean {
    return this.#refused !== undefined
  }

  /** Whether a commit has failed, and nobody has changed the session since. */
  get isAsRefused(): boolean {
    const refused = this.#refused
    if (!refused || this.#queue.pending) return false
    return isAsRefused(this, this.#inHand, refused)
  }

  #commit(): Promise<void> | undefined {
    const { pending } = this.#queue
    // Something that the handler did not wait for: its failure is the commit's.
    if (pending) return this.#commitAfter(pending)
    if (this.#endings.length > 0) return this.#finishEndings().then(() => this.#commit())
    const inHand = this.#inHand
    if (!isOpen(inHand.state)) return undefined
    if (!inHand.session && !this.#isDueUnopened(inHand)) return undefined
    let facts
    try {
      facts = factsOf(this, inHand)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (plan(inHand.state, inHand.intent, facts, false).do === 'nothing') return undefined
    return this.#queue.take(async () => void (await storeHeld(this, inHand, facts)))
  }

  /** Whether there is something to store although the handler never opened the session. */
  #isDueUnopened(inHand: InHand): boolean {
    const { state, intent } = inHand
    const isKept = state.kind === 'new' ? this.form.keepsEmpty(false) : this.form.keepsUnchanged
    return isKept || intent.token !== undefined || intent.signIn !== undefined || isTouchDue(this, inHand)
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
    await this.#commit()
  }

  async #finishEndings(): Promise<void> {
    const endings = this.#endings
    // Unless another session has begun since, nothing is left to be stored.
    if (endings.some(({ inHand }) => inHand === this.#inHand)) this.#giveUp('ending')
    // One after the other, and each whatever becomes of those before.
    for (const ending of endings) this.#queue.take(() => this.#end(ending)).catch(() => undefined)
    await this.#queue.pending
  }

  /** Ends the session with the commit. */
  end(): void {
    if (this.#inHand.state.kind === 'ended') return
    this.#giveUp('ending')
    this.#plan({ inHand: this.#inHand, reason: 'destroy' })
  }

  /** Leaves the session as it is stored: this work stores nothing of it. */
  leave(): void {
    this.#giveUp('left')
  }

  #giveUp(kind: 'ending' | 'left'): void {
    const inHand = this.#inHand
    if (inHand.state.kind === kind) return
    const open = openPart(inHand.state)
    inHand.state = open ? { kind, of: open } : { kind: 'ended', token: tokenOf(inHand.state) }
    inHand.session = undefined
  }

  /**
   * Goes on with a new session, under a new token, and leaves the one before as it is stored.
   * @param token one that the app has chosen: what is stored under it is replaced
   */
  startNew(token?: string): void {
    this.#inHand = new InHand(newState(token === undefined ? 'regenerated' : 'chosen', token))
    this.#inHand.session = this.form.open(this, {})
  }

  /** Goes on with another object for the session in hand. */
  take(session: Session): void {
    this.#inHand.session = session
  }

  /** Puts other data into the session in hand. */
  replaceData(data: Record<string, unknown>): void {
    if (this.session) this.form.refill(this.#inHand.session!, data)
  }

  /** The browser can be told nothing more: from now on no commit begins a session or gives it a new token. */
  closeHeaders(): void {
    this.#headersSent = true
  }

  assertCurrent(session: Session): void {
    if (session !== this.#inHand.session) {
      throw new SessionError(
        'ERR_SESSION_REPLACED',
        'This session was destroyed or regenerated in this request; use req.session, which is the one that came after it.',
      )
    }
  }

  /** @internal */
  assertAvailable(): void {
    if (this.#unavailable) throw this.#unavailable
  }

  signIn(userId: UserId, options: SignInOptions = {}): Promise<void> {
    // In turn: a save under way would clear the intent when it is done.
    return this.#queue.take(async () => {
      const text = userIdText(userId)
      const named = resolveKeep(options)
      const inHand = this.#inHand
      this.assertAvailable()
      // Before anything ends: what would come after it could reach nobody.
      if (this.#headersSent) throw headersSent()
      if (this.form.userOf && this.userId !== text) throw signInByData()
      await settleUnanswered(this, inHand)
      decrypt(this, inHand)
      // An ending that failed, and that nobody waited for, comes first: nothing of that session goes on.
      for (const ending of this.#endings) {
        await this.#remove(ending)
        if (ending.inHand === inHand) becomeEmpty(this, inHand)
      }
      // Where the data says who it is, a former token's session would have to give it, and gives nothing.
      if (inHand.state.kind === 'former' && this.form.userOf) throw tokenReplaced()
      // Else the next request would have cookies of two users again, and nobody would be signed in.
      const others = this.#others.filter((other) => isOfAnother(this, other, text))
      if (others.length > 0) await this.#removeAll(others, 'signOut')
      // A destroy() that was called since comes next, and ends it all.
      if (inHand.state.kind === 'ending') return
      const owner = openPart(inHand.state) && ownerNow(this, inHand)
      // What another user left in the session is theirs.
      const isAnothers = owner !== undefined && owner !== text
      // By a former token a session of its own begins: the one that it led to is left as it is, and gives nothing.
      const isFormer = inHand.state.kind === 'former'
      if (isAnothers && !isFormer) await this.#remove({ inHand, reason: 'signOut' })
      if (isAnothers || isFormer || !isOpen(inHand.state)) becomeEmpty(this, inHand)
      // What is the user's already stays. For what a sign-in that is not stored yet did not keep, that one's word stands.
      const isTheirs = owner === text
      const keep = isTheirs ? (inHand.intent.signIn?.keep ?? true) : named
      if (!isTheirs) this.#drop(inHand, keep)
      this.#intendSignIn(inHand, { userId: text, keep })
    })
  }

  /** What is not kept is not in hand any more from now on, whether or not the handler has looked at it. */
  #drop(inHand: InHand, keep: Keep): void {
    if (keep === true) return
    inHand.session ??= this.form.open(this, readData(this, inHand))
    refill(this, inHand, kept(this.form, this.form.dataOf(inHand.session), keep))
  }

  #intendSignIn(inHand: InHand, signIn: SignInIntent): void {
    const { state, intent } = inHand
    if (state.kind === 'new' && state.origin === 'chosen')
      inHand.state = { ...state, origin: 'regenerated', token: undefined }
    const base = baseOf(inHand.state)
    inHand.intent = { ...intent, signIn, token: base && nextToken(this, base.record) }
  }

  signOut(): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      if (this.#others.length === 0) await this.#remove({ inHand, reason: 'signOut' })
      else await this.#removeAll([inHand, ...this.#others], 'signOut')
      becomeEmpty(this, inHand)
    })
  }

  /** Each, whatever becomes of the others. */
  async #removeAll(sessions: readonly InHand[], reason: EndReason): Promise<void> {
    const removals = sessions.map((inHand) => this.#remove({ inHand, reason }))
    const failed = (await Promise.allSettled(removals)).find((removal) => removal.status === 'rejected')
    if (failed) throw failed.reason as Error
  }

  rotate(): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      this.assertAvailable()
      await settleUnanswered(this, inHand)
      decrypt(this, inHand)
      // One that has just got a new token needs no other.
      if (inHand.state.kind !== 'live') return
      if (this.#headersSent) throw headersSent()
      inHand.intent = { ...inHand.intent, token: nextToken(this, inHand.state.base.record) }
    })
  }

  claim(userId: string): Promise<boolean> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      this.assertAvailable()
      await settleUnanswered(this, inHand)
      decrypt(this, inHand)
      const { state, intent } = inHand
      const base = baseOf(state)
      if (!isOpen(state)) return false
      if (base?.owner !== userId) {
        // One that is being signed in gets a new token by that, once the others have ended: they may take all places that there are.
        if (intent.signIn?.userId !== userId) return false
        inHand.intent = { ...intent, forcesToken: true }
        return true
      }
      if (this.#headersSent) throw headersSent()
      inHand.intent = { ...intent, token: nextToken(this, base.record), forcesToken: true }
      return (await storeHeld(this, inHand)) === 'done'
    })
  }

  regenerate(): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      try {
        await this.#end({ inHand, reason: 'regenerate' })
        // Where it could not be told which session is the visitor's: that is how Passport begins a sign-in.
        if (this.#client === undefined && this.#others.length > 0)
          await this.#removeAll(this.#others, 'regenerate')
      } finally {
        // Unless it has not ended, or a handler that did not wait has begun one already.
        if (inHand.state.kind === 'ended' && inHand === this.#inHand) this.startNew()
      }
    })
  }

  destroy(): Promise<void> {
    // Another session may have begun by the time that it is its turn.
    const ending: Ended = { inHand: this.#inHand, reason: 'destroy' }
    this.#giveUp('ending')
    return this.#queue.take(() => this.#end(ending))
  }

  reload(): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      this.assertAvailable()
      await settleUnanswered(this, inHand)
      const { state } = inHand
      const base = baseOf(state)
      const record = base && (await this.context.find(base.record.id))
      const place = record && tokenPlaceOf(base.record.hash, record)
      if (!place) throw sessionGone('There is no stored session to reload: it has ended, or was never saved.')
      const fresh = foundState(this, tokenOf(state)!, record, place)
      inHand.state = after(inHand.state, fresh)
      inHand.intent = noIntent
      if (inHand.session) refill(this, inHand, readData(this, inHand))
    })
  }

  async save(): Promise<void> {
    const inHand = await this.#queue.take(async () => {
      // Of the session in hand now, whichever is by the time that it is its turn.
      const current = this.#inHand
      await storeHeld(this, current)
      return current
    })
    // Told to whoever asked for the save, but no reason for the commit to fail: nothing is lost that could be kept.
    if (inHand.state.kind === 'gone')
      throw sessionGone('This session has ended, so nothing more is stored in it.')
  }

  async update<Result>(change: (session: RequestSession) => Result): Promise<Result> {
    const result = await this.#queue.take(() => {
      this.assertAvailable()
      const { session } = this
      return session ? storeChange(this, this.#inHand, change) : Promise.resolve(undefined)
    })
    if (!result)
      throw sessionGone(
        'This session has ended, or somebody signed in on it meanwhile, so nothing was changed in it.',
      )
    return result.value
  }

  touch(): void {
    this.#inHand.intent = { ...this.#inHand.intent, touch: true }
  }

  async #end(ending: Ended): Promise<void> {
    const token = this.form.endUnstored && tokenFor(this, ending.inHand)
    const wasStored = await this.#remove(ending)
    // If this fails, nothing is left to be ended: it is not tried again.
    if (!wasStored && token !== undefined) await this.form.endUnstored?.(token)
  }

  /**
   * Whoever has a token from before a rotation may be whom that was to shut out, so they end nothing. Nor are they told that it is done: the
   * session would go on, and its user would think to be signed out.
   */
  #assertMayEnd({ inHand }: Ended): void {
    const { state } = inHand
    if (openPart(state)?.kind !== 'former') return
    // Nothing of it is tried again, so that an error page can be stored.
    if ('of' in state) inHand.state = { ...state, kind: 'left' }
    this.#forget(inHand)
    throw tokenReplaced()
  }

  #forget(inHand: InHand): void {
    this.#endings = this.#endings.filter((planned) => planned.inHand !== inHand)
  }

  /** @returns whether the session was stored */
  async #remove(ending: Ended): Promise<boolean> {
    const { inHand, reason } = ending
    this.#assertMayEnd(ending)
    let result: EndedSession
    try {
      this.assertAvailable()
      result = await removeStored(this, inHand, reason)
    } catch (error) {
      // If the handler did not wait for it, the commit tries again and fails with it.
      this.#plan(ending)
      throw error
    }
    if (result === 'ended') this.#hasEnded = true
    // A save of it that is still to come stores nothing. Callers that go on with it set a new state.
    inHand.state = { kind: 'ended', token: tokenOf(inHand.state) }
    inHand.intent = noIntent
    this.#forget(inHand)
    return result !== 'not stored'
  }

  #plan(ending: Ended): void {
    if (!this.#endings.some(({ inHand }) => inHand === ending.inHand))
      this.#endings = [...this.#endings, ending]
  }
}

function stateOf(reading: Reading, { token, record, place }: Found): Live | Former {
  return foundState(reading, token, record, place)
}

/** Whose the session is that a token led to. */
export function ownerOfFound(reading: Reading, found: Found): string | undefined {
  return ownerIn(reading, stateOf(reading, found))
}

function isOfAnother(reading: Reading, { state }: InHand, userId: string): boolean {
  if (state.kind !== 'live' && state.kind !== 'former') return false
  const owner = ownerIn(reading, state)
  return owner !== undefined && owner !== userId
}

function ownerIn(reading: Reading, { base }: Live | Former): string | undefined {
  return baseOfRow(reading, base.record).owner
}
