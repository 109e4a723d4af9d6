import type { Data } from '../data/merge.js'
import type { SessionRecord } from '../store/record.js'
import type { InHand, Reading } from './in-hand.js'
import type { SessionRoot } from './session.js'
import { baseOf } from './state.js'

/** The name in a child's data under which coatcheck keeps what it needs of the hand-off. No session shows it. */
export const rootName = 'root'

/** What a child's data keeps of the hand-off. */
export interface ChildFacts {
  /** The names in the root's data that the site may see. */
  readonly share: readonly string[]
}

/** The root of the session in hand, if that is a child. After a sign-out, or as another user's session, it is none. */
export function rootOf({ state, root }: InHand): SessionRecord | undefined {
  const base = baseOf(state)
  const isChild =
    root !== undefined &&
    base?.record.rootId === root.id &&
    base.owner !== undefined &&
    base.owner === root.userId
  return isChild ? root : undefined
}

/** The root as the app sees it. */
export function rootView({ context }: Reading, inHand: InHand): SessionRoot | undefined {
  const root = rootOf(inHand)
  const child = root && context.decode(baseOf(inHand.state)!.record)
  if (!child) return undefined
  return Object.freeze({
    publicId: root.id,
    userId: root.userId!,
    createdAt: new Date(root.createdAt),
    authenticatedAt: root.authenticatedAt === undefined ? undefined : new Date(root.authenticatedAt),
    data: Object.freeze(shared(sharedNames(child), context.decode(root) ?? {})),
  })
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
