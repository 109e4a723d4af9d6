import { types } from 'node:util'
import { SessionError } from '../errors.js'
import { deepest } from './limits.js'

export interface Loss {
  /** Grows from its end, on the way back to where the walk began: where nothing is lost, no path is ever made. */
  path: string
  readonly what: string
  /** What the app's own code threw there. */
  readonly cause?: unknown
}

export function lossError({ path, what, ...thrown }: Loss, cause = thrown.cause): SessionError {
  return new SessionError(
    'ERR_SESSION_DATA',
    `req.session${path} holds ${what}, which JSON cannot store. Store a text, number, plain object or array instead, or give createSessions a codec that keeps it.`,
    { cause },
  )
}

/** Finds what failed in JSON.stringify, after the walk; or it is the session's own toJSON. */
export function describe(data: object, cause: unknown): SessionError {
  try {
    return lossError(findLoss(data, [], deepest) ?? failing(), cause)
  } catch {
    return lossError(failing(), cause)
  }
}

function failing(cause?: unknown): Loss {
  return { path: '', what: 'a value whose toJSON or getter fails', cause }
}

/** Walks what JSON would write, with at most so many levels. */
export function findLoss(value: unknown, ancestors: object[], levels: number): Loss | undefined {
  switch (typeof value) {
    case 'bigint':
      return { path: '', what: 'a BigInt' }
    case 'function':
      return { path: '', what: 'a function' }
    case 'symbol':
      return { path: '', what: 'a symbol' }
    case 'number':
      return Number.isFinite(value) ? undefined : { path: '', what: String(value) }
    case 'object':
      return value === null ? undefined : findLossWithin(value, ancestors, levels)
    default:
      return undefined
  }
}

export function findLossWithin(value: object, ancestors: object[], levels: number): Loss | undefined {
  if (ancestors.includes(value)) {
    return { path: '', what: 'a reference to an object that contains it (a cycle)' }
  }
  if (levels < 0) return { path: '', what: 'too deep a nesting' }
  const exotic = exoticName(value)
  if (exotic) return { path: '', what: exotic }
  const toJSON = toJSONOf(value)
  if (toJSON) {
    const given: unknown = toJSON.call(value, '')
    // JSON.stringify calls no second one: of a Date that the first gave it writes {}. In an array it makes undefined null.
    if (given === undefined || toJSONOf(given)) {
      return { path: '', what: 'a value whose toJSON gives undefined, or another one with a toJSON' }
    }
    return findLoss(given, [...ancestors, value], levels - 1)
  }
  ancestors.push(value)
  const find = Array.isArray(value) ? findLossInArray : findLossInObject
  const loss = find(value as object & unknown[], ancestors, levels - 1)
  ancestors.pop()
  return loss
}

export function toJSONOf(value: unknown): ((name: string) => unknown) | undefined {
  const toJSON = (value as { toJSON?: unknown } | null | undefined)?.toJSON
  return typeof toJSON === 'function' ? (toJSON as (name: string) => unknown) : undefined
}

function findLossInArray(items: readonly unknown[], ancestors: object[], levels: number): Loss | undefined {
  // By index: a hole has no key.
  for (let index = 0; index < items.length; index++) {
    const loss = findLossAt(items, index, ancestors, levels)
    if (loss) return beneath(`[${index}]`, loss)
  }
  return undefined
}

function findLossInObject(value: object, ancestors: object[], levels: number): Loss | undefined {
  for (const key of Object.keys(value)) {
    const loss = findLossAt(value, key, ancestors, levels)
    if (loss) return beneath(`.${key}`, loss)
  }
  return undefined
}

function findLossAt(
  holder: object,
  name: string | number,
  ancestors: object[],
  levels: number,
): Loss | undefined {
  try {
    const value = (holder as Record<string | number, unknown>)[name]
    if (value === undefined && Array.isArray(holder)) return { path: '', what: 'undefined in an array' }
    return findLoss(value, ancestors, levels)
  } catch (cause) {
    return failing(cause)
  }
}

function beneath(step: string, loss: Loss): Loss {
  loss.path = step + loss.path
  return loss
}

function exoticName(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return undefined
  if (types.isMap(value)) return 'a Map'
  if (types.isSet(value)) return 'a Set'
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a WeakMap or WeakSet'
  if (types.isRegExp(value)) return 'a regular expression'
  if (types.isPromise(value)) return 'a promise (was an await forgotten?)'
  if (types.isNativeError(value)) return 'an Error'
  if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) return 'bytes (a Buffer or typed array)'
  // JSON.stringify writes what is in it.
  if (types.isBoxedPrimitive(value)) return findLoss(value.valueOf(), [], deepest)?.what
  if (types.isDate(value) && Number.isNaN(value.getTime())) return 'an invalid Date'
  return undefined
}
