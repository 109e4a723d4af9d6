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

/** One live session of a user, as `sessions.user(id).list()` shows it. All times are by the store's clock. */
export interface SessionInfo {
  /** Names the session. It is safe to show and to log, and `revoke` takes it. */
  readonly publicId: string
  readonly userId: string | undefined
  /** When the session was first stored. */
  readonly createdAt: Date
  /** When the user last signed in on it. */
  readonly authenticatedAt: Date | undefined
  /** When it was last used. It may be `touchAfter` behind, because reads do not always move it. */
  readonly seenAt: Date
  /** When it expires, if it is not used again. */
  readonly expiresAt: Date
  /** A copy of its data: changes of it are not stored. Empty if the data cannot be read. */
  readonly data: Readonly<Partial<SessionData>>
  /** The sessions at other sites that came from this one by hand-off. They end with it. */
  readonly sites: readonly SiteSessionInfo[]
}

/** A session at a site on another domain (`coatcheck/handoff`), as `list()` shows it. */
export interface SiteSessionInfo extends Pick<
  SessionInfo,
  'publicId' | 'createdAt' | 'authenticatedAt' | 'seenAt' | 'expiresAt'
> {
  /** The site's name at the hub. */
  readonly clientId: string
}

const pageSize = 1_000
const pageSizeWithData = 20

/**
 * The sessions of one user, in all apps and browsers. Made by `sessions.user(id)`.
 *
 * Every method can reject with `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY`
 * (503). A store that was written for express-session and cannot list its sessions rejects with
 * `ERR_SESSION_STORE_LISTING`.
 */
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
   * Lists all live sessions of the user, the last used first (ASVS 5, 7.5.2). Sessions at other sites, by hand-off, are
   * listed beneath the session that they came from.
   * @example
   * const list = await sessions.user(req.session.userId!).list()
   * res.json(list.map(({ publicId, seenAt, data }) => ({ publicId, seenAt, device: data.device })))
   */
  async list(): Promise<SessionInfo[]> {
    const slices = new Slices()
    const infos: SessionInfo[] = []
    const sites = new Map<SessionId, SiteSessionInfo[]>()
    const sitesOf = (id: SessionId): SiteSessionInfo[] => {
      const known = sites.get(id)
      if (known) return known
      const list: SiteSessionInfo[] = []
      sites.set(id, list)
      return list
    }
    for await (const page of this.#pages(true)) {
      for (const record of page) {
        await slices.before(record.data!.length)
        const { id, rootId, userId, about = '' } = record
        if (rootId !== undefined) sitesOf(rootId).push({ clientId: about, ...timesOf(record) })
        else infos.push({ userId, ...timesOf(record), data: this.#dataOf(record), sites: sitesOf(id) })
      }
    }
    for (const list of sites.values()) list.sort(byUse)
    return infos.sort(byUse)
  }

  #dataOf(record: ListedRecord): Partial<SessionData> {
    const { data } = record
    return (data && this.#context.decode({ ...record, data, marks: undefined })) ?? {}
  }

  /**
   * Ends one session of the user, for all apps, before the promise resolves. It never ends another user's session.
   *
   * @param publicId as `list()` and `req.session.publicId` give it.
   * @returns whether there was such a session.
   * @throws (rejects) `ERR_SESSION_CONFLICT` (503), on a table of express-mysql-session, if others kept rotating the
   *   session.
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

  /** @internal Ends the sessions at sites that came from one session of the user. */
  async endChildren(rootId: SessionId): Promise<void> {
    const children = (await this.records()).filter((record) => record.rootId === rootId)
    await Promise.all(children.map(({ id }) => this.end(id, 'signOut')))
  }

  /** The id of a session. A `TokenKeyedStore` has to search for it, and a rotation may change it before it is used. */
  async #idOf(publicId: string): Promise<SessionId | undefined> {
    if (!this.#context.tokensAreKeys) return isSessionId(publicId) ? publicId : undefined
    return (await this.records()).find((record) => publicIdOf(record) === publicId)?.id
  }

  /**
   * Ends all sessions of the user, for all apps, before the promise resolves (ASVS 5, 7.4.3). It also stops sign-ins
   * that are under way, because they may use an old password. Their request began up to one day before this call.
   *
   * `except` spares one session:
   *
   * - `req.session` gets a new token first, so that a thief who has its token is locked out. Its data is saved with it.
   *   If the request came with an old token, from before a rotation, this session ends too, because a thief may have
   *   the new one. Call `signIn` first to keep it.
   * - A `publicId` names a session that keeps its token.
   *
   * After it, no old token of the spared session works (`rotationGrace`).
   *
   * @param options.except the session to spare: `req.session`, or a `publicId`.
   * @returns how many sessions were ended.
   * @throws (rejects) `ERR_SESSION_OPTION` for an unknown option, a token in place of a `publicId`, or the session of a
   *   site (`root`), which cannot outlive the hub's session.
   * @throws (rejects) `ERR_SESSION_HEADERS_SENT` with `req.session`, after the first byte of the response.
   * @throws (rejects) `ERR_SESSION_CONFLICT` (503) if others kept changing the sessions.
   * @example
   * // After a change of password, for which the user has entered the old one again
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
    // Again, until none is left: in a `TokenKeyedStore`, a rotation can move a session past the search.
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
    if (work?.root) throw childCannotBeSpared()
    // Somebody else has rotated it: it ends like the others.
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

  /** Makes the old token, from before the last rotation, invalid. The session keeps its current token. */
  async #endGrace(publicId: string): Promise<void> {
    const context = this.#context
    // A `TokenKeyedStore` has no grace.
    if (context.tokensAreKeys || !isSessionId(publicId)) return
    const id = publicId
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const found = await context.find(id)
      const record = found && context.open(found)
      if (record?.hash === undefined || record.userId !== this.#userId) return
      if (record.rootId !== undefined) throw childCannotBeSpared()
      // Without a grace of its own, this app does not see the `former` that another app has kept.
      if (record.former === undefined && context.rotationGrace > 0) return
      const { userId, hash, data, format, version } = record
      // Stores drop the former content when they get a secret without a grace: so store the same secret again.
      // The expiry does not change.
      const secret = { hash, signedIn: false, grace: 0 }
      const life = record.expiresAt - record.createdAt
      const lifetime = { idle: life, absolute: life }
      const write = { userId, data, format, version, mark: createMark(), secret, lifetime }
      if ((await context.write({ type: 'update', id, ...write }, hash)) !== 'stale') return
    }
    throw changedTooOften(mostAttempts)
  }

  /** @internal All live sessions but those of sites, without their data. */
  async roots(): Promise<ListedRecord[]> {
    return (await this.records()).filter(({ rootId }) => rootId === undefined)
  }

  /** @internal All live sessions, without their data. */
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
      // A store in memory answers within the turn: let other requests run between pages.
      if (after !== undefined) await nextTurn()
    } while (after !== undefined)
  }
}

function timesOf(record: ListedRecord): Pick<SessionInfo, Exclude<keyof SiteSessionInfo, 'clientId'>> {
  return {
    publicId: publicIdOf(record),
    createdAt: new Date(record.createdAt),
    authenticatedAt: record.authenticatedAt === undefined ? undefined : new Date(record.authenticatedAt),
    seenAt: new Date(record.seenAt),
    expiresAt: new Date(record.expiresAt),
  }
}

/** The last used first. */
function byUse(one: SiteSessionInfo | SessionInfo, other: SiteSessionInfo | SessionInfo): number {
  return other.seenAt.getTime() - one.seenAt.getTime()
}

function childCannotBeSpared(): SessionError {
  return optionError(
    'except is a session that came by hand-off. It ends with the session at the hub, so it cannot be spared alone: call revokeAll at the hub, with { except: req.session }, or without except.',
  )
}
