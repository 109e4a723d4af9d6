import { SessionError } from './errors.ts'

/** How an app names a user: a text of 1 to 255 bytes of UTF-8, or a number, which is kept as its decimal text. */
export type UserId = string | number | bigint

/** @throws ERR_SESSION_USER_ID */
export function userIdText(userId: UserId): string {
  const text = ['string', 'number', 'bigint'].includes(typeof userId) ? String(userId) : ''
  const length = Buffer.byteLength(text)
  if (length === 0 || length > 255) {
    throw new SessionError(
      'ERR_SESSION_USER_ID',
      `A user is named by a text of 1 to 255 bytes, or by a number; this is ${length === 0 ? `${typeof userId}, or empty` : `${length} bytes long`}.`,
    )
  }
  return text
}
