import { dataTooLarge, SessionError } from '../errors.js'
import { deepest, exceedsLimits, mostNames } from './limits.js'
import { describe, findLoss, type Loss, lossError } from './loss.js'
import { Budget, isCyclic, isKept, largestPart, tooLarge, tooManyNames } from './walk.js'

/**
 * Turns a session's data into bytes and back. Give your own to `createSessions({ codec })` to store types that JSON
 * cannot. All apps that share a store need the same codec.
 *
 * @example
 * import { deserialize, serialize } from 'node:v8'
 * const codec: Codec = { encode: serialize, decode: deserialize }   // keeps Date, Map, Set, BigInt
 */
export interface Codec {
  /**
   * Encodes a session's data, which is a plain object. If it throws, the commit fails with that error, and nothing is
   * stored.
   * @param mostBytes a longer result is refused with `ERR_SESSION_TOO_LARGE`, so the encoder may throw early.
   */
  encode(data: Record<string, unknown>, mostBytes?: number): Uint8Array
  /**
   * Decodes what `encode` made. It may get any other bytes that are in the database. If they are not the data of a
   * session, it should throw. Then the holder is signed out, and the event `storeError` fires with
   * `ERR_SESSION_CORRUPT`.
   */
  decode(bytes: Uint8Array): Record<string, unknown>
}

/** How an error message names too many properties. */
const many = 'more than 10,000 names of properties'
/** Bytes. A shorter text cannot hold more names than are allowed, and is parsed in a few milliseconds. */
const longText = 5 * mostNames
/** The most names when reading. It is higher than when storing, because stores add names of their own. */
const mostNamesRead = 2 * mostNames
const opening = '{'.charCodeAt(0)
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The default codec: JSON that refuses what it would lose. A Date becomes its ISO text, and an object with `toJSON`
 * becomes what that returns. A BigInt, Map, Set, cycle, NaN, function, bytes and the like fail with `ERR_SESSION_DATA`,
 * which names the property.
 *
 * More than 1,000 levels, or more than 10,000 property names, fail too: to read, compare and merge them would hold up
 * all other requests.
 */
export const jsonCodec: Codec = {
  encode(data, mostBytes = Infinity) {
    let loss: Loss | undefined
    try {
      // Before JSON.stringify: in some versions of Node, that follows a cycle for 30 ms.
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
    // Parsed JSON may be nested deeper than encode allows, or hold 1e999, which is read as Infinity. It is better to
    // sign its holder out than to let every later save fail.
    if (!isKept(data, deepest, new Budget(Infinity, mostNamesRead)))
      throw new TypeError('it holds what is never stored')
    return data as Record<string, unknown>
  },
}

/** Checks the encoded text: what a class or a toJSON put into it was not counted before. */
function checked(bytes: Buffer): Buffer {
  if (bytes[0] !== opening) throw lossError({ path: '', what: 'a toJSON that gives no object' })
  if (bytes.length > longText && exceedsLimits(bytes))
    throw lossError({ path: '', what: `${many}, or too deep a nesting` })
  return bytes
}

/** The same bytes as a Buffer, without a copy: codecs are written for a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
