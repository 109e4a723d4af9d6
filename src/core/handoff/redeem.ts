import { hash } from 'node:crypto'
import { mostAttempts } from '../attempts.js'
import { changedTooOften } from '../errors.js'
import type { Data } from '../data/merge.js'
import type { ChildFacts } from '../session/in-hand.js'
import { rootName } from '../session/root.js'
import type { Found } from '../session/state.js'
import type { WorkContext } from '../session/work-context.js'
import { createMark } from '../store/mark.js'
import { recordFormat, type SessionId, type SessionRecord } from '../store/record.js'
import type { Lifetime, UpdateWrite } from '../store/session-store.js'
import { createId, createToken, isSameHash } from '../token.js'
import { revokedSince } from '../users/sign-in.js'
import { changeCode, type Grant, readCode, type StoredCode } from './code.js'

/** What a site presents with a code: what it began the flow with, in this browser. */
export interface Presented {
  readonly clientId: string
  readonly redirectUri: string
  readonly verifier: string
  readonly nonce: string
}

/** What redeeming a code led to. */
export type Redeemed =
  /** The child is stored. Its token is for this browser only. */
  | { readonly is: 'child'; readonly found: Found; readonly facts: ChildFacts }
  /** The browser has a child of that root already, as at a step-up. It stays. */
  | { readonly is: 'current'; readonly facts: ChildFacts }
  /** The same browser has redeemed it already, such as before a reload. */
  | { readonly is: 'repeated'; readonly returnTo: string }
  | { readonly is: 'refused'; readonly why: RefusalReason }

/** Why a code gives no session. */
export type RefusalReason =
  | 'unknown or expired'
  | 'of another site'
  | 'of another return address'
  | 'wrong verifier'
  | 'leaked'
  | 'root has ended'
  | 'revoked'

/** What is to be done about a code that somebody presents. */
type Judgement =
  | { readonly do: 'use' }
  | { readonly do: 'repeat'; readonly returnTo: string }
  | { readonly do: 'void'; readonly why: 'leaked' }
  | { readonly do: 'refuse'; readonly why: RefusalReason }

/**
 * Judges a code that somebody presents. Pure.
 *
 * A wrong verifier has no effect: a stolen code alone ends no session. A right verifier without the nonce of the same
 * browser means that both have leaked: then the code, and the session that it gave, end (RFC 6749, section 4.1.2).
 */
export function judgeCode(
  { grant, state }: Pick<StoredCode, 'grant' | 'state'>,
  presented: Presented,
): Judgement {
  if (grant.clientId !== presented.clientId) return { do: 'refuse', why: 'of another site' }
  if (grant.redirectUri !== presented.redirectUri) return { do: 'refuse', why: 'of another return address' }
  if (!isChallengeOf(grant, presented.verifier)) return { do: 'refuse', why: 'wrong verifier' }
  if (state.is === 'void') return { do: 'refuse', why: 'leaked' }
  if (grant.nonce !== presented.nonce) return { do: 'void', why: 'leaked' }
  return state.is === 'used' ? { do: 'repeat', returnTo: state.returnTo } : { do: 'use' }
}

/** RFC 7636, section 4.6. */
function isChallengeOf({ challenge }: Grant, verifier: string): boolean {
  const [expected, given] = [challenge, challengeOf(verifier)].map((text) => Buffer.from(text))
  return isSameHash(expected, given)
}

/** The PKCE challenge of a verifier, by the method S256 (RFC 7636, section 4.2). */
export function challengeOf(verifier: string): string {
  return hash('sha256', verifier, 'base64url')
}

/** The session that a redeemed code gives: what it begins with. */
export interface ChildContent {
  /** Where the browser goes on, for a reload. */
  readonly returnTo: string
  /** What stays of the visitor's data. */
  readonly data: Data
  readonly lifetime: Lifetime
  /** The child that the browser has already. */
  readonly current?: { readonly id: SessionId; readonly rootId: SessionId } | undefined
}

/**
 * Redeems a code for a child session.
 *
 * One conditional write marks the code as used, so it gives one session at most. Only then is the child stored. A crash
 * between the two leaves a code that gives nothing: the browser begins again.
 */
export async function redeemCode(
  context: WorkContext,
  code: string,
  presented: Presented,
  content: ChildContent,
): Promise<Redeemed> {
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const stored = await readCode(context, code)
    if (!stored) return refused('unknown or expired')
    const judgement = judgeCode(stored, presented)
    if (judgement.do === 'refuse') return refused(judgement.why)
    if (judgement.do === 'repeat') return { is: 'repeated', returnTo: judgement.returnTo }
    if (judgement.do === 'void') {
      if (!(await changeCode(context, code, stored, { is: 'void' }))) continue
      await endChild(context, stored)
      return refused(judgement.why)
    }
    const { current, returnTo } = content
    const isCurrent = current?.rootId === stored.grant.rootId
    const childId = isCurrent ? current.id : createId()
    if (!(await changeCode(context, code, stored, { is: 'used', childId, returnTo }))) continue
    return isCurrent
      ? { is: 'current', facts: grantFactsOf(stored.grant) }
      : storeChild(context, code, stored, childId, content)
  }
  throw changedTooOften(mostAttempts)
}

async function storeChild(
  context: WorkContext,
  code: string,
  { grant, note, begunAt }: StoredCode,
  childId: SessionId,
  { data, lifetime }: ChildContent,
): Promise<Redeemed> {
  const { rootId, userId } = grant
  const facts = grantFactsOf(grant)
  const token = createToken(childId, rootId)
  const tokenHash = context.hashOf(token)
  const bytes = context.encodeFitting({ ...data, [rootName]: facts })
  context.assertFits(bytes)
  const insert = {
    type: 'insert',
    id: childId,
    rootId,
    userId,
    hash: tokenHash,
    about: context.clientId,
    data: bytes,
    format: recordFormat,
    mark: createMark(),
    signedIn: false,
    lifetime,
  } as const
  await context.write(insert, tokenHash)
  // Only after the insert: a revocation is first remembered, and then removes what is stored. So one of the two finds
  // the other. The same holds for a request that voids the code.
  const [isRevoked, latest, found] = await Promise.all([
    revokedSince(context, userId, { readAt: grant.readAt ?? note.record.createdAt, begunAt }),
    readCode(context, code),
    context.found(token),
  ])
  const why = isRevoked
    ? 'revoked'
    : latest?.state.is === 'void'
      ? 'leaked'
      : (await isStillRoot(context, grant, token, found))
        ? undefined
        : 'root has ended'
  if (why !== undefined || !found) {
    await context.write({ type: 'remove', id: childId, userId })
    return refused(why ?? 'root has ended')
  }
  context.announce('created', { publicId: childId, userId })
  return { is: 'child', found, facts }
}

function grantFactsOf({ share, authenticatedAt }: Grant): ChildFacts {
  return { share, authenticatedAt }
}

/**
 * Voids an unused code that has come to a browser without its flow. Somebody else may have begun the flow, and had the
 * user's browser ask for the code: they know its verifier, and the page that shows the error may tell them the code.
 */
export async function voidStray(
  context: WorkContext,
  code: string,
  stored: StoredCode,
  clientId: string,
): Promise<void> {
  if (stored.grant.clientId !== clientId || stored.state.is !== 'issued') return
  await changeCode(context, code, stored, { is: 'void' })
}

/**
 * Whether the root is there, and signed in as it was when the code was issued.
 *
 * With `userOf`, the commit of a sign-out ends the children of the row, and then takes the user from it, unless the row
 * has changed since it was read. So the row is stored again, as it is. Then either that commit finds the child, or the
 * child finds that commit.
 */
async function isStillRoot(
  context: WorkContext,
  { isByData, authenticatedAt }: Grant,
  token: string,
  first: Found | undefined,
): Promise<boolean> {
  let found = first
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    if (!found?.root) return false
    if (isByData !== true) return true
    if (authenticatedAt !== found.root.authenticatedAt) return false
    const result = await context.write(asItIs(found.root))
    if (result !== 'stale') return result === 'done'
    found = await context.found(token)
  }
  throw changedTooOften(mostAttempts)
}

/** Stores a record again as it was read, also with its expiry. */
function asItIs({ id, version, userId, data, format, createdAt, expiresAt }: SessionRecord): UpdateWrite {
  const life = expiresAt - createdAt
  const lifetime = { idle: life, absolute: life }
  return { type: 'update', id, version, userId, data, format, mark: createMark(), lifetime }
}

async function endChild(context: WorkContext, { grant, state }: StoredCode): Promise<void> {
  if (state.is !== 'used') return
  const { userId } = grant
  const result = await context.write({ type: 'remove', id: state.childId, userId })
  if (result === 'done') context.announce('destroyed', { publicId: state.childId, userId, reason: 'revoke' })
}

function refused(why: RefusalReason): Redeemed {
  return { is: 'refused', why }
}
