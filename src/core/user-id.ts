import { SessionError } from './errors.ts'

/** How an app names a user: a text of 1 to 255 bytes of UTF-8, or a number, which is kept as its decimal text. */
export type UserId = string | number | bigint

/** @throws ERR_SESSION_USER_ID */
export function userIdText(userId: UserId): string {
  const text = isName(userId) ? String(userId) : ''
  const length = Buffer.byteLength(text)
  if (length === 0 || length > 255) {
    throw new SessionError(
      'ERR_SESSION_USER_ID',
      `A user is named by a text of 1 to 255 bytes, or by a whole number; this is ${length === 0 ? `${typeof userId}, or malformed` : `${length} bytes long`}.`,
    )
  }
  return text
}

/** NaN would be one user for all whose id could not be read, and broken UTF-16 turns into equal bytes. */
function isName(userId: unknown): boolean {
  if (typeof userId === 'number') return Number.isSafeInteger(userId)
  if (typeof userId === 'string') return Buffer.from(userId).toString() === userId
  return typeof userId === 'bigint'
}
