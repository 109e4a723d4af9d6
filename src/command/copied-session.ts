import { isSigned, metadataIn } from '../core/data/embedded-metadata.js'
import { type UserId, userIdText } from '../core/users/user-id.js'
import { valueAt } from '../core/users/user-of.js'
import { textWithoutMetadata } from '../stores/mysql-express/record.js'

/** What the new layout keeps of a session beside its data. */
export interface CopiedSession {
  readonly userId: string | undefined
  /** Whether the data names a user by something that is no user id, such as an object or a text with a NUL. */
  readonly userRefused: boolean
  /** Milliseconds. */
  readonly authenticatedAt: number | undefined
  /** Milliseconds. */
  readonly createdAt: number
  /** Milliseconds. */
  readonly seenAt: number
  readonly data: Buffer
}

/** What express-mysql-session gives a session whose cookie has no age. */
const usualAge = 86_400_000

/**
 * Reads what lies in the old table.
 *
 * @param userPath the names that lead to the user, from the outside in
 * @param keys that may have signed what coatcheck keeps in it; what none of them has signed is left out
 * @returns `undefined` for data that is not the JSON of a session
 */
export function copiedSession(
  row: {
    readonly data: Buffer
    readonly secretHash: Buffer
    /** Unix seconds. */
    readonly expires: number
    readonly readAt: number
  },
  userPath: readonly string[] | undefined,
  keys: readonly string[],
): CopiedSession | undefined {
  const session = parsed(row.data)
  if (session === undefined) return undefined
  const age = valueAt(session, ['cookie', 'originalMaxAge'])
  const lastSeen = row.expires * 1000 - (typeof age === 'number' ? age : usualAge)
  const found = metadataIn(session)
  const metadata = found && isSigned(session, keys, row.secretHash.toString('hex')) ? found : undefined
  const seenAt = Math.max(metadata?.createdAt ?? 0, Math.floor(Math.min(lastSeen, row.readAt)))
  return {
    createdAt: metadata?.createdAt ?? seenAt,
    seenAt,
    // An app that has moved keeps there what the new layout has columns for.
    data: (found && textWithoutMetadata(session)) ?? row.data,
    ...(metadata?.userId === undefined
      ? { ...userOf(userPath && valueAt(session, userPath)), authenticatedAt: undefined }
      : { userId: metadata.userId, userRefused: false, authenticatedAt: metadata.authenticatedAt }),
  }
}

function parsed(data: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(data.toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return value as Record<string, unknown>
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
