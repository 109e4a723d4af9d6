import type { Data } from '../data/merge.js'
import type { ChildFacts, InHand, Reading, RootInHand } from './in-hand.js'
import type { SessionRoot } from './session.js'
import { baseOf, isOpen } from './state.js'

/** The name in a child's data under which coatcheck keeps what it needs of the hand-off. No session shows it. */
export const rootName = 'root'

/** The root of the session in hand, if that is a child. After a sign-out, or as another user's session, it is none. */
export function rootOf({ state, root }: InHand): RootInHand | undefined {
  if (!root) return undefined
  const base = baseOf(state)
  const { id, userId } = root.record
  return base?.record.rootId === id && base.owner !== undefined && base.owner === userId ? root : undefined
}

/** The root as the app sees it. It is decoded once, when it is first read. */
export function rootView(reading: Reading, inHand: InHand): SessionRoot | undefined {
  const root = rootOf(inHand)
  if (!root || root.view) return root?.view
  const facts = childFacts(reading, inHand)
  if (!facts) return undefined
  const { id, userId, createdAt, authenticatedAt } = root.record
  root.view = Object.freeze({
    publicId: id,
    userId: userId!,
    createdAt: new Date(createdAt),
    authenticatedAt: authenticatedAt === undefined ? undefined : new Date(authenticatedAt),
    data: Object.freeze(shared(facts.share, reading.context.decode(root.record) ?? {})),
  })
  return root.view
}

/** What the child in hand keeps of its hand-off. It is decoded once, when it is first read. */
export function childFacts({ context }: Reading, inHand: InHand): ChildFacts | undefined {
  const root = rootOf(inHand)
  if (!root || root.facts) return root?.facts
  const child = context.decode(baseOf(inHand.state)!.record)
  if (!child) return undefined
  const { share, authenticatedAt } = (child[rootName] ?? {}) as Partial<Record<keyof ChildFacts, unknown>>
  root.facts = {
    share: Array.isArray(share) ? share.filter((name) => typeof name === 'string') : [],
    authenticatedAt: typeof authenticatedAt === 'number' ? authenticatedAt : undefined,
  }
  return root.facts
}

/**
 * Moves the expiry of the root, if that is due: who uses a site uses the hub's session too. As with any touch, a failure
 * only shortens the session by a little.
 */
export function touchRoot({ context, form }: Reading, inHand: InHand): Promise<void> | undefined {
  const root = isOpen(inHand.state) ? rootOf(inHand) : undefined
  if (!root || root.wasTouched) return undefined
  const { id, hash, readAt, seenAt } = root.record
  if (hash === undefined || readAt - seenAt < form.touchAfter(root.record)) return undefined
  root.wasTouched = true
  return context.write({ type: 'touch', id, hash, lifetime: form.lifetime() }).then(ignored, ignored)
}

function ignored(): void {
  // A touch that failed needs no answer: the next request touches again.
}

function shared(names: readonly string[], data: Data): Data {
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(data, name)).map((name) => [name, data[name]]),
  )
}
