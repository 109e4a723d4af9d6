import { jitter, mostAttempts } from './attempts.js'
import { type ContentWrite, recordAfter, referenceTo } from './content-write.js'
import { changedTooOften, headersSent } from './errors.js'
import { mergeRecords, restore } from './merge-records.js'
import type { SessionRecord } from './record.js'
import type { RequestSession } from './session.js'
import type { SessionForm } from './session-form.js'
import type { Standing } from './standing.js'
import type { WriteResult } from './store.js'
import type { WorkContext } from './work-context.js'

/** Why there is still something to store after a write; `'storedBefore'`: an earlier one, whose answer was lost, had stored it. */
type Hindrance = Exclude<WriteResult, 'done'> | 'storedBefore'

/** What an update gave, and what the session holds by it. */
interface Changed<Result> {
  readonly value: Result
  readonly held: Uint8Array
}

/** Where the session is by now: in hand, or not there any more, or with somebody else, under a token that is not this request's. */
type Whereabouts = 'here' | 'ended' | 'moved'

/** Brings the store in line with how a session stands: writes, and where others were faster, merges and writes again. */
export class Storing {
  readonly #context: WorkContext
  readonly #form: SessionForm
  readonly #standing: Standing
  /** What was seen and held here when something was stored into a session that had got another token. */
  #beforeMerge:
    | {
        readonly seen: SessionRecord
        readonly held: Uint8Array
        /** What an `update` made of what was held. */
        readonly changed?: Uint8Array
      }
    | undefined

  constructor(context: WorkContext, form: SessionForm, standing: Standing) {
    this.#context = context
    this.#form = form
    this.#standing = standing
  }

  /** @param encoded what the session holds, where that was encoded in this very moment */
  async store(encoded?: Uint8Array): Promise<void> {
    const isNow = !this.#standing.carried
    if (!isNow) await this.#dropWhatEnded()
    const hindrance = await this.#write((isNow && encoded) || this.#standing.encoded())
    // Others are at this session too: those of this process go on one after the other, not all in each other's way.
    if (hindrance) await this.#inTurn(() => this.#storeAgain(hindrance))
  }

  /** Finds out what became of writes without an answer, if there are any: before what goes on from them gets another token, or ends. */
  async settle(): Promise<void> {
    const { unanswered } = this.#standing
    if (this.#standing.tokens.chosen) await this.#takeOver()
    if (unanswered && !(await this.#storedBefore(unanswered))) this.#standing.unanswered = undefined
  }

  async #storeAgain(first: Hindrance): Promise<void> {
    let hindrance: Hindrance | undefined = first
    try {
      for (let attempt = 1; attempt <= mostAttempts; attempt++) {
        if (!(await this.#giveWay(hindrance))) return
        hindrance = await this.#write(this.#standing.encoded())
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
      if (this.#standing.carried) await this.#dropWhatEnded()
      let seen: Changed<Result> | undefined
      try {
        for (let attempt = 1; attempt <= mostAttempts; attempt++) {
          if (this.#standing.state !== 'open') return undefined
          const before = this.#standing.encoded()
          const changed = this.#changed(session, change, before)
          // What it made of what came after a rotation is not for a request with the token from before that.
          if (!this.#beforeMerge) seen = changed
          const hindrance = await this.#writeChange(changed.held, before)
          if (!hindrance) return { value: seen!.value }
          if (!(await this.#giveWay(hindrance))) return undefined
          if (this.#beforeMerge) this.#beforeMerge = { ...this.#beforeMerge, changed: seen!.held }
          await jitter(attempt)
        }
      } finally {
        this.#unmerge()
      }
      throw changedTooOften(mostAttempts)
    })
  }

  /**
   * @param data what the session holds
   * @param before what to put back into it if that is not what was stored
   */
  async #writeChange(data: Uint8Array, before: Uint8Array): Promise<Hindrance | undefined> {
    const { signedIn } = this.#standing
    try {
      return await this.#write(data, before)
    } catch (error) {
      // Who goes on with the session must not store later what was worked out from data that is old by then.
      if (this.#standing.signedIn === signedIn) this.#putBack(before)
      if (this.#standing.unanswered?.at(-1)?.type === 'update') this.#standing.unanswered = undefined
      throw error
    }
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const key = this.#standing.record?.key
    return key === undefined ? act() : this.#context.inTurn(key, act)
  }

  #changed<Result>(
    session: RequestSession,
    change: (session: RequestSession) => Result,
    before: Uint8Array,
  ): Changed<Result> {
    try {
      const value = change(session)
      if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function')
        return { value, held: this.#standing.encoded() }
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
    const { session, record } = this.#standing
    if (session) restore(this.#context, this.#form, session, { ...record!, data })
  }

  /**
   * Stores what has to be, if the session's data is this.
   * @param undo what to put back into the session if that is not what was stored
   */
  async #write(data: Uint8Array, undo?: Uint8Array): Promise<Hindrance | undefined> {
    const decision = this.#standing.decide(data)
    if (!decision) return undefined
    if (decision === 'touch') {
      await this.#touchRecord(this.#standing.record!, data)
      return undefined
    }
    this.#standing.assertAvailable()
    if (this.#standing.headersOut && decision !== 'update') throw headersSent()
    const write = this.#contentWrite(decision, data)
    const { publicId, unanswered } = this.#standing
    this.#standing.unanswered = unanswered ? [...unanswered, write] : [write]
    const result = await this.#context.write(write, publicId)
    if (result === 'done') {
      await this.#stored(write)
      return undefined
    }
    if (undo) this.#putBack(undo)
    if (unanswered && (await this.#storedBefore(unanswered))) return 'storedBefore'
    this.#standing.unanswered = undefined
    return result
  }

  /** Goes on from what writes without an answer stored, if one of them did. */
  async #storedBefore(unanswered: readonly ContentWrite[]): Promise<boolean> {
    const { record, session } = this.#standing
    const write = unanswered.at(-1)!
    const key = write.type === 'update' ? write.key : this.#context.keyOf(this.#standing.tokens.current)
    const found = await this.#context.find(key)
    if (!found) return false
    const stored = this.#context.open(found) ?? found
    const isOurs = unanswered.some((each) => isResultOf(each, stored))
    // Stores that know sessions by token may give one that was just inserted another publicId.
    if (found.publicId !== this.#standing.publicId && !(isOurs && write.type === 'insert')) return false
    // Under the same token it may be anybody's.
    if (write.type === 'update' && !isOurs) return false
    if (!isOurs && session && record) mergeRecords(this.#context, this.#form, session, record, stored)
    await this.#stored(write, stored)
    return true
  }

  /** @returns whether there is something left to store: the session in hand holds it then */
  async #giveWay(hindrance: Hindrance): Promise<boolean> {
    if (hindrance === 'storedBefore') return true
    if (hindrance === 'exists') {
      if (!this.#standing.tokens.chosen || !(await this.#takeOver())) this.#standing.tokens.plan()
    } else {
      const whereabouts = await this.#takeInFresh()
      if (whereabouts === 'here') return true
      if (!this.#standing.signedIn) {
        this.#standing.state = 'gone'
        this.#standing.record = undefined
        this.#standing.tokens.forget()
        return false
      }
      this.#startAnew(whereabouts)
    }
    return true
  }

  /** Finds the session whose token the app has chosen: what is in hand goes in the place of what that holds. */
  async #takeOver(): Promise<boolean> {
    const found = await this.#context.find(this.#context.keyOf(this.#standing.tokens.current))
    if (!found) return false
    this.#standing.record = this.#standing.owned(this.#context.open(found) ?? found)
    this.#standing.userId = this.#standing.record.userId
    this.#standing.tokens.store()
    return true
  }

  #contentWrite(decision: 'insert' | 'update' | 'rotate', data: Uint8Array): ContentWrite {
    this.#context.assertFits(data)
    const content = {
      userId: this.#standing.userId,
      data,
      lifetime: this.#form.lifetime(this.#standing.session),
    }
    const signedIn = this.#standing.signedIn
    if (decision === 'insert') {
      return {
        type: 'insert',
        key: this.#context.keyOf(this.#standing.tokens.current),
        publicId: this.#standing.publicId,
        signedIn,
        ...content,
      }
    }
    const { key, version } = this.#standing.record!
    if (decision === 'update') return { type: 'update', key, version, ...content }
    const grace = this.#context.rotationGrace
    return {
      type: 'rotate',
      key,
      newKey: this.#context.keyOf(this.#standing.tokens.current),
      version,
      signedIn,
      grace,
      ...content,
    }
  }

  async #stored(
    write: ContentWrite,
    record = recordAfter(write, this.#standing.record, this.#standing.publicId),
  ): Promise<void> {
    if (this.#standing.signedIn) await this.#stand(record)
    this.#standing.record = record
    if (write.type !== 'update') this.#standing.tokens.store()
    this.#standing.unanswered = undefined
    this.#standing.carried = undefined
    this.#standing.touched = false
    this.#standing.saved = true
    this.#standing.signedIn = false
    this.#standing.userDue = false
    const reference = referenceTo(record)
    if (write.type === 'insert') this.#context.announce('created', reference)
    if (write.type === 'rotate') this.#context.announce('rotated', reference)
    this.#context.announce('committed', { ...reference, version: record.version })
    this.#hideWhatCameAfter()
  }

  /**
   * Ends what was just stored if it may not stay. Nobody has been told its token; nor is anybody where the store does not
   * answer, so there it may lie until the commit is tried again. Not removed then: a removal that arrives late would end
   * what that goes on from.
   */
  async #stand({ publicId, userId, key }: SessionRecord): Promise<void> {
    const refusal = await this.#context.signInRefusal({
      userId: userId!,
      publicId,
      wasTheirs: this.#standing.record?.userId === userId,
      readAt: this.#standing.readAt,
      begunAt: this.#standing.begunAt,
    })
    if (!refusal) return
    this.#beforeMerge = undefined
    this.#standing.becomeEmpty()
    // It is not told if this fails: what is told already is that the sign-in failed.
    await this.#context.write({ type: 'remove', key }).catch(() => undefined)
    throw refusal
  }

  /** What a request with a former token stored stands in the session, but it sees of that what it saw before. */
  #hideWhatCameAfter(): void {
    const before = this.#beforeMerge
    if (!before || !this.#standing.record) return
    this.#beforeMerge = undefined
    const { key, authenticatedAt } = before.seen
    const data = before.changed ?? before.held
    this.#standing.record = { ...this.#standing.record, key, authenticatedAt, data }
    this.#putBack(data)
  }

  /** What a request with a former token took in, and then did not store, it never saw. */
  #unmerge(): void {
    const before = this.#beforeMerge
    if (!before) return
    this.#beforeMerge = undefined
    if (this.#standing.record) this.#standing.record = before.seen
    this.#putBack(before.held)
  }

  /** A failed touch shortens a session by a little; it must not fail the request. The engine has told the event. */
  async #touchRecord(record: SessionRecord, data: Uint8Array): Promise<void> {
    this.#standing.touched = false
    const lifetime = this.#form.lifetime(this.#standing.session)
    try {
      // Gone: a parallel request has moved or ended it, and no response of this one may bring its token back to the browser.
      if ((await this.#context.touch(record, data, lifetime)) === 'gone') this.#standing.unconfirmed = true
    } catch {
      // Not in this request again: the store has just shown that it is not well.
      this.#standing.unconfirmed = true
    }
    this.#standing.record &&= { ...this.#standing.record, seenAt: this.#standing.record.readAt }
  }

  /** Takes in what others stored since, unless the session has ended, or is another's by now. */
  async #takeInFresh(): Promise<Whereabouts> {
    const base = this.#standing.record!
    const found = await this.#context.follow(base.key)
    if (!found) return 'ended'
    // Another session has this one's former key only if somebody put it there.
    if (found.former && found.publicId !== base.publicId) return 'ended'
    const fresh = this.#standing.owned(this.#context.open(found) ?? found)
    if (this.#standing.signedIn) {
      // As in `signIn`: a session of its own.
      if (fresh.former) return 'moved'
    } else {
      // Nothing that began before a sign-in writes into what came of it, be it the same user's.
      if (fresh.userId !== base.userId || isAfterSignIn(fresh)) return 'moved'
      this.#standing.userId = fresh.userId
    }
    if (fresh.former) {
      this.#standing.former = true
      this.#standing.tokens.unplan()
      this.#beforeMerge ??= { seen: base, held: this.#standing.encoded() }
    }
    if (this.#standing.session) mergeRecords(this.#context, this.#form, this.#standing.session, base, fresh)
    this.#standing.record = fresh
    return 'here'
  }

  /**
   * The session ended, or moved, while somebody signed in on it. The sign-in stands, on a session of its own. Nothing of an
   * ended one comes back: then that holds only what this request put there.
   */
  #startAnew(whereabouts: 'ended' | 'moved'): void {
    const { userId, record } = this.#standing
    if (whereabouts === 'ended') this.#dropAllBut(record)
    if (whereabouts === 'moved') this.#standing.carryOn()
    else this.#standing.becomeNew()
    this.#standing.userId = userId
    this.#standing.signedIn = true
  }

  /** What is carried over from a session that a parallel request moved is dropped if it has ended since. */
  async #dropWhatEnded(): Promise<void> {
    const { carried } = this.#standing
    if (carried && (await this.#context.follow(carried.key))) return
    this.#dropAllBut(carried)
    this.#standing.carried = undefined
  }

  /** Leaves in hand what this request put there, and nothing of the session that it began from. */
  #dropAllBut(base: SessionRecord | undefined): void {
    const { session } = this.#standing
    if (session && base) mergeRecords(this.#context, this.#form, session, base, undefined)
  }
}

/** Whether the rotation that it was found across was a sign-in. */
function isAfterSignIn({ former, authenticatedAt }: SessionRecord): boolean {
  return former !== undefined && former.authenticatedAt !== authenticatedAt
}

/** Whether a record, as it was just found, is what this write made of it. */
function isResultOf(write: ContentWrite, { version, userId, data }: SessionRecord): boolean {
  const isNext = write.type === 'insert' || version !== write.version
  return isNext && userId === write.userId && Buffer.compare(data, write.data) === 0
}
