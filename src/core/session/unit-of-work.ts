import { headersSent, SessionError, sessionGone, signInByData, tokenReplaced } from '../errors.js'
import type { EndReason } from '../events.js'
import { performance, setImmediate } from '../scheduling.js'
import { SerialQueue } from '../serial-queue.js'
import { warnOnce } from '../warn-once.js'
import { publicIdOf } from '../store/record.js'
import { idOf } from '../token.js'
import { type UserId, userIdText } from '../users/user-id.js'
import { isUnsettled, settleUnanswered, storeHeld } from './commit.js'
import { storeChange } from './change.js'
import { type EndedSession, removeStored } from './ending.js'
import {
  baseOfRow,
  type ChildFacts,
  decrypt,
  foundState,
  InHand,
  ownerNow,
  readData,
  type Reading,
} from './in-hand.js'
import { type Keep, kept, resolveKeep } from './keep.js'
import { isAsRefused, type RefusedCommit, refusedCommit } from './refused-commit.js'
import { plan } from './plan.js'
import { childFacts, rootName, rootOf, rootView, touchRoot } from './root.js'
import type {
  FailedCall,
  RequestSession,
  Session,
  SessionRoot,
  SessionWork,
  SignInOptions,
} from './session.js'
import type { SessionForm } from './session-form.js'
import {
  after,
  baseOf,
  type Former,
  type Found,
  isOpen,
  type Live,
  newState,
  noIntent,
  openPart,
  type Outcome,
  tokenPlaceOf,
  type SignInIntent,
  storedTokenOf,
  tokenOf,
} from './state.js'
import { becomeEmpty, factsOf, isTouchDue, nextToken, refill, tokenFor } from './work.js'
import type { WorkContext } from './work-context.js'

/** A session that is to end, and why. */
interface Ended {
  readonly inHand: InHand
  readonly reason: EndReason
}

const noEndings: readonly Ended[] = []
const noOthers: readonly InHand[] = []

/**
 * The work of one request, or of other code, on one session: from `sessions.begin()`, `sessions.load(token)`, or `work`
 * of an `Exchange`. Change `session`, then call `commit()`.
 *
 * The session's data is decoded when `session` is first read, and stored only if something changed.
 * @example
 * const work = await sessions.load(token)
 * work.session!.cart = []
 * await work.commit()
 */
export class UnitOfWork implements SessionWork {
  readonly #context: WorkContext
  readonly #form: SessionForm
  /** For a child: its user is its root's, whatever its data says. */
  readonly #childForm: SessionForm
  readonly #client: string | undefined
  readonly #readAt: number | undefined
  readonly #begunAt: number
  readonly #unavailable: SessionError | undefined
  readonly #queue = new SerialQueue()
  readonly #others: readonly InHand[]
  /** The current session. It is another object after a new session began in place of the first. */
  #inHand: InHand
  /** The sessions that the commit has to end: planned endings, and endings that failed. */
  #endings: readonly Ended[] = noEndings
  /** The first call that failed since the last failed commit, that nobody awaits, and that no commit does again. */
  #failed: FailedCall | undefined
  #hasEnded = false
  #headersSent = false
  #wasOpened = false
  #refused: RefusedCommit | undefined

  /**
   * @internal
   * @param others the other sessions that tokens of the request have found.
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
    this.#childForm = form.userOf ? { ...form, userOf: undefined } : form
    this.#client = found?.token
    this.#readAt = found?.record.readAt
    this.#begunAt = performance.now()
    this.#unavailable = unavailable
    this.#inHand = found ? inHandOf({ context, form }, found) : new InHand(newState('begun'))
    // A request may not end a session that it found by an old token.
    const current = others?.filter(({ place }) => place === 'current')
    this.#others = current?.map((other) => inHandOf({ context, form }, other)) ?? noOthers
  }

  /** The session object, as `req.session`. `undefined` after it was destroyed. */
  get session(): RequestSession | undefined {
    this.#wasOpened = true
    const inHand = this.#inHand
    if (!inHand.session && (isOpen(inHand.state) || inHand.state.kind === 'gone'))
      inHand.session = this.form.open(this, readData(this, inHand))
    return inHand.session as RequestSession | undefined
  }

  /** Whether `session` was read. */
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
    const here = baseOf(this.#inHand.state)?.record.authenticatedAt
    const there = childFacts(this, this.#inHand)?.authenticatedAt
    const at = here === undefined || (there !== undefined && there > here) ? there : here
    return at === undefined ? undefined : new Date(at)
  }

  get root(): SessionRoot | undefined {
    return rootView(this, this.#inHand)
  }

  /** What to tell the browser after what was stored so far. Computed anew at each read. */
  get outcome(): Outcome {
    const token = storedTokenOf(this.#inHand.state)
    if (token !== undefined)
      return { action: token === this.#client || this.isFormer ? 'keep' : 'issue', token }
    // Not for a session that is only gone: another request may have given it a new token, and the browser must keep
    // that cookie.
    const hasCookie = this.#client !== undefined || this.#others.length > 0
    return this.#hasEnded && hasCookie ? { action: 'clear' } : { action: 'keep', token }
  }

  /** The `action` of `outcome`. */
  get action(): Outcome['action'] {
    return this.outcome.action
  }

  /**
   * Whether the session was found by an old token, from before a rotation, or its token may have been replaced since.
   * Then the browser gets no cookie.
   */
  get isFormer(): boolean {
    const open = openPart(this.#inHand.state)
    return open?.kind === 'former' || (open?.kind === 'live' && open.isUnconfirmed)
  }

  /** Whether `leave()` was called: nothing is stored, and the browser gets no cookie. */
  get isLeft(): boolean {
    return this.#inHand.state.kind === 'left'
  }

  /** Whether the session was found by this token. */
  leadsFrom(token: string): boolean {
    return token === this.#client
  }

  /** Whether the expiry is to move, even if nothing else changed: `touchAfter` has passed, or `touch()` was called. */
  get touchDue(): boolean {
    return isTouchDue(this, this.#inHand)
  }

  /** Whether no stored session was found. */
  get isNew(): boolean {
    return baseOf(this.#inHand.state) === undefined
  }

  // Accessors, so that these are not printed when somebody prints the work.

  /** @internal */
  get context(): WorkContext {
    return this.#context
  }

  /** @internal */
  get form(): SessionForm {
    return this.#inHand.root && rootOf(this.#inHand) ? this.#childForm : this.#form
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
   * Stores what changed. Returns `undefined`, not a promise, if there is nothing to store.
   *
   * If it rejects, nothing was stored. Exception: if the store did not answer, the change may have been stored.
   *
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503).
   * @throws (rejects) `ERR_SESSION_CONFLICT` (503) if other requests kept changing the session.
   * @throws (rejects) `ERR_SESSION_DATA` or `ERR_SESSION_TOO_LARGE` if the data cannot be stored.
   * @throws (rejects) `ERR_SESSION_REVOKED` (401) or `ERR_SESSION_LIMIT` (403) if a sign-in is refused.
   * @throws (rejects) `ERR_SESSION_HEADERS_SENT` if a cookie would have to be set after `closeHeaders()`.
   */
  commit(): Promise<void> | undefined {
    const touching = touchRoot(this, this.#inHand)
    const committing = this.#commit()
    if (!committing) return touching
    const both = touching ? Promise.all([committing, touching]).then(() => undefined) : committing
    return both.catch((error: unknown) => {
      this.#refused = refusedCommit(this, this.#inHand, error)
      this.#failed = undefined
      throw isNoError(error)
        ? new Error('A call on req.session failed without an error.', { cause: error })
        : error
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
    // Calls that the handler did not wait for: if one fails, the commit fails.
    if (pending) return this.#commitAfter(pending)
    if (this.#endings.length > 0) return this.#finishEndings().then(() => this.#commit())
    const failed = this.#failed
    if (failed && !failed.promise.isAwaited) return Promise.reject(failed.error as Error)
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

  /** For the methods of `req.session`. */
  noteFailure(call: FailedCall): void {
    // A commit that waited for this call has failed with its error already.
    if (this.#refused && call.error === this.#refused.error) return
    if (this.#headersSent) setImmediate(warnUnlessAwaited, call)
    // The first is enough: the commit fails with it.
    else if (!this.#failed || this.#failed.promise.isAwaited) this.#failed = call
  }

  /** Whether there is something to store even if nobody has read `session`. */
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
      // Planned endings take place, whatever else has failed.
      if (isPlanned) await this.#finishEndings().catch(() => undefined)
      throw error
    }
    await this.#commit()
  }

  async #finishEndings(): Promise<void> {
    const endings = this.#endings
    // If no other session has begun since, nothing is left to store.
    if (endings.some(({ inHand }) => inHand === this.#inHand)) this.#giveUp('ending')
    // One after the other. If one fails, the next is tried all the same.
    for (const ending of endings) this.#queue.take(() => this.#end(ending)).catch(() => undefined)
    await this.#queue.pending
  }

  /** Makes the next commit delete the session. `session` is `undefined` from now on. */
  end(): void {
    if (this.#inHand.state.kind === 'ended') return
    this.#giveUp('ending')
    this.#plan({ inHand: this.#inHand, reason: 'destroy' })
  }

  /** Leaves the session as it is stored: no commit stores anything more. `session` is `undefined` from now on. */
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
   * Begins a new, empty session, and leaves the previous one as it is stored.
   * @param token a token that the app has chosen. What is stored under it is replaced.
   */
  startNew(token?: string): void {
    this.#inHand = new InHand(newState(token === undefined ? 'regenerated' : 'chosen', token))
    this.#inHand.session = this.form.open(this, {})
  }

  /** Replaces the object at `session`. */
  take(session: Session): void {
    this.#inHand.session = session
  }

  /** Replaces the data of the session. */
  replaceData(data: Record<string, unknown>): void {
    if (this.session) this.form.refill(this.#inHand.session!, data)
  }

  /**
   * Says that the response headers are sent, so no cookie can be set any more. From now on, a commit that would begin a
   * session or give it a new token fails with `ERR_SESSION_HEADERS_SENT`.
   */
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
    // In the queue: a save that is under way would clear the intent when it is done.
    return this.#queue.take(async () => {
      const text = userIdText(userId)
      const named = resolveKeep(options)
      const inHand = this.#inHand
      this.assertAvailable()
      // Check this before anything ends: after it, no new session could reach the browser.
      if (this.#headersSent) throw headersSent()
      if (this.form.userOf && this.userId !== text) throw signInByData()
      // Mostly nothing has to be waited for. Then what a handler sets right after the call is set after it, awaited or not.
      if (isUnsettled(inHand)) await settleUnanswered(this, inHand)
      decrypt(this, inHand)
      // First end the sessions whose ending failed: nothing of them may go on.
      for (const ending of this.#endings) {
        await this.#remove(ending)
        if (ending.inHand === inHand) becomeEmpty(this, inHand)
      }
      // With userOf, the user is in the data, and a session that was found by an old token may not give its data. And a
      // session that began in place of a child would outlive the root.
      const mayBeginAnew = !this.form.userOf && !inHand.root
      if (inHand.state.kind === 'former' && !mayBeginAnew) throw tokenReplaced()
      // End the other users' sessions. Otherwise the next request has cookies of two users again, and no user.
      const others = this.#others.filter((other) => isOfAnother(this, other, text))
      if (others.length > 0) await this.#removeAll(others, 'signOut')
      // destroy() was called meanwhile: it comes next, and ends this session.
      if (inHand.state.kind === 'ending') return
      const owner = openPart(inHand.state) && ownerNow(this, inHand)
      // Data of another user must not stay.
      const isAnothers = owner !== undefined && owner !== text
      // With an old token, a new, empty session begins. The session that it found stays as it is.
      const isFormer = inHand.state.kind === 'former'
      if (isAnothers && !isFormer) await this.#remove({ inHand, reason: 'signOut' })
      if (isAnothers || isFormer || !isOpen(inHand.state)) becomeEmpty(this, inHand)
      // The user's own data stays. If an earlier sign-in is not stored yet, its `keep` decides.
      const isTheirs = owner === text
      const keep = isTheirs ? (inHand.intent.signIn?.keep ?? true) : named
      if (!isTheirs) this.#drop(inHand, keep)
      this.#intendSignIn(inHand, { userId: text, keep })
    })
  }

  /** Drops all data that `keep` does not name, whether the handler has read it or not. */
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

  /** Removes all of them, even if one fails; then throws the first error. */
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
      // A new session gets a new token anyway, and one that was found by an old token has just got one.
      if (inHand.state.kind !== 'live') return
      if (this.#headersSent) throw headersSent()
      inHand.intent = { ...inHand.intent, token: nextToken(this, inHand.state.base.record) }
    })
  }

  /** @internal Goes on with the child in hand after another hand-off: with a new token, and with what the hub says now. */
  handOver(facts: ChildFacts): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      this.assertAvailable()
      await settleUnanswered(this, inHand)
      inHand.session ??= this.form.open(this, readData(this, inHand))
      if (inHand.state.kind !== 'live') return
      if (this.#headersSent) throw headersSent()
      refill(this, inHand, { ...this.form.dataOf(inHand.session), [rootName]: facts })
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
        // A session that is being signed in gets its new token with the commit, after the others have ended: until then
        // they may take all places of the limit.
        if (intent.signIn?.userId !== userId) return false
        inHand.intent = { ...intent, forcesToken: true }
        return true
      }
      if (this.#headersSent) throw headersSent()
      inHand.intent = { ...intent, token: nextToken(this, base.record), forcesToken: true }
      return (await storeHeld(this, inHand)) === 'done'
    })
  }

  /**
   * @internal Goes on with the stored session of another token, which the response gives to the browser. The session
   * before it ends.
   * @returns that session; `undefined` if the token finds none
   */
  continueAs(token: string): Promise<Found | undefined> {
    return this.#queue.take(async () => {
      this.assertAvailable()
      if (this.#headersSent) throw headersSent()
      const found = await this.context.found(token)
      if (!found) return undefined
      const before = this.#inHand
      // A request may not end a session that it found by an old token.
      const ending = openPart(before.state)?.kind === 'former' ? this.#others : [before, ...this.#others]
      await this.#removeAll(ending, 'signOut')
      this.#inHand = inHandOf({ context: this.context, form: this.#form }, found)
      return found
    })
  }

  regenerate(): Promise<void> {
    return this.#queue.take(async () => {
      const inHand = this.#inHand
      try {
        await this.#end({ inHand, reason: 'regenerate' })
        // The cookies found sessions of several users, so none was taken. End them all: Passport begins a sign-in so.
        if (this.#client === undefined && this.#others.length > 0)
          await this.#removeAll(this.#others, 'regenerate')
      } finally {
        // Not if it did not end, or if a handler that did not wait has begun another session already.
        if (inHand.state.kind === 'ended' && inHand === this.#inHand) this.startNew()
      }
    })
  }

  destroy(): Promise<void> {
    // Remember the session now: when its turn comes, another one may have begun.
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
      // The session that is current when the turn comes.
      const current = this.#inHand
      await storeHeld(this, current)
      return current
    })
    // `save()` reports it, but the commit does not fail: nothing is lost that could have been kept.
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
    // Not tried again if it fails: no stored session is left.
    if (!wasStored && token !== undefined) await this.form.endUnstored?.(token)
  }

  /**
   * Refuses to end a session that was found by an old token: its holder may be the one whom the rotation was to lock
   * out. It throws, because otherwise a page could tell users that they are signed out while they are not.
   */
  #assertMayEnd({ inHand }: Ended): void {
    const { state } = inHand
    if (openPart(state)?.kind !== 'former') return
    // Do not try again: otherwise the changes of an error page could not be stored.
    if ('of' in state) inHand.state = { ...state, kind: 'left' }
    this.#forget(inHand)
    throw tokenReplaced()
  }

  #forget(inHand: InHand): void {
    this.#endings = this.#endings.filter((planned) => planned.inHand !== inHand)
  }

  /** @returns whether the session was stored. */
  async #remove(ending: Ended): Promise<boolean> {
    const { inHand, reason } = ending
    this.#assertMayEnd(ending)
    let result: EndedSession
    try {
      this.assertAvailable()
      result = await removeStored(this, inHand, reason)
    } catch (error) {
      // The commit tries again, and fails if that fails: the handler may not have waited for this call.
      this.#plan(ending)
      throw error
    }
    if (result === 'ended') this.#hasEnded = true
    // A later save of this session stores nothing. Callers that go on with it set a new state.
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

/** Whether frameworks would take what was thrown for a wish to go on: `next(undefined)` and `next('route')` of Express. */
function isNoError(thrown: unknown): boolean {
  return !thrown || thrown === 'route' || thrown === 'router'
}

/** Warns of a failed call that nobody awaits. The response had begun, so no commit can fail with its error. */
function warnUnlessAwaited({ method, error, promise }: FailedCall): void {
  if (promise.isAwaited) return
  const code = error instanceof SessionError ? error.code : 'an error'
  warnOnce(
    'COATCHECK_NOT_AWAITED',
    `req.session.${method}() failed with ${code} after the response had begun, and nothing awaits it. Call and await it before the response.`,
  )
}

function inHandOf(reading: Reading, found: Found): InHand {
  return new InHand(stateOf(reading, found), found.root)
}

function stateOf(reading: Reading, { token, record, place }: Found): Live | Former {
  return foundState(reading, token, record, place)
}

/** The user of a session that was found by a token. */
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
