import { dataTooLarge, SessionError } from '../errors.js'
import { deepest, exceedsLimits, mostNames } from './limits.js'
import { describe, findLoss, type Loss, lossError } from './loss.js'
import { Budget, isCyclic, isKept, largestPart, tooLarge, tooManyNames } from './walk.js'

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
      if (!isKept(data, deepest, new Budget(mostBytes))) loss = findLoss(data, [], deepest)
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
    if (bytes.length > longText && exceedsLimits(bytes, mostNamesRead))
      throw new TypeError('it holds what is never stored: too many levels or names')
    const data: unknown = JSON.parse(utf8.decode(bytes))
    // Parsed JSON may be nested deeper than encode takes, and hold 1e999, which is read as Infinity. Its holder is better signed out than
    // unable to have anything stored.
    if (!isKept(data, deepest, new Budget(Infinity, mostNamesRead)))
      throw new TypeError('it holds what is never stored')
    return data as Record<string, unknown>
  },
}

/** Of a text that was made: what a class or a toJSON brought into it was not counted before. */
function checked(bytes: Buffer): Buffer {
  if (bytes[0] !== opening) throw lossError({ path: '', what: 'a toJSON that gives no object' })
  if (bytes.length > longText && exceedsLimits(bytes))
    throw lossError({ path: '', what: `${many}, or too deep a nesting` })
  return bytes
}

/** The same bytes, not copied, as what Node gives: codecs are written for that. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
