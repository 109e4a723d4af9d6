import type { Data } from '../data/merge.js'
import { type SessionErrorCode, tokenReplaced } from '../errors.js'
import { recordFormat, type SessionId, type SessionRecord } from '../store/record.js'
import { createMark } from '../store/mark.js'
import type { NewSecret, UpdateWrite } from '../store/session-store.js'
import { idOf, isSameHash } from '../token.js'
import { type InHand, ownerOf } from './in-hand.js'
import type { Facts } from './plan.js'
import { type SentWrite, baseOf, type ContentWrite, type Open } from './state.js'
import { type Change, type Content, type ReadRow, tokenFor, type Work } from './work.js'

export interface Prepared {
  readonly sent: SentWrite
  /** What the write goes onto. */
  readonly before: SessionRecord | undefined
  readonly source: Data | undefined
}

/** What is to be sent. The same content as in a write without an answer keeps that one's mark, which is then found if either was carried out. */
export function prepared(
  work: Work,
  inHand: InHand,
  state: Open,
  change: Change,
  read: ReadRow | undefined,
): Prepared {
  const base = state.kind === 'new' ? state.copiedFrom : state.base
  const row = state.kind === 'new' ? undefined : read?.row
  const isMerge = base !== undefined && read !== undefined && (state.kind !== 'new' || read.row === undefined)
  const content: Content = isMerge ? change.onto(base, row) : change
  const before = state.kind === 'new' ? undefined : (row ?? base)!.record
  const write = contentWrite(work, inHand, change.facts, content, before, isMerge)
  const lost = state.unanswered?.at(-1)
  const sent = {
    write: lost && isSameWrite(lost.write, write) ? lost.write : write,
    held: change.facts.held,
    seen: change.data,
    intent: inHand.intent,
    token: tokenFor(work, inHand),
  }
  return { sent, before, source: content.source }
}

function contentWrite(
  work: Work,
  inHand: InHand,
  facts: Facts,
  { data, source }: Content,
  before: SessionRecord | undefined,
  isMerge: boolean,
): ContentWrite {
  const { context, form } = work
  context.assertFits(data)
  const { intent, state } = inHand
  const base = baseOf(state)
  const tree = isMerge && before ? context.readBack(data) : undefined
  const owner = tree && form.userOf ? ownerOf(work, base, tree) : facts.owner
  const isSignIn =
    intent.signIn !== undefined || (form.userOf !== undefined && owner !== undefined && owner !== base?.owner)
  const content = {
    userId: owner,
    data,
    format: recordFormat,
    mark: createMark(),
    lifetime: form.lifetime(tree ?? source),
  }
  if (!before) {
    // In a session of its own, what named the user may be missing: it would be theirs until a request opens it.
    if (isMerge && form.userOf && ownerOf(work, base, context.readBack(data)) !== owner) throw tokenReplaced()
    const token = tokenFor(work, inHand)
    const publicId = context.tokensAreKeys ? idOf(token) : undefined
    const id = context.idOf(token)
    const rootId = state.kind === 'new' ? state.rootId : undefined
    const about = rootId === undefined ? undefined : context.clientId
    const hash = context.hashOf(token)
    return { type: 'insert', id, publicId, hash, rootId, about, signedIn: isSignIn, ...content }
  }
  const { id, version } = before
  if (intent.token === undefined) return { type: 'update', id, version, ...content }
  // Others have rotated it meanwhile: their token stops working at once.
  const isTaken = intent.forcesToken || !isSameHash(before.hash, base?.record.hash)
  // By their times the store could not tell a proof from one in the same millisecond.
  const isTooSoon =
    isSignIn && before.authenticatedAt !== undefined && before.authenticatedAt >= before.readAt
  const secret = {
    hash: context.hashOf(intent.token),
    signedIn: isSignIn,
    grace: isTaken || isTooSoon ? 0 : context.rotationGrace,
    token: context.tokensAreKeys ? (intent.token as SessionId) : undefined,
  }
  return { type: 'update', id, version, secret, ...content }
}

function isSameWrite(one: ContentWrite, other: ContentWrite): boolean {
  return (
    one.type === other.type &&
    one.id === other.id &&
    one.userId === other.userId &&
    (one.type === 'insert' ||
      (one.version === (other as UpdateWrite).version &&
        isSameSecret(one.secret, (other as UpdateWrite).secret))) &&
    Buffer.compare(one.data, other.data) === 0
  )
}

function isSameSecret(one: NewSecret | undefined, other: NewSecret | undefined): boolean {
  return one ? isSameHash(one.hash, other?.hash) : other === undefined
}

/** Whether a write that failed so may have been carried out all the same, or still be. */
export function mayBeStored(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return !(typeof code === 'string' && neverStored.has(code))
}

const neverStored = new Set<string>([
  'ERR_SESSION_STORE_BUSY',
  'ERR_SESSION_DATA_REFUSED',
  'ERR_SESSION_TOO_LARGE',
  'ERR_SESSION_USER_ID',
  'ERR_SESSION_RESERVED_NAME',
  'ERR_SESSION_CLOSED',
] satisfies SessionErrorCode[])
