import { randomBytes } from 'node:crypto'
import { jitter, mostAttempts } from './attempts.ts'
import { type ContentWrite, recordAfter, referenceTo } from './content-write.ts'
import { changedTooOften, headersSent, type SessionError } from './errors.ts'
import { mergeRecords } from './merge-records.ts'
import type { SessionKey, SessionRecord } from './record.ts'
import type { RequestSession, Session } from './session.ts'
import type { SessionForm } from './session-form.ts'
import { SessionTokens } from './session-tokens.ts'
import type { WriteResult } from './store.ts'
import type { WorkContext } from './work-context.ts'

/** Why there is still something to store after a write; `'storedBefore'`: an earlier one, whose answer was lost, had stored it. */
type Hindrance = Exclude<WriteResult, 'done'> | 'storedBefore'
type Decision = 'insert' | 'update' | 'rotate' | 'touch' | undefined

/**
 * How one session stands in one request: in hand, in the store and in the browser; and the steps that bring these in
 * line. Which of them is taken, and when, is for the unit of work to say.
 */
export class Standing {
  readonly #context: WorkContext
  readonly #form: SessionForm
  readonly #unavailable: SessionError | undefined
  readonly tokens: SessionTokens
  /** The record as it was last read or stored. */
  record: SessionRecord | undefined
  /** The session in hand, once it was opened. */
  session: Session | undefined
  /** Whose it is, or will be with the next commit. */
  userId: string | undefined
  state: 'open' | 'ended' | 'gone' | 'left' = 'open'
  /** The session has got another token by a parallel request: what is seen of it here is what it was before. */
  former: boolean
  regenerated = false
  /** The content was stored here. */
  saved = false
  /** The user has proved who they are, which is still to be stored. */
  signedIn = false
  touched = false
  headersOut = false
  /** When the session was found, by the store's clock; where it was not, when this began, by this process's. */
  #readAt: number | undefined
  readonly #begunAt: number
  /** What was seen and held here when something was stored into a session that had got another token. */
  #beforeMerge: { readonly seen: SessionRecord; readonly held: Uint8Array } | undefined
  /** The token that a write was to store, while no answer says whether it did. */
  #unanswered: string | undefined
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
    this.#readAt = record?.readAt
    this.#begunAt = record ? 0 : performance.now()
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
    if (!data) this.becomeNew()
    return data ?? {}
  }

  /** Takes the record as it was found anew, in place of what is in hand. */
  reload(fresh: SessionRecord, key: SessionKey): void {
    this.former ||= fresh.former !== undefined
    this.record = fresh.former ? asItWas(fresh, key) : fresh
    this.#readAt = fresh.readAt
    this.userId = this.record.userId
    this.tokens.unplan()
    this.signedIn = false
    if (this.session) this.#form.refill(this.session, this.readData())
  }

  assertAvailable(): void {
    if (this.#unavailable) throw this.#unavailable
  }

  /** Goes on with no stored session, and none in the browser that would be good for it. */
  becomeNew(): void {
    this.state = 'open'
    this.former = false
    this.#beforeMerge = undefined
    this.regenerated = false
    this.record = undefined
    this.tokens.forget()
    this.#nextPublicId = undefined
    this.userId = undefined
    this.signedIn = false
  }

  becomeEmpty(): void {
    this.becomeNew()
    if (this.session) this.#form.refill(this.session, {})
  }

  /** What is in hand, as it would be stored. */
  encoded(): Uint8Array {
    if (this.session) return this.#context.encode(this.#form.dataOf(this.session))
    return this.record?.data ?? this.#context.encode({})
  }

  /** What has to be stored, if the session's data is this. */
  decide(data: Uint8Array): Decision {
    // An id that is no text, as an app's own generator may give, is neither stored nor sent.
    if (this.state !== 'open' || typeof this.tokens.current !== 'string') return undefined
    if (!this.record) return this.#isWorthKeeping() ? 'insert' : undefined
    if (this.tokens.planned) return 'rotate'
    if (this.userId !== this.record.userId) return 'update'
    if (this.#form.keepsUnchanged && !this.saved) return 'update'
    if (this.session && this.#form.differs(this.session, data, this.record)) return 'update'
    return this.touchDue ? 'touch' : undefined
  }

  #isWorthKeeping(): boolean {
    if (this.userId !== undefined || this.#form.keepsEmpty(this.regenerated)) return true
    if (!this.session) return false
    return Object.keys(this.#form.visible(this.#form.dataOf(this.session))).length > 0
  }

  /** @param encoded what the session holds, where that was encoded in this very moment */
  async store(encoded?: Uint8Array): Promise<void> {
    const hindrance = await this.#write(encoded ?? this.encoded())
    // Others are at this session too: those of this process go on one after the other, not all in each other's way.
    if (hindrance) await this.#inTurn(() => this.#storeAgain(hindrance))
  }

  async #storeAgain(first: Hindrance): Promise<void> {
    let hindrance: Hindrance | undefined = first
    try {
      for (let attempt = 1; attempt <= mostAttempts; attempt++) {
        if (!(await this.#giveWay(hindrance))) return
        hindrance = await this.#write(this.encoded())
        if (!hindrance) return
        await jitter(attempt)
      }
    } finally {
      this.#unmerge()
    }
    throw changedTooOften(mostAttempts)
  }

  /** @returns what `change` gave; `undefined` if the session has ended */
  storeChange<Result>(
    session: RequestSession,
    change: (session: RequestSession) => Result,
  ): Promise<{ readonly value: Result } | undefined> {
    return this.#inTurn(async () => {
      try {
        for (let attempt = 1; attempt <= mostAttempts; attempt++) {
          if (this.state !== 'open') return undefined
          const before = this.encoded()
          const value = this.#changed(session, change, before)
          const hindrance = await this.#writeChange(before)
          if (!hindrance) return { value }
          if (!(await this.#giveWay(hindrance))) return undefined
          await jitter(attempt)
        }
      } finally {
        this.#unmerge()
      }
      throw changedTooOften(mostAttempts)
    })
  }

  /** @param before what to put back into the session if what it holds now is not what was stored */
  async #writeChange(before: Uint8Array): Promise<Hindrance | undefined> {
    const { signedIn } = this
    try {
      return await this.#write(this.encoded(), before)
    } catch (error) {
      // Who goes on with the session must not store later what was worked out from data that is old by then.
      if (this.signedIn === signedIn) this.#putBack(before)
      throw error
    }
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const key = this.record?.key
    return key === undefined ? act() : this.#context.inTurn(key, act)
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
    if (this.session) this.#form.refill(this.session, this.#context.decode({ ...this.record!, data }) ?? {})
  }

  /**
   * Stores what has to be, if the session's data is this.
   * @param undo what to put back into the session if that is not what was stored
   */
  async #write(data: Uint8Array, undo?: Uint8Array): Promise<Hindrance | undefined> {
    const decision = this.decide(data)
    if (!decision) return undefined
    if (decision === 'touch') {
      await this.#touchRecord(this.record!, data)
      return undefined
    }
    this.assertAvailable()
    if (this.headersOut && decision !== 'update') throw headersSent()
    const write = this.#contentWrite(decision, data)
    const token = this.tokens.current
    const again = write.type !== 'update' && this.#unanswered === token
    if (write.type !== 'update') this.#unanswered = token
    const result = await this.#context.write(write)
    if (result === 'done') {
      await this.#stored(write)
      return undefined
    }
    if (undo) this.#putBack(undo)
    if (again && (await this.#storedBefore(write))) return 'storedBefore'
    this.#unanswered = undefined
    return result
  }

  /** Goes on from what an earlier write of the same token stored, if it did although its answer never came. */
  async #storedBefore(write: ContentWrite): Promise<boolean> {
    const found = await this.#context.find(this.#context.keyOf(this.tokens.current))
    if (found?.publicId !== this.publicId) return false
    const stored = this.#context.open(found) ?? found
    if (this.session && this.record)
      mergeRecords(this.#context, this.#form, this.session, this.record, stored)
    await this.#stored(write, stored)
    return true
  }

  /** @returns whether there is something left to store: the session in hand holds it then */
  async #giveWay(hindrance: Hindrance): Promise<boolean> {
    if (hindrance === 'storedBefore') return true
    if (hindrance === 'exists') this.tokens.plan()
    else if (!(await this.#takeInFresh())) {
      if (!this.signedIn) {
        this.state = 'gone'
        this.record = undefined
        this.tokens.forget()
        return false
      }
      this.#startAnew()
    }
    return true
  }

  #contentWrite(decision: 'insert' | 'update' | 'rotate', data: Uint8Array): ContentWrite {
    this.#context.assertFits(data)
    const content = { userId: this.userId, data, lifetime: this.#form.lifetime(this.session) }
    const signedIn = this.signedIn
    if (decision === 'insert') {
      return {
        type: 'insert',
        key: this.#context.keyOf(this.tokens.current),
        publicId: this.publicId,
        signedIn,
        ...content,
      }
    }
    const { key, version } = this.record!
    if (decision === 'update') return { type: 'update', key, version, ...content }
    const grace = this.#context.rotationGrace
    return {
      type: 'rotate',
      key,
      newKey: this.#context.keyOf(this.tokens.current),
      version,
      signedIn,
      grace,
      ...content,
    }
  }

  async #stored(write: ContentWrite, record = recordAfter(write, this.record, this.publicId)): Promise<void> {
    if (this.signedIn) await this.#stand(record)
    this.record = record
    if (write.type !== 'update') this.tokens.store()
    this.#unanswered = undefined
    this.touched = false
    this.saved = true
    this.signedIn = false
    const reference = referenceTo(record)
    if (write.type === 'insert') this.#context.announce('created', reference)
    if (write.type === 'rotate') this.#context.announce('rotated', reference)
    this.#context.announce('committed', { ...reference, version: record.version })
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
      begunAt: this.#begunAt,
    })
    if (!refusal) return
    this.becomeEmpty()
    // It is not told if this fails: what is told already is that the sign-in failed.
    await this.#context.write({ type: 'remove', key }).catch(() => undefined)
    throw refusal
  }

  /** What a request with a former token stored stands in the session, but it sees of that what it saw before. */
  #hideWhatCameAfter(): void {
    const before = this.#beforeMerge
    if (!before || !this.record) return
    this.#beforeMerge = undefined
    const { key, authenticatedAt } = before.seen
    this.record = { ...this.record, key, authenticatedAt, data: before.held }
    this.#putBack(before.held)
  }

  /** What a request with a former token took in, and then did not store, it never saw. */
  #unmerge(): void {
    const before = this.#beforeMerge
    if (!before) return
    this.#beforeMerge = undefined
    if (this.record) this.record = before.seen
    this.#putBack(before.held)
  }

  /** A failed touch shortens a session by a little; it must not fail the request. The engine has told the event. */
  async #touchRecord(record: SessionRecord, data: Uint8Array): Promise<void> {
    this.touched = false
    const lifetime = this.#form.lifetime(this.session)
    try {
      await this.#context.touch(record, data, lifetime)
    } catch {
      // Not in this request again: the store has just shown that it is not well.
    }
    this.record &&= { ...this.record, seenAt: this.record.readAt }
  }

  /** Takes in what others stored since; false if the session has ended, or is another's by now. */
  async #takeInFresh(): Promise<boolean> {
    const base = this.record!
    const found = await this.#context.find(base.key)
    if (!found) return false
    const fresh = this.#context.open(found) ?? found
    if (this.signedIn) {
      // As in `signIn`: a session of its own.
      if (fresh.former) return false
    } else {
      // Nothing that began before a sign-in writes into what came of it.
      if (fresh.userId !== base.userId) return false
      this.userId = fresh.userId
    }
    if (fresh.former) {
      this.former = true
      this.tokens.unplan()
      this.#beforeMerge ??= { seen: base, held: this.encoded() }
    }
    if (this.session) mergeRecords(this.#context, this.#form, this.session, base, fresh)
    this.record = fresh
    return true
  }

  /**
   * The session ended while somebody signed in on it. The sign-in stands, on a session of its own that
   * holds only what this request put there: nothing of an ended session comes back.
   */
  #startAnew(): void {
    const userId = this.userId
    if (this.session && this.record) {
      mergeRecords(this.#context, this.#form, this.session, this.record, undefined)
    }
    this.becomeNew()
    this.userId = userId
    this.signedIn = true
  }
}

/** A record that was found by a former key, as it was then: under that key, which nothing but a look finds it by. */
function asItWas(record: SessionRecord, key: SessionKey): SessionRecord {
  return { ...record, ...record.former, key }
}
