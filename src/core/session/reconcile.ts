import {
  type SentWrite,
  type Base,
  fateOf,
  type Former,
  formerState,
  isAfterSignIn,
  type Intent,
  type Live,
  newState,
  type New,
  type Open,
  type TokenPlace,
  type Unanswered,
  tokenPlaceOf,
} from './state.js'

/** What a look at the store says of a session in work. */
export type Finding =
  /** Go on with this state, writing onto the row that was read; `undefined`: there is none. */
  | { readonly is: 'writable'; readonly state: Open; readonly onto: Base | undefined }
  /** Go on with this state, as if nothing had been read yet. */
  | { readonly is: 'again'; readonly state: Open }
  /** A write whose answer was lost was carried out; `isNewest`: and nobody has stored anything since. */
  | { readonly is: 'settled'; readonly attempt: SentWrite; readonly row: Base; readonly isNewest: boolean }
  /** It has ended, or belongs to somebody else by now. */
  | { readonly is: 'gone' }
  /** Whether a write was carried out cannot be told any more. */
  | { readonly is: 'unknown' }

/**
 * The state of a session after its row was read. Pure: the same for the same arguments.
 *
 * @param row what was found under its id. For a new session: under the id of its lost insert, or else of the session that it
 *   copies.
 * @param repeatsInserts whether an insert may be sent again: in a store that keeps no marks.
 */
export function reconcile(
  state: Open,
  intent: Intent,
  row: Base | undefined,
  repeatsInserts: boolean,
): Finding {
  if (state.kind === 'new') return reconcileNew(state, intent, row, repeatsInserts)
  const { unanswered, done, isUnknown } = fatesOf(state.unanswered, row)
  if (done) return { is: 'settled', row: row!, ...done }
  const place = row && tokenPlaceOf(state.base.record.hash, row.record)
  const isOwn = row !== undefined && row.owner === state.base.owner
  // No new token by a former one: a sign-in there begins a session that holds nothing of this one.
  if (state.kind === 'former' && (intent.signIn || intent.forcesToken))
    return intent.signIn ? startAnew(state, undefined) : { is: 'gone' }
  const isProved = row !== undefined && isProvedOwner(state.base, intent, row)
  const mayClaim =
    (isProved || (isOwn && intent.forcesToken && row.owner !== undefined)) && mayGoOver(state, row, place)
  if (!mayClaim && !place)
    return intent.signIn ? startAnew(state, isProved ? row : undefined) : { is: 'gone' }
  if (isUnknown) return { is: 'unknown' }
  if (mayClaim) return { is: 'writable', state: { ...state, unanswered }, onto: row }
  // A parallel response brings the browser a new token already: a third one could arrive after it and lead nowhere. So a session of its own
  // begins, as it does where the row is another user's by now.
  if (intent.signIn && (place !== 'current' || !isOwn)) return startAnew(state, row)
  if (intent.signIn) return { is: 'writable', state: { ...state, unanswered }, onto: row }
  // Nothing that began before a sign-in writes into what came of it, be it the same user's.
  if (!isOwn || (place === 'former' && isAfterSignIn(row.record))) return { is: 'gone' }
  // Nor does an old token whose user had gone, so that it found a session of nobody's.
  if (state.kind === 'former' && row.record.former?.userId !== state.base.record.userId) return { is: 'gone' }
  const next = place === 'current' ? { ...state, unanswered } : becomeFormer(state, unanswered)
  return { is: 'writable', state: next, onto: row }
}

function reconcileNew(state: New, intent: Intent, row: Base | undefined, repeatsInserts: boolean): Finding {
  if (!state.unanswered) {
    const { copiedFrom } = state
    // The session that was copied from is there as long as one of its tokens still leads to it, or as it is the user's who signs in.
    const isThere =
      row &&
      copiedFrom &&
      (tokenPlaceOf(copiedFrom.record.hash, row.record) || isProvedOwner(copiedFrom, intent, row))
    return { is: 'writable', state, onto: isThere ? row : undefined }
  }
  const { done } = fatesOf(state.unanswered, row)
  if (done) return { is: 'settled', row: row!, ...done }
  // The lost insert may still arrive, or its session has ended since: to send it again could bring that back. So it gets another token.
  const next: New = repeatsInserts
    ? { ...state, unanswered: undefined }
    : { ...newState('begun', undefined, state.rootId), copiedFrom: state.copiedFrom }
  return { is: 'again', state: next }
}

/** A session of its own begins. The one before stays as it is, or has ended: then there is no `row`. */
function startAnew({ base }: Live | Former, row: Base | undefined): Finding {
  // In place of a child, it is a child too: otherwise it would outlive the root.
  const next = newState('begun', undefined, base.record.rootId)
  return { is: 'writable', state: { ...next, copiedFrom: base }, onto: row }
}

function becomeFormer(state: Live | Former, unanswered: Unanswered | undefined): Former {
  return { ...formerState(state.token, state.base), isSaved: state.isSaved, unanswered }
}

/** Whether a session still is the user's who signs in, and was when the request read it. */
function isProvedOwner({ owner }: Base, { signIn }: Intent, row: Base): boolean {
  return signIn !== undefined && row.owner === signIn.userId && owner === signIn.userId
}

/**
 * Whether a sign-in or a claim by the row's own user wins over what others made of the row. It wins over rotations, but
 * not over a later proof of who the user is. A claim leaves no former part, because a request with that token may come
 * from the thief whom the claim was to shut out.
 */
function mayGoOver({ base }: Live | Former, { record }: Base, place: TokenPlace | undefined): boolean {
  if (place === 'current') return true
  return record.former !== undefined && record.authenticatedAt === base.record.authenticatedAt
}

/** What became of the writes whose answers were lost: the last that was carried out, or else those that still may be. */
function fatesOf(unanswered: Unanswered | undefined, row: Base | undefined) {
  const fates = unanswered?.map((attempt) => ({ attempt, fate: fateOf(attempt.write, row?.record) })) ?? []
  const last = fates.findLast(({ fate }) => fate === 'newest' || fate === 'earlier')
  const open = fates.filter(({ fate }) => fate === 'not yet').map(({ attempt }) => attempt)
  return {
    done: last && { attempt: last.attempt, isNewest: last.fate === 'newest' },
    unanswered: open.length > 0 ? (open as unknown as Unanswered) : undefined,
    isUnknown: fates.some(({ fate }) => fate === 'unknown'),
  }
}
