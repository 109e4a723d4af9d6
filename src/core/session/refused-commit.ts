import type { InHand, Reading } from './in-hand.js'
import type { Session } from './session.js'
import type { Intent, State } from './state.js'

/** How a session stood when a commit failed: as long as all of it is as it was, there is nothing new to store. */
export interface RefusedCommit {
  /** What it failed with. */
  readonly error: unknown
  readonly inHand: InHand
  readonly state: State
  readonly intent: Intent
  /** What it held: encoded; name by name where that cannot be done as a whole. */
  readonly held: readonly unknown[]
}

export function refusedCommit(reading: Reading, inHand: InHand, error: unknown): RefusedCommit {
  const { state, intent, session } = inHand
  return { error, inHand, state, intent, held: session ? partsOf(reading, session) : [] }
}

export function isAsRefused(reading: Reading, inHand: InHand, before: RefusedCommit): boolean {
  if (inHand !== before.inHand || inHand.state !== before.state || inHand.intent !== before.intent)
    return false
  const { held } = refusedCommit(reading, inHand, before.error)
  return held.length === before.held.length && held.every((part, index) => isSame(part, before.held[index]))
}

function partsOf({ context, form }: Reading, session: Session): readonly unknown[] {
  let data: Record<string, unknown>
  try {
    data = form.dataOf(session)
  } catch {
    // A getter fails: that is like nothing else.
    return [Symbol('unreadable')]
  }
  const encoded = (part: Record<string, unknown>, otherwise: unknown): unknown => {
    try {
      return context.encodeFitting(part)
    } catch {
      return otherwise
    }
  }
  const whole = encoded(data, undefined)
  if (whole) return [whole]
  const entries = Object.entries(data)
  // Many are taken as they are: to encode each takes long.
  if (entries.length > 1_000) return entries.flat()
  return entries.flatMap(([name, value]) => [name, encoded({ [name]: value }, value), sizeOf(value)])
}

/** What shows a change in place of a value that is too large to be encoded. */
function sizeOf(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  try {
    return Object.keys(value).length
  } catch {
    return undefined
  }
}

function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0
  return Object.is(one, other)
}
