import { types } from 'node:util'
import { dataTooLarge, SessionError } from '../errors.js'
import { deepest, isTooMuch, mostNames } from './limits.js'

/**
 * Turns a session's data into bytes and back. Replace it (`createSessions({ codec })`) to keep types
 * that JSON has no word for. All apps that share a store must use the same one.
 *
 * @example
 * import { deserialize, serialize } from 'node:v8'
 * const codec: Codec = { encode: serialize, decode: deserialize }   // keeps Date, Map, Set, BigInt
 */
export interface Codec {
  /**
   * Called with a plain object. May throw: the commit then fails with the error and stores nothing.
   * @param mostBytes what comes out longer is refused anyway, so an encoder may throw before it has made it
   */
  encode(data: Record<string, unknown>, mostBytes?: number): Uint8Array
  /** Called with what `encode` made, or with whatever else lies in the database: throws if it is not an object. */
  decode(bytes: Uint8Array): Record<string, unknown>
}

/** How an error tells of too many names. */
const many = 'more than 10,000 names of properties'
/** Bytes. What is shorter holds no more names than are stored, and is parsed in a few milliseconds, whatever it is. */
const longText = 5 * mostNames
/** The limit for reading. It is higher than the one for storing, because stores add names of their own. */
const mostNamesRead = 2 * mostNames
const opening = '{'.charCodeAt(0)
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The default codec. What JSON writes and reads back is stored: a Date becomes its ISO text, an object
 * with `toJSON` what that gives. What JSON would lose without a word (BigInt, Map, Set, a cycle,
 * NaN, a function, bytes, …) is an error that names where it stands. So are more than 1,000 levels and more than 10,000 names of
 * properties: to read, compare and merge them would hold up all other requests.
 */
export const jsonCodec: Codec = {
  encode(data, mostBytes = Infinity) {
    let loss: Loss | undefined
    try {
      // Before JSON.stringify, which on some versions of Node goes around in a cycle for 30 ms.
      if (!isKept(data, deepest, new Room(mostBytes))) loss = findLoss(data, [], deepest)
      if (!loss) return checked(Buffer.from(JSON.stringify(data)))
    } catch (error) {
      if ((error === tooLarge || error === tooManyNames) && isCyclic(data, new Set(), { looks: 200 }))
        throw describe(data, error)
      if (error === tooLarge) throw dataTooLarge(mostBytes, largestPart(data, mostBytes))
      if (error instanceof SessionError) throw error
      throw error === tooManyNames ? lossError({ path: '', what: many }) : describe(data, error)
    }
    throw lossError(loss)
  },
  decode(bytes) {
    if (bytes.length > longText && isTooMuch(bytes, mostNamesRead))
      throw new TypeError('it holds what is never stored: too many levels or names')
    const data: unknown = JSON.parse(utf8.decode(bytes))
    // Parsed JSON may be nested deeper than encode takes, and hold 1e999, which is read as Infinity. Its holder is better signed out than
    // unable to have anything stored.
    if (!isKept(data, deepest, new Room(Infinity, mostNamesRead)))
      throw new TypeError('it holds what is never stored')
    return data as Record<string, unknown>
  },
}

/** Of a text that was made: what a class or a toJSON brought into it was not counted before. */
function checked(bytes: Buffer): Buffer {
  if (bytes[0] !== opening) throw lossError({ path: '', what: 'a toJSON that gives no object' })
  if (bytes.length > longText && isTooMuch(bytes))
    throw lossError({ path: '', what: `${many}, or too deep a nesting` })
  return bytes
}

/** What a walk may still come by. */
class Room {
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
const tooLarge = new RangeError('it is too large')
const tooManyNames = new RangeError(`it holds more than ${mostNames} names`)

/**
 * For codecs that take whatever JSON.stringify takes: refuses data that is far too large before it is made a text of.
 * @throws ERR_SESSION_TOO_LARGE
 */
export function assertMayFit(data: Record<string, unknown>, mostBytes: number): void {
  if (mostBytes === Infinity) return
  try {
    const room = new Room(mostBytes)
    for (const name of Object.keys(data)) isKept(data[name], deepest, room)
  } catch (error) {
    if (error === tooLarge) throw dataTooLarge(mostBytes, largestPart(data, mostBytes))
    // What else fails is for JSON.stringify to meet.
  }
}

/** Whether an object holds itself, as far as so many looks tell: then it is too large only because of that. */
function isCyclic(value: unknown, ancestors: Set<unknown>, left: { looks: number }): boolean {
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
function largestPart(data: Record<string, unknown>, mostBytes: number): string {
  let [largest, most, total] = ['', -1, 0]
  for (const name of Object.keys(data)) {
    const room = new Room(mostBytes)
    try {
      isKept(data[name], deepest, room)
    } catch {
      // It is as large as may be, or fails: the commit has an error already.
    }
    const size = mostBytes - room.bytes
    if (size > most) [largest, most] = [name, size]
    total += size
    if (total > 2 * mostBytes) break
  }
  return largest
}

/** The same bytes, not copied, as what Node gives: codecs are written for that. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Whether JSON keeps a value, with at most so many levels. Each session that is opened or stored goes through here: no closure, no path, and
 * arrays by index, which takes a quarter of the time. What is not as parsed JSON is, `findLoss` looks at.
 */
function isKept(value: unknown, levels: number, room: Room): boolean {
  switch (typeof value) {
    case 'string':
      room.take(value.length + 2)
      return true
    case 'boolean':
      return true
    case 'number':
      room.take(1)
      return Number.isFinite(value)
    case 'object':
      return value === null || (levels >= 0 && isObjectKept(value, levels, room))
    default:
      return false
  }
}

function isObjectKept(value: object, levels: number, room: Room): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === Object.prototype || prototype === Array.prototype || prototype === null
  if (!isPlain || toJSONOf(value)) return findLossWithin(value, [], levels) === undefined
  if (!Array.isArray(value)) return areKept(value, Object.keys(value), levels - 1, room)
  room.take(value.length)
  for (let index = 0; index < value.length; index++) if (!isKept(value[index], levels - 1, room)) return false
  return true
}

function areKept(holder: object, names: readonly string[], levels: number, room: Room): boolean {
  for (const name of names) {
    const value = (holder as Record<string, unknown>)[name]
    if (value === undefined) continue
    room.takeName()
    room.take(name.length + 3) // with its quotes and its colon
    if (!isKept(value, levels, room)) return false
  }
  return true
}

interface Loss {
  /** Grows from its end, on the way back to where the walk began: where nothing is lost, no path is ever made. */
  path: string
  readonly what: string
  /** What the app's own code threw there. */
  readonly cause?: unknown
}

function lossError({ path, what, ...thrown }: Loss, cause = thrown.cause): SessionError {
  return new SessionError(
    'ERR_SESSION_DATA',
    `req.session${path} holds ${what}, which JSON cannot store. Store a text, number, plain object or array instead, or give createSessions a codec that keeps it.`,
    { cause },
  )
}

/** Finds what failed in JSON.stringify, after the walk; or it is the session's own toJSON. */
function describe(data: object, cause: unknown): SessionError {
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
function findLoss(value: unknown, ancestors: object[], levels: number): Loss | undefined {
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

function findLossWithin(value: object, ancestors: object[], levels: number): Loss | undefined {
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

function toJSONOf(value: unknown): ((name: string) => unknown) | undefined {
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
