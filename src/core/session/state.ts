import { type FormerContent, type SessionId, type SessionRecord } from '../store/record.js'
import { markLength, marksKept } from '../store/mark.js'
import type { InsertWrite, UpdateWrite } from '../store/session-store.js'
import { isSameHash } from '../token.js'
import type { Keep } from './keep.js'

/** The state of one session in one request. It is a value: each event gives a new one. */
export type State = Open | Ending | Over

/** A session that can be stored. */
export type Open = New | Live | Former

/** A session that was never stored. */
export interface New {
  readonly kind: 'new'
  /** The token that it will be stored under. It is made when it is first needed. */
  readonly token: string | undefined
  /**
   * `begun`: by itself. `regenerated`: in place of another session. `chosen`: the same, with a token that the app
   * chose.
   */
  readonly origin: 'begun' | 'regenerated' | 'chosen'
  /**
   * The rotated session whose data this one copies, for a sign-in. If that session is gone when this one is stored, the
   * copied data is dropped.
   */
  readonly copiedFrom: Base | undefined
  /** The root of the child that this session takes the place of: it is a child too. */
  readonly rootId: SessionId | undefined
  readonly unanswered: Unanswered | undefined
}

/** A stored session; `token` is its current token. */
export interface Live {
  readonly kind: 'live'
  readonly token: string
  readonly base: Base
  /** Whether others have stored changes that this request has not read. It must read them before it writes. */
  readonly isBehind: boolean
  /** Whether this request has stored its content. */
  readonly isSaved: boolean
  /** Whether this request gave it the token. */
  readonly isIssued: boolean
  /**
   * Whether the token may be no longer good: a touch failed, or did not find the session by it, or somebody has
   * replaced it. Then no response may set its cookie.
   */
  readonly isUnconfirmed: boolean
  readonly unanswered: Unanswered | undefined
}

/**
 * A session that was found by an old token, from before a rotation. The request sees the content from before the
 * rotation, and what it stored itself. Each write first reads the current row, and merges.
 */
export interface Former {
  readonly kind: 'former'
  readonly token: string
  readonly base: Base
  readonly isSaved: boolean
  readonly unanswered: Unanswered | undefined
}

/**
 * `ending`: it will be removed, by the commit at the latest. `left`: it stays as stored, and this request stores
 * nothing more.
 */
export interface Ending {
  readonly kind: 'ending' | 'left'
  readonly of: Open
}

/** A session that was ended: by this request (`ended`), or elsewhere (`gone`). */
export interface Over {
  readonly kind: 'ended' | 'gone'
  readonly token: string | undefined
}

/**
 * The session as it was read or last stored: what the session object is compared with, and the base of a merge. In the
 * state `former`, it is the content that the request sees, with the old hash and the current version.
 */
export interface Base {
  /** Decrypted, once the session's data was read. */
  readonly record: SessionRecord
  /** The session's user: by the data with `userOf`, otherwise by the record. */
  readonly owner: string | undefined
}

/**
 * What to tell the browser. `keep`: nothing, as its `token` is still good, or it has none. `issue`: set the cookie with
 * the new `token`. `clear`: drop the cookie.
 */
export type Outcome =
  | { readonly action: 'keep'; readonly token: string | undefined }
  | { readonly action: 'issue'; readonly token: string }
  | { readonly action: 'clear' }

/** Writes whose answers were lost. Each was carried out, was not, or still may be. The last is the newest. */
export type Unanswered = readonly [SentWrite, ...SentWrite[]]

/** A write of content that was sent. */
export interface SentWrite {
  readonly write: ContentWrite
  /** What the session object held then, encoded. */
  readonly held: Uint8Array
  /**
   * What this request sees once the write is stored, without what others stored: for `save()`, the same as `held`; for
   * `update()`, the content of the draft.
   */
  readonly seen: Uint8Array
  /** What the handler wanted at that time. */
  readonly intent: Intent
  /** The session's token once the write is carried out. */
  readonly token: string
}

export type ContentWrite = InsertWrite | UpdateWrite

/** What the handler wants, besides changes of the data. */
export interface Intent {
  readonly signIn: SignInIntent | undefined
  /** The new token for the session. */
  readonly token: string | undefined
  /**
   * Whether the session gets that token even if others have rotated it, as long as it has the same user. Then no older
   * token works any more.
   */
  readonly forcesToken: boolean
  /** Whether to move the expiry even if that is not due. */
  readonly touch: boolean
}

/** A sign-in that is to be stored. */
export interface SignInIntent {
  readonly userId: string
  readonly keep: Keep
}

export const noIntent: Intent = { signIn: undefined, token: undefined, forcesToken: false, touch: false }

export function newState(origin: New['origin'], token?: string, rootId?: SessionId): New {
  return { kind: 'new', token, origin, copiedFrom: undefined, rootId, unanswered: undefined }
}

export function liveState(token: string, base: Base): Live {
  return {
    kind: 'live',
    token,
    base,
    isBehind: false,
    isSaved: false,
    isIssued: false,
    isUnconfirmed: false,
    unanswered: undefined,
  }
}

export function formerState(token: string, base: Base): Former {
  return { kind: 'former', token, base, isSaved: false, unanswered: undefined }
}

export function isOpen(state: State): state is Open {
  return state.kind === 'new' || state.kind === 'live' || state.kind === 'former'
}

/** The open state: of a session that can be stored, or that could be before `ending` or `left`. */
export function openPart(state: State): Open | undefined {
  if (isOpen(state)) return state
  return 'of' in state ? state.of : undefined
}

/** The session as it is stored, as far as this request knows. */
export function baseOf(state: State): Base | undefined {
  const open = openPart(state)
  return open && open.kind !== 'new' ? open.base : undefined
}

/** The session's token. If it was never stored, the token that it would be stored under. */
export function tokenOf(state: State): string | undefined {
  return 'of' in state ? state.of.token : state.token
}

/** The session's token, if the session is stored. */
export function storedTokenOf(state: State): string | undefined {
  return baseOf(state) && tokenOf(state)
}

/** The state with a new open part. A session that is `ending` or `left` stays so. */
export function after(state: State, next: Open): State {
  return 'of' in state ? { ...state, of: next } : next
}

/** A session that was found by a token: the record, and whether the token is its current one. */
export interface Found {
  readonly token: string
  readonly record: SessionRecord
  readonly place: TokenPlace
  /** The record of its root, if it is a child. */
  readonly root?: SessionRecord | undefined
}

/** Which token of a record: its current one, or the old one from before its last rotation. */
export type TokenPlace = 'current' | 'former'

/** Which token of a record a hash belongs to; `undefined`: none. */
export function tokenPlaceOf(hash: Uint8Array | undefined, record: SessionRecord): TokenPlace | undefined {
  if (isSameHash(record.hash, hash)) return 'current'
  return isSameHash(record.former?.hash, hash) ? 'former' : undefined
}

/** Whether the last rotation of a record was a sign-in. */
export function isAfterSignIn({ authenticatedAt, former }: SessionRecord): boolean {
  return authenticatedAt !== undefined && authenticatedAt !== former?.authenticatedAt
}

/** A record as it was before its last rotation, with its current version. */
export function asItWas(record: SessionRecord, former: FormerContent): SessionRecord {
  return { ...record, ...former, former: undefined }
}

/** Whether a write was carried out, by the record that was read after it. */
export function fateOf(write: ContentWrite, record: SessionRecord | undefined): Fate {
  if (!record) return write.type === 'insert' ? 'unknown' : 'gone'
  if (!record.marks) return fateByContent(write, record)
  for (let start = 0; start < record.marks.length; start += markLength) {
    const mark = record.marks.subarray(start, start + markLength)
    if (Buffer.compare(mark, write.mark) === 0) return start === 0 ? 'newest' : 'earlier'
  }
  if (write.type === 'insert') return 'unknown'
  const since = record.version - write.version
  if (since === 0) return 'not yet'
  return since <= marksKept ? 'never' : 'unknown'
}

/**
 * Whether a write was carried out:
 *
 * - `newest`: yes, and nothing was stored since. `earlier`: yes, and others have stored something since.
 * - `never`: no, and it cannot be any more. `not yet`: no, but it may still be under way.
 * - `gone`: its session does not exist. `unknown`: it cannot be told.
 */
export type Fate = 'newest' | 'earlier' | 'never' | 'not yet' | 'gone' | 'unknown'

/** The same, for a store that keeps no marks. */
function fateByContent(write: ContentWrite, record: SessionRecord): Fate {
  const isSame = record.userId === write.userId && Buffer.compare(record.data, write.data) === 0
  if (write.type === 'insert') return isSame ? 'newest' : 'unknown'
  const { token } = write.secret ?? {}
  // Nobody else knows a new token. The version is made of the content, so it stays the same if only the token is new.
  if (record.id === token) return isSame ? 'newest' : 'earlier'
  if (record.version === write.version) return 'not yet'
  if (token !== undefined) return 'never'
  return isSame ? 'newest' : 'never'
}

/** The record after a write that was carried out. Its times are guesses of this process, until it is read again. */
export function recordAfter(write: ContentWrite, before: SessionRecord | undefined): SessionRecord {
  const now = Date.now()
  const secret = write.type === 'insert' ? write : write.secret
  const id: SessionId = (write.type === 'update' && write.secret?.token) || write.id
  return {
    id,
    publicId: before?.publicId ?? (write.type === 'insert' ? write.publicId : undefined),
    hash: secret ? secret.hash : before?.hash,
    userId: write.userId,
    authenticatedAt: secret?.signedIn ? now : before?.authenticatedAt,
    data: write.data,
    about: write.about ?? before?.about,
    rootId: write.type === 'insert' ? write.rootId : before?.rootId,
    format: write.format,
    version: write.type === 'insert' ? 1 : write.version + 1,
    marks: before?.marks,
    createdAt: before?.createdAt ?? now,
    seenAt: now,
    expiresAt: now + write.lifetime.idle,
    readAt: now,
  }
}
