import { types } from 'node:util'
import { SessionError } from '../errors.js'
import { isPlainObject } from './merge.js'

/** The most levels below the session itself. Deeper data could overflow the stack of whoever walks it, now or later. */
export const deepest = 1_000
/** The most property names in a session. More take too long to read, compare and merge. */
export const mostNames = 10_000

/**
 * Refuses data that is too deep to be merged, drafted or compared. An app's own codec may read more levels than the
 * stack has room for.
 * @throws ERR_SESSION_DATA.
 */
export function assertWalkable(...values: readonly unknown[]): void {
  if (!values.some((value) => isDeeper(value, deepest))) return
  throw new SessionError(
    'ERR_SESSION_DATA',
    'The session holds itself, or more than 1,000 levels of objects: it can be stored, but not merged with what others stored, nor updated. Keep such data in a table of yours and only its id in the session.',
  )
}

/** Whether a value is too deep. As merges and drafts do, it does not look into instances of classes. */
function isDeeper(value: unknown, levels: number): boolean {
  const items = itemsOf(value)
  return items !== undefined && (levels < 0 || items.some((item) => isDeeper(item, levels - 1)))
}

function itemsOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value
  if (types.isMap(value)) return [...value.keys(), ...value.values()]
  if (types.isSet(value)) return [...value]
  return isPlainObject(value) ? Object.values(value) : undefined
}

const [quote, backslash, colon, opening, closing, openingArray, closingArray] = Buffer.from(
  '"\\:{}[]',
) as unknown as number[]

/**
 * Whether JSON is too deep, or has too many names. It looks at the bytes, before they are parsed; a short text always
 * passes.
 */
export function exceedsLimits(json: Uint8Array, most = mostNames): boolean {
  if (json.length <= 2 * deepest) return false
  let [levels, names, inText] = [0, 0, false]
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === quote) inText = !inText
    else if (byte === backslash) at++
    else if (inText) continue
    else if (byte === opening || byte === openingArray) levels++
    else if (byte === closing || byte === closingArray) levels--
    else if (byte === colon) names++
    if (levels > deepest + 1 || names > most) return true
  }
  return false
}
