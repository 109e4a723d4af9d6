import { isSame } from './compare.js'

export type Data = Record<string, unknown>

/** One place of a session that two requests changed at the same time. What is not there is `undefined`. */
export interface MergeConflict {
  /** The names that lead to it: `['cart', 'items']` is `req.session.cart.items`. */
  readonly path: readonly string[]
  /** What both began from. */
  readonly base: unknown
  /** What the request that is being stored made of it. */
  readonly mine: unknown
  /** What another has stored meanwhile. */
  readonly theirs: unknown
}

/** Says what becomes of a place that two requests changed at the same time; `undefined` removes it. */
export type Merge = (conflict: MergeConflict) => unknown

/**
 * Merges concurrent changes of three trees, as a codec reads them, into a new one. What only they changed is taken; what I changed
 * stays. Plain objects merge key by key, arrays and all else whole; where both changed one leaf, mine stands, because mine is
 * the later commit, unless `resolve` says otherwise.
 *
 * @param base what both began from
 * @param theirs what somebody else stored meanwhile
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

/** What is not there, in a place where `undefined` may be stored. */
const nothing = Symbol('nothing')

type Three = readonly [before: unknown, ours: unknown, now: unknown]

function mergedValue([before, ours, now]: Three, resolve: Merge | undefined, place: Place): unknown {
  if (isPlainObject(ours) && isPlainObject(now)) {
    // Not compared as a whole before: done at each level, that would take the square of the depth.
    return merge(isPlainObject(before) ? before : {}, ours, now, resolve, place)
  }
  if (isSame(now, before)) return ours
  if (now === nothing && isPlainObject(ours) && isPlainObject(before)) {
    // They dropped it whole: what I added to it stays, what I had from the base goes.
    const added = merge(before, ours, {}, resolve, place)
    return Object.keys(added).length === 0 ? nothing : added
  }
  if (isSame(ours, before)) return now
  if (!resolve || isSame(ours, now)) return ours
  const [base, mine, theirs] = [before, ours, now].map((value) => (value === nothing ? undefined : value))
  const resolved = resolve({ path: pathTo(place), base, mine, theirs })
  return resolved === undefined ? nothing : resolved
}

/** Of a former conflict: mine first, in their order, so that what nobody else changed is stored as it was. */
function keysOf(mine: Data, theirs: Data): Set<string> {
  const keys = new Set([...Object.keys(mine), ...Object.keys(theirs)])
  keys.delete('__proto__')
  return keys
}

/** A key, and the place of the object that it is in. A list of all keys, made at each level, would take the square of the depth. */
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
  // Object.prototype, that of another realm as well.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}
