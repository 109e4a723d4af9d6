import { bufferOf, type Codec } from '../../core/data/codec.js'
import { deepest, exceedsLimits } from '../../core/data/limits.js'
import { assertMayFit } from '../../core/data/walk.js'
import { SessionError } from '../../core/errors.js'

/** JSON as express-session's stores write it: what it has no word for is left out. */
export const plainJson: Codec = {
  encode(data, mostBytes = Infinity) {
    assertMayFit(data, mostBytes)
    const text = Buffer.from(String(JSON.stringify(data)))
    if (text[0] !== opening) throw unstorable('has a toJSON that gives no object')
    if (exceedsLimits(text, Infinity)) throw unstorable(`is nested more than ${deepest} levels deep`)
    return text
  },
  decode(bytes) {
    // JSON.parse goes deeper than JSON.stringify can go back, and than whoever walks the data.
    if (exceedsLimits(bytes, Infinity)) throw new TypeError(`it is nested more than ${deepest} levels deep`)
    return JSON.parse(bufferOf(bytes).toString()) as Record<string, unknown>
  },
}

function unstorable(why: string): SessionError {
  return new SessionError('ERR_SESSION_DATA', `req.session ${why}, which is not stored.`)
}

const head = Buffer.from('{"cookie":{"originalMaxAge":')
const [quote, backslash, comma, opening, closing] = Buffer.from('"\\,{}') as unknown as number[]

/**
 * Whether two texts of sessions are the same, but for what their cookies say besides `originalMaxAge`. It is told by
 * their bytes, without parsing them, and only where both begin as express-session writes them; `false` says nothing.
 */
export function sameButForCookie(one: Uint8Array, other: Uint8Array): boolean {
  let at = 0
  for (; at < head.length; at++) if (one[at] !== head[at] || other[at] !== head[at]) return false
  while (one[at] === other[at] && one[at] !== comma && at < one.length) at++
  if (one[at] !== comma || other[at] !== comma) return false
  const [end, otherEnd] = [endOfObject(one, at), endOfObject(other, at)]
  if (end < 0 || otherEnd < 0 || one.length - end !== other.length - otherEnd) return false
  return bufferOf(one).compare(other, otherEnd, other.length, end) === 0
}

/** Where the object ends within which `at` stands, outside of a text; -1 if it has objects in it. */
function endOfObject(bytes: Uint8Array, at: number): number {
  let inText = false
  for (; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) inText = !inText
    else if (byte === backslash) at++
    else if (!inText && byte === closing) return at + 1
    else if (!inText && byte === opening) return -1
  }
  return -1
}
