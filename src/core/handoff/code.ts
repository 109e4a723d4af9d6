import { randomBytes } from 'node:crypto'
import { performance } from '../scheduling.js'
import type { UnitOfWork } from '../session/unit-of-work.js'
import type { WorkContext } from '../session/work-context.js'
import type { SessionId } from '../store/record.js'
import { isSessionId } from '../token.js'
import { type Note, readNote, type Subject, writeNote } from '../users/notes.js'

/** How long a code may be redeemed after it was issued, in milliseconds (RFC 6749, section 4.1.2: a short time). */
export const codeLife = 60_000
const lifetime = { idle: codeLife, absolute: codeLife }
const codeLength = 32 // bytes

/** The hub's session that a code gives a child of. */
export interface GrantedRoot {
  readonly rootId: SessionId
  readonly userId: string
  /** When the hub's request read that session, by the store's clock. `undefined`: it began in that request. */
  readonly readAt: number | undefined
  /** How many milliseconds before the grant was made the hub's request began. */
  readonly age: number
  /** When the user had last signed in at the hub, by the store's clock. */
  readonly authenticatedAt?: number | undefined
  /**
   * Whether the hub has `userOf`. Then a row may lose its user and get the same one again: the code is for no later
   * sign-in than that of `authenticatedAt`.
   */
  readonly isByData?: boolean | undefined
}

/** What a code is bound to, and what it gives. */
export interface Grant extends GrantedRoot {
  /** The site that may redeem it. */
  readonly clientId: string
  /** The address that it was sent to. */
  readonly redirectUri: string
  /** The PKCE challenge of the browser's flow: base64url of the verifier's SHA-256 (RFC 7636, section 4.2). */
  readonly challenge: string
  /** The nonce of the browser's flow. */
  readonly nonce: string
  /** The names in the root's data that the site may see. */
  readonly share: readonly string[]
}

/** The state of a code: nobody has used it; one request has, for a child; or it is void, because it may have leaked. */
export type CodeState =
  | { readonly is: 'issued' }
  | { readonly is: 'used'; readonly childId: SessionId; readonly returnTo: string }
  | { readonly is: 'void' }

/** A code as it is stored, and the note that it was read from. */
export interface StoredCode {
  readonly grant: Grant
  readonly state: CodeState
  readonly note: Note
  /** When the hub's request began, by `performance.now()` of this process. */
  readonly begunAt: number
}

/** What a code says of the session of a request at the hub. @param userId the session's user */
export function grantedRoot(work: UnitOfWork, userId: string): GrantedRoot {
  const { publicId, readAt, begunAt, form } = work
  const authenticatedAt = work.authenticatedAt?.getTime()
  return {
    rootId: publicId as SessionId,
    userId,
    readAt,
    age: performance.now() - begunAt,
    authenticatedAt,
    isByData: form.userOf !== undefined,
  }
}

/**
 * Stores a new code for a grant. The store keeps a hash of the code, not the code.
 * @returns the code: 43 characters of base64url, of 32 random bytes
 */
export async function issueCode(context: WorkContext, grant: Grant): Promise<string> {
  const code = randomBytes(codeLength).toString('base64url')
  const stored = await writeNote(
    context,
    subjectOf(code),
    undefined,
    contentOf(grant, { is: 'issued' }),
    lifetime,
  )
  // The id is taken by a record of another code or user. That has never happened to anybody.
  return stored ? code : issueCode(context, grant)
}

/** Reads a code; `undefined` if there is none, or it has expired, or its row is corrupt. */
export async function readCode(context: WorkContext, code: string): Promise<StoredCode | undefined> {
  // Read before the answer: so the round trip makes the hub's request look older, never younger.
  const now = performance.now()
  const note = await readNote(context, subjectOf(code))
  const content = note && contentIn(note.text)
  if (content === undefined) return undefined
  const { readAt, createdAt } = note!.record
  return { ...content, note: note!, begunAt: now - (readAt - createdAt) - content.grant.age }
}

/**
 * Changes the state of a code that was read. The code still expires at the same time.
 * @returns false if another request was faster
 */
export function changeCode(
  context: WorkContext,
  code: string,
  { grant, note }: StoredCode,
  state: CodeState,
): Promise<boolean> {
  return writeNote(context, subjectOf(code), note, contentOf(grant, state), lifetime)
}

function subjectOf(code: string): Subject {
  return { kind: 'handoff code', of: code }
}

function contentIn(text: string): Pick<StoredCode, 'grant' | 'state'> | undefined {
  try {
    const { grant, state } = JSON.parse(text) as Readonly<Record<'grant' | 'state', Untrusted>>
    return isGrant(grant) && isState(state) ? { grant, state } : undefined
  } catch {
    return undefined
  }
}

type Untrusted = Readonly<Record<string, unknown>>

function isGrant(grant: Untrusted): grant is Untrusted & Grant {
  const { clientId, redirectUri, challenge, nonce, userId, rootId, readAt, age, authenticatedAt, share } =
    grant
  const texts = [clientId, redirectUri, challenge, nonce, userId]
  const times = [readAt, authenticatedAt]
  return (
    texts.every((text) => typeof text === 'string') &&
    times.every((time) => time === undefined || typeof time === 'number') &&
    typeof age === 'number' &&
    isId(rootId) &&
    Array.isArray(share)
  )
}

function isState(state: Untrusted): state is Untrusted & CodeState {
  const { is, childId, returnTo } = state
  if (is === 'used') return isId(childId) && typeof returnTo === 'string'
  return is === 'issued' || is === 'void'
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && isSessionId(id)
}

function contentOf(grant: Grant, state: CodeState): { readonly text: string } {
  return { text: JSON.stringify({ grant, state }) }
}
