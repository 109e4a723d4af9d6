import { isDeepStrictEqual } from 'node:util'

type Data = Record<string, unknown>

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
 * Three-way merge of concurrent changes, into `mine` in place, so that references which a handler
 * holds into its session stay good. What only they changed is taken; what I changed stays. Plain
 * objects merge key by key, arrays and all else whole; where both changed one leaf, mine stands,
 * because mine is the later commit, unless `resolve` says otherwise.
 *
 * @param mine what this request has in hand
 * @param minePlain the same as the codec would read it back, so that a Date in hand equals its stored text
 * @param base what this request began from
 * @param theirs what somebody else stored meanwhile
 */
export function mergeInto(
  mine: Data,
  minePlain: Data,
  base: Data,
  theirs: Data,
  resolve?: Merge,
  within?: Place,
): void {
  for (const key of new Set([...Object.keys(base), ...Object.keys(theirs)])) {
    if (key === '__proto__') continue
    const [ours, before, now] = [own(minePlain, key), own(base, key), own(theirs, key)]
    if (isPlainObject(mine[key]) && isPlainObject(ours) && isPlainObject(now)) {
      // Not compared as a whole before: done at each level, that would take the square of the depth.
      mergeInto(mine[key], ours, isPlainObject(before) ? before : {}, now, resolve, { key, within })
    } else if (isDeepStrictEqual(now, before)) {
      continue
    } else if (
      now === undefined &&
      isPlainObject(mine[key]) &&
      isPlainObject(ours) &&
      isPlainObject(before)
    ) {
      // They dropped it whole: what I added to it stays, what I had from the base goes.
      mergeInto(mine[key], ours, before, {}, resolve, { key, within })
      if (Object.keys(mine[key]).length === 0) delete mine[key]
    } else if (isDeepStrictEqual(ours, before)) {
      const held = mine[key]
      if (Array.isArray(held) && Array.isArray(now)) replaceItems(held, now)
      else if (Object.hasOwn(theirs, key)) mine[key] = now
      else delete mine[key]
    } else if (resolve && !isDeepStrictEqual(ours, now)) {
      const merged = resolve({ path: pathTo({ key, within }), base: before, mine: ours, theirs: now })
      if (merged === undefined) delete mine[key]
      else mine[key] = merged
    }
  }
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

/** One by one: as arguments of one call, a hundred thousand items are too many. */
function replaceItems(array: unknown[], items: readonly unknown[]): void {
  array.length = 0
  for (const item of items) array.push(item)
}

function own(data: Data, key: string): unknown {
  return Object.hasOwn(data, key) ? data[key] : undefined
}

export function isPlainObject(value: unknown): value is Data {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Object.prototype, that of another realm as well.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}
