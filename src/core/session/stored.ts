import type { Data } from '../data/merge.js'
import { publicIdOf, type SessionRecord } from '../store/record.js'
import { baseOfRow, bringInLine, type InHand } from './in-hand.js'
import {
  after,
  type SentWrite,
  type Base,
  baseOf,
  type ContentWrite,
  formerState,
  liveState,
  noIntent,
  type Open,
  openPart,
} from './state.js'
import { becomeEmpty, type Work } from './work.js'

/**
 * Goes on from a write that was carried out: sees to it that a sign-in may stay, and brings state and session in hand in line.
 * @param record what the write left in the store, as far as is known.
 */
export async function adoptStored(
  work: Work,
  inHand: InHand,
  { write, held, seen, token }: SentWrite,
  record: SessionRecord,
  source?: Data,
): Promise<void> {
  const state = openPart(inHand.state)
  const secret = write.type === 'insert' ? write : write.secret
  if (secret?.signedIn) await assertMayStay(work, inHand, record)
  // What a request with a former token stored is not for it to see: only what it made of what it saw.
  const staysFormer = state?.kind === 'former' && !secret
  const visible = staysFormer ? { ...state.base.record, data: seen } : record
  const owner = work.form.userOf ? baseOfRow(work, visible).owner : visible.userId
  const taken = bringInLine(work, inHand, visible.data, held, source)
  // Where the object did not take everything, what it took is the baseline, and the next write reads the row first.
  const base: Base = { record: { ...visible, data: taken }, owner }
  const next: Open = staysFormer
    ? { ...formerState(state.token, base), isSaved: true }
    : {
        ...liveState(token, base),
        isSaved: true,
        isIssued: secret !== undefined || (state?.kind === 'live' && state.isIssued),
        isBehind: taken !== visible.data,
      }
  inHand.state = after(inHand.state, next)
  inHand.intent = noIntent
  announce(work, write, record)
}

/** No response hands out its token any more. */
export function becomeUnconfirmed(inHand: InHand): void {
  const state = openPart(inHand.state)
  if (state?.kind === 'live') inHand.state = after(inHand.state, { ...state, isUnconfirmed: true })
}

function announce({ context }: Work, write: ContentWrite, record: SessionRecord): void {
  const reference = { publicId: publicIdOf(record), userId: record.userId }
  if (write.type === 'insert') context.announce('created', reference)
  else if (write.secret) context.announce('rotated', reference)
  context.announce('committed', { ...reference, version: record.version })
}

/**
 * Ends what was just stored if it may not stay. Nobody has been told its token. If the check itself fails, the row is left for the next try of
 * the commit: a removal that arrives late would end what that goes on from.
 */
async function assertMayStay(work: Work, inHand: InHand, record: SessionRecord): Promise<void> {
  const { context, readAt, begunAt } = work
  const userId = record.userId!
  // A child is not one session more: a limit counts roots.
  const wasTheirs = record.rootId !== undefined || baseOf(inHand.state)?.owner === userId
  const publicId = publicIdOf(record)
  const refusal = await context.signInRefusal({ userId, id: record.id, publicId, wasTheirs, readAt, begunAt })
  if (!refusal) return
  becomeEmpty(work, inHand)
  // It is not told if this fails: what is told already is that the sign-in failed.
  await context.write({ type: 'remove', id: record.id, userId }).catch(() => undefined)
  throw refusal
}
