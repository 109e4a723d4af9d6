import { mostAttempts } from './attempts.js'
import { changedTooOften, optionError, refuseUnknownOptions, SessionError } from './errors.js'
import type { EndReason } from './events.js'
import type { SessionRecord } from './record.js'
import type { SessionData } from './session.js'
import { rememberRevocation } from './sign-in.js'
import type { SessionStore } from './store.js'
import type { WorkContext } from './work-context.js'

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

const pageSize = 100
/** What the token of a session looks like. */
const tokenForm = /^[\w-]{36}$/

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
    const records = await this.records()
    return records
      .map((record) => ({
        publicId: record.publicId,
        userId: record.userId,
        createdAt: new Date(record.createdAt),
        authenticatedAt: record.authenticatedAt === undefined ? undefined : new Date(record.authenticatedAt),
        seenAt: new Date(record.seenAt),
        expiresAt: new Date(record.expiresAt),
        data: (this.#context.decode(record) ?? {}) as Partial<SessionData>,
      }))
      .sort((one, other) => other.seenAt.getTime() - one.seenAt.getTime())
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
    // Its key may move under us, by a rotation: then look again, for it must not get away.
    for (let attempt = 1; attempt <= 10; attempt++) {
      const record = (await this.records()).find((candidate) => candidate.publicId === publicId)
      if (!record) return false
      if ((await this.#context.write({ type: 'remove', key: record.key })) === 'done') {
        this.#context.announce('destroyed', { publicId, userId: this.#userId, reason })
        return true
      }
    }
    throw new SessionError(
      'ERR_SESSION_CONFLICT',
      'The session is listed, but cannot be ended: it was rotated ten times meanwhile, or the database answers from a copy that lags behind. Let the store read from the primary.',
      { status: 503 },
    )
  }

  /**
   * Ends all sessions of the user, in every app, before the promise resolves. Those too that begin with a sign-in
   * whose request began before this: it may have gone by a password that is no longer good.
   *
   * @param options.except the one to leave: a session in hand, or its publicId
   * @returns how many were ended
   * @throws (by the promise) ERR_SESSION_OPTION for a token in place of a publicId, and for an option that there is not
   * @example
   * await sessions.user(user.id).revokeAll({ except: req.session })   // after a change of password
   */
  async revokeAll(
    options: { readonly except?: { readonly publicId: string } | string } = {},
  ): Promise<number> {
    refuseUnknownOptions('revokeAll', options, ['except'])
    const except = typeof options.except === 'object' ? options.except.publicId : options.except
    if (except !== undefined && tokenForm.test(except)) {
      throw optionError(
        'except is no publicId but the token of a session, which is a secret. Give req.session, or its publicId.',
      )
    }
    await rememberRevocation(this.#context, this.#userId, except)
    const ended = new Set<string>()
    let count = 0
    // Looked at again until none is left: one that moves to a new key meanwhile may be where the store has looked already.
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const left = (await this.records()).filter(({ publicId }) => publicId !== except)
      if (left.length === 0) {
        for (const publicId of ended)
          this.#context.announce('destroyed', { publicId, userId: this.#userId, reason: 'revoke' })
        return count
      }
      for (const { publicId } of left) ended.add(publicId)
      count += await this.#context.asking('ending sessions', () =>
        this.#store.removeByUser(this.#userId, except),
      )
    }
    throw changedTooOften(mostAttempts)
  }

  /** @internal */
  async records(): Promise<SessionRecord[]> {
    const records: SessionRecord[] = []
    let after: string | undefined
    do {
      const query = { userId: this.#userId, after, limit: pageSize }
      const page = await this.#context.asking('listing sessions', () => this.#store.list(query))
      records.push(...page.items)
      after = page.next
    } while (after !== undefined)
    return records
  }
}
