import { types } from 'node:util'
import { isSame } from './compare.js'
import { type Data, isPlainObject } from './merge.js'

/**
 * Changes an object in place where `to` differs from `from`, and nowhere else, so that references which a handler holds into it stay
 * good.
 *
 * @param held what is changed: may hold what the codec writes otherwise, such as a Date.
 * @param from what `held` is, as the codec reads it back.
 * @param to what it is to be, as the codec reads it back.
 * @param source where the values come from that are put there; left out: from `to`.
 */
export function patch(held: Data, from: Data, to: Data, source: Data = to): void {
  for (const key of Object.keys(from)) {
    if (key !== '__proto__' && !Object.hasOwn(to, key)) delete held[key]
  }
  for (const key of Object.keys(to)) {
    if (key === '__proto__') continue
    const [present, before, wanted] = [held[key], from[key], to[key]]
    const value = Object.hasOwn(source, key) ? source[key] : wanted
    if (isPlainObject(present) && isPlainObject(before) && isPlainObject(wanted)) {
      patch(present, before, wanted, isPlainObject(value) ? value : wanted)
    } else if (Object.hasOwn(from, key) && isSame(before, wanted)) continue
    else if (!refilled(present, before, wanted, value)) held[key] = value
  }
  putInOrder(held, Object.keys(to))
}

/** Puts whole values in place of what differs, for an object that a change in place did not do for. What it refuses is left. */
export function replace(held: Data, from: Data, to: Data): void {
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const isWanted = Object.hasOwn(to, key)
    if (key === '__proto__' || (isWanted && Object.hasOwn(from, key) && isSame(from[key], to[key]))) continue
    try {
      if (isWanted) held[key] = to[key]
      else delete held[key]
    } catch {
      // Frozen, or an accessor that throws.
    }
  }
}

/** What is stored tells one order of names from another. */
function putInOrder(held: Data, names: readonly string[]): void {
  const wanted = names.filter((name) => name !== '__proto__' && Object.hasOwn(held, name))
  const among = new Set(wanted)
  const present = Object.keys(held).filter((name) => among.has(name))
  // What is taken out of an object that is closed cannot be put back.
  if (present.every((name, index) => name === wanted[index]) || !Object.isExtensible(held)) return
  for (const name of wanted) {
    const property = Object.getOwnPropertyDescriptor(held, name)!
    delete held[name]
    Object.defineProperty(held, name, property)
  }
}

/**
 * Puts what is in one array, Map or Set into another, but for items that stay as they are.
 * @returns false if they are none of these.
 */
function refilled(held: unknown, from: unknown, to: unknown, source: unknown): boolean {
  if (Array.isArray(held) && Array.isArray(source)) {
    const items: unknown[] = source.map((item: unknown, index) =>
      isSameAt(index, from, to) ? (held[index] as unknown) : item,
    )
    held.length = 0
    // One by one: as arguments of one call, a hundred thousand items are too many.
    for (const item of items) held.push(item)
    return true
  }
  if (types.isMap(held) && types.isMap(source)) {
    const entries = [...source].map(([key, item]): [unknown, unknown] =>
      isSameAt(key, from, to) ? [key, held.get(key)] : [key, item],
    )
    held.clear()
    for (const [key, item] of entries) held.set(key, item)
    return true
  }
  if (types.isSet(held) && types.isSet(source)) {
    const items = [...source]
    held.clear()
    for (const item of items) held.add(item)
    return true
  }
  return false
}

/** Whether two arrays or Maps have the same at this place. */
function isSameAt(place: unknown, from: unknown, to: unknown): boolean {
  if (types.isMap(from) && types.isMap(to)) return from.has(place) && isSame(from.get(place), to.get(place))
  if (!Array.isArray(from) || !Array.isArray(to)) return false
  const index = place as number
  return index in from && isSame(from[index], to[index])
}

/** A copy whose plain objects, arrays, Maps, Sets and dates are its own. What is none of these, such as an instance of a class, is shared. */
export function copied<Value>(value: Value, copies = new Map<unknown, unknown>()): Value {
  if (typeof value !== 'object' || value === null) return value
  if (!copies.has(value)) fillCopy(value, copies)
  return (copies.get(value) ?? value) as Value
}

function fillCopy(value: object, copies: Map<unknown, unknown>): void {
  const owned = <Copy>(copy: Copy): Copy => {
    copies.set(value, copy)
    return copy
  }
  if (types.isDate(value)) owned(new Date(value))
  else if (types.isMap(value)) {
    const copy = owned(new Map<unknown, unknown>())
    for (const [key, item] of value) copy.set(copied(key, copies), copied(item, copies))
  } else if (types.isSet(value)) {
    const copy = owned(new Set<unknown>())
    for (const item of value) copy.add(copied(item, copies))
  } else if (Array.isArray(value) || isPlainObject(value)) {
    const copy = owned(Array.isArray(value) ? [] : {})
    for (const [key, item] of Object.entries(value)) {
      Object.defineProperty(copy, key, {
        value: copied(item as unknown, copies),
        writable: true,
        enumerable: true,
        configurable: true,
      })
    }
  }
}

/** A copy that nobody can take for the session itself: changing it is an error. */
export function detached<Value>(value: Value): Value {
  const copies = new Map<unknown, unknown>()
  const copy = copied(value, copies)
  for (const each of copies.values()) Object.freeze(each)
  return copy
}
