import { mostAttempts } from '../attempts.js'
import { changedTooOften } from '../errors.js'
import type { EndReason } from '../events.js'
import { publicIdOf } from '../store/record.js'
import { settleUnanswered } from './commit.js'
import { baseOfRow, type InHand } from './in-hand.js'
import { noIntent, openPart } from './state.js'
import type { Work } from './work.js'

/** What became of a session that was to end: it is not there any more, it never was, or it is another's by now and stays. */
export type EndedSession = 'ended' | 'not stored' | "another's"

/**
 * Removes a session from the store. One that somebody signed in on meanwhile stays.
 * @throws (by the promise) what the store throws, ERR_SESSION_CONFLICT.
 */
export async function removeStored(work: Work, inHand: InHand, reason: EndReason): Promise<EndedSession> {
  const { context } = work
  // Nothing is to be stored any more, so no session of its own begins for a sign-in.
  inHand.intent = noIntent
  await settleUnanswered(work, inHand)
  const open = openPart(inHand.state)
  const base = open?.kind === 'new' ? open.copiedFrom : open?.base
  if (!base) return 'not stored'
  const { record, owner } = base
  const { id } = record
  const publicId = publicIdOf(record)
  for (let attempt = 1, { userId } = record; attempt <= mostAttempts; attempt++) {
    const result = await context.write({ type: 'remove', id, userId })
    if (result === 'done') {
      context.announce('destroyed', { publicId, userId: owner, reason })
      return 'ended'
    }
    if (result === 'gone') {
      // Where tokens are keys, a parallel request may have moved it to a new one: there too it ends.
      if (context.tokensAreKeys && owner !== undefined) await context.revoke(owner, publicId, reason)
      return 'ended'
    }
    const found = await context.find(id)
    const row = found && baseOfRow(work, found)
    if (row && row.owner !== owner && row.owner !== undefined) return "another's"
    // By its data it is the same user's, or nobody's by now: the store has it under another user. Tried again with that one.
    userId = found?.userId
  }
  throw changedTooOften(mostAttempts)
}
