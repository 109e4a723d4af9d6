import { types } from 'node:util'
import { SessionError } from '../errors.js'
import { isPlainObject } from './merge.js'

/** Levels beneath the session itself: it keeps the walks of its data, and those of whoever reads it later, off the stack's end. */
export const deepest = 1_000

/**
 * Merges, drafts and comparisons walk what a session holds; a codec of the app's may read more levels than the stack has room for.
 * @throws ERR_SESSION_DATA
 */
export function assertWalkable(...values: readonly unknown[]): void {
  if (!values.some((value) => isDeeper(value, deepest))) return
  throw new SessionError(
    'ERR_SESSION_DATA',
    'The session holds itself, or more than 1,000 levels of objects: it can be stored, but not merged with what others stored, nor updated. Keep such data in a table of yours and only its id in the session.',
  )
}

/** Goes where merges and drafts go: not into an instance of a class. */
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
