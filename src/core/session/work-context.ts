import type { Merge } from '../data/merge.js'
import type { SessionError } from '../errors.js'
import type { Found } from './state.js'
import type { EndReason, SessionEvents } from '../events.js'
import type { SessionId, SessionRecord } from '../store/record.js'
import type { SessionWrite, WriteResult } from '../store/session-store.js'

/** A sign-in that was just stored. */
export interface SignIn {
  readonly userId: string
  readonly id: SessionId
  /** What names the session for people. */
  readonly publicId: string
  /** Whether the session was this user's already: then it is not one more. */
  readonly wasTheirs: boolean
  /** When its request found the session, by the store's clock; `undefined` if there was none to find. */
  readonly readAt: number | undefined
  /** When its request began, by `performance.now()`; only looked at where `readAt` does not tell. */
  readonly begunAt: number
}

/** When something began: by the clock of a record that it read then, if there was one, and by `performance.now()`. */
export type Beginning = Pick<SignIn, 'readAt' | 'begunAt'>

/** What work on sessions needs of the engine. */
export interface WorkContext {
  /** Whether the store knows sessions by their tokens. */
  readonly tokensAreKeys: boolean
  /** Whether times of two records are of one clock. */
  readonly comparesTimes: boolean
  /** For how many milliseconds the token from before a rotation still leads to what the session was then. 0: not at all. */
  readonly rotationGrace: number
  /** The name of the site that these sessions are for, at its hub. `undefined`: they are no site's. */
  readonly clientId: string | undefined
  /** The app's own word on what two requests changed at the same time. */
  readonly merge: Merge | undefined
  /** What the store knows a token's session by. */
  idOf(token: string): SessionId
  /** What the store keeps of a token. It covers the site (`clientId`), if these sessions are a site's. */
  hashOf(token: string): Uint8Array
  /** The stored session of a token, with its root; `undefined` if there is none. */
  found(token: string): Promise<Found | undefined>
  /** The record of this id, decrypted if it can be; without what it was before a rotation, where there is no grace. */
  find(id: SessionId): Promise<SessionRecord | undefined>
  /** @param hash that of the token, where content is stored that may have to be encrypted for it. */
  write(write: SessionWrite, hash?: Uint8Array): Promise<WriteResult>
  /** Ends a user's session by what names it for people; false if there is none. */
  revoke(userId: string, publicId: string, reason: EndReason): Promise<boolean>
  /** Ends the children of a user's session. Once that has lost its user, the store does not list them any more. */
  endChildren(userId: string, rootId: SessionId): Promise<void>
  /** Why a sign-in that was just stored may not stay; `undefined` if it may. Ends what has to give way to it. */
  signInRefusal(signIn: SignIn): Promise<SessionError | undefined>
  /**
   * Does what changes one session after what this process is already doing to it.
   * @throws (by the promise) what `act` throws; ERR_SESSION_STORE_BUSY or ERR_SESSION_STORE_TIMEOUT, without doing it, if too much is to be
   *   done before, or takes too long.
   */
  inTurn<Result>(id: SessionId, act: () => Promise<Result>): Promise<Result>
  /** Asks the store for anything else; its failure becomes a typed error and an event. */
  asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer>
  /** Throws ERR_SESSION_TOO_LARGE. Only what is to be stored is held to the limit: what was stored before it was lowered can be read. */
  assertFits(encoded: Uint8Array): void
  /** Throws ERR_SESSION_DATA. */
  encode(data: Record<string, unknown>): Uint8Array
  /**
   * As `encode`, but throws ERR_SESSION_TOO_LARGE, before all is encoded, for what is over the limit. What was `stored` before the limit was
   * lowered still fits.
   */
  encodeFitting(data: Record<string, unknown>, stored?: Uint8Array): Uint8Array
  /** What `encode` made, as it is read back. */
  readBack(encoded: Uint8Array): Record<string, unknown>
  /** The record with its data as `encode` gives it; `undefined`, and an event, for one that cannot be decrypted. */
  open(record: SessionRecord): SessionRecord | undefined
  /** `undefined`, and an event, for a record that cannot be read, or that `accepts` refuses. */
  decode(
    record: SessionRecord,
    accepts?: (data: Record<string, unknown>) => boolean,
  ): Record<string, unknown> | undefined
  announce<Name extends keyof SessionEvents>(name: Name, ...event: SessionEvents[Name]): void
}
