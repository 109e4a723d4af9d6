import { type FormerContent, type SessionId, type SessionRecord } from '../store/record.js'
import { markLength, marksKept } from '../store/mark.js'
import type { InsertWrite, UpdateWrite } from '../store/session-store.js'
import { isSameHash } from '../token.js'
import type { Keep } from './keep.js'

/** How one session stands in one request. A value: whatever happens to the session gives another one. */
export type State = Open | Ending | Over

/** A session that can be stored. */
export type Open = New | Live | Former

/** It was never stored. */
export interface New {
  readonly kind: 'new'
  /** What it will be stored under; made when it is first asked for. */
  readonly token: string | undefined
  /** How it came to be: by itself, in place of another one, or so under a token that the app has chosen. */
  readonly origin: 'begun' | 'regenerated' | 'chosen'
  /**
   * The rotated session whose data this new one copies, for a sign-in. If that is not there any more when this one is stored, the
   * copied data is dropped.
   */
  readonly copiedFrom: Base | undefined
  readonly unanswered: Unanswered | undefined
}

/** It is stored, and `token` leads to it. */
export interface Live {
  readonly kind: 'live'
  readonly token: string
  readonly base: Base
  /** Others have stored something since that is not in hand: no write before that was read. */
  readonly isBehind: boolean
  /** Whether this request has stored its content. */
  readonly isSaved: boolean
  /** Whether this request gave it the token. */
  readonly isIssued: boolean
  /** A touch did not find the session under this token, or failed, or somebody has replaced the token: no response may hand it out. */
  readonly isUnconfirmed: boolean
  readonly unanswered: Unanswered | undefined
}

/**
 * It was found by the token from before a rotation. The request sees the content from before that, and what it stored itself; each write
 * first reads the row as it is now, and merges.
 */
export interface Former {
  readonly kind: 'former'
  readonly token: string
  readonly base: Base
  readonly isSaved: boolean
  readonly unanswered: Unanswered | undefined
}

/** `ending`: it will be removed, with the commit at the latest. `left`: it stays as it is stored, and this request stores nothing more. */
export interface Ending {
  readonly kind: 'ending' | 'left'
  readonly of: Open
}

/** It was ended here, or elsewhere. */
export interface Over {
  readonly kind: 'ended' | 'gone'
  readonly token: string | undefined
}

/**
 * What the session in hand is compared with, and what a merge goes by: as it was read or last stored. Of a former state: what the request
 * sees, with the hash from before the rotation and the version of now.
 */
export interface Base {
  /** Decrypted, once the session was opened. */
  readonly record: SessionRecord
  /** Whose it is: what the data says, where the app goes by that, else as the record has it. */
  readonly owner: string | undefined
}

/** What the browser must be told: nothing, for its `token` is still good or there is none; a new token; or to drop the one it has. */
export type Outcome =
  | { readonly action: 'keep'; readonly token: string | undefined }
  | { readonly action: 'issue'; readonly token: string }
  | { readonly action: 'clear' }

/** Writes whose answers were lost: each was carried out, or was not, or still will be. The last one is the newest. */
export type Unanswered = readonly [SentWrite, ...SentWrite[]]

/** A write of content that was sent. */
export interface SentWrite {
  readonly write: ContentWrite
  /** What the session in hand held then. */
  readonly held: Uint8Array
  /** What this request is to hold once it is stored: for `save()` the same, for `update()` what the draft came to; without what others stored. */
  readonly seen: Uint8Array
  /** What the handler wanted by then. */
  readonly intent: Intent
  /** What leads to the session once the write is carried out. */
  readonly token: string
}

export type ContentWrite = InsertWrite | UpdateWrite

/** What the handler wants besides what the session holds. */
export interface Intent {
  readonly signIn: SignInIntent | undefined
  /** The token that the session is to have. */
  readonly token: string | undefined
  /** It is to get the token even if others have rotated it meanwhile, as long as it is the same user's; and no token from before leads on. */
  readonly forcesToken: boolean
  /** The expiry is to move even if it is not due. */
  readonly touch: boolean
}

/** The user has proved who they are. */
export interface SignInIntent {
  readonly userId: string
  readonly keep: Keep
}

export const noIntent: Intent = { signIn: undefined, token: undefined, forcesToken: false, touch: false }

export function newState(origin: New['origin'], token?: string): New {
  return { kind: 'new', token, origin, copiedFrom: undefined, unanswered: undefined }
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

/** The state of a session that can be stored, or could be before it was given up. */
export function openPart(state: State): Open | undefined {
  if (isOpen(state)) return state
  return 'of' in state ? state.of : undefined
}

/** What is stored of the session, as far as this request knows. */
export function baseOf(state: State): Base | undefined {
  const open = openPart(state)
  return open && open.kind !== 'new' ? open.base : undefined
}

/** The token that leads to the session; that it would be stored under, if it never was. */
export function tokenOf(state: State): string | undefined {
  return 'of' in state ? state.of.token : state.token
}

/** The token of a session that is stored. */
export function storedTokenOf(state: State): string | undefined {
  return baseOf(state) && tokenOf(state)
}

/** The state of a session that something happened to, where it may have been given up meanwhile. */
export function after(state: State, next: Open): State {
  return 'of' in state ? { ...state, of: next } : next
}

/** Which of a record's tokens: the one of now, or the one from before its last rotation. */
export type TokenPlace = 'current' | 'former'

/** By which of a record's tokens a hash was made. */
export function tokenPlaceOf(hash: Uint8Array | undefined, record: SessionRecord): TokenPlace | undefined {
  if (isSameHash(record.hash, hash)) return 'current'
  return isSameHash(record.former?.hash, hash) ? 'former' : undefined
}

/** Whether the last rotation of a record was a sign-in. */
export function isAfterSignIn({ authenticatedAt, former }: SessionRecord): boolean {
  return authenticatedAt !== undefined && authenticatedAt !== former?.authenticatedAt
}

/** A record as it was before its last rotation. Its version is that of now. */
export function asItWas(record: SessionRecord, former: FormerContent): SessionRecord {
  return { ...record, ...former, former: undefined }
}

/** What became of a write, by the record that was found after it. */
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
 * - `newest`: carried out, and nothing was stored since. `earlier`: carried out, and others stored something since.
 * - `never`: not carried out, and it cannot be any more. `not yet`: it may still be under way.
 * - `gone`: its session is not there. `unknown`: that cannot be told.
 */
export type Fate = 'newest' | 'earlier' | 'never' | 'not yet' | 'gone' | 'unknown'

/** Of a store that keeps no marks. */
function fateByContent(write: ContentWrite, record: SessionRecord): Fate {
  const isSame = record.userId === write.userId && Buffer.compare(record.data, write.data) === 0
  if (write.type === 'insert') return isSame ? 'newest' : 'unknown'
  const { token } = write.secret ?? {}
  // Nobody else knows a token that is new. The version is made of the content, and stays what it was where only the token is new.
  if (record.id === token) return isSame ? 'newest' : 'earlier'
  if (record.version === write.version) return 'not yet'
  if (token !== undefined) return 'never'
  return isSame ? 'newest' : 'never'
}

/** The record as a write that was done left it. Its times are this process's guess, until it is read again. */
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
    rootId: before?.rootId,
    format: write.format,
    version: write.type === 'insert' ? 1 : write.version + 1,
    marks: before?.marks,
    createdAt: before?.createdAt ?? now,
    seenAt: now,
    expiresAt: now + write.lifetime.idle,
    readAt: now,
  }
}
