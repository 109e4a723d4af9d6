import { mostAttempts } from '../attempts.js'
import { changedTooOften, optionError, refuseUnknownOptions, SessionError } from '../errors.js'
import type { EndReason } from '../events.js'
import { type SessionData, sessionWork, type SessionWork } from '../session/session.js'
import type { WorkContext } from '../session/work-context.js'
import { type ListedRecord, publicIdOf, type SessionId } from '../store/record.js'
import { createMark } from '../store/mark.js'
import { nextTurn } from '../scheduling.js'
import { Slices } from '../slices.js'
import type { SessionStore } from '../store/session-store.js'
import { isOwnToken, isSessionId } from '../token.js'
import { rememberRevocation } from './sign-in.js'

/** One live session as a listing shows it. */
export interface SessionInfo {
  readonly publicId: string
  readonly userId: string | undefined
  readonly createdAt: Date
  /** When the user signed in here, or proved again who they are. */
  readonly authenticatedAt: Date | undefined
  readonly seenAt: Date
  readonly expiresAt: Date
  /** A copy; changing it changes nothing. Empty if the record cannot be read. */
  readonly data: Readonly<Partial<SessionData>>
}

const pageSize = 1_000
const pageSizeWithData = 20

/** The sessions that one user is signed in with, over all apps and browsers. From `sessions.user(id)`. */
export class UserSessions {
  readonly #userId: string
  readonly #store: SessionStore
  readonly #context: WorkContext

  /** @internal */
  constructor(userId: string, store: SessionStore, context: WorkContext) {
    this.#userId = userId
    this.#store = store
    this.#context = context
  }

  /**
   * All live sessions of the user, the one seen last first.
   * @throws ERR_SESSION_STORE_UNAVAILABLE
   */
  async list(): Promise<SessionInfo[]> {
    const slices = new Slices()
    const infos: SessionInfo[] = []
    for await (const page of this.#pages(true)) {
      for (const record of page) {
        await slices.before(record.data!.length)
        infos.push(this.#infoOf(record))
      }
    }
    return infos.sort((one, other) => other.seenAt.getTime() - one.seenAt.getTime())
  }

  #infoOf(record: ListedRecord): SessionInfo {
    return {
      publicId: publicIdOf(record),
      userId: record.userId,
      createdAt: new Date(record.createdAt),
      authenticatedAt: record.authenticatedAt === undefined ? undefined : new Date(record.authenticatedAt),
      seenAt: new Date(record.seenAt),
      expiresAt: new Date(record.expiresAt),
      data: this.#dataOf(record),
    }
  }

  #dataOf(record: ListedRecord): Partial<SessionData> {
    const { data } = record
    return (data && this.#context.decode({ ...record, data, marks: undefined })) ?? {}
  }

  /**
   * Ends one session of the user, in every app, before the promise resolves.
   * @returns whether there was such a session; never touches another user's
   * @throws ERR_SESSION_STORE_UNAVAILABLE, ERR_SESSION_STORE_TIMEOUT, ERR_SESSION_STORE_BUSY, ERR_SESSION_CONFLICT
   */
  revoke(publicId: string): Promise<boolean> {
    return this.end(publicId, 'revoke')
  }

  /** @internal */
  async end(publicId: string, reason: EndReason): Promise<boolean> {
    const userId = this.#userId
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const id = await this.#idOf(publicId)
      if (id === undefined) return false
      const result = await this.#context.write({ type: 'remove', id, userId })
      if (result === 'done') {
        this.#context.announce('destroyed', { publicId, userId, reason })
        return true
      }
      if (!this.#context.tokensAreKeys) return false
    }
    throw new SessionError(
      'ERR_SESSION_CONFLICT',
      'The session is listed, but cannot be ended: it was rotated again and again meanwhile, or the database answers from a copy that lags behind. Let the store read from the primary.',
      { status: 503 },
    )
  }

  /** Where tokens are keys, it has to be looked for, and may move under us by a rotation: then it is looked for again. */
  async #idOf(publicId: string): Promise<SessionId | undefined> {
    if (!this.#context.tokensAreKeys) return isSessionId(publicId) ? publicId : undefined
    return (await this.records()).find((record) => publicIdOf(record) === publicId)?.id
  }

  /**
   * Ends all sessions of the user, in every app, before the promise resolves. Those too that begin with a sign-in
   * whose request began before this: it may have gone by a password that is no longer good.
   *
   * A session in hand that is spared gets a new token first, so that whoever else holds its token is out as well. That has to be before the
   * response's first byte, and stores what the session holds. If the request came with a token that was replaced before, nobody can tell
   * who holds the new one: then this session ends as well, unless the request has called `signIn` first, for a fresh proof.
   *
   * No session that is spared has a grace any more (`rotationGrace`): no token from before a rotation leads on.
   *
   * @param options.except the one to leave: a session in hand, or the publicId of one, which keeps its token
   * @returns how many were ended
   * @throws (by the promise) ERR_SESSION_OPTION for a token in place of a publicId, and for an option that there is not;
   *   ERR_SESSION_HEADERS_SENT
   * @example
   * // After a change of password, for which the user has given the old one again:
   * await req.session.signIn(user.id)
   * await sessions.user(user.id).revokeAll({ except: req.session })
   */
  async revokeAll(
    options: { readonly except?: { readonly publicId: string } | string } = {},
  ): Promise<number> {
    refuseUnknownOptions('revokeAll', options, ['except'])
    const except = await this.#spared(options.except)
    await rememberRevocation(this.#context, this.#userId, except)
    const ended = new Set<string>()
    let count = 0
    // Looked at again until none is left: where tokens are keys, one that moves meanwhile may be where the store has looked already.
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const left = (await this.records()).map(publicIdOf).filter((publicId) => publicId !== except)
      if (left.length === 0) {
        for (const publicId of ended)
          this.#context.announce('destroyed', { publicId, userId: this.#userId, reason: 'revoke' })
        return count
      }
      for (const publicId of left) ended.add(publicId)
      count += await this.#context.asking('ending sessions', () =>
        this.#store.removeByUser(this.#userId, except),
      )
    }
    throw changedTooOften(mostAttempts)
  }

  async #spared(except: { readonly publicId: string } | string | undefined): Promise<string | undefined> {
    const work =
      typeof except === 'object' ? (except as { [sessionWork]?: SessionWork })[sessionWork] : undefined
    // One that was lost to whoever holds its token now ends like the others.
    if (work && !(await work.claim(this.#userId))) return undefined
    const publicId = typeof except === 'object' ? except.publicId : except
    if (publicId !== undefined && isOwnToken(publicId)) {
      throw optionError(
        'except is no publicId but the token of a session, which is a secret. Give req.session, or its publicId.',
      )
    }
    if (publicId !== undefined && !work) await this.#endGrace(publicId)
    return publicId
  }

  /** Ends what the token from before its last rotation leads to, and leaves the session its token. */
  async #endGrace(publicId: string): Promise<void> {
    const context = this.#context
    // Where tokens are keys there is no grace.
    if (context.tokensAreKeys || !isSessionId(publicId)) return
    const id = publicId
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const found = await context.find(id)
      const record = found && context.open(found)
      if (record?.hash === undefined || record.userId !== this.#userId) return
      // Where this app gives no grace, it does not see another app's.
      if (record.former === undefined && context.rotationGrace > 0) return
      const { userId, hash, data, format, version } = record
      // The same secret anew, without a grace: that is what stores drop the former one by. The expiry stays where it is.
      const secret = { hash, signedIn: false, grace: 0 }
      const life = record.expiresAt - record.createdAt
      const lifetime = { idle: life, absolute: life }
      const write = { userId, data, format, version, mark: createMark(), secret, lifetime }
      if ((await context.write({ type: 'update', id, ...write }, hash)) !== 'stale') return
    }
    throw changedTooOften(mostAttempts)
  }

  /** @internal Without their data. */
  async records(): Promise<ListedRecord[]> {
    const records: ListedRecord[] = []
    for await (const page of this.#pages(false)) records.push(...page)
    return records
  }

  async *#pages(data: boolean): AsyncGenerator<readonly ListedRecord[]> {
    let after: string | undefined
    do {
      const query = { userId: this.#userId, after, limit: data ? pageSizeWithData : pageSize, data }
      const page = await this.#context.asking('listing sessions', () => this.#store.list(query))
      yield page.items
      after = page.next
      // A store in this process answers within the turn, and there may be hundreds of pages.
      if (after !== undefined) await nextTurn()
    } while (after !== undefined)
  }
}
