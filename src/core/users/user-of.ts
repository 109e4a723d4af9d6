import { optionError, shown } from '../errors.js'
import type { SessionData } from '../session/session.js'
import { type UserId, userIdText } from './user-id.js'

/**
 * Where a session's data names the signed-in user: a path of names, such as `'passport.user'`, or a function of the
 * data. The function returns the user's id, or `undefined` or `null` if nobody is signed in. It runs several times a
 * request, so it should be fast and change nothing.
 */
export type UserOf = string | ((data: Readonly<Partial<SessionData>>) => UserId | null | undefined)

/** Returns the user's id that a session's data names. Throws ERR_SESSION_USER_ID if that is no user id. */
export type UserRule = (data: Record<string, unknown>) => string | undefined

/** @throws ERR_SESSION_OPTION. */
export function resolveUserOf(userOf: UserOf | undefined): UserRule | undefined {
  if (userOf === undefined) return undefined
  const look = lookFor(userOf)
  return (data) => {
    const user = look(data)
    return user === undefined || user === null
      ? undefined
      : userIdText(user as UserId, 'What userOf finds in the data')
  }
}

function lookFor(userOf: unknown): (data: Record<string, unknown>) => unknown {
  if (typeof userOf === 'function') return userOf as (data: object) => unknown
  const path = typeof userOf === 'string' ? userOf.split('.') : ['']
  if (path.includes('')) {
    throw optionError(
      `userOf must be names with dots between, such as 'passport.user', or a function of the session's data, not ${shown(userOf)}.`,
    )
  }
  return (data) => valueAt(data, path)
}

/** The value at a path of names. Inherited properties do not count. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}
