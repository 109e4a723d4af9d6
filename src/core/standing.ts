import { randomBytes } from 'node:crypto'
import type { ContentWrite } from './content-write.js'
import type { SessionError } from './errors.js'
import type { SessionKey, SessionRecord } from './record.js'
import { performance } from './scheduling.js'
import type { Session } from './session.js'
import type { SessionForm } from './session-form.js'
import { SessionTokens } from './session-tokens.js'
import type { WorkContext } from './work-context.js'

type Decision = 'insert' | 'update' | 'rotate' | 'touch' | undefined

/**
 * How one session stands in one request: in hand, in the store and in the browser; and what would have to be stored.
 * What is done about it is for the unit of work to say, and for `Storing` to do.
 */
export class Standing {
  readonly #context: WorkContext
  readonly #form: SessionForm
  readonly #unavailable: SessionError | undefined
  tokens: SessionTokens
  /** The record as it was last read or stored. */
  record: SessionRecord | undefined
  /** The session in hand, once it was opened. */
  session: Session | undefined
  /** Whose it is, or will be with the next commit. */
  userId: string | undefined
  state: 'open' | 'ended' | 'gone' | 'left' = 'open'
  /** The session has got another token by a parallel request: what is seen of it here is what it was before. */
  former: boolean
  /** A touch that was to show that the browser's token is still good did not: it is not to be set again. */
  unconfirmed = false
  regenerated = false
  /** Writes of the content in hand without an answer: each was carried out, or was not. */
  unanswered: readonly ContentWrite[] | undefined
  /** The session, found by a former token, whose data this goes on with in a session of its own: only if it has not ended until that is stored. */
  carried: SessionRecord | undefined
  /** The content was stored here. */
  saved = false
  /** The user has proved who they are, which is still to be stored. */
  signedIn = false
  touched = false
  headersOut = false
  /** The store has another user for the record than its data names, as where an app without `userOf` stored it. */
  userDue = false
  /** What was read names a user by what is no id. */
  #isUnnamable = false
  /** When the session was found, by the store's clock; where it was not, when this began, by this process's. */
  readAt: number | undefined
  begunAt: number
  #nextPublicId: string | undefined

  /** @param token the browser's, if it led to `record` */
  constructor(
    context: WorkContext,
    form: SessionForm,
    token: string | undefined,
    record: SessionRecord | undefined,
    unavailable: SessionError | undefined,
  ) {
    this.#context = context
    this.#form = form
    this.tokens = new SessionTokens(token, form)
    this.former = record?.former !== undefined
    this.record = record?.former ? asItWas(record, context.keyOf(token!)) : record
    this.readAt = record?.readAt
    this.begunAt = record ? 0 : performance.now()
    this.userId = this.record?.userId
    this.#unavailable = unavailable
  }

  get publicId(): string {
    return this.record?.publicId ?? (this.#nextPublicId ??= randomBytes(12).toString('base64url'))
  }

  /** Whether the expiry should move with this request although nothing else changed. */
  get touchDue(): boolean {
    const record = this.record
    // One that this request stored under a new token has its whole life before it.
    if (!record || this.former || this.tokens.action !== 'keep') return false
    return this.touched || record.readAt - record.seenAt >= this.#form.touchAfter(record)
  }

  /** Whether the commit has something to store although the handler never opens the session. */
  get dueUnopened(): boolean {
    const kept = this.record ? this.#form.keepsUnchanged : this.#form.keepsEmpty(false)
    return kept || this.touchDue || this.tokens.planned
  }

  /**
   * Has the record's data decrypted, if it is encrypted: once, because what is in hand is compared with it; before its user is
   * told, whom it vouches for; and before it goes to another key or user, for whom it is encrypted anew.
   */
  decrypt(): void {
    if (!this.record || this.state !== 'open') return
    this.record = this.#context.open(this.record)
    if (!this.record) this.becomeNew()
  }

  /** What the record holds. One that cannot be read is as good as none: signed out, and a new session if one is needed. */
  readData(): Record<string, unknown> {
    this.decrypt()
    if (!this.record) return {}
    const data = this.#context.decode(this.record, (read) => this.#form.accepts(read))
    if (!data) {
      this.becomeNew()
      return {}
    }
    const owned = this.#ownedBy(this.record, data)
    this.userDue = owned !== this.record && !this.former
    this.record = owned
    this.userId = owned.userId
    return data
  }

  /** A record that was read and decrypted, with the user that its data names where the app goes by that. */
  owned(record: SessionRecord): SessionRecord {
    const data = this.#form.userOf && this.#context.decode(record)
    return data ? this.#ownedBy(record, data) : record
  }

  #ownedBy(record: SessionRecord, data: Record<string, unknown>): SessionRecord {
    const { userOf } = this.#form
    if (!userOf) return record
    let userId: string | undefined
    try {
      userId = userOf(data)
    } catch {
      // Not this request's doing, so no reason for it to fail: the session is nobody's.
      this.#isUnnamable = true
    }
    return userId === record.userId ? record : { ...record, userId }
  }

  /**
   * Where the user follows from the data: makes it so. A user who was not there before has just signed in.
   * @throws ERR_SESSION_USER_ID
   */
  followData(data = this.session && this.#form.dataOf(this.session)): void {
    const { userOf } = this.#form
    if (!userOf || !data || this.state !== 'open') return
    let userId: string | undefined
    try {
      userId = userOf(data)
    } catch (error) {
      if (!this.#isUnnamable) throw error
    }
    if (userId === this.userId) return
    const isNew = userId !== undefined && userId !== this.record?.userId
    // As in `signIn`: a session of its own.
    if (isNew && this.former) this.carryOn()
    this.userId = userId
    if (isNew && this.record) this.tokens.plan()
    // Signed in and out again, as by an update() that is undone.
    else if (this.signedIn && this.record) this.tokens.unplan()
    this.signedIn = isNew
  }

  /** Takes the record as it was found anew, in place of what is in hand. */
  reload(fresh: SessionRecord, key: SessionKey): void {
    this.former ||= fresh.former !== undefined
    this.record = fresh.former ? asItWas(fresh, key) : fresh
    this.userId = this.record.userId
    this.tokens.unplan()
    this.signedIn = false
    if (this.session) this.#form.refill(this.session, this.readData())
  }

  assertAvailable(): void {
    if (this.#unavailable) throw this.#unavailable
  }

  /** That of a session which begins in place of this one. What is under way for this one goes on with this. */
  successor(): Standing {
    const next = new Standing(this.#context, this.#form, undefined, undefined, this.#unavailable)
    next.tokens = this.tokens.successor()
    next.headersOut = this.headersOut
    // The request is as old as it was.
    next.readAt = this.readAt
    next.begunAt = this.begunAt
    return next
  }

  /** Goes on with no stored session, and none in the browser that would be good for it. */
  becomeNew(): void {
    this.state = 'open'
    this.former = false
    this.regenerated = false
    this.record = undefined
    this.userDue = false
    this.tokens.forget()
    this.#nextPublicId = undefined
    this.userId = undefined
    this.signedIn = false
    this.unanswered = undefined
    this.carried = undefined
  }

  /** Goes on with the data in hand in a session of its own, beside the one that a parallel request has moved. */
  carryOn(): void {
    const { record } = this
    this.becomeNew()
    this.carried = record
  }

  becomeEmpty(): void {
    this.becomeNew()
    if (this.session) this.#form.refill(this.session, {})
  }

  /** What is in hand, as it would be stored. */
  encoded(): Uint8Array {
    if (this.session) {
      const data = this.#form.dataOf(this.session)
      this.followData(data)
      return this.#context.encode(data)
    }
    return this.record?.data ?? this.carried?.data ?? this.#context.encode({})
  }

  /** What has to be stored, if the session's data is this. */
  decide(data: Uint8Array): Decision {
    // An id that is no text, as an app's own generator may give, is neither stored nor sent.
    if (this.state !== 'open' || typeof this.tokens.current !== 'string') return undefined
    if (!this.record) return this.#isWorthKeeping() ? 'insert' : undefined
    if (this.tokens.planned) return 'rotate'
    // What was perhaps stored may be what the handler has undone since.
    if (this.userId !== this.record.userId || this.userDue || this.unanswered) return 'update'
    if (this.session && this.#form.differs(this.session, data, this.record)) return 'update'
    if (this.#form.keepsUnchanged && !this.saved) return 'update'
    return this.touchDue ? 'touch' : undefined
  }

  #isWorthKeeping(): boolean {
    if (this.userId !== undefined || this.#form.keepsEmpty(this.regenerated)) return true
    if (!this.session) return false
    return Object.keys(this.#form.visible(this.#form.dataOf(this.session))).length > 0
  }
}

/** A record that was found by a former key, as it was then: under that key, which nothing but a look finds it by. */
function asItWas(record: SessionRecord, key: SessionKey): SessionRecord {
  return { ...record, ...record.former, key }
}
