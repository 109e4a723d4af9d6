import { isSame } from './compare.js'

export type Data = Record<string, unknown>

/** A place of a session that two requests changed at the same time. A missing value is `undefined`. */
export interface MergeConflict {
  /** The path of the place: `['cart', 'items']` is `req.session.cart.items`. */
  readonly path: readonly string[]
  /** The value that both requests started from. */
  readonly base: unknown
  /** The value that the request now being saved wants to store. */
  readonly mine: unknown
  /** The value that the other request has stored. */
  readonly theirs: unknown
}

/** Returns the value to store for a place that two requests changed at the same time. `undefined` removes the place. */
export type Merge = (conflict: MergeConflict) => unknown

/**
 * Merges two concurrent changes of one tree into a new tree. Plain objects merge key by key; arrays and all else are
 * replaced as a whole. A value that only one side changed is taken from that side. If both changed it, mine wins,
 * because it is the later commit, unless `resolve` decides otherwise.
 *
 * @param base what both sides started from.
 * @param theirs what the other side has stored.
 */
export function merge(base: Data, mine: Data, theirs: Data, resolve?: Merge, within?: Place): Data {
  const merged: Data = {}
  for (const key of keysOf(mine, theirs)) {
    const place = { key, within }
    const value = mergedValue([own(base, key), own(mine, key), own(theirs, key)], resolve, place)
    if (value !== nothing) merged[key] = value
  }
  return merged
}

/** A missing value. `undefined` will not do: it may be stored. */
const nothing = Symbol('nothing')

type Three = readonly [before: unknown, ours: unknown, now: unknown]

function mergedValue([before, ours, now]: Three, resolve: Merge | undefined, place: Place): unknown {
  if (isPlainObject(ours) && isPlainObject(now)) {
    // Do not compare them as a whole first: at each level again, that would take quadratic time in the depth.
    return merge(isPlainObject(before) ? before : {}, ours, now, resolve, place)
  }
  if (isSame(now, before)) return ours
  if (now === nothing && isPlainObject(ours) && isPlainObject(before)) {
    // They removed the object: what I added to it stays, and what came from the base goes.
    const added = merge(before, ours, {}, resolve, place)
    return Object.keys(added).length === 0 ? nothing : added
  }
  if (isSame(ours, before)) return now
  if (!resolve || isSame(ours, now)) return ours
  const [base, mine, theirs] = [before, ours, now].map((value) => (value === nothing ? undefined : value))
  const resolved = resolve({ path: pathTo(place), base, mine, theirs })
  return resolved === undefined ? nothing : resolved
}

/** All keys, mine first and in my order, so that an unchanged object is stored as it was. */
function keysOf(mine: Data, theirs: Data): Set<string> {
  const keys = new Set([...Object.keys(mine), ...Object.keys(theirs)])
  keys.delete('__proto__')
  return keys
}

/** A key, and the place of its object. A path made at each level would take quadratic time in the depth. */
interface Place {
  readonly key: string
  readonly within: Place | undefined
}

function pathTo(place: Place): string[] {
  const path: string[] = []
  for (let at: Place | undefined = place; at; at = at.within) path.push(at.key)
  return path.reverse()
}

function own(data: Data, key: string): unknown {
  return Object.hasOwn(data, key) ? data[key] : nothing
}

export function isPlainObject(value: unknown): value is Data {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Object.prototype, also that of another realm.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}
