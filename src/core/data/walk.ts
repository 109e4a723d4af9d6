import { dataTooLarge } from '../errors.js'
import { deepest, mostNames } from './limits.js'
import { findLossWithin, toJSONOf } from './loss.js'

/** What a walk may still come by. */
export class Budget {
  /** As many as JSON takes at least. */
  bytes: number
  #names: number

  constructor(bytes: number, names = mostNames) {
    this.bytes = bytes
    this.#names = names
  }

  take(bytes: number): void {
    this.bytes -= bytes
    if (this.bytes < 0) throw tooLarge
  }

  takeName(): void {
    this.#names--
    if (this.#names < 0) throw tooManyNames
  }
}

// Thrown by a walk that has come by more than there is room for.
export const tooLarge = new RangeError('it is too large')
export const tooManyNames = new RangeError(`it holds more than ${mostNames} names`)

/**
 * Whether JSON keeps a value, with at most so many levels. Each session that is opened or stored goes through here: no closure, no path, and
 * arrays by index, which takes a quarter of the time. What is not as parsed JSON is, `findLoss` looks at.
 */
export function isKept(value: unknown, levels: number, budget: Budget): boolean {
  switch (typeof value) {
    case 'string':
      budget.take(value.length + 2)
      return true
    case 'boolean':
      return true
    case 'number':
      budget.take(1)
      return Number.isFinite(value)
    case 'object':
      return value === null || (levels >= 0 && isObjectKept(value, levels, budget))
    default:
      return false
  }
}

function isObjectKept(value: object, levels: number, budget: Budget): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === Object.prototype || prototype === Array.prototype || prototype === null
  if (!isPlain || toJSONOf(value)) return findLossWithin(value, [], levels) === undefined
  if (!Array.isArray(value)) return areKept(value, Object.keys(value), levels - 1, budget)
  budget.take(value.length)
  for (let index = 0; index < value.length; index++)
    if (!isKept(value[index], levels - 1, budget)) return false
  return true
}

function areKept(holder: object, names: readonly string[], levels: number, budget: Budget): boolean {
  for (const name of names) {
    const value = (holder as Record<string, unknown>)[name]
    if (value === undefined) continue
    budget.takeName()
    budget.take(name.length + 3) // with its quotes and its colon
    if (!isKept(value, levels, budget)) return false
  }
  return true
}

/**
 * For codecs that take whatever JSON.stringify takes: refuses data that is far too large before it is made a text of.
 * @throws ERR_SESSION_TOO_LARGE.
 */
export function assertMayFit(data: Record<string, unknown>, mostBytes: number): void {
  if (mostBytes === Infinity) return
  try {
    const budget = new Budget(mostBytes)
    for (const name of Object.keys(data)) isKept(data[name], deepest, budget)
  } catch (error) {
    if (error === tooLarge) throw dataTooLarge(mostBytes, largestPart(data, mostBytes))
    // What else fails is for JSON.stringify to meet.
  }
}

/** Whether an object holds itself, as far as so many looks tell: then it is too large only because of that. */
export function isCyclic(value: unknown, ancestors: Set<unknown>, left: { looks: number }): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (ancestors.has(value)) return true
  ancestors.add(value)
  for (const name in value) {
    if (left.looks-- <= 0) break
    if (isCyclic((value as Record<string, unknown>)[name], ancestors, left)) return true
  }
  ancestors.delete(value)
  return false
}

/** The top-level name with most in it, of those up to where it was clear that the whole is too large. */
export function largestPart(data: Record<string, unknown>, mostBytes: number): string {
  let [largest, most, total] = ['', -1, 0]
  for (const name of Object.keys(data)) {
    const budget = new Budget(mostBytes)
    try {
      isKept(data[name], deepest, budget)
    } catch {
      // It is as large as may be, or fails: the commit has an error already.
    }
    const size = mostBytes - budget.bytes
    if (size > most) [largest, most] = [name, size]
    total += size
    if (total > 2 * mostBytes) break
  }
  return largest
}
