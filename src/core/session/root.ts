import type { Data } from '../data/merge.js'
import type { InHand, Reading, RootInHand } from './in-hand.js'
import type { SessionRoot } from './session.js'
import { baseOf, isOpen } from './state.js'

/** The name in a child's data under which coatcheck keeps what it needs of the hand-off. No session shows it. */
export const rootName = 'root'

/** What a child's data keeps of the hand-off. */
export interface ChildFacts {
  /** The names in the root's data that the site may see. */
  readonly share: readonly string[]
}

/** The root of the session in hand, if that is a child. After a sign-out, or as another user's session, it is none. */
export function rootOf({ state, root }: InHand): RootInHand | undefined {
  if (!root) return undefined
  const base = baseOf(state)
  const { id, userId } = root.record
  return base?.record.rootId === id && base.owner !== undefined && base.owner === userId ? root : undefined
}

/** The root as the app sees it. It is decoded once, when it is first read. */
export function rootView({ context }: Reading, inHand: InHand): SessionRoot | undefined {
  const root = rootOf(inHand)
  if (!root || root.view) return root?.view
  const child = context.decode(baseOf(inHand.state)!.record)
  if (!child) return undefined
  const { id, userId, createdAt, authenticatedAt } = root.record
  root.view = Object.freeze({
    publicId: id,
    userId: userId!,
    createdAt: new Date(createdAt),
    authenticatedAt: authenticatedAt === undefined ? undefined : new Date(authenticatedAt),
    data: Object.freeze(shared(sharedNames(child), context.decode(root.record) ?? {})),
  })
  return root.view
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

function sharedNames(child: Data): readonly string[] {
  const { share } = (child[rootName] ?? {}) as { readonly share?: unknown }
  return Array.isArray(share) ? share.filter((name) => typeof name === 'string') : []
}

function shared(names: readonly string[], data: Data): Data {
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(data, name)).map((name) => [name, data[name]]),
  )
}
