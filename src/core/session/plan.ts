import type { Intent, State } from './state.js'

/** What a plan goes by besides the state and the intent. */
export interface Facts {
  /** What the session in hand holds, encoded; of one that was never opened, what its record holds. */
  readonly held: Uint8Array
  /** Whose the session is to be. */
  readonly owner: string | undefined
  /** Whether the store has another owner for it, or it holds something else than its base, by the form's own rules. */
  readonly differs: boolean
  /** Of a session that is new: whether it is worth storing. Of another: whether it is stored again though nobody changed it. */
  readonly isKept: boolean
  readonly touchDue: boolean
  /** Whether the browser can be told nothing more. */
  readonly headersSent: boolean
}

/** What has to be done next, and why. */
export type Plan =
  | { readonly do: 'nothing'; readonly why: 'over' | 'nothing in it' | 'unchanged' }
  | { readonly do: 'refuse'; readonly why: 'headers sent' }
  | { readonly do: 'read'; readonly why: 'an answer was lost' | 'former' | 'behind' | 'copied' }
  | { readonly do: 'touch'; readonly why: 'due' }
  | { readonly do: 'insert'; readonly why: 'new' }
  | { readonly do: 'update'; readonly why: UpdateReason; readonly withToken: boolean }

export type UpdateReason = 'token' | 'owner' | 'data' | 'perhaps stored' | 'kept'

/**
 * Says what has to be stored of a session, if anything. Pure: the same for the same arguments.
 *
 * @param hasRead whether the session's row was just read.
 */
export function plan(state: State, intent: Intent, facts: Facts, hasRead: boolean): Plan {
  switch (state.kind) {
    case 'new': {
      if (!facts.isKept && facts.owner === undefined) return { do: 'nothing', why: 'nothing in it' }
      if (facts.headersSent) return { do: 'refuse', why: 'headers sent' }
      if (state.unanswered && !hasRead) return { do: 'read', why: 'an answer was lost' }
      if (state.copiedFrom && !hasRead) return { do: 'read', why: 'copied' }
      return { do: 'insert', why: 'new' }
    }
    case 'live': {
      const why = updateReason(state, intent, facts)
      if (!why) return facts.touchDue ? { do: 'touch', why: 'due' } : { do: 'nothing', why: 'unchanged' }
      const withToken = intent.token !== undefined
      if (withToken && facts.headersSent) return { do: 'refuse', why: 'headers sent' }
      if (state.unanswered && !hasRead) return { do: 'read', why: 'an answer was lost' }
      if (state.isBehind && !hasRead) return { do: 'read', why: 'behind' }
      return { do: 'update', why, withToken }
    }
    case 'former': {
      const why = updateReason(state, intent, facts)
      if (!why) return { do: 'nothing', why: 'unchanged' }
      const withToken = intent.token !== undefined
      if (withToken && facts.headersSent) return { do: 'refuse', why: 'headers sent' }
      if (!hasRead) return { do: 'read', why: state.unanswered ? 'an answer was lost' : 'former' }
      return { do: 'update', why, withToken }
    }
    default:
      return { do: 'nothing', why: 'over' }
  }
}

function updateReason(
  { base, unanswered, isSaved }: Extract<State, { kind: 'live' | 'former' }>,
  intent: Intent,
  facts: Facts,
): UpdateReason | undefined {
  if (intent.token !== undefined) return 'token'
  if (facts.owner !== base.owner) return 'owner'
  if (facts.differs) return 'data'
  // A save whose answer was lost, and that the handler has undone since, may be what is stored.
  if (unanswered?.some(({ held }) => Buffer.compare(held, facts.held) !== 0)) return 'perhaps stored'
  return facts.isKept && !isSaved ? 'kept' : undefined
}
