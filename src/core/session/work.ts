import type { Data } from '../data/merge.js'
import type { SessionRecord } from '../store/record.js'
import { createToken } from '../token.js'
import { type InHand, ownerNow, ownerOf, type Reading } from './in-hand.js'
import type { Facts } from './plan.js'
import { after, type Base, baseOf, newState, noIntent, openPart, type State, tokenOf } from './state.js'

/** A request, as far as its commits go. */
export interface Work extends Reading {
  /** The browser can be told nothing more. */
  readonly headersSent: boolean
  /** When the request found its session, by the store's clock; `undefined` if there was none to find. */
  readonly readAt: number | undefined
  /** When the request began, by `performance.now()`. */
  readonly begunAt: number
  /** Throws where the store was away as the request began. */
  assertAvailable(): void
}

/** What is stored, and its values where they are not those that a codec reads. */
export interface Content {
  readonly data: Uint8Array
  readonly source?: Data | undefined
}

/** What is to be stored: this, where the session is still as it was read. */
export interface Change extends Content {
  readonly facts: Facts
  /** What is stored onto a row that was just read, or, if there is none, in place of a session that has ended. */
  onto(base: Base, row: Base | undefined): Content
}

/** What the session holds, and what its form makes of that. */
export function factsOf(work: Work, inHand: InHand, session = inHand.session): Facts {
  const { context, form } = work
  const { state } = inHand
  const base = baseOf(state)
  const data = session && form.dataOf(session)
  const held = data ? context.encodeFitting(data, base?.record.data) : heldUnopened(work, state)
  const owner = form.userOf && data ? ownerOf(work, base, data) : ownerNow(work, inHand)
  const isOwnersRecord = base === undefined || state.kind === 'former' || base.owner === base.record.userId
  return {
    held,
    owner,
    differs:
      base !== undefined &&
      session !== undefined &&
      (form.differs(session, held, base.record) || !isOwnersRecord),
    isKept: base ? form.keepsUnchanged : isWorthKeeping(work, state, data),
    touchDue: isTouchDue(work, inHand),
    headersSent: work.headersSent,
  }
}

function heldUnopened({ context }: Work, state: State): Uint8Array {
  const copiedFrom = state.kind === 'new' ? state.copiedFrom : undefined
  return (baseOf(state) ?? copiedFrom)?.record.data ?? context.encode({})
}

function isWorthKeeping({ form }: Work, state: State, data: Data | undefined): boolean {
  if (form.keepsEmpty(state.kind === 'new' && state.origin !== 'begun')) return true
  return data !== undefined && Object.keys(form.visible(data)).length > 0
}

/** Whether the expiry should move with this request although nothing else changed. */
export function isTouchDue({ form }: Reading, { state, intent }: InHand): boolean {
  // One that this request stored under a new token has its whole life before it.
  if (state.kind !== 'live' || state.isUnconfirmed || state.isIssued) return false
  const { record } = state.base
  return intent.touch || record.readAt - record.seenAt >= form.touchAfter(record)
}

/** A token that takes the place of a session's: with the same id, or a wholly new one where tokens are the keys. */
export function nextToken({ context, form }: Reading, { id, rootId }: SessionRecord): string {
  return context.tokensAreKeys ? form.createToken() : createToken(id, rootId)
}

/** The token that the session is, or will be, known by; made when it is first asked for. */
export function tokenFor({ form }: Reading, inHand: InHand): string {
  const { state, intent } = inHand
  const known = intent.token ?? tokenOf(state)
  const open = openPart(state)
  if (known !== undefined || !open) return known!
  const rootId = open.kind === 'new' ? open.rootId : undefined
  const token = rootId === undefined ? form.createToken() : createToken(undefined, rootId)
  inHand.state = after(state, { ...open, token })
  return token
}

/** Goes on with a new session that holds nothing. */
export function becomeEmpty(reading: Reading, inHand: InHand): void {
  inHand.state = after(inHand.state, newState('begun'))
  inHand.intent = noIntent
  refill(reading, inHand, {})
}

/** Has the session in hand hold what is stored of it; where it takes no changes, such as a frozen one, another one that is opened anew. */
export function refill({ form }: Reading, inHand: InHand, stored: Data): void {
  try {
    if (inHand.session) form.refill(inHand.session, stored)
  } catch {
    inHand.session = undefined
  }
}

/** What a look at the store gave of a session's row; of a new session's, the row of the one that it carries on. */
export interface ReadRow {
  readonly row: Base | undefined
}
