import { assertWalkable } from '../data/limits.js'
import { merge, type Data, type Merge } from '../data/merge.js'
import { patch, replace } from '../data/patch.js'
import { isSame } from '../data/compare.js'
import type { SessionRecord } from '../store/record.js'
import { kept } from './keep.js'
import type { Session, SessionRoot } from './session.js'
import type { SessionForm } from './session-form.js'
import {
  asItWas,
  type Base,
  baseOf,
  type Former,
  formerState,
  type Intent,
  isAfterSignIn,
  type Live,
  liveState,
  newState,
  noIntent,
  type SignInIntent,
  type State,
  type TokenPlace,
} from './state.js'
import type { WorkContext } from './work-context.js'

/** One session in one request: how it stands, what the handler wants of it, and the object that the handler has. */
export class InHand {
  state: State
  intent: Intent = noIntent
  /** Once it was opened. */
  session: Session | undefined
  /** The root of the child that the request found. Read it by `rootOf`: another session may have replaced the child. */
  readonly root: RootInHand | undefined

  constructor(state: State, root?: SessionRecord) {
    this.state = state
    this.root = root && { record: root, wasTouched: false, facts: undefined, view: undefined }
  }
}

/** What a child's data keeps of the hand-off. */
export interface ChildFacts {
  /** The names in the root's data that the site may see. */
  readonly share: readonly string[]
  /**
   * When the user had last signed in at the hub. A later sign-in there says nothing of who has the token of the child: it
   * counts here once another hand-off has given this browser a new one.
   */
  readonly authenticatedAt: number | undefined
}

/** The root of a child, in one request. */
export interface RootInHand {
  readonly record: SessionRecord
  wasTouched: boolean
  /** Once they were read: what the child keeps of the hand-off, and what the app sees of the root. */
  facts: ChildFacts | undefined
  view: SessionRoot | undefined
}

/** How sessions are read and written, and what the app makes of them. */
export interface Reading {
  readonly context: WorkContext
  readonly form: SessionForm
}

/** Has the base's data decrypted, if it is encrypted. A record that cannot be is as good as none. */
export function decrypt({ context }: Reading, inHand: InHand): void {
  const { state } = inHand
  if (state.kind !== 'live' && state.kind !== 'former') return
  const record = context.open(state.base.record)
  if (!record) inHand.state = newState('begun')
  else if (record !== state.base.record) inHand.state = { ...state, base: { ...state.base, record } }
}

/** What the record holds. One that cannot be read is as good as none: signed out, and a new session if one is needed. */
export function readData(reading: Reading, inHand: InHand): Data {
  decrypt(reading, inHand)
  const { state } = inHand
  if (state.kind !== 'live' && state.kind !== 'former') return {}
  const { record } = state.base
  const data = reading.context.decode(record, (read) => reading.form.accepts(read))
  if (!data) {
    inHand.state = newState('begun')
    return {}
  }
  inHand.state = { ...state, base: { record, owner: ownerIn(reading.form, record, data) } }
  return data
}

/** A record that was just read, and whose it is. */
export function baseOfRow({ context, form }: Reading, record: SessionRecord): Base {
  const data = form.userOf && record.rootId === undefined && context.decode(record)
  return { record, owner: data ? ownerIn(form, record, data) : record.userId }
}

/**
 * The state of a session that one of its tokens led to. By the token from before a rotation it is what it was then. If
 * it was a user's, and the rotation was a sign-in or the user has gone since (`userOf`), the session is anonymous and
 * empty. The token's holder may be a thief whom the new sign-in was to shut out.
 */
export function foundState(
  reading: Reading,
  token: string,
  record: SessionRecord,
  place: TokenPlace,
): Live | Former {
  if (place === 'current') return liveState(token, { record, owner: record.userId })
  const was = asItWas(record, record.former!)
  const hasUserGone = was.userId !== undefined && was.userId !== record.userId
  if (!(isAfterSignIn(record) || hasUserGone) || baseOfRow(reading, was).owner === undefined)
    return formerState(token, { record: was, owner: was.userId })
  const nobodys = { userId: undefined, authenticatedAt: undefined, data: reading.context.encode({}) }
  return formerState(token, { record: { ...was, ...nobodys }, owner: undefined })
}

/** Whose a stored session is. A child is its root's user's, whatever its data says. Where its data names a user by what is no id, it is nobody's: not this request's doing, so no reason to fail. */
function ownerIn({ userOf }: SessionForm, { userId, rootId }: SessionRecord, data: Data): string | undefined {
  if (!userOf || rootId !== undefined) return userId
  try {
    return userOf(data)
  } catch {
    return undefined
  }
}

/** Whose the session is to be. @throws as `ownerOf`. */
export function ownerNow(
  reading: Reading,
  { state, intent, session }: InHand,
  data?: Data,
): string | undefined {
  const { form } = reading
  if (form.userOf && session) return ownerOf(reading, baseOf(state), data ?? form.dataOf(session))
  return intent.signIn?.userId ?? baseOf(state)?.owner
}

/**
 * Whose the session is to be by what it holds now, where the app goes by that.
 * @throws ERR_SESSION_USER_ID, unless what was stored named a user by what is no id already.
 */
export function ownerOf({ context, form }: Reading, base: Base | undefined, data: Data): string | undefined {
  try {
    return form.userOf!(data)
  } catch (error) {
    const stored = base && context.decode(base.record)
    if (stored) {
      try {
        form.userOf!(stored)
      } catch {
        return undefined
      }
    }
    throw error
  }
}

/**
 * What is to be stored where others stored something since the base was read. Without `onto`, the session has ended: then only what this
 * request added or changed.
 *
 * @param held what the session in hand holds, encoded.
 * @param signIn filters the base and the row by what it keeps: an attacker may have written to a visitor's session.
 */
export function merged(
  { context, form }: Reading,
  base: Base,
  held: Uint8Array,
  onto: Base | undefined,
  signIn: SignInIntent | undefined,
): Uint8Array {
  const before = context.decode(base.record) ?? {}
  const mine = context.readBack(held)
  const theirs = onto ? (context.decode(onto.record) ?? before) : {}
  assertWalkable(before, mine, theirs)
  const keep = signIn?.keep ?? true
  // Of a session that has ended there is nothing to agree on.
  const resolve = onto && context.merge
  const trees = [kept(form, before, keep), mine, kept(form, theirs, keep)] as const
  return context.encode(mergedTrees(form, trees, resolve))
}

function mergedTrees(
  form: SessionForm,
  [before, mine, theirs]: readonly [Data, Data, Data],
  resolve?: Merge,
): Data {
  return {
    ...form.mergedRest?.(before, mine, theirs),
    ...merge(form.visible(before), form.visible(mine), form.visible(theirs), resolve),
  }
}

/**
 * Brings the session in hand in line with what was stored of it. Where the handler has changed it since, that stays, for the next commit.
 *
 * @param stored what was stored of it.
 * @param held what it held when that was made.
 * @param source the values to put there, where they are not those that a codec reads.
 * @returns the new baseline: what was stored. What a frozen object or the like does not take is left out, so that it does not look like a
 *   change.
 */
export function bringInLine(
  { context, form }: Reading,
  { session }: Pick<InHand, 'session'>,
  stored: Uint8Array,
  held: Uint8Array,
  source?: Data,
): Uint8Array {
  if (!session || Buffer.compare(held, stored) === 0) return stored
  const holding = (): Data => context.readBack(context.encode(form.dataOf(session)))
  const bag = session as unknown as Data
  try {
    const [then, now, next] = [context.readBack(held), holding(), context.readBack(stored)]
    const isAsItWas = isSame(form.visible(now), form.visible(then))
    const wanted = isAsItWas ? next : mergedTrees(form, [then, now, next])
    const isInLine = (data: Data): boolean => isSame(form.visible(data), form.visible(wanted))
    attempt(() => patch(bag, form.visible(now), form.visible(wanted), isAsItWas ? source : undefined))
    attempt(() => form.patchRest?.(session, now, wanted))
    if (isInLine(holding())) return stored
    // One object stands in two places of the session, and what was changed in the one is in the other too; or part of it takes no change.
    replace(bag, form.visible(holding()), form.visible(wanted))
    const taken = holding()
    return isInLine(taken) ? stored : context.encode(mergedTrees(form, [now, taken, then]))
  } catch {
    return held
  }
}

function attempt(act: () => void): void {
  try {
    act()
  } catch {
    // What came of it is looked at afterwards.
  }
}
