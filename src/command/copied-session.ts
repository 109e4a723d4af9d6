import { hash } from 'node:crypto'
import { valueAt } from '../core/user-of.ts'
import { type UserId, userIdText } from '../core/user-id.ts'

/** What the new layout keeps of a session beside its data. */
export interface CopiedSession {
  readonly publicId: string
  readonly userId: string | undefined
  /** Whether the data names a user by something that is no user id, such as an object or a text with a NUL. */
  readonly userRefused: boolean
  /** Milliseconds. */
  readonly seenAt: number
}

/** What express-mysql-session gives a session whose cookie has no age. */
const usualAge = 86_400_000

/**
 * Reads what lies in the old table.
 *
 * @param key 24 bytes
 * @param userPath the names that lead to the user, from the outside in
 * @returns `undefined` for data that is not the JSON of a session
 */
export function copiedSession(
  row: {
    readonly key: Buffer
    readonly data: Buffer
    /** Unix seconds. */
    readonly expires: number
    readonly readAt: number
  },
  userPath: readonly string[] | undefined,
): CopiedSession | undefined {
  const session = parsed(row.data)
  if (session === undefined) return undefined
  const age = valueAt(session, ['cookie', 'originalMaxAge'])
  const lastSeen = row.expires * 1000 - (typeof age === 'number' ? age : usualAge)
  return {
    // Not from the data, so that a session that is copied twice has one name; and nothing leads back from it.
    publicId: hash('sha256', `public id of ${row.key.toString('hex')}`, 'base64url').slice(0, 16),
    ...userOf(userPath && valueAt(session, userPath)),
    seenAt: Math.max(0, Math.floor(Math.min(lastSeen, row.readAt))),
  }
}

function parsed(data: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(data.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A session of nobody, or whose user cannot be named, is copied all the same. */
function userOf(user: unknown): Pick<CopiedSession, 'userId' | 'userRefused'> {
  if (user === undefined || user === null) return { userId: undefined, userRefused: false }
  try {
    return { userId: userIdText(user as UserId), userRefused: false }
  } catch {
    return { userId: undefined, userRefused: true }
  }
}
